"""The training sets of one split: the real rows, with class weights, or with the synthetic rows of a generator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax import Array

from nids_jax import store
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.split import Split
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.evaluation.fidelity import RawRows, fidelity
from nids_jax.files import write_atomic
from nids_jax.flows.consistency import repair, round_like
from nids_jax.generators.raw import InRawUnits, OnFreeFeatures, free_scaler
from nids_jax.generators.registry import make_generator
from nids_jax.generators.spec import Columns, Request
from nids_jax.pipeline.auxiliary import Auxiliary
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.pipeline.simulation import Simulation, shared_out
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock

SHOWN = 50  # rows per class that are kept of the test rows, and of a large training set, for the report


SIMULATION_SEED = 1_000_000_000


class RowMaker(Protocol):
    """What makes rows in raw units: see `InRawUnits`."""

    @property
    def losses_(self) -> np.ndarray | None: ...

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray: ...


Source = Callable[[Split], RowMaker]  # what makes rows from more than the split's flow records (their packets, say)


class Keys(NamedTuple):
    """Where a generator's random numbers come from, and where its checkpoint lies."""

    fit: Array
    sample: Array
    folder: str


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The synthetic rows that a protocol asks of a split, and the rows that a generator which learns is fitted on."""

    added: np.ndarray  # [c] rows of each class to add at fraction 1
    fraction: float = 1.0  # the largest that will be asked for
    learnt: np.ndarray  # numbers of the training rows that a generator which trains a model learns from
    codes: np.ndarray  # the class that each of such a generator's labels 0, 1, … stands for
    balanced: bool  # `real_weighted`: every class weighs the same; else a class as if its rows were added
    keys: Callable[[TrainingSetName], Keys]

    def rows(self, fraction: float) -> np.ndarray:
        """Rows to add to each class, [c]: round(fraction · added)."""
        return np.array([round(fraction * int(n)) for n in self.added])

    def class_weights(self, fraction: float, counts: np.ndarray) -> bool | tuple[float, ...]:
        """The weights of `real_weighted` for classes that have `counts` [c] rows.

        A row of class k weighs (rows with those added) / (rows), unless the classes are to be balanced.
        """
        return self.balanced or tuple((1 + self.rows(fraction) / np.maximum(counts, 1)).tolist())


class TrainingRows(NamedTuple):
    """Scaled rows to train on, the synthetic ones last."""

    x: np.ndarray
    y: np.ndarray
    synthetic: int = 0
    class_weights: bool | tuple[float, ...] = False
    weights: np.ndarray | None = None  # [n] how much each row counts; None: all alike
    timing: Mapping[str, float] = dict.fromkeys(("generator_fit_s", "sample_s", "generator_compile_s"), 0.0)
    fidelity: Mapping[str, float] | None = None


class _Synthetic(NamedTuple):
    """A generator's rows, class by class."""

    x: np.ndarray  # [m, width] scaled
    y: np.ndarray  # [m]
    timing: Mapping[str, float]
    fidelity: Mapping[str, float] | None
    class_weights: np.ndarray | None  # of simulated rows: what those of each class weigh together, in real rows


@dataclass(kw_only=True)
class TrainingSets:
    """The training sets of one split, each made when it is asked for; only the latest is kept.

    What a generator that learns has made goes to Parquet files in raw units, with rows to compare it with; its losses
    go to `curves.json`.
    """

    split: Split
    preset: Preset
    dataset: str
    demand: Demand
    directory: Path  # of checkpoints and rows
    clock: CompileClock
    progress: bool = False
    keep: bool = True  # curves, rows and their fidelity
    whole: bool = True  # keep all training and synthetic rows, not some of each class
    headline: str = "cddpm"  # the training set whose rows the report shows: they go to `synthetic.parquet`
    auxiliary: Auxiliary | None = None  # where there are benign ones, every training set holds some of them
    auxiliary_rows: np.ndarray | None = None  # those, scaled
    sources: Mapping[str, Source] = field(default_factory=dict)  # by training set; their rows need no repair
    simulation: Simulation = field(default_factory=Simulation)  # of `simulated`
    seed: int = 0  # of the split: each has simulated flows of its own

    def __post_init__(self) -> None:
        self._generator: tuple[TrainingSetName, RowMaker, np.ndarray] | None = None
        self._synthetic: tuple[tuple[TrainingSetName, int], _Synthetic] | None = None

    @cached_property
    def scaler(self) -> Scaler:
        """Fitted on the training rows, or on auxiliary ones, so that it is the same for every split."""
        if self.auxiliary:
            return self.auxiliary.scaler
        train = self.split.train
        if not len(train):  # no real row: what there is to learn from is simulated
            x, y = self._simulated_flows(0)
            train = replace(train, x=x, y=y)
        return fit_scaler(self.preset.scaler, train)

    @cached_property
    def test_x(self) -> np.ndarray:
        """The test rows, scaled."""
        return self.scaler.transform(self.split.test.x)

    @cached_property
    def real(self) -> TrainingRows:
        """The real rows."""
        return self._with_auxiliary(self.split.train)

    def rows(self, name: TrainingSetName, generation: int, fraction: float = 1.0) -> TrainingRows:
        """The training set; of a generator's, with the `generation`-th rows that it makes, or a fraction of them.

        Raises:
          InputError: the generator refuses the rows.
          TrainingError: the generator's training diverged.
        """
        if name.text == "real":
            return self.real
        if name.text == "real_all":
            return self._with_auxiliary(self.split.real_all)
        if name.text == "real_weighted":
            counts = np.array(list(self.split.train.counts.values()))
            return self.real._replace(class_weights=self.demand.class_weights(fraction, counts))
        if name.spec.beside:
            return self._together(name, generation)
        made = self._made(name, generation)
        # The first rows of each class: those of a smaller fraction are among those of a larger one.
        own = name.spec.needs == "tools" and self.simulation.rows is not None
        wanted = self._simulated_counts() if own else self.demand.rows(fraction)
        kept = np.concatenate([np.flatnonzero(made.y == label)[:count] for label, count in enumerate(wanted)])
        return TrainingRows(
            np.concatenate([self.real.x, made.x[kept]]),
            np.concatenate([self.real.y, made.y[kept]]),
            synthetic=len(kept),
            weights=None if made.class_weights is None else self._row_weights(made.class_weights, made.y[kept]),
            timing=made.timing,
            fidelity=made.fidelity,
        )

    def _together(self, name: TrainingSetName, generation: int) -> TrainingRows:
        """The simulated rows, and another generator's, of which those of a class together weigh as much."""
        weight = self.simulation.weight
        if weight is None:
            raise InputError(f"each simulated row counts as one here; {name} needs weights")
        simulated = self.rows(TrainingSetName("simulated"), generation)
        other = self.rows(TrainingSetName(name.spec.beside), generation)
        x, y = (column[len(self.real.y) :] for column in (other.x, other.y))
        heavy = np.ones(len(simulated.y)) if simulated.weights is None else simulated.weights
        even = shared_out(np.full(len(self.split.train.classes), weight), y)
        return simulated._replace(
            x=np.concatenate([simulated.x, x]),
            y=np.concatenate([simulated.y, y]),
            synthetic=simulated.synthetic + len(y),
            weights=np.concatenate([heavy, even]),
            timing={part: seconds + other.timing[part] for part, seconds in simulated.timing.items()},
            fidelity=None,
        )

    def _row_weights(self, class_weights: np.ndarray, y: np.ndarray) -> np.ndarray:
        """1 for each real row; the simulated ones of a class, with labels y [m], share its weight."""
        return np.concatenate([np.ones(len(self.real.y)), shared_out(class_weights, y)])

    def _simulated_counts(self) -> np.ndarray:
        """Simulated rows of each class at fraction 1, [c]."""
        added = self.demand.rows(self.demand.fraction)
        return added if self.simulation.rows is None else np.where(added > 0, self.simulation.rows, 0)

    def _simulated_flows(self, generation: int) -> tuple[np.ndarray, np.ndarray]:
        """The tools' flows in raw units [m, d], and their classes [m]."""
        # Far from the seeds of the embedded dataset, whose flows must not be met again among the training rows.
        seed = SIMULATION_SEED + 1000 * self.seed + generation
        return self.simulation.flows(self.split.train, self._simulated_counts(), seed)

    def _with_auxiliary(self, table: FlowTable) -> TrainingRows:
        x, y = self.scaler.transform(table.x), table.y
        if self.auxiliary is None or self.auxiliary_rows is None or self.auxiliary.label is None:
            return TrainingRows(x, y)
        more = self.auxiliary_rows
        return TrainingRows(
            np.concatenate([x, more]), np.concatenate([y, np.full(len(more), self.auxiliary.label, y.dtype)])
        )

    def _made(self, name: TrainingSetName, generation: int) -> _Synthetic:
        if self._synthetic is None or self._synthetic[0] != (name, generation):
            self._synthetic = None  # its memory is wanted
            self._synthetic = (name, generation), self._sampled(name, generation)
        return self._synthetic[1]

    def _sampled(self, name: TrainingSetName, generation: int) -> _Synthetic:
        if name.spec.needs == "tools":
            with self.clock.timed() as sampling:
                raw, labels = self._simulated_flows(generation)
            fitting, losses = {"run": 0.0, "compile": 0.0}, None
        else:
            raw, labels, fitting, sampling, losses = self._generated(name, generation)
        x = self.scaler.transform(raw)
        quality = None
        if self.keep and len(labels) and len(self.real.y):
            test = self.split.test
            compared = RawRows(test=test.x, synthetic=raw, features=test.features)
            quality = fidelity(self.real.x, self.real.y, self.test_x, test.y, x, labels, raw=compared)
        if self.keep and losses is not None:
            store.keep_curve(self.directory, name.text, losses)
        if self.keep and (losses is not None or name.spec.needs == "tools"):
            self._keep_rows(name, generation, raw, labels)
        timing = {
            "generator_fit_s": fitting["run"],
            "sample_s": sampling["run"],
            "generator_compile_s": fitting["compile"] + sampling["compile"],
        }
        weights = None
        if name.spec.needs == "tools" and self.simulation.weight is not None and len(labels):
            weights = self.simulation.class_weights(x, labels, self.real.x, self.real.y)
        return _Synthetic(x, labels, timing, quality, weights)

    def _generated(self, name: TrainingSetName, generation: int) -> tuple[Any, ...]:
        """A generator's rows [m, d] in raw units with their classes [m], seconds of fitting and sampling, losses."""
        keys, train = self.demand.keys(name), self.split.train
        with self.clock.timed() as fitting:
            if self._generator is None or self._generator[0] != name:
                self._generator = None
                self._generator = name, *self._fitted(name, keys)
        _, generator, codes = self._generator
        wanted = self.demand.rows(self.demand.fraction)
        labels = np.repeat(np.arange(len(wanted), dtype=np.int32), wanted)
        with self.clock.timed() as sampling:
            own = np.searchsorted(codes, labels).astype(np.int32)
            raw = generator.sample(own, jax.random.fold_in(keys.sample, generation))
        # Rows derived from free features or from packets are consistent.
        if self.preset.repair and not (name.free or name.spec.metered or name.text in self.sources):
            raw = repair(round_like(raw, train.x), train.features)
        return raw, labels, fitting, sampling, generator.losses_

    def _fitted(self, name: TrainingSetName, keys: Keys) -> tuple[RowMaker, np.ndarray]:
        """The generator, and the class that each of its labels stands for."""
        train = self.split.train
        every = np.arange(len(train.classes))
        if name.text in self.sources:
            return self.sources[name.text](self.split), every
        if name.spec.needs == "columns":
            columns = Request(
                features=train.features, categories=tuple(train.categories), compat=self.simulation.compat
            )
            maker: Any = make_generator(name.generator, columns)
            return maker.fit(train.x, train.y, keys.fit), every
        if name.free and train.categories:
            raise InputError(f"{name}: column {next(iter(train.categories))!r} is no number; use {name.generator}")
        # A model would rarely see a rare class among thousands of other rows; the other generators need these rows
        # (ADASYN looks at every class).
        rows, codes = (self.demand.learnt, self.demand.codes) if name.spec.learns else (np.arange(len(train)), every)
        x, labels = train.x[rows], np.searchsorted(codes, train.y[rows]).astype(np.int32)
        scaler = free_scaler(x, train.features) if name.free else self.scaler
        classes = [train.classes[code] for code in codes[: labels.max(initial=-1) + 1]]  # that the model knows
        starts = self.auxiliary is not None and name.spec.starts_from_auxiliary and not name.free
        request = Request(
            settings=self.preset.fitted(name.settings(self.preset), scaler, len(x)),
            pretrained=self.auxiliary.pretrained if self.auxiliary and starts else None,
            checkpoint_dir=self.directory / keys.folder,
            about=self.preset.about(scaler, train, classes, self.dataset),
            progress=self.progress,
            columns=Columns(scaler.bounded, scaler.blocks),
        )
        generator = make_generator(name.generator, request)
        raw = OnFreeFeatures(generator, train.features) if name.free else InRawUnits(generator, self.scaler)
        return raw.fit(x, labels, keys.fit), codes

    def _keep_rows(self, name: TrainingSetName, generation: int, raw: np.ndarray, labels: np.ndarray) -> None:
        """Parquet files in raw units: synthetic rows, the rows learnt from, and test rows to compare them with."""
        if generation and not self.whole:
            return
        train, test = self.split.train, self.split.test
        if generation == 0:
            some = slice(None) if self.whole else _some(train.y)
            write_flows(self.directory / "train.parquet", train, train.x[some], train.y[some])
            some = _some(test.y)
            write_flows(self.directory / "test.parquet", train, test.x[some], test.y[some])
        file = "synthetic" if name.text == self.headline else f"synthetic-{name}"
        some = slice(None) if self.whole else _some(labels)
        path = self.directory / f"{file}{f'-{generation}' if generation else ''}.parquet"
        write_flows(path, train, raw[some], labels[some])


def _some(y: np.ndarray) -> np.ndarray:
    """The numbers of the first SHOWN rows of each class."""
    return np.concatenate([np.flatnonzero(y == label)[:SHOWN] for label in np.unique(y)])


def write_flows(path: Path, table: FlowTable, x: np.ndarray, y: np.ndarray) -> None:
    """Rows x [n, d] in raw units with labels y [n] as Parquet, columns named as in `table`, and `Label` last."""
    write_atomic(path, replace(table, x=x, y=y).to_frame().to_parquet(index=False))
