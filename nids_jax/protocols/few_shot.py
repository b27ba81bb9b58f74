"""The main job: a few labelled flows per class in; synthetic flows, trained detectors and an explanation out.

One run is a split of the table, a training set ("arm") and a classifier; each finished run is one record on disk, and a
record that is there is never computed again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nids_jax import store
from nids_jax.classifiers.neural import NeuralClassifier
from nids_jax.classifiers.registry import CLASSIFIERS, SEMI_SUPERVISED, ClassifierOptions, make_classifier
from nids_jax.data.audit import near_duplicates
from nids_jax.data.datasets import benign_class
from nids_jax.data.split import Split, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation import explain
from nids_jax.evaluation.metrics import attack_recall, confusion, detection_metrics
from nids_jax.nn.detector import NETWORKS
from nids_jax.pipeline.auxiliary import Auxiliary, Kind, separate
from nids_jax.pipeline.training_sets import REAL, Arm, Source, TrainingRows, TrainingSets, check_arms
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock

TUNING_SPLIT = 1_000_000  # the split seed on which learning rates are chosen; no run is judged on it


@dataclass(frozen=True, kw_only=True)
class FewShot:
    """What to run.

    An arm is a generator's name or one of REAL; `cddpm_500` is `cddpm` with T = 500.  `real_weighted` is `real` with
    every class weighted alike (class weights).
    """

    dataset: str
    preset: Preset
    experiment: str = "fewshot"
    shots: tuple[int, ...] = (5,)
    split_seeds: int = 3
    generations: int = 1  # per split: further rows from the same trained generator
    generated: int = 50  # rows per class
    arms: tuple[str, ...] = ("real", "copies", "cddpm", "real_all")
    classifiers: tuple[str, ...] = ("cnn_bigru", "random_forest")
    benign_rows: int | None = None  # benign rows to train on; then only attacks are rare, and only they are generated
    auxiliary: Kind | None = None  # plentiful rows beside the few, set aside before all splits
    sources: Mapping[str, Source] = field(default_factory=dict)  # further arms by name
    rates: tuple[float, ...] = ()  # learning rates that each arm's neural detectors choose from; none: the preset's
    explain: bool = True
    progress: bool = True

    def __post_init__(self) -> None:
        if self.auxiliary and self.benign_rows:
            raise InputError("benign_rows and auxiliary are two settings; choose one")
        if self.sources and self.auxiliary:
            raise InputError("sources number the rows of the whole table; auxiliary takes some away: choose one")
        check_arms(self.arms, self.preset, self.auxiliary is not None, self.sources)
        semi = SEMI_SUPERVISED if self.auxiliary == "unlabelled" else ()
        check_names("classifiers", self.classifiers, {*CLASSIFIERS, *semi})
        for name in ("split_seeds", "generations", "generated"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.shots:
            raise InputError("shots names no number of rows; give one or more, such as 5,50")

    def plenty(self, classes: Sequence[str]) -> dict[str, int]:
        """Training rows of the classes that are not rare.

        Raises:
          InputError: benign rows are asked for, and no class is benign.
        """
        if self.benign_rows is None:
            return {}
        benign = benign_class(classes)
        if benign is None:
            raise InputError(f"benign_rows is {self.benign_rows}, but no class is benign: {', '.join(classes)}")
        return {benign: self.benign_rows}


def run(table: FlowTable, job: FewShot, output_dir: Path, command: Sequence[str], say: Callable[[str], None]) -> None:
    """Do every run of `job` that `output_dir` does not record yet.

    Args:
      table: deduplicated flows.
      output_dir: receives store.jsonl and runs/.
      command: the program's arguments, for the records.
      say: called with one line per finished run.

    Raises:
      InputError: a class with too few rows, or files of another job.
      TrainingError: a training diverged.
    """
    auxiliary = None
    if job.auxiliary:
        folder = output_dir / "runs" / "pretrained"
        table, auxiliary = separate(table, job.auxiliary, job.preset, folder, progress=job.progress)
    bench = _Bench(table, auxiliary, job, output_dir, store.environment(command), say)
    for shots in job.shots:
        rates = _choose_rates(_Splitting(bench, shots, TUNING_SPLIT)) if job.rates else {}
        for seed in range(job.split_seeds):
            _Splitting(bench, shots, seed, rates).run()


@dataclass(frozen=True)
class _Bench:
    """What all splits of a job share."""

    table: FlowTable
    auxiliary: Auxiliary | None
    job: FewShot
    output_dir: Path
    environment: dict[str, Any]
    say: Callable[[str], None]
    clock: CompileClock = field(default_factory=CompileClock)


def _choose_rates(tuning: "_Splitting") -> dict[tuple[str, str], float]:
    """{(arm, neural detector): the learning rate with the highest macro F1 on the tuning split}.

    Every arm gets the same budget, on a split that no run is judged on.
    """
    job, path = tuning.job, tuning.bench.output_dir / "tuning.json"
    known = store.read_json(path) if path.exists() else {}
    chosen: dict[tuple[str, str], float] = {}
    for arm in job.arms:
        for name in (name for name in job.classifiers if name in NETWORKS):
            scores = known.setdefault(f"{tuning.shots} shots, {arm}, {name}", {})
            for rate in job.rates:
                if str(rate) not in scores:
                    tuning.rates = {(arm, name): rate}
                    scores[str(rate)] = tuning.score(arm, name)
                    store.write_json(path, known)
                    tuning.bench.say(
                        f"tuning: {name} on {arm}, learning rate {rate:g}: macro-F1 {scores[str(rate)]:.4f}"
                    )
            chosen[arm, name] = max(job.rates, key=lambda rate: scores[str(rate)])
    return chosen


class _Splitting:
    """All runs on one split of the table."""

    def __init__(self, bench: _Bench, shots: int, seed: int, rates: Mapping[tuple[str, str], float] | None = None):
        """`rates` are learning rates by (arm, neural detector), where they are not the preset's."""
        self.bench, self.job, self.shots, self.seed, self.rates = bench, bench.job, shots, seed, rates or {}
        self.directory = bench.output_dir / "runs" / f"shots{shots}-split{seed}"
        self.done = store.finished(bench.output_dir)

    def run(self) -> None:
        names = dict.fromkeys(self.job.classifiers)  # each once, however often it is named; and so the arms
        for arm in dict.fromkeys(self.job.arms):
            for generation in range(1 if arm in REAL else self.job.generations):
                missing = [name for name in names if self._key(arm, name, generation) not in self.done]
                if missing:
                    self._run_arm(arm, generation, missing)

    @cached_property
    def split(self) -> Split:
        return _split(self.bench.table, self.job, self.shots, self.seed)

    @cached_property
    def sets(self) -> TrainingSets:
        job = self.job
        return TrainingSets(
            split=self.split,
            preset=job.preset,
            dataset=job.dataset,
            generated=job.generated,
            plenty=self._plenty(),
            auxiliary=self.bench.auxiliary,
            seed=self.seed,
            directory=self.directory,
            clock=self.bench.clock,
            progress=job.progress,
            sources=job.sources,
        )

    def _plenty(self) -> tuple[str, ...]:
        auxiliary, classes = self.bench.auxiliary, self.split.train.classes
        if auxiliary is not None and auxiliary.label is not None:
            return (classes[auxiliary.label],)
        return tuple(self.job.plenty(classes))

    def _run_arm(self, arm: str, generation: int, classifiers: Sequence[str]) -> None:
        rows = self.sets.rows(Arm(arm), generation)
        for name in classifiers:
            record = self._classify(name, arm, generation, rows)
            record["rows"] = {"train": len(rows.y) - rows.generated, "generated": rows.generated}
            record["rows"]["test"] = len(self.split.test)
            compile_s = record["timing"]["compile_s"] + rows.timing["generator_compile_s"]
            record["timing"] |= {**rows.timing, "compile_s": compile_s}
            if rows.fidelity:
                record["fidelity"] = rows.fidelity
            store.append(self.bench.output_dir, record)
            self.bench.say(
                f"{self.shots} shots, split {self.seed}, {arm}{f' {generation}' if generation else ''}, {name}:"
                f" accuracy {record['metrics']['accuracy']:.4f}, macro-F1 {record['metrics']['macro_f1']:.4f}"
            )

    def score(self, arm: str, name: str) -> float:
        """Macro F1 of one detector on the first generation, without a record."""
        return self._classify(name, arm, 0, self.sets.rows(Arm(arm), 0))["metrics"]["macro_f1"]

    def _classify(self, name: str, arm: str, generation: int, rows: TrainingRows) -> dict[str, Any]:
        """Train and test one classifier; the record of it, but for the generator's part."""
        rate = self.rates.get((arm, name))
        tag = f"{name}-{arm}-{generation}{f'-{rate:g}' if rate else ''}"
        detector = self.job.preset.detector
        if rate:
            detector = replace(detector, optimiser=replace(detector.optimiser, learning_rate=rate))
        options = ClassifierOptions(
            detector=detector,
            class_weights=arm == "real_weighted",
            seed=1000 * self.seed + generation,
            checkpoint_dir=self.directory / tag,
            progress=f"{name} on {arm}" if self.job.progress else None,
            unlabelled=self.bench.auxiliary.x if self.bench.auxiliary and self.job.auxiliary == "unlabelled" else None,
        )
        with self.bench.clock.timed() as fitting:
            classifier = make_classifier(name, options).fit(rows.x, rows.y)
        with self.bench.clock.timed() as testing:
            probabilities = classifier.predict_proba(self.sets.test_x)
        test = self.split.test
        if isinstance(classifier, NeuralClassifier):
            store.keep_curve(self.directory, f"{name}/{arm}", classifier.losses_)
            explained = next(each for each in self.job.classifiers if each in NETWORKS)
            first = name == explained and self.seed == 0 and generation == 0
            if self.job.explain and first and arm not in (*REAL, "copies"):
                self._explain(classifier)
        benign = benign_class(test.classes)
        metrics = detection_metrics(test.y, probabilities, test.classes, benign)
        if benign is not None:
            metrics |= attack_recall(test.y, probabilities, test.classes, benign)
        return {
            **dict(zip(store.KEY, self._key(arm, name, generation), strict=True)),
            "metrics": metrics,
            "timing": {
                "compile_s": fitting["compile"] + testing["compile"],
                "fit_s": fitting["run"],
                "classify_s": testing["run"],
            },
            "classes": list(test.classes),
            "confusion": confusion(test.y, probabilities, test.classes).tolist(),
            "environment": self.bench.environment,
        }

    def _explain(self, classifier: NeuralClassifier) -> None:
        """SHAP of the augmented detector on unseen rows: the first of each class also one by one."""
        preset, test = self.job.preset, self.split.test
        picks = [explain.one_row_per_class(test.y, len(test.classes), seed=turn) for turn in range(preset.shap_rows)]
        rows = np.concatenate(picks)
        explanation = explain.explain(
            classifier.predict_proba,
            self.sets.scaler.transform(self.split.train.x),
            self.sets.test_x[rows],
            clusters=5,
            samples=preset.shap_samples and max(preset.shap_samples, 2 * self.sets.test_x.shape[1]),
        )
        columns = self.sets.scaler.columns
        first = slice(0, len(picks[0]))
        # One-hot columns explain themselves in scaled values; a number is shown as it was measured.
        raw = test.x[rows] if len(columns) == len(test.features) else self.sets.test_x[rows]
        local = explain.local_explanations(
            explain.Explanation(
                values=explanation.values[first], base=explanation.base, predictions=explanation.predictions[first]
            ),
            test.y[rows][first],
            raw[first],
            test.classes,
        )
        content = explain.as_json(columns, test.classes, explain.global_importance(explanation), local)
        store.write_json(self.directory / "shap.json", content)

    def _key(self, arm: str, classifier: str, generation: int) -> store.RunKey:
        return (self.job.experiment, self.job.dataset, arm, classifier, self.shots, self.seed, generation)


def _split(table: FlowTable, job: FewShot, shots: int, seed: int) -> Split:
    tested, plenty = job.preset.tested(job.dataset), job.plenty(table.classes)
    return few_shot(table, shots, seed, test_per_class=tested, extra=job.generated, plenty=plenty)


def describe(table: FlowTable, job: FewShot) -> dict[str, Any]:
    """For data.json: the deduplicated table's counts, and how many test rows nearly equal a training row (split 0).

    Auxiliary rows are not left out of this split.
    """
    split = _split(table, job, job.shots[0], 0)
    return {
        "dataset": job.dataset,
        "counts": table.counts,
        "near_duplicates": near_duplicates(split.train, split.test),
    }
