"""The main job: a few labelled flows per class in; synthetic flows, trained detectors and an explanation out.

One run is a split of the table, a training set ("arm") and a classifier; each finished run is one record on disk, and a
record that is there is never computed again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from nids_jax.evaluation.fidelity import RawRows, fidelity
from nids_jax.evaluation.metrics import attack_recall, confusion, detection_metrics
from nids_jax.files import write_atomic
from nids_jax.flows.consistency import repair, round_like
from nids_jax.generators.base import Generator
from nids_jax.generators.cddpm import CDDPMConfig
from nids_jax.generators.registry import GENERATORS, GeneratorOptions, make_generator
from nids_jax.nn.detector import NETWORKS
from nids_jax.presets import Preset
from nids_jax.report import records
from nids_jax.runtime import CompileClock

REAL = ("real", "real_weighted", "real_all")  # arms that no generator makes
TUNING_SPLIT = 1_000_000  # the split seed on which learning rates are chosen; no run is judged on it
HELD_OUT = 50  # unseen rows per class kept beside the synthetic ones, for the report's comparison


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
    rates: tuple[float, ...] = ()  # learning rates that each arm's neural detectors choose from; none: the preset's
    explain: bool = True
    progress: bool = True

    def __post_init__(self) -> None:
        for name, values, known in (
            ("generators", [_generator(arm)[0] for arm in self.arms], {*GENERATORS, *REAL}),
            ("classifiers", self.classifiers, set(CLASSIFIERS)),
        ):
            check_names(name, values, known)
        for name in ("split_seeds", "generations", "generated"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.shots:
            raise InputError("shots names no number of rows; give one or more, such as 5,50")
        for arm in self.arms:
            _with_timesteps(self.preset.cddpm, _generator(arm)[1])

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
      output_dir: receives records.jsonl and runs/.
      command: the program's arguments, for the records.
      say: called with one line per finished run.

    Raises:
      InputError: a class with too few rows, or files of another job.
      TrainingError: a training diverged.
    """
    environment, clock = records.environment(command), CompileClock()
    for shots in job.shots:
        rates: dict[tuple[str, str], float] = {}
        if job.rates:
            tuning = _Splitting(table, job, shots, TUNING_SPLIT, rates, output_dir, environment, clock, say)
            rates = _choose_rates(tuning)
        for seed in range(job.split_seeds):
            _Splitting(table, job, shots, seed, rates, output_dir, environment, clock, say).run()


def _choose_rates(tuning: "_Splitting") -> dict[tuple[str, str], float]:
    """{(arm, neural detector): the learning rate with the highest macro F1 on the tuning split}.

    Every arm gets the same budget, on a split that no run is judged on.
    """
    job, path = tuning.job, tuning.output_dir / "tuning.json"
    known = records.read_json(path) if path.exists() else {}
    chosen: dict[tuple[str, str], float] = {}
    for arm in job.arms:
        for name in (name for name in job.classifiers if name in NETWORKS):
            scores = known.setdefault(f"{tuning.shots} shots, {arm}, {name}", {})
            for rate in job.rates:
                if str(rate) not in scores:
                    tuning.rates = {(arm, name): rate}
                    scores[str(rate)] = tuning.score(arm, name)
                    records.write_json(path, known)
                    tuning.say(f"tuning: {name} on {arm}, learning rate {rate:g}: macro-F1 {scores[str(rate)]:.4f}")
            chosen[arm, name] = max(job.rates, key=lambda rate: scores[str(rate)])
    return chosen


@dataclass(frozen=True)
class _Rows:
    """Scaled training rows, the generated ones last."""

    x: np.ndarray
    y: np.ndarray
    generated: int = 0
    timing: Mapping[str, float] = field(
        default_factory=lambda: dict.fromkeys(("generator_fit_s", "sample_s", "generator_compile_s"), 0.0)
    )
    fidelity: Mapping[str, float] | None = None


class _Splitting:
    """All runs on one split of the table."""

    def __init__(
        self,
        table: FlowTable,
        job: FewShot,
        shots: int,
        seed: int,
        rates: Mapping[tuple[str, str], float],
        output_dir: Path,
        environment: dict[str, Any],
        clock: CompileClock,
        say: Callable[[str], None],
    ):
        self.job, self.shots, self.seed, self.rates = job, shots, seed, rates
        self.table, self.output_dir, self.environment, self.say = table, output_dir, environment, say
        self.directory = output_dir / "runs" / f"shots{shots}-split{seed}"
        self.clock = clock
        self.done = records.finished(output_dir)
        # The latest training rows by (arm, generation), and the latest generator by arm.
        self._rows: tuple[tuple[str, int], _Rows] | None = None
        self._generator: tuple[str, Generator] | None = None

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
        rows = self._training_rows(arm, generation)
        for name in classifiers:
            record = self._classify(name, arm, generation, rows)
            record["rows"] = {"train": len(rows.y) - rows.generated, "generated": rows.generated}
            record["rows"]["test"] = len(self.split.test)
            compile_s = record["timing"]["compile_s"] + rows.timing["generator_compile_s"]
            record["timing"] |= {**rows.timing, "compile_s": compile_s}
            if rows.fidelity:
                record["fidelity"] = rows.fidelity
            records.append(self.output_dir, record)
            self.say(
                f"{self.shots} shots, split {self.seed}, {arm}{f' {generation}' if generation else ''}, {name}:"
                f" accuracy {record['metrics']['accuracy']:.4f}, macro-F1 {record['metrics']['macro_f1']:.4f}"
            )

    def score(self, arm: str, name: str) -> float:
        """Macro F1 of one detector on the first generation, without a record."""
        return self._classify(name, arm, 0, self._training_rows(arm, 0))["metrics"]["macro_f1"]

    def _training_rows(self, arm: str, generation: int) -> "_Rows":
        if self._rows is None or self._rows[0] != (arm, generation):
            train = self.split.real_all if arm == "real_all" else self.split.train
            rows = _Rows(self.scaler.transform(train.x), train.y)
            self._rows = (arm, generation), rows if arm in REAL else self._augmented(rows, arm, generation)
        return self._rows[1]

    def _augmented(self, real: "_Rows", arm: str, generation: int) -> "_Rows":
        """The real rows and those of the arm's generator."""
        job, train = self.job, self.split.train
        name, timesteps = _generator(arm)
        trained = "cddpm" if name == "cddpm_calibrated" else arm  # both draw from one model
        config = _with_timesteps(job.preset.cddpm_config(len(real.x)), timesteps)
        options = GeneratorOptions(
            cddpm=replace(config, clip=config.clip and self.scaler.bounded),
            gan=replace(job.preset.gan, bounded=self.scaler.bounded, blocks=self.scaler.blocks),
            checkpoint_dir=self.directory / trained,
            about={"scaler": self.scaler.to_json(), "classes": list(train.classes), "dataset": job.dataset},
            progress=job.progress,
        )
        key = random.stream(jax.random.key(self.seed), trained)
        with self.clock.timed() as fitting:
            if self._generator is None or self._generator[0] != arm:
                made_by = make_generator(name, options).fit(real.x, train.y, random.stream(key, "fit"))
                self._generator = arm, made_by
            generator = self._generator[1]
        rare = [k for k, each in enumerate(train.classes) if each not in job.plenty(train.classes)]
        labels = np.repeat(np.array(rare, np.int32), job.generated)
        with self.clock.timed() as sampling:
            made = generator.sample(labels, jax.random.fold_in(random.stream(key, "sample"), generation))
        raw = self.scaler.inverse(made)
        if job.preset.repair:
            raw = repair(round_like(raw, train.x), self.table.features)
            made = self.scaler.transform(raw)
        losses = getattr(generator, "losses_", None)
        if losses is not None:
            self._keep_curve(arm, losses)
            self._keep_rows(arm, generation, raw, labels)
        test = self.split.test
        compared = RawRows(held=test.x, made=raw, features=self.table.features)
        quality = fidelity(real.x, real.y, self.test_x, test.y, made, labels, raw=compared)
        timing = {
            "generator_fit_s": fitting["run"],
            "sample_s": sampling["run"],
            "generator_compile_s": fitting["compile"] + sampling["compile"],
        }
        x, y = np.concatenate([real.x, made]), np.concatenate([real.y, labels])
        return _Rows(x, y, generated=len(labels), timing=timing, fidelity=quality)

    def _classify(self, name: str, arm: str, generation: int, rows: "_Rows") -> dict[str, Any]:
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
        )
        with self.clock.timed() as fitting:
            classifier = make_classifier(name, options).fit(rows.x, rows.y)
        with self.clock.timed() as testing:
            probabilities = classifier.predict_proba(self.test_x)
        test = self.split.test
        if isinstance(classifier, NeuralClassifier):
            self._keep_curve(f"{name}/{arm}", classifier.losses_)
            explained = next(each for each in self.job.classifiers if each in NETWORKS)
            first = name == explained and self.seed == 0 and generation == 0
            if self.job.explain and first and arm not in (*REAL, "copies"):
                self._explain(classifier)
        benign = benign_class(test.classes)
        metrics = detection_metrics(test.y, probabilities, test.classes, benign)
        if benign is not None:
            metrics |= attack_recall(test.y, probabilities, test.classes, benign)
        return {
            **dict(zip(records.KEY, self._key(arm, name, generation), strict=True)),
            "metrics": metrics,
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
        return (self.job.experiment, self.job.dataset, arm, classifier, self.shots, self.seed, generation)


def _split(table: FlowTable, job: FewShot, shots: int, seed: int) -> Split:
    tested, plenty = job.preset.tested(job.dataset), job.plenty(table.classes)
    return few_shot(table, shots, seed, test_per_class=tested, extra=job.generated, plenty=plenty)


def _generator(arm: str) -> tuple[str, int | None]:
    """The generator's name and, of `cddpm_T`, the number of diffusion steps."""
    name, _, steps = arm.rpartition("_")
    return (name, int(steps)) if name == "cddpm" and steps.isdecimal() else (arm, None)


def _with_timesteps(config: CDDPMConfig, timesteps: int | None) -> CDDPMConfig:
    if timesteps is None:
        return config
    try:
        changed = replace(config, schedule=replace(config.schedule, steps=timesteps))
        changed.sampler.grid(changed.schedule)
    except ValueError as error:
        raise InputError(f"cddpm_{timesteps}: {error}") from None
    return changed


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
