"""Training sets by name ("arms"): a few real rows, as many as there are, or the few with those of a generator."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import jax
import numpy as np
import pandas as pd
from jax import Array

from nids_jax import random, store
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.split import Split
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation.fidelity import RawRows, fidelity
from nids_jax.files import write_atomic
from nids_jax.flows.consistency import repair, round_like
from nids_jax.generators.cddpm import CDDPMConfig
from nids_jax.generators.raw import OnBase, OnColumns, base_scaler
from nids_jax.generators.registry import GENERATORS, LEARNED, TRANSFER, make_generator
from nids_jax.pipeline.auxiliary import Auxiliary
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock

REAL = ("real", "real_weighted", "real_all")  # arms that no generator makes
HELD_OUT = 50  # unseen rows per class kept beside the synthetic ones, for the report's comparison


@dataclass(frozen=True)
class Arm:
    """An arm's name taken apart: `cddpm_500` is `cddpm` with T = 500, `smote_base` is `smote` on base columns."""

    name: str

    @property
    def based(self) -> bool:
        """Whether the generator works on base columns (`flows.base_features`)."""
        return self.name.endswith("_base")

    @property
    def timesteps(self) -> int | None:
        """T of `cddpm_T`."""
        start, _, steps = self.name.removesuffix("_base").rpartition("_")
        return int(steps) if start == "cddpm" and steps.isdecimal() else None

    @property
    def generator(self) -> str:
        """Its name in the registry, or one of REAL."""
        return "cddpm" if self.timesteps else self.name.removesuffix("_base")

    @property
    def trained(self) -> str:
        """The arm whose model it samples: `cddpm_calibrated`, `cddpm_edit` and `cddpm` draw from one."""
        return self.name.replace("cddpm_calibrated", "cddpm").replace("cddpm_edit", "cddpm")

    def diffusion(self, config: CDDPMConfig) -> CDDPMConfig:
        """The settings with this arm's T.

        Raises:
          InputError: the sampler takes more steps than that.
        """
        if self.timesteps is None:
            return config
        try:
            changed = replace(config, schedule=replace(config.schedule, steps=self.timesteps))
            changed.sampler.grid(changed.schedule)
        except ValueError as error:
            raise InputError(f"{self.name}: {error}") from None
        return changed


def check_arms(names: Sequence[str], preset: Preset, auxiliary: bool, further: Collection[str] = ()) -> None:
    """Refuse arms that cannot be made, with auxiliary rows or without; `further` ones can.

    Raises:
      InputError: no arm, an unknown generator, or a T with which the preset's sampler does not go together.
    """
    arms = [Arm(name) for name in names]
    taken = {*GENERATORS, *REAL, *TRANSFER}.intersection(further)
    if taken:
        raise InputError(f"the arm {min(taken)!r} is there already; give its source another name")
    known = {*GENERATORS, *REAL, *(TRANSFER if auxiliary else ())}
    named = [arm.name if arm.name in further else arm.generator for arm in arms]
    check_names("generators", named, known | {*further})
    for arm in arms:
        arm.diffusion(preset.cddpm)
        if arm.based and arm.generator in REAL:
            raise InputError(f"--generators names {arm.name!r}, but {arm.generator} generates nothing: drop the _base")


class RowMaker(Protocol):
    """What makes rows in raw units: see `OnColumns`."""

    @property
    def losses_(self) -> np.ndarray | None: ...

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray: ...


Source = Callable[[Split], RowMaker]  # what makes rows from more than the split's flow records (their packets, say)


@dataclass(frozen=True)
class TrainingRows:
    """Scaled training rows, the generated ones last."""

    x: np.ndarray
    y: np.ndarray
    generated: int = 0
    timing: Mapping[str, float] = field(
        default_factory=lambda: dict.fromkeys(("generator_fit_s", "sample_s", "generator_compile_s"), 0.0)
    )
    fidelity: Mapping[str, float] | None = None


@dataclass(kw_only=True)
class TrainingSets:
    """The training sets of one split, each made when it is asked for; only the latest is kept.

    What a generator made, with the real rows that it learnt from, goes to Parquet files in raw units; its losses go to
    `curves.json`.
    """

    split: Split
    preset: Preset
    dataset: str
    generated: int  # rows per class
    plenty: Collection[str]  # classes that are not rare: none of their rows are generated
    auxiliary: Auxiliary | None  # where there are benign ones, every training set holds some of them
    seed: int
    directory: Path  # of checkpoints and rows
    clock: CompileClock
    progress: bool
    sources: Mapping[str, Source] = field(default_factory=dict)  # further arms by name; their rows need no repair

    def __post_init__(self) -> None:
        self._rows: tuple[tuple[Arm, int], TrainingRows] | None = None
        self._generator: tuple[Arm, RowMaker] | None = None

    @cached_property
    def scaler(self) -> Scaler:
        return self.auxiliary.scaler if self.auxiliary else fit_scaler(self.preset.scaler, self.split.train)

    @cached_property
    def test_x(self) -> np.ndarray:
        """The unseen rows, scaled."""
        return self.scaler.transform(self.split.test.x)

    def rows(self, arm: Arm, generation: int) -> TrainingRows:
        """The training set; of a generator's, the `generation`-th rows that it makes.

        Raises:
          TrainingError: the generator's training diverged.
        """
        if self._rows is None or self._rows[0] != (arm, generation):
            train = self.split.real_all if arm.name == "real_all" else self.split.train
            rows = self._with_auxiliary(TrainingRows(self.scaler.transform(train.x), train.y))
            self._rows = (arm, generation), rows if arm.name in REAL else self._augmented(rows, arm, generation)
        return self._rows[1]

    def _with_auxiliary(self, rows: TrainingRows) -> TrainingRows:
        """And as many benign auxiliary rows as are generated of another class."""
        if self.auxiliary is None or self.auxiliary.label is None:
            return rows
        more = self.auxiliary.drawn(self.generated, self.seed)
        y = np.concatenate([rows.y, np.full(len(more), self.auxiliary.label, rows.y.dtype)])
        return replace(rows, x=np.concatenate([rows.x, more]), y=y)

    def _augmented(self, real: TrainingRows, arm: Arm, generation: int) -> TrainingRows:
        """The real rows and those of the arm's generator."""
        key = random.stream(jax.random.key(self.seed), arm.trained)
        with self.clock.timed() as fitting:
            if self._generator is None or self._generator[0] != arm:
                self._generator = arm, self._fitted(arm, random.stream(key, "fit"))
            generator = self._generator[1]
        rare = [k for k, name in enumerate(self.split.train.classes) if name not in self.plenty]
        labels = np.repeat(np.array(rare, np.int32), self.generated)
        with self.clock.timed() as sampling:
            raw = generator.sample(labels, jax.random.fold_in(random.stream(key, "sample"), generation))
        # Rows derived from base columns or from packets are consistent.
        if self.preset.repair and not (arm.based or arm.name in self.sources):
            train = self.split.train
            raw = repair(round_like(raw, train.x), train.features)
        made = self.scaler.transform(raw)
        if generator.losses_ is not None:
            store.keep_curve(self.directory, arm.name, generator.losses_)
            self._keep_rows(arm, generation, raw, labels)
        test = self.split.test
        compared = RawRows(held=test.x, made=raw, features=test.features)
        quality = fidelity(real.x, real.y, self.test_x, test.y, made, labels, raw=compared)
        timing = {
            "generator_fit_s": fitting["run"],
            "sample_s": sampling["run"],
            "generator_compile_s": fitting["compile"] + sampling["compile"],
        }
        x, y = np.concatenate([real.x, made]), np.concatenate([real.y, labels])
        return TrainingRows(x, y, generated=len(labels), timing=timing, fidelity=quality)

    def _fitted(self, arm: Arm, key: Array) -> RowMaker:
        if arm.name in self.sources:
            return self.sources[arm.name](self.split)
        train = self.split.train
        if arm.based and train.categories:
            raise InputError(f"{arm.name}: column {next(iter(train.categories))!r} is no number; use {arm.generator}")
        # A model that learns would rarely see an attack among thousands of benign rows; the others need those rows
        # (ADASYN looks at every class).
        plenty = [train.classes.index(name) for name in self.plenty] if arm.generator in LEARNED else []
        seen = ~np.isin(train.y, plenty)
        x, y = train.x[seen], train.y[seen]
        scaler = base_scaler(x, train.features) if arm.based else self.scaler
        options = self.preset.generator_options(
            scaler,
            rows=len(x),
            checkpoint_dir=self.directory / arm.trained,
            about=self.preset.about(scaler, train, train.classes, self.dataset),
            progress=self.progress,
        )
        starts = self.auxiliary is not None and not arm.based and arm.generator in ("cddpm_adapted", "cddpm_edit")
        pretrained = self.auxiliary.pretrained if self.auxiliary and starts else None
        options = replace(options, cddpm=arm.diffusion(options.cddpm), pretrained=pretrained)
        generator = make_generator(arm.generator, options)
        rows = OnBase(generator, train.features) if arm.based else OnColumns(generator, self.scaler)
        return rows.fit(x, y, key)

    def _keep_rows(self, arm: Arm, generation: int, raw: np.ndarray, labels: np.ndarray) -> None:
        """Parquet files in raw units: the rows generated, those trained on, and unseen ones to compare with."""
        table, test = self.split.train, self.split.test
        if generation == 0:
            first = np.concatenate([np.flatnonzero(test.y == k)[:HELD_OUT] for k in range(len(test.classes))])
            write_flows(self.directory / "train.parquet", table, table.x, table.y)
            write_flows(self.directory / "held_out.parquet", table, test.x[first], test.y[first])
        name = "synthetic" if arm.name == "cddpm" else f"synthetic-{arm.name}"
        write_flows(self.directory / f"{name}{f'-{generation}' if generation else ''}.parquet", table, raw, labels)


def write_flows(path: Path, table: FlowTable, x: np.ndarray, y: np.ndarray) -> None:
    """Rows x [n, d] in raw units with labels y [n] as Parquet, columns named as in `table`, and `Label` last."""
    frame = pd.DataFrame(x, columns=list(table.features))
    for name, categories in table.categories.items():
        frame[name] = [categories[int(code)] for code in frame[name]]
    frame["Label"] = [table.classes[label] for label in y]
    write_atomic(path, frame.to_parquet(index=False))
