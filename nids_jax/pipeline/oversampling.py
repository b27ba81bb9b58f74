"""What each over-sampler makes of imbalanced training rows, and what a classifier learns from that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from nids_jax import random, store
from nids_jax.classifiers.neural import NeuralClassifier
from nids_jax.classifiers.registry import ClassifierOptions, make_classifier
from nids_jax.data.datasets import benign_class
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.evaluation.fidelity import RawRows, fidelity
from nids_jax.evaluation.metrics import attack_recall, confusion, detection_metrics
from nids_jax.flows.consistency import repair, round_like
from nids_jax.generators.base import Generator
from nids_jax.generators.registry import GENERATORS, RESAMPLING, make_generator
from nids_jax.pipeline.training_sets import HELD_OUT, write_flows
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock

REAL = ("real", "real_weighted")  # arms that no generator makes
# `cddpm_calibrated` is none: it measures how far a class's rows lie apart, and `even_rows` repeats them.
ARMS = (*REAL, *(name for name in GENERATORS if name != "cddpm_calibrated"))


def even_rows(y: np.ndarray, seed: int) -> np.ndarray:
    """Row numbers that hold every class of y [n] as often as the largest, and the rows of a class as evenly as may be.

    A generator that draws its batches from these sees a rare class as often as any other.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    most = max(map(len, members))
    return np.concatenate([np.resize(rng.permutation(rows), most) for rows in members])


class _Fitted(NamedTuple):
    generator: Generator
    codes: np.ndarray  # the class that each of its labels 0, 1, … stands for
    seconds: Mapping[str, float]


class _Made(NamedTuple):
    """Generated rows, class by class."""

    x: np.ndarray  # [m, width] scaled
    y: np.ndarray  # [m]
    timing: Mapping[str, float]
    fidelity: Mapping[str, float]


class TrainingSet(NamedTuple):
    """Scaled rows to train on, the generated ones last."""

    x: np.ndarray
    y: np.ndarray
    class_weights: bool | tuple[float, ...] = False


@dataclass(kw_only=True)
class Bench:
    """Training rows, others to judge on, and what each arm makes of the former.

    An arm is a generator's name or one of REAL.  Generators that learn are fitted on the classes to be raised alone,
    evenly (`even_rows`); those of RESAMPLING on all rows.  Of one-hot categories, interpolated by SMOTE and ADASYN or
    made by a network, the largest wins; SMOTE-NC would take the neighbours' commonest.
    """

    dataset: str
    preset: Preset
    train: FlowTable
    held: FlowTable
    raised: Mapping[str, int]  # rows of each class at fraction 1
    largest: float  # fraction that will be asked for
    directory: Path  # for checkpoints, curves and some of the rows
    key: Array
    seed: int
    clock: CompileClock
    progress: bool = False
    keep: bool = True  # curves, some of the rows and their fidelity
    _fitted: tuple[str, _Fitted] | None = field(default=None, init=False)  # the latest, by arm
    _made: tuple[tuple[str, int], _Made] | None = field(default=None, init=False)  # by arm and generation

    @cached_property
    def scaler(self) -> Scaler:
        return fit_scaler(self.preset.scaler, self.train)

    @cached_property
    def x(self) -> np.ndarray:
        return self.scaler.transform(self.train.x)

    @cached_property
    def held_x(self) -> np.ndarray:
        return self.scaler.transform(self.held.x)

    def added(self, fraction: float) -> np.ndarray:
        """Rows to add to each class: round(fraction · (rows raised to − rows)), [c]."""
        return np.array([round(fraction * (self.raised[name] - n)) for name, n in self.train.counts.items()])

    def training_set(self, arm: str, generation: int, fraction: float) -> TrainingSet:
        """The real rows, and what the arm adds to them when each class is raised by this fraction of the way.

        `real_weighted` adds no rows: a row of class k weighs (rows that k is raised to) / (rows of k).
        """
        added = self.added(fraction)
        if arm == "real":
            return TrainingSet(self.x, self.train.y)
        if arm == "real_weighted":
            counts = np.maximum(list(self.train.counts.values()), 1)
            return TrainingSet(self.x, self.train.y, tuple((1 + added / counts).tolist()))
        made = self._rows(arm, generation)
        # The first rows of each class: those of a smaller fraction are among those of a larger one.
        kept = np.concatenate([np.flatnonzero(made.y == label)[:rows] for label, rows in enumerate(added)])
        return TrainingSet(np.concatenate([self.x, made.x[kept]]), np.concatenate([self.train.y, made.y[kept]]))

    def classify(self, arm: str, generation: int, fraction: float, name: str) -> dict[str, Any]:
        """Train one classifier and test it on the held rows: what a record says of that, but for its key."""
        rows = self.training_set(arm, generation, fraction)
        options = ClassifierOptions(
            detector=self.preset.table,
            class_weights=rows.class_weights,
            seed=1000 * self.seed + generation,
            checkpoint_dir=self.directory / f"{name}-{arm}-{generation}-{fraction:g}",
            progress=f"{name} on {arm}" if self.progress else None,
        )
        with self.clock.timed() as fitting:
            classifier = make_classifier(name, options).fit(rows.x, rows.y)
        with self.clock.timed() as testing:
            probabilities = classifier.predict_proba(self.held_x)
        if self.keep and isinstance(classifier, NeuralClassifier):
            store.keep_curve(self.directory, f"{name}/{arm}", classifier.losses_)
        held, benign = self.held, benign_class(self.held.classes)
        metrics = detection_metrics(held.y, probabilities, held.classes, benign)
        if benign is not None:
            metrics |= attack_recall(held.y, probabilities, held.classes, benign)
        timing = {
            "compile_s": fitting["compile"] + testing["compile"],
            "fit_s": fitting["run"],
            "classify_s": testing["run"],
        }
        quality = None
        if arm not in REAL:
            made = self._rows(arm, generation)
            timing |= {**made.timing, "compile_s": timing["compile_s"] + made.timing["generator_compile_s"]}
            quality = made.fidelity
        generated = rows.y[len(self.train) :]
        return {
            "metrics": metrics,
            "timing": timing,
            "rows": {"train": len(self.train), "generated": len(generated), "test": len(held)},
            "classes": list(held.classes),
            "training_rows": list(self.train.counts.values()),
            "generated_rows": np.bincount(generated, minlength=len(held.classes)).tolist(),
            "fraction": None if arm == "real" else fraction,
            "fidelity": quality,
            "confusion": confusion(held.y, probabilities, held.classes).tolist(),
        }

    def _rows(self, arm: str, generation: int) -> _Made:
        """The arm's rows for the largest fraction."""
        if self._made is None or self._made[0] != (arm, generation):
            self._made = None  # its memory is wanted
            self._made = (arm, generation), self._make(arm, generation)
        return self._made[1]

    def _make(self, arm: str, generation: int) -> _Made:
        generator, codes, fitting = self._fit(arm)
        added = self.added(self.largest)
        labels = np.repeat(np.arange(len(added), dtype=np.int32), added)
        key = jax.random.fold_in(random.stream(self.key, f"{arm} sample"), generation)
        with self.clock.timed() as sampling:
            made = generator.sample(np.searchsorted(codes, labels).astype(np.int32), key)
        raw = self.scaler.inverse(made)
        if self.preset.repair:
            raw = repair(round_like(raw, self.train.x), self.train.features)
            made = self.scaler.transform(raw)
        quality: Mapping[str, float] = {}
        if self.keep and len(labels):
            compared = RawRows(held=self.held.x, made=raw, features=self.train.features)
            quality = fidelity(self.x, self.train.y, self.held_x, self.held.y, made, labels, raw=compared)
        losses = getattr(generator, "losses_", None)
        if self.keep and losses is not None:
            store.keep_curve(self.directory, arm, losses)
            if generation == 0:
                self._keep_rows(arm, raw, labels)
        timing = {
            "generator_fit_s": fitting["run"],
            "sample_s": sampling["run"],
            "generator_compile_s": fitting["compile"] + sampling["compile"],
        }
        return _Made(made, labels, timing, quality)

    def _fit(self, arm: str) -> _Fitted:
        if self._fitted is not None and self._fitted[0] == arm:
            return self._fitted[1]
        codes, rows = np.arange(len(self.train.classes)), np.arange(len(self.train))
        if arm not in RESAMPLING:
            codes = np.flatnonzero(self.added(1.0))
            rows = np.flatnonzero(np.isin(self.train.y, codes))
            rows = rows[even_rows(self.train.y[rows], self.seed)]
        classes = [self.train.classes[code] for code in codes]
        options = self.preset.generator_options(
            self.scaler,
            rows=len(rows),
            checkpoint_dir=self.directory / arm,
            about=self.preset.about(self.scaler, self.train, classes, self.dataset),
            progress=self.progress,
        )
        labels = np.searchsorted(codes, self.train.y[rows]).astype(np.int32)
        with self.clock.timed() as seconds:
            generator = make_generator(arm, options).fit(self.x[rows], labels, random.stream(self.key, f"{arm} fit"))
        self._fitted = arm, _Fitted(generator, codes, seconds)
        return self._fitted[1]

    def _keep_rows(self, arm: str, raw: np.ndarray, labels: np.ndarray) -> None:
        """Parquet files in raw units with some rows of each class: generated, trained on, and unseen."""
        name = "synthetic" if arm == "vae_wgan_gp" else f"synthetic-{arm}"
        made = replace(self.train, x=raw, y=labels)
        for file, table in ((name, made), ("train", self.train), ("held_out", self.held)):
            some = np.concatenate([np.flatnonzero(table.y == k)[:HELD_OUT] for k in range(len(table.classes))])
            write_flows(self.directory / f"{file}.parquet", table, table.x[some], table.y[some])
