"""The main job: a few labelled flows per class in; synthetic flows, trained detectors and an explanation out.

One run is a split of the table, a training set ("arm") and a classifier; each finished run is one record on disk, and a
record that is there is never computed again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from nids_jax import explain, random
from nids_jax.classifiers.neural import NeuralClassifier
from nids_jax.classifiers.registry import CLASSIFIERS, ClassifierOptions, make_classifier
from nids_jax.data.datasets import benign_class
from nids_jax.data.leakage import near_duplicates
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.split import Split, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation.metrics import confusion, detection_metrics
from nids_jax.files import write_atomic
from nids_jax.flows.consistency import repair
from nids_jax.generators.registry import GENERATORS, GeneratorOptions, make_generator
from nids_jax.nn.detector import NETWORKS
from nids_jax.presets import Preset
from nids_jax.report import records
from nids_jax.runtime import CompileClock

REAL = ("real", "real_all")  # arms that no generator makes
HELD_OUT = 50  # unseen rows per class kept beside the synthetic ones, for the report's comparison


@dataclass(frozen=True, kw_only=True)
class FewShot:
    """What to run."""

    dataset: str
    preset: Preset
    shots: tuple[int, ...] = (5,)
    split_seeds: int = 3
    generations: int = 1  # per split: further rows from the same trained generator
    generated: int = 50  # rows per class
    arms: tuple[str, ...] = ("real", "copies", "cddpm", "real_all")
    classifiers: tuple[str, ...] = ("cnn_bigru", "random_forest")
    progress: bool = True

    def __post_init__(self) -> None:
        for name, values, known in (
            ("generators", self.arms, {*GENERATORS, *REAL}),
            ("classifiers", self.classifiers, set(CLASSIFIERS)),
        ):
            check_names(name, values, known)
        for name in ("split_seeds", "generations", "generated"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.shots:
            raise InputError("shots names no number of rows; give one or more, such as 5,50")


def run(table: FlowTable, job: FewShot, output_dir: Path, command: Sequence[str], say: Callable[[str], None]) -> None:
    """Do every run of `job` that `output_dir` does not record yet.

    Args:
      table: deduplicated flows.
      output_dir: receives records.jsonl and runs/.
      command: the program's arguments, for the records.
      say: called with one line per finished run.

    Raises:
      InputError: a class with too few rows, or files of another job.
      TrainingError: a training diverged.
    """
    environment, clock = records.environment(command), CompileClock()
    for shots in job.shots:
        for seed in range(job.split_seeds):
            _Splitting(table, job, shots, seed, output_dir, environment, clock, say).run()


class _Splitting:
    """All runs on one split of the table."""

    def __init__(
        self,
        table: FlowTable,
        job: FewShot,
        shots: int,
        seed: int,
        output_dir: Path,
        environment: dict[str, Any],
        clock: CompileClock,
        say: Callable[[str], None],
    ):
        self.job, self.shots, self.seed = job, shots, seed
        self.table, self.output_dir, self.environment, self.say = table, output_dir, environment, say
        self.directory = output_dir / "runs" / f"shots{shots}-split{seed}"
        self.clock = clock
        self.done = records.finished(output_dir)

    def run(self) -> None:
        for arm in self.job.arms:
            for generation in range(1 if arm in REAL else self.job.generations):
                missing = [name for name in self.job.classifiers if self._key(arm, name, generation) not in self.done]
                if missing:
                    self._run_arm(arm, generation, missing)

    @cached_property
    def split(self) -> Split:
        return _split(self.table, self.job, self.shots, self.seed)

    @cached_property
    def scaler(self) -> Scaler:
        return fit_scaler(self.job.preset.scaler, self.split.train)

    @cached_property
    def test_x(self) -> np.ndarray:
        return self.scaler.transform(self.split.test.x)

    def _run_arm(self, arm: str, generation: int, classifiers: Sequence[str]) -> None:
        train = self.split.real_all if arm == "real_all" else self.split.train
        x, y = self.scaler.transform(train.x), train.y
        timing = {"generator_fit_s": 0.0, "sample_s": 0.0, "generator_compile_s": 0.0}
        generated = 0
        if arm not in REAL:
            made, labels, timing = self._generate(arm, generation)
            x, y, generated = np.concatenate([x, made]), np.concatenate([y, labels]), len(labels)
        for name in classifiers:
            record = self._classify(name, arm, generation, x, y)
            record["rows"] = {"train": len(train), "generated": generated, "test": len(self.split.test)}
            compile_s = record["timing"]["compile_s"] + timing["generator_compile_s"]
            record["timing"] |= {**timing, "compile_s": compile_s}
            records.append(self.output_dir, record)
            self.say(
                f"{self.shots} shots, split {self.seed}, {arm}{f' {generation}' if generation else ''}, {name}:"
                f" accuracy {record['metrics']['accuracy']:.4f}, macro-F1 {record['metrics']['macro_f1']:.4f}"
            )

    def _generate(self, arm: str, generation: int) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        """Scaled rows of the arm's generator, their labels, and the seconds they took."""
        job, train = self.job, self.split.train
        x = self.scaler.transform(train.x)
        config = job.preset.cddpm_config(len(x))
        options = GeneratorOptions(
            cddpm=replace(config, clip=config.clip and self.scaler.bounded),
            checkpoint_dir=self.directory / arm,
            about={"scaler": self.scaler.to_json(), "classes": list(train.classes), "dataset": job.dataset},
            progress=job.progress,
        )
        key = random.stream(jax.random.key(self.seed), arm)
        with self.clock.timed() as fitting:
            generator = make_generator(arm, options).fit(x, train.y, random.stream(key, "fit"))
        labels = np.repeat(np.arange(len(train.classes), dtype=np.int32), job.generated)
        with self.clock.timed() as sampling:
            made = generator.sample(labels, jax.random.fold_in(random.stream(key, "sample"), generation))
        raw = self.scaler.inverse(made)
        if job.preset.repair:
            # What was whole in every real row stays whole, in datasets of other than flow features too.
            whole = (train.x == np.rint(train.x)).all(axis=0)
            raw = repair(np.where(whole, np.rint(raw), raw), self.table.features)
            made = self.scaler.transform(raw)
        losses = getattr(generator, "losses_", None)
        if losses is not None:
            self._keep_curve(arm, losses)
            self._keep_rows(arm, generation, raw, labels)
        timing = {
            "generator_fit_s": fitting["run"],
            "sample_s": sampling["run"],
            "generator_compile_s": fitting["compile"] + sampling["compile"],
        }
        return made, labels, timing

    def _classify(self, name: str, arm: str, generation: int, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        """Train and test one classifier; the record of it, but for the generator's part."""
        tag = f"{name}-{arm}-{generation}"
        options = ClassifierOptions(
            detector=self.job.preset.detector,
            seed=1000 * self.seed + generation,
            checkpoint_dir=self.directory / tag,
            progress=f"{name} on {arm}" if self.job.progress else None,
        )
        with self.clock.timed() as fitting:
            classifier = make_classifier(name, options).fit(x, y)
        with self.clock.timed() as testing:
            probabilities = classifier.predict_proba(self.test_x)
        test = self.split.test
        if isinstance(classifier, NeuralClassifier):
            self._keep_curve(f"{name}/{arm}", classifier.losses_)
            explained = next(each for each in self.job.classifiers if each in NETWORKS)
            if name == explained and arm not in (*REAL, "copies") and self.seed == 0 and generation == 0:
                self._explain(classifier)
        return {
            **dict(zip(records.KEY, self._key(arm, name, generation), strict=True)),
            "metrics": detection_metrics(test.y, probabilities, test.classes, benign_class(test.classes)),
            "timing": {
                "compile_s": fitting["compile"] + testing["compile"],
                "fit_s": fitting["run"],
                "classify_s": testing["run"],
            },
            "classes": list(test.classes),
            "confusion": confusion(test.y, probabilities, test.classes).tolist(),
            "environment": self.environment,
        }

    def _explain(self, classifier: NeuralClassifier) -> None:
        """SHAP of the augmented detector on unseen rows: the first of each class also one by one."""
        preset, test = self.job.preset, self.split.test
        picks = [explain.one_row_per_class(test.y, len(test.classes), seed=turn) for turn in range(preset.shap_rows)]
        rows = np.concatenate(picks)
        explanation = explain.explain(
            classifier.predict_proba,
            self.scaler.transform(self.split.train.x),
            self.test_x[rows],
            clusters=5,
            samples=preset.shap_samples and max(preset.shap_samples, 2 * self.test_x.shape[1]),
        )
        columns = self.scaler.columns
        first = slice(0, len(picks[0]))
        # One-hot columns explain themselves in scaled values; a number is shown as it was measured.
        raw = test.x[rows] if len(columns) == len(test.features) else self.test_x[rows]
        local = explain.local_explanations(
            explain.Explanation(
                values=explanation.values[first], base=explanation.base, predictions=explanation.predictions[first]
            ),
            test.y[rows][first],
            raw[first],
            test.classes,
        )
        content = explain.as_json(columns, test.classes, explain.global_importance(explanation), local)
        records.write_json(self.directory / "shap.json", content)

    def _keep_curve(self, name: str, losses: np.ndarray) -> None:
        path = self.directory / "curves.json"
        known = records.read_json(path) if path.exists() else {}
        records.write_json(path, {**known, name: losses.tolist()})

    def _keep_rows(self, arm: str, generation: int, raw: np.ndarray, labels: np.ndarray) -> None:
        """Parquet files in raw units: the rows generated, those trained on, and unseen ones to compare with."""
        table, test = self.split.train, self.split.test
        if generation == 0:
            first = np.concatenate([np.flatnonzero(test.y == k)[:HELD_OUT] for k in range(len(test.classes))])
            write_flows(self.directory / "train.parquet", table, table.x, table.y)
            write_flows(self.directory / "held_out.parquet", table, test.x[first], test.y[first])
        name = "synthetic" if arm == "cddpm" else f"synthetic-{arm}"
        write_flows(self.directory / f"{name}{f'-{generation}' if generation else ''}.parquet", table, raw, labels)

    def _key(self, arm: str, classifier: str, generation: int) -> records.RunKey:
        return ("fewshot", self.job.dataset, arm, classifier, self.shots, self.seed, generation)


def _split(table: FlowTable, job: FewShot, shots: int, seed: int) -> Split:
    return few_shot(table, shots, seed, test_per_class=job.preset.tested(job.dataset), extra=job.generated)


def write_flows(path: Path, table: FlowTable, x: np.ndarray, y: np.ndarray) -> None:
    """Rows x [n, d] in raw units with labels y [n] as Parquet, columns named as in `table`, and `Label` last."""
    frame = pd.DataFrame(x, columns=list(table.features))
    for name, categories in table.categories.items():
        frame[name] = [categories[int(code)] for code in frame[name]]
    frame["Label"] = [table.classes[label] for label in y]
    write_atomic(path, frame.to_parquet(index=False))


def describe(table: FlowTable, job: FewShot) -> dict[str, Any]:
    """For data.json: the deduplicated table's counts, and how many test rows nearly equal a training row (split 0)."""
    split = _split(table, job, job.shots[0], 0)
    return {
        "dataset": job.dataset,
        "counts": table.counts,
        "near_duplicates": near_duplicates(split.train, split.test),
    }
