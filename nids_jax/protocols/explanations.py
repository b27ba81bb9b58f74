"""Which features do a detector's verdicts rest on?  P1's Fig. 8.

For each split seed the detectors are trained on 500 real rows of each class, or half of what there is, and explained
on test rows by Shapley values of the class probabilities (of XGBoost: of its margins): one row of each class by itself,
and `rows` rows of each class by their mean |φ|.  A network's values are estimates, with their standard error beside
them; those of trees are exact.  The features that P1 names for a dataset stand in the report with their ranks here.
Run again, it goes on where it stopped.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nids_jax import store
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.split import Split, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation.explain import one_row_per_class
from nids_jax.evaluation.shapley import MANY, SAMPLES
from nids_jax.pipeline import detector
from nids_jax.pipeline.explanations import TREES, explained, keep_explanations, shown_error
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.training_sets import TrainingRows
from nids_jax.presets import Preset
from nids_jax.protocols.base import Seeded
from nids_jax.settings import check_settings, setting


@dataclass(frozen=True, kw_only=True)
class Explanations(Seeded):
    """What to run."""

    name: ClassVar[str] = "explanations"

    dataset: str  # what the records call the data
    preset: Preset
    shots: tuple[int, ...] = setting((500,), "Real training rows per class; several numbers run one after another.")
    classifiers: tuple[str, ...] = setting(("cnn_bigru",), "Detectors to train and explain: neural ones and trees.")
    rows: int = setting(10, "Test rows of each class whose mean |φ| is taken.", least=1)
    samples: int = setting(
        MANY, "A network's predictions for each of these rows; at least four for each column are made.", least=1
    )
    single_samples: int = setting(
        SAMPLES, "Its predictions for each row that is shown by itself; at least as many.", least=1
    )
    test_rows: int | None = setting(None, "Test rows per class at most; default: the preset's.", least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [name for name, spec in CLASSIFIERS.items() if not spec.needs and (spec.neural or name in TREES)]
        check_names("classifiers", self.classifiers, known)
        check_settings(self)
        if not self.shots or min(self.shots) < 1:
            raise InputError("`shots` names the training rows of a class; give numbers from 1, such as 500")

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts."""
        return {"dataset": self.dataset, "counts": table.counts}

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: a class with too few rows, or files of another job.
          TrainingError: a training diverged.
        """
        units = runner.share((shots, seed) for shots in self.shots for seed in self.splits)
        runner.each(units, self._split, table, title=lambda unit: "{} shots, split {}".format(*unit))
        runner.finish()

    def _split(self, runner: Runner, unit: tuple[int, int], table: FlowTable) -> None:
        shots, seed = unit
        tested = self.test_rows or self.preset.tested(self.dataset)
        split = few_shot(table, shots, seed, test_per_class=tested)
        for name in dict.fromkeys(self.classifiers):
            key = (self.name, self.dataset, "real", name, shots, seed, 0)
            if not runner.is_done(key):
                with runner.unit(f"{name}, {shots} shots, split {seed}"):
                    self._run(name, split, key, runner)

    def _run(self, name: str, split: Split, key: store.RunKey, runner: Runner) -> None:
        shots, seed = key[4], key[5]
        folder = runner.output_dir / "runs" / f"{name}-shots{shots}-split{seed}"
        scaler = fit_scaler(self.preset.scaler, split.train)
        options = ClassifierOptions(
            detector=self.preset.table,
            seed=int(seed or 0),
            checkpoint_dir=folder / "detector" if CLASSIFIERS[name].neural else None,
            progress=f"{name}, {shots} shots, split {seed}" if runner.progress else None,
        )
        rows = TrainingRows(scaler.transform(split.train.x), split.train.y)
        fitted = detector.fit(name, options, rows, runner.clock)
        record = detector.test(fitted, scaler.transform(split.test.x), split.test, runner.clock, split.test_shares)
        picks = self._picks(split.test)
        single = picks[: len(split.test.classes)]
        with runner.clock.timed() as seconds:
            every = explained(fitted.classifier, scaler, split, picks, self.samples)
            exact = name in TREES  # more predictions change nothing
            alone = (
                every.first(len(single))
                if exact
                else explained(fitted.classifier, scaler, split, single, self.single_samples)
            )
        kept = keep_explanations(every, alone, scaler, split, single, folder / "shap.json")
        record["explanation"] = {
            "mean_abs": dict(zip(kept["features"], kept["global"]["mean_abs"], strict=True)),
            "rows": len(picks),
            "relative_error": every.relative_error,
            "single_relative_error": alone.relative_error,
            "seconds": seconds["run"],
        }
        runner.record(key, detector.with_training(record, rows))
        runner.say(
            f"{shots} shots, split {seed}, {name}: accuracy {record['metrics']['accuracy']:.4f}; {len(picks)} rows "
            f"explained in {seconds['run']:.0f} s, {shown_error(every)}; {len(single)} by themselves, "
            f"{shown_error(alone)}"
        )

    def _picks(self, test: FlowTable) -> np.ndarray:
        """Numbers of test rows: one of each class, then up to `rows` of each class in all."""
        first = one_row_per_class(test.y, len(test.classes), seed=0)
        further = [
            rows[rows != own][: self.rows - 1]
            for own, rows in ((own, np.flatnonzero(test.y == test.y[own])) for own in first)
        ]
        return np.concatenate([first, *further])
