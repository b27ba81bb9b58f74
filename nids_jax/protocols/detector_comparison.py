"""Detectors compared: every classifier on few real rows (P1 Table IV), on another capture, and on unseen attacks.

One run is a training set and a classifier; each finished run is one record for every table that it is tested on, and
what is recorded is never computed again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import numpy as np

from nids_jax import store
from nids_jax.classifiers.base import Classifier
from nids_jax.classifiers.neural import NeuralClassifier, fit_together
from nids_jax.classifiers.registry import CLASSIFIERS, ClassifierOptions, make_classifier
from nids_jax.data.datasets import benign_class
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.split import draw, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation.metrics import confusion, detection_metrics
from nids_jax.nn.detector import NETWORKS
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What to run."""

    dataset: str
    preset: Preset
    shots: tuple[int, ...] = (5, 50, 500, 5000)
    split_seeds: int = 5
    classifiers: tuple[str, ...] = tuple(CLASSIFIERS)
    progress: bool = True

    def __post_init__(self) -> None:
        check_names("classifiers", self.classifiers, CLASSIFIERS)
        if self.split_seeds < 1:
            raise InputError(f"split_seeds is {self.split_seeds}; it must be at least 1")
        if not self.shots:
            raise InputError("shots names no number of rows; give one or more, such as 5,50")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A training set, and the tables to test on."""

    experiment: str
    shots: int
    seed: int
    train: FlowTable
    tests: Mapping[str, FlowTable]  # by what the records call the data
    unseen: FlowTable | None = None  # rows of an attack that is not in `train`

    def keys(self, classifier: str) -> list[store.RunKey]:
        """The records of this task with this classifier, in the order of `tests`."""
        return [(self.experiment, name, "real", classifier, self.shots, self.seed, 0) for name in self.tests]


def few_rows(table: FlowTable, job: Detection) -> Iterator[list[Task]]:
    """Table IV: for each number of shots, the splits' training sets with their unseen rows of the same dataset."""
    for shots in job.shots:
        yield [_split(table, job, shots, seed) for seed in range(job.split_seeds)]


def other_capture(source: FlowTable, target: FlowTable, name: str, job: Detection) -> Iterator[list[Task]]:
    """Train on the source, test on its own unseen rows and on the target's; both have the same columns and classes."""
    for shots in job.shots:
        tasks = []
        for seed in range(job.split_seeds):
            own = _split(source, job, shots, seed)
            there = draw(target, job.preset.tested(name), seed)
            tests = {f"{job.dataset}, shared features": own.tests[job.dataset], f"{job.dataset} → {name}": there}
            tasks.append(replace(own, experiment="other_capture", tests=tests))
        yield tasks


def attacks(table: FlowTable, names: Sequence[str]) -> list[str]:
    """The attacks that `names` names; ["all"] names every one.

    Raises:
      InputError: no benign class, or a name that is not one of the attacks.
    """
    benign = benign_class(table.classes)
    if benign is None:
        raise InputError(f"no class is called benign or normal; the table has {', '.join(table.classes)}")
    known = [name for name in table.classes if name != benign]
    unknown = [name for name in names if name not in (*known, "all")]
    if unknown:
        raise InputError(f"--leave_out names {unknown[0]!r}; choose from {', '.join(known)}")
    return known if "all" in names else list(names)


def unseen_attack(table: FlowTable, attack: str, job: Detection) -> Iterator[list[Task]]:
    """Leave one of `attacks` out of the training: is it flagged as an attack of some kind all the same?"""
    code = table.classes.index(attack)
    classes = tuple(name for name in table.classes if name != attack)
    known = table.regroup({name: name for name in classes}, classes)
    left_out = table.take(np.flatnonzero(table.y == code))
    for shots in job.shots:
        tasks = []
        for seed in range(job.split_seeds):
            own = _split(known, job, shots, seed)
            generator = np.random.default_rng(seed)
            rows = generator.permutation(len(left_out))[: job.preset.tested(job.dataset)]
            tests = {f"{job.dataset} without {attack}": own.tests[job.dataset]}
            tasks.append(replace(own, experiment="unseen_attack", tests=tests, unseen=left_out.take(rows)))
        yield tasks


def run(
    batches: Iterator[list[Task]],
    job: Detection,
    output_dir: Path,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    together: bool | None = None,
) -> None:
    """Do every run that `output_dir` does not record yet.

    Args:
      command: the program's arguments, for the records.
      say: called with one line per finished run.
      together: train the seeds of a neural detector side by side (`fit_together`); None: not on CPUs, where nothing is
        gained and a killed run would lose all of them.

    Raises:
      InputError: a class with too few rows, or files of another job.
      TrainingError: a training diverged.
    """
    bench = _Bench(job, output_dir, command, say)
    side_by_side = jax.default_backend() != "cpu" if together is None else together
    for tasks in batches:
        for name in job.classifiers:
            done = store.finished(output_dir)
            missing = [task for task in tasks if not set(task.keys(name)) <= done]
            if side_by_side and name in NETWORKS and len(missing) > 1 and len({len(t.train) for t in missing}) == 1:
                bench.run_together(name, missing, done)
            else:
                for task in missing:
                    bench.run(name, task, done)


@dataclass
class _Bench:
    """Trains, tests and records."""

    job: Detection
    output_dir: Path
    command: Sequence[str]
    say: Callable[[str], None]
    clock: CompileClock = field(default_factory=CompileClock)

    def __post_init__(self) -> None:
        self.environment = store.environment(self.command)

    def run(self, name: str, task: Task, done: set[store.RunKey]) -> None:
        folder = self.output_dir / "runs" / "-".join(map(str, (*task.keys(name)[0][:2], task.shots, task.seed, name)))
        options = ClassifierOptions(
            detector=self.job.preset.table,
            seed=task.seed,
            checkpoint_dir=folder if name in NETWORKS else None,
            progress=f"{name}, {task.shots} shots, seed {task.seed}" if self.job.progress else None,
        )
        x, transform = _scaled(self.job.preset, task)
        with self.clock.timed() as fitting:
            classifier = make_classifier(name, options).fit(x, task.train.y)
        self._record(name, task, classifier, transform, fitting, done)

    def run_together(self, name: str, tasks: Sequence[Task], done: set[store.RunKey]) -> None:
        options = [ClassifierOptions(detector=self.job.preset.table, seed=task.seed) for task in tasks]
        classifiers = [make_classifier(name, o) for o in options]
        scaled = [_scaled(self.job.preset, task) for task in tasks]
        neural = [c for c in classifiers if isinstance(c, NeuralClassifier)]
        with self.clock.timed() as fitting:
            fit_together(neural, [(x, task.train.y) for (x, _), task in zip(scaled, tasks, strict=True)])
        each = {part: seconds / len(tasks) for part, seconds in fitting.items()}
        for task, classifier, (_, transform) in zip(tasks, neural, scaled, strict=True):
            self._record(name, task, classifier, transform, each, done)

    def _record(
        self,
        name: str,
        task: Task,
        classifier: Classifier,
        transform: Callable[[np.ndarray], np.ndarray],
        fitting: Mapping[str, float],
        done: set[store.RunKey],
    ) -> None:
        for key, test in zip(task.keys(name), task.tests.values(), strict=True):
            x = transform(test.x)
            with self.clock.timed() as testing:
                scores = _scores(classifier, x, len(test.classes))
            benign = benign_class(test.classes)
            metrics = detection_metrics(test.y, scores, test.classes, benign)
            if task.unseen is not None and benign is not None:
                verdicts = _scores(classifier, transform(task.unseen.x), len(test.classes)).argmax(axis=1)
                metrics["unseen_flagged"] = float((verdicts != test.classes.index(benign)).mean())
            record = {
                **dict(zip(store.KEY, key, strict=True)),
                "metrics": metrics,
                "timing": {
                    "compile_s": fitting["compile"] + testing["compile"],
                    "fit_s": fitting["run"],
                    "classify_s": testing["run"],
                },
                "rows": {"train": len(task.train), "generated": 0, "test": len(test)},
                "classes": list(test.classes),
                "confusion": confusion(test.y, scores, test.classes).tolist(),
                "environment": self.environment,
            }
            if key not in done:
                store.append(self.output_dir, record)
            shown = {**metrics, "macro F1": metrics["macro_f1"]}
            figures = ", ".join(f"{k} {shown[k]:.3f}" for k in ("accuracy", "macro F1", "unseen_flagged") if k in shown)
            seconds = f"{fitting['run']:.0f} s"
            self.say(f"{key[1]}, {task.shots} shots, seed {task.seed}, {name}: {figures} ({seconds})")


def _scores(classifier: Classifier, x: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities [n, classes], 0 for a class without training rows."""
    scores = np.zeros((len(x), classes), np.float32)
    scores[:, np.asarray(classifier.classes_, int)] = classifier.predict_proba(x)
    return scores


def _scaled(preset: Preset, task: Task) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    scaler = fit_scaler(preset.scaler, task.train)
    return scaler.transform(task.train.x), scaler.transform


def _split(table: FlowTable, job: Detection, shots: int, seed: int) -> Task:
    split = few_shot(table, shots, seed, test_per_class=job.preset.tested(job.dataset))
    return Task(experiment="detection", shots=shots, seed=seed, train=split.train, tests={job.dataset: split.test})
