"""Which detector is best on few real rows, on another capture, and on attacks that it has never seen?

P1's Table IV and its Figs. 5 and 6: every detector, trained on 5, 50, … real rows per class, tested on others.  With
`test_dataset` (or `test_data`) each detector is also tested on another capture, on the features and classes that both
have; with `leave_out=CLASS,…` (or `all`) each of these attacks in turn is left out of the training, and the share of it
that is flagged as an attack all the same is reported.  Run again, it goes on where it stopped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from nids_jax import store
from nids_jax.classifiers import registry as classifier_registry
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.neural import NeuralClassifier, fit_together
from nids_jax.classifiers.registry import CLASSIFIERS, compared_in, make_classifier
from nids_jax.data.loading import load
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.shared import shared
from nids_jax.data.split import class_shares, deduplicate, draw, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.pipeline import detector
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.training_sets import TrainingRows
from nids_jax.presets import Preset
from nids_jax.protocols.base import Disjoint
from nids_jax.settings import check_settings, setting


class Unit(NamedTuple):
    """A training set by its name."""

    attack: str | None  # that is left out
    shots: int
    seed: int


def _title(units: Sequence[Unit]) -> str:
    without = f" without {units[0].attack}" if units[0].attack else ""
    return f"{units[0].shots} shots{without}, split {', '.join(str(unit.seed) for unit in units)}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A training set, and the tables to test on."""

    experiment: str
    shots: int
    seed: int
    train: FlowTable
    tests: Mapping[str, FlowTable]  # by what the records call the data
    shares: Mapping[str, np.ndarray]  # of the tables: of each class's rows in the data, how many these are
    unseen: FlowTable | None = None  # rows of an attack that is not in `train`

    def keys(self, classifier: str) -> list[store.RunKey]:
        """The records of this task with this classifier, in the order of `tests`."""
        return [(self.experiment, name, "real", classifier, self.shots, self.seed, 0) for name in self.tests]


@dataclass(frozen=True, kw_only=True)
class DetectorComparison(Disjoint):
    """What to run."""

    name: ClassVar[str] = "detector_comparison"

    dataset: str  # what the records call the data
    preset: Preset
    data_dir: str | None = None  # of `test_dataset`
    shots: tuple[int, ...] = setting(
        (5, 50, 500, 5000),
        "Real training rows per class; several numbers run one after another.",
        most=1_000_000,
    )
    seeds: int = setting(5, "Number of split seeds, from 0.", least=1)
    classifiers: tuple[str, ...] = setting(compared_in("detector_comparison"), "Detectors to train.")
    test_rows: int | None = setting(None, "Test rows per class at most; default: the preset's.", least=1)
    test_dataset: str | None = setting(None, "Test on this dataset as well.")
    test_data: tuple[str, ...] = setting((), "Test on these files as well.")
    leave_out: tuple[str, ...] = setting((), "Attacks to leave out of the training, one at a time; or `all`.")
    epochs: int | None = setting(
        None, "Passes of a neural detector over its training rows; default: the preset's (papers': 100).", least=1
    )
    early_stopping: bool = setting(False, "Stop neural detectors when a fifth of the training rows no longer gains.")
    together: bool | None = None  # train the seeds of a neural detector side by side; None: on accelerators alone

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "classifiers", classifier_registry.known(self.classifiers))
        check_names("classifiers", self.classifiers, [name for name, spec in CLASSIFIERS.items() if not spec.needs])
        check_settings(self)
        if not self.shots:
            raise InputError("`shots` names no number of rows; give one or more, such as 5,50")
        if self.leave_out and (self.test_dataset or self.test_data):
            raise InputError("`leave_out` and `test_dataset` ask for two experiments; run them one after the other")

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts.

        Raises:
          InputError: an attack to leave out that is none of the table's.
        """
        self._attacks(table)
        return {"dataset": self.dataset, "counts": table.counts}

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: a class with too few rows, files of another job, or another dataset with nothing in common.
          TrainingError: a training diverged.
        """
        # A shard takes its share of the splits of every number of rows.
        batches = [
            tuple(Unit(attack, shots, seed) for seed in runner.share(self.splits))
            for attack in self._attacks(table) or [None]
            for shots in self.shots
        ]
        units = batches if self._side_by_side(runner) else [(unit,) for batch in batches for unit in batch]
        runner.each(units, self._run, *self._captures(table, runner.say), title=_title)
        runner.finish()

    def _side_by_side(self, runner: Runner) -> bool:
        """Whether the seeds of a neural detector train together.

        On CPUs nothing is gained by that, and a killed run would lose all of them; elsewhere each goes its own way.
        """
        if self.together is None:
            return runner.executor is None and jax.default_backend() != "cpu"
        return self.together

    @property
    def _elsewhere(self) -> str | None:
        """What the records call the other capture, where there is one."""
        return self.test_dataset or (Path(self.test_data[0]).name if self.test_data else None)

    def _captures(self, table: FlowTable, say: Callable[[str], object]) -> tuple[FlowTable, FlowTable | None]:
        """The table to train on, and the other capture's with the same columns, where there is one."""
        if self._elsewhere is None:
            return table, None
        target, _ = load(
            self.test_dataset, data_dir=self.data_dir, data=list(self.test_data) or None, on_invalid="drop"
        )
        source, target, left_out = shared(table, deduplicate(target)[0], (self.dataset, self._elsewhere))
        for line in left_out:
            say(line)
        return source, target

    def _run(self, runner: Runner, units: Sequence[Unit], source: FlowTable, target: FlowTable | None) -> None:
        tasks = [self._task(source, target, *unit) for unit in units]
        for name in dict.fromkeys(self.classifiers):
            missing = [task for task in tasks if not all(map(runner.is_done, task.keys(name)))]
            rows = {len(task.train) for task in missing}
            if CLASSIFIERS[name].neural and len(missing) > 1 and len(rows) == 1:
                with runner.unit(f"{name}, {missing[0].shots} shots"):
                    self._train_together(name, missing, runner)
                continue
            for task in missing:
                with runner.unit(f"{name}, {task.shots} shots, seed {task.seed}"):
                    self._train(name, task, runner)

    def _task(self, source: FlowTable, target: FlowTable | None, attack: str | None, shots: int, seed: int) -> Task:
        if attack is not None:
            return self.unseen_attack(source, attack, shots, seed)
        own = self.few_rows(source, shots, seed)
        return own if target is None else self.other_capture(own, target)

    def few_rows(self, table: FlowTable, shots: int, seed: int) -> Task:
        """Table IV: a split's training rows with its test rows of the same dataset."""
        tested = self._tested(self.dataset)
        split = few_shot(table, shots, seed, test_per_class=tested, disjoint=self.disjoint_tests)
        return Task(
            experiment=self.name,
            shots=shots,
            seed=seed,
            train=split.train,
            tests={self.dataset: split.test},
            shares={self.dataset: split.test_shares},
        )

    def other_capture(self, own: Task, target: FlowTable) -> Task:
        """Train on the source, test on its own test rows and on the target's, which has the same columns."""
        name = self._elsewhere or ""
        there = draw(target, self._tested(name), own.seed)
        names = (f"{self.dataset}, shared features", f"{self.dataset} → {name}")
        tests = dict(zip(names, (own.tests[self.dataset], there), strict=True))
        shares = dict(zip(names, (own.shares[self.dataset], class_shares(there, target)), strict=True))
        return replace(own, experiment="other_capture", tests=tests, shares=shares)

    def unseen_attack(self, table: FlowTable, attack: str, shots: int, seed: int) -> Task:
        """Leave an attack out of the training: is it flagged as an attack of some kind all the same?"""
        code = table.classes.index(attack)
        classes = tuple(name for name in table.classes if name != attack)
        known = table.regroup({name: name for name in classes}, classes)
        left_out = table.take(np.flatnonzero(table.y == code))
        own = self.few_rows(known, shots, seed)
        rows = np.random.default_rng(seed).permutation(len(left_out))[: self._tested(self.dataset)]
        name = f"{self.dataset} without {attack}"
        tests, shares = {name: own.tests[self.dataset]}, {name: own.shares[self.dataset]}
        return replace(own, experiment="unseen_attack", tests=tests, shares=shares, unseen=left_out.take(rows))

    def _attacks(self, table: FlowTable) -> list[str]:
        """The attacks that `leave_out` names; `all` names every one."""
        if not self.leave_out:
            return []
        if table.benign is None:
            raise InputError(
                f"`leave_out` asks for attacks, but no class is benign: {', '.join(table.classes)}; name one with "
                "`benign`"
            )
        known = [name for name in table.classes if name != table.benign]
        check_names("leave_out", self.leave_out, [*known, "all"])
        return known if "all" in self.leave_out else list(dict.fromkeys(self.leave_out))

    def _tested(self, dataset: str) -> int:
        return self.test_rows or self.preset.tested(dataset)

    def _options(self, task: Task, **further: Any) -> ClassifierOptions:
        config = detector.tuned(self.preset.table, early_stopping=self.early_stopping, epochs=self.epochs)
        return ClassifierOptions(detector=config, seed=task.seed, **further)

    def _scaled(self, task: Task) -> tuple[Scaler, TrainingRows]:
        scaler = fit_scaler(self.preset.scaler, task.train)
        return scaler, TrainingRows(scaler.transform(task.train.x), task.train.y)

    def _train(self, name: str, task: Task, runner: Runner) -> None:
        folder = "-".join(map(str, (*task.keys(name)[0][:2], task.shots, task.seed, name)))
        options = self._options(
            task,
            checkpoint_dir=runner.output_dir / "runs" / folder if CLASSIFIERS[name].neural else None,
            progress=f"{name}, {task.shots} shots, seed {task.seed}" if runner.progress else None,
        )
        scaler, rows = self._scaled(task)
        self._record(name, task, detector.fit(name, options, rows, runner.clock), scaler, rows, runner)

    def _train_together(self, name: str, tasks: Sequence[Task], runner: Runner) -> None:
        classifiers = [make_classifier(name, self._options(task)) for task in tasks]
        neural = [each for each in classifiers if isinstance(each, NeuralClassifier)]
        scaled = [self._scaled(task) for task in tasks]
        with runner.clock.timed() as seconds:
            fit_together(neural, [(rows.x, rows.y) for _, rows in scaled])
        each = {part: value / len(tasks) for part, value in seconds.items()}
        for task, classifier, (scaler, rows) in zip(tasks, neural, scaled, strict=True):
            self._record(name, task, detector.Fitted(classifier, each), scaler, rows, runner)

    def _record(
        self, name: str, task: Task, fitted: detector.Fitted, scaler: Scaler, rows: TrainingRows, runner: Runner
    ) -> None:
        for key, (title, test) in zip(task.keys(name), task.tests.items(), strict=True):
            tested = detector.test(fitted, scaler.transform(test.x), test, runner.clock, task.shares[title])
            found = detector.with_training(tested, rows)
            metrics = found["metrics"]
            if task.unseen is not None and test.benign is not None:
                scores = detector.probabilities(fitted.classifier, scaler.transform(task.unseen.x), len(test.classes))
                flagged = scores.argmax(axis=1) != test.classes.index(test.benign)
                metrics["unseen_flagged"] = float(flagged.mean())
            if not runner.is_done(key):
                runner.record(key, found)
            shown = {**metrics, "macro F1": metrics["macro_f1"]}
            figures = ", ".join(f"{k} {shown[k]:.3f}" for k in ("accuracy", "macro F1", "unseen_flagged") if k in shown)
            runner.say(
                f"{key[1]}, {task.shots} shots, seed {task.seed}, {name}: {figures} ({fitted.seconds['run']:.0f} s)"
            )
