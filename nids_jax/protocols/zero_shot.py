"""Detection without a single attack row: benign rows of one's own network, and simulated attacks.

For each split seed benign rows are drawn to train on; attack rows are for testing only.  Training sets:
  `benign`             those rows alone, for anomaly detectors, the controls;
  `simulated`          and flows of the tools behind the attack classes: a detector learns what gives simulation away;
  `simulated_benign`   and flows of benign tools among the benign rows;
  `aligned`            as `simulated`, without the columns in which simulated benign rows differ from the real ones
                       (`pipeline.alignment`).
What counts is the recall of each attack at one false-positive rate, with the threshold set on the benign test rows.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nids_jax.classifiers import registry as classifier_registry
from nids_jax.classifiers.anomaly import ANOMALY_DETECTORS
from nids_jax.classifiers.base import Classifier, ClassifierOptions
from nids_jax.classifiers.registry import CLASSIFIERS, make_classifier
from nids_jax.data.datasets import meter_of
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation.metrics import ALLOWED, recall_at
from nids_jax.flows.meter import Compat
from nids_jax.pipeline.alignment import Aligned, SimulatedRows, simulated_attacks
from nids_jax.pipeline.detector import probabilities
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.simulation import Simulation
from nids_jax.pipeline.training_sets import SIMULATION_SEED
from nids_jax.presets import Preset
from nids_jax.protocols.base import Seeded
from nids_jax.settings import check_settings, setting

TRAINING_SETS = ("simulated", "simulated_benign", "aligned")
BENIGN_TESTED = 10  # times as many benign test rows as of an attack, so that a rate of 0.1 % can be told


@dataclass(frozen=True, kw_only=True)
class ZeroShot(Seeded):
    """What to run."""

    name: ClassVar[str] = "zero_shot"

    dataset: str  # what the records call the data
    preset: Preset
    seeds: int = setting(10, "Number of split seeds, from 0.", least=1)
    benign_rows: int = setting(
        1000, "Benign rows to train on; at most half of those there are.", least=2, most=10_000_000
    )
    training_sets: tuple[str, ...] = setting(TRAINING_SETS, "Training sets to compare.")
    classifiers: tuple[str, ...] = setting(("random_forest", "forests"), "Detectors to train on them.")
    anomaly_detectors: tuple[str, ...] = setting(tuple(ANOMALY_DETECTORS), "Controls, trained on benign rows alone.")
    test_rows: int | None = setting(
        None, f"Test rows of each attack class at most, and {BENIGN_TESTED} times as many benign ones.", least=1
    )
    simulated_rows: int = setting(400, "Flows to simulate of each class.", least=1, most=1_000_000)
    tool_of: tuple[str, ...] = setting((), "Tools behind classes whose names do not say so, as CLASS=TOOL,….")
    own_tools: str | None = setting(None, "TOML file with tools of one's own; they answer to their labels.")
    compat: Compat | None = setting(None, "How simulated flows are metered; default: as the dataset was.")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "classifiers", classifier_registry.known(self.classifiers))
        check_names("training_sets", self.training_sets, TRAINING_SETS)
        known = [name for name, spec in CLASSIFIERS.items() if not spec.needs]
        check_names("classifiers", self.classifiers, known)
        check_names("anomaly_detectors", self.anomaly_detectors, [*ANOMALY_DETECTORS])
        check_settings(self)

    @cached_property  # the file of tools is read once
    def simulation(self) -> Simulation:
        """How tools are simulated.

        Raises:
          InputError: `tool_of` is not CLASS=TOOL, or `own_tools` no file of tools.
        """
        compat = self.compat or meter_of(self.dataset)
        return Simulation.named(self.tool_of, self.own_tools, rows=self.simulated_rows, compat=compat)

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts, the tool behind each class, the classes without one.

        Raises:
          InputError: no class is benign or none is an attack, too few benign rows, or nothing can be simulated.
        """
        benign = _benign(table)
        obstacle = self.simulation.obstacle(table)
        if obstacle:
            raise InputError(f"{obstacle}: there is nothing to train on without attack rows")
        found = self.simulation.behind(table.classes)
        if not any(label != benign for label in found):
            raise InputError("no tool stands behind any attack class: name one with `tool_of`")
        if not (table.y != benign).any():
            raise InputError("there are no attack rows to test on: add a table that has some")
        if table.counts[table.classes[benign]] < 4:
            raise InputError(f"class {table.classes[benign]!r} has {(table.y == benign).sum()} rows; 4 are needed")
        for label, tool in found.items():
            if tool.benign != (label == benign):
                kind, name = "benign" if tool.benign else "an attack", table.classes[label]
                raise InputError(
                    f"the tool {tool.name} is {kind}, but class {name!r} is not: name another with `tool_of`"
                )
        return {"dataset": self.dataset, "counts": table.counts, **self.simulation.described(table.classes)}

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: as `describe`.
          TrainingError: a training diverged.
        """
        self.describe(table)
        remark = self.simulation.remark(table.classes)
        if remark:
            runner.say(remark)
        runner.each(runner.share(self.splits), self._split, table, title="split {}".format)
        runner.finish()

    def _split(self, runner: Runner, seed: int, table: FlowTable) -> None:
        runs = _SplitRuns(self, table, runner, seed)
        for name in dict.fromkeys(self.anomaly_detectors):
            runs.anomalies(name)
        for training_set in dict.fromkeys(self.training_sets):
            for classifier in dict.fromkeys(self.classifiers):
                with runner.unit(f"split {seed}, {training_set}, {classifier}"):
                    runs.trained(training_set, classifier)


def _benign(table: FlowTable) -> int:
    """The number of the benign class.

    Raises:
      InputError: there is none.
    """
    if table.benign is None:
        raise InputError(f"no class is benign: {', '.join(table.classes)}; name one with `benign`")
    return table.classes.index(table.benign)


class _SplitRuns:
    """All runs on one draw of benign rows."""

    def __init__(self, job: ZeroShot, table: FlowTable, runner: Runner, seed: int):
        self.job, self.table, self.runner, self.seed = job, table, runner, seed
        self.benign = _benign(table)

    @cached_property
    def rows(self) -> tuple[FlowTable, FlowTable]:
        """Benign rows to train on; rows to test on."""
        draws = np.random.default_rng([self.seed, 0])
        tested = self.job.test_rows or self.job.preset.tested(self.job.dataset)
        calm = draws.permutation(np.flatnonzero(self.table.y == self.benign))
        trained = min(self.job.benign_rows, len(calm) // 2)
        chosen = [calm[trained : trained + BENIGN_TESTED * tested]]
        attacks = [np.flatnonzero(self.table.y == k) for k in range(len(self.table.classes)) if k != self.benign]
        chosen += [draws.permutation(rows)[:tested] for rows in attacks]
        return self.table.take(calm[:trained]), self.table.take(np.concatenate(chosen))

    @cached_property
    def scaler(self) -> Scaler:
        """Fitted on the benign rows to train on."""
        return fit_scaler(self.job.preset.scaler, self.rows[0])

    @cached_property
    def scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """Both of `rows`, scaled."""
        train, test = self.rows
        return self.scaler.transform(train.x), self.scaler.transform(test.x)

    @cached_property
    def simulated(self) -> SimulatedRows:
        """Flows of the attacks' tools and of every benign tool."""
        seed = SIMULATION_SEED + 1000 * self.seed
        return simulated_attacks(self.job.simulation, self.rows[0], self.scaler, self.scaled[0], seed)

    def anomalies(self, name: str) -> None:
        """The run of an anomaly detector, if it is not recorded yet."""
        key = self._key("benign", name)
        if self.runner.is_done(key):
            return
        train, test = self.scaled
        with self.runner.clock.timed() as fitting:
            detector = ANOMALY_DETECTORS[name](self.seed).fit(train)
        with self.runner.clock.timed() as testing:
            suspicion = detector.suspicion(test)
        self._record(key, suspicion, 0, fitting["run"], testing["run"])

    def trained(self, training_set: str, classifier: str) -> None:
        """The run of a detector, if it is not recorded yet."""
        key = self._key(training_set, classifier)
        if self.runner.is_done(key):
            return
        (train, test), found = self.rows, self.simulated
        x, y = found.x, found.y
        if training_set == "simulated_benign":
            x = np.concatenate([x, found.everyday])
            y = np.concatenate([y, np.full(len(found.everyday), self.benign, y.dtype)])
        rows = np.concatenate([self.scaled[0], x]), np.concatenate([train.y, y])
        options = ClassifierOptions(
            detector=self.job.preset.detector, seed=self.seed, progress=classifier if self.runner.progress else None
        )

        def make() -> Classifier:
            return make_classifier(classifier, options)

        aligned = Aligned(make, found.distances) if training_set == "aligned" else None
        if aligned and not aligned.possible:
            self.runner.say(f"split {self.seed}: simulated benign rows differ in every column, so none is `aligned`")
            return
        with self.runner.clock.timed() as fitting:
            model = (aligned or make()).fit(*rows)
        with self.runner.clock.timed() as testing:
            scores = probabilities(model, self.scaled[1], len(test.classes))
        more = {"columns": {f"{k:g}": len(v) for k, v in aligned.columns.items()}} if aligned else {}
        self._record(key, 1.0 - scores[:, self.benign], len(y), fitting["run"], testing["run"], **more)

    def _key(self, training_set: str, classifier: str) -> tuple[Any, ...]:
        return ("zero_shot", self.job.dataset, training_set, classifier, 0, self.seed, 0)

    def _record(
        self, key: tuple[Any, ...], suspicion: np.ndarray, simulated: int, fit_s: float, test_s: float, **more: Any
    ) -> None:
        train, test = self.rows
        metrics: dict[str, Any] = {"per_class_recall": {}}
        for rate in ALLOWED:
            each = recall_at(test.y, suspicion, self.benign, rate)
            # Too few benign rows to let a single one through tell nothing about the rate.
            told = rate * (test.y == self.benign).sum() >= 1
            metrics[f"attack_recall_at_{rate:g}"] = float(np.mean([*each.values()])) if told else None
            if told:  # what stays is that of the largest rate
                metrics["per_class_recall"] = {test.classes[k]: recall for k, recall in each.items()}
        found = {
            "metrics": metrics,
            "timing": {"fit_s": fit_s, "classify_s": test_s},
            "rows": {"train": len(train), "generated": simulated, "test": len(test)},
        }
        self.runner.record(key, {**found, **more})
        recall = metrics[f"attack_recall_at_{ALLOWED[-1]:g}"]
        found = "– (too few benign test rows)" if recall is None else f"{recall:.4f}"
        self.runner.say(f"split {self.seed}, {key[2]}, {key[3]}: attacks found at {ALLOWED[-1]:.0%} {found}")
