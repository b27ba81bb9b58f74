"""Few-shot detection: do synthetic flows help, and what does the detector look at?

For each split seed a few real flows per class are drawn, each generator is fitted on them and makes further flows, and
each detector is trained on four sets: the few real rows (`real`), the same rows repeated (`copies`: as many optimiser
steps, nothing new), real and synthetic rows (`cddpm`), and as many real rows (`real_all`).  The synthetic flows are
kept as Parquet in raw units, with checkpoints, SHAP explanations and a report.  Run again, it goes on where it stopped.

With `benign_rows` benign flows abound and attacks are rare: only attacks are generated, class weights
(`real_weighted`) join the controls, and what counts is the recall of attacks at equal false-positive rate.  With
`auxiliary` half of the benign rows, or of every larger class without its labels, is set aside before all splits;
`cddpm_adapted` and `cddpm_edit` start from a model trained on them, `self_training` and `label_spreading` use them too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import jax
import numpy as np

from nids_jax import random, store
from nids_jax.classifiers import registry as classifier_registry
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.neural import NeuralClassifier
from nids_jax.classifiers.registry import CLASSIFIERS, compared_in
from nids_jax.data.audit import near_duplicates
from nids_jax.data.datasets import meter_of
from nids_jax.data.split import Split, few_shot, for_tuning
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.evaluation.explain import one_row_per_class
from nids_jax.flows.meter import Compat
from nids_jax.generators import registry as generator_registry
from nids_jax.generators.registry import columns_obstacle
from nids_jax.pipeline import detector
from nids_jax.pipeline.auxiliary import Auxiliary, Kind, separate, trained
from nids_jax.pipeline.explanations import explained, keep_explanations, shown_error
from nids_jax.pipeline.names import NO_GENERATOR, TrainingSetName, check_training_sets, default_training_sets
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.simulation import Simulation, Weighting
from nids_jax.pipeline.training_sets import Demand, Keys, Source, TrainingSets
from nids_jax.presets import Preset
from nids_jax.protocols.base import Disjoint
from nids_jax.settings import check_settings, setting

Rows = tuple[FlowTable, Auxiliary | None]  # for the splits, and beside them
TITLE = "{0[0]} shots, split {0[1]}".format  # of a unit
TUNING_SPLIT = 1_000_000  # the split seed of the rows set aside on which learning rates are chosen


@dataclass(frozen=True, kw_only=True)
class FewShot(Disjoint):
    """What to run."""

    name: ClassVar[str] = "fewshot"
    keeps: ClassVar[bool] = True  # synthetic rows, their fidelity and loss curves

    dataset: str  # what the records call the data
    preset: Preset
    shots: tuple[int, ...] = setting(
        (5,), "Real training rows per class; several numbers run one after another.", most=1_000_000
    )
    generators: tuple[str, ...] = setting(
        default_training_sets("few_shot", before=["real"], after=["real_all"]),
        "Training sets to compare: generators (NAME_free: on free features), real, real_weighted and real_all.",
    )
    classifiers: tuple[str, ...] = setting(compared_in("few_shot"), "Detectors to train.")
    generated: int = setting(50, "Rows to generate per class.", least=1, most=1_000_000)
    generations: int = setting(1, "Times to generate per split, from the same trained generator.", least=1)
    tests: int = setting(1, "Times to train and test each detector on each generated set; P1 does so twice.", least=1)
    test_rows: int | None = setting(None, "Test rows per class at most; default: the preset's.", least=1)
    benign_rows: int | None = setting(
        None, "Benign rows to train on; default: as few as of an attack.", least=1, most=10_000_000
    )
    auxiliary: Kind | None = setting(None, "Rows of majority classes beside the few, kept out of all splits.")
    timesteps: tuple[int, ...] = setting(
        (), "Diffusion steps T to run `cddpm` with; default: the preset's.", most=100_000
    )
    rates: tuple[float, ...] = setting(
        (),
        "Learning rates to choose from for each training set, on twice as many rows of each class as the shots, kept "
        "out of all splits; default: one.",
        most=10,
    )
    detector_steps: int | None = setting(
        None, "Optimiser steps of neural detectors, at a rate that falls from 3e-3; default: the preset's.", least=1
    )
    early_stopping: bool = setting(False, "Stop neural detectors when a fifth of the training rows no longer gains.")
    simulated_rows: int = setting(1600, "Flows to simulate of each class, for `simulated`.", least=1, most=1_000_000)
    simulated_weight: float = setting(
        1.0, "How much the simulated rows of a class weigh together, in real rows.", most=1e9
    )
    simulated_weighting: Weighting = setting(
        "agreement",
        "Whether classes weigh less whose real rows a forest on simulated flows does not recognise.",
        choices=["agreement", "equal"],
    )
    tool_of: tuple[str, ...] = setting((), "Tools behind classes whose names do not say so, as CLASS=TOOL,….")
    own_tools: str | None = setting(None, "TOML file with tools of one's own; they answer to their labels.")
    compat: Compat | None = setting(None, "How simulated flows are metered; default: as the dataset was.")
    explain: bool = setting(True, "Explain the first neural detector on synthetic rows with SHAP.")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "generators", generator_registry.known(self.generators))
        object.__setattr__(self, "classifiers", classifier_registry.known(self.classifiers))
        if self.auxiliary and self.benign_rows:
            raise InputError("`benign_rows` and `auxiliary` are two settings; choose one")
        if self.timesteps and "cddpm" not in self.generators:
            raise InputError("`timesteps` is about cddpm, which `generators` does not name; leave it out")
        if not 0 < self.simulated_weight < float("inf"):
            raise InputError(f"`simulated_weight` is {self.simulated_weight:g}; give a number above 0")
        given = {"tools", "weighted tools", "columns"}
        given |= {name for name, there in (("auxiliary", self.auxiliary), ("packets", self.sources)) if there}
        check_training_sets([name.text for name in self.training_sets], self.preset, given=given)
        unlabelled = self.auxiliary == "unlabelled"
        known = [name for name, spec in CLASSIFIERS.items() if unlabelled or spec.needs != "unlabelled"]
        check_names("classifiers", self.classifiers, known)
        check_settings(self)
        if 0 in self.shots and "simulated" not in self.generators:
            raise InputError("`shots` has 0, and without real rows there are simulated ones alone: add `simulated`")
        if not self.shots:
            raise InputError("`shots` names no number of rows; give one or more, such as 5,50")
        if not all(0 < rate < float("inf") for rate in self.rates):
            raise InputError(f"`rates` has {min(self.rates):g}; learning rates are above 0 and finite")

    @property
    def experiment(self) -> str:
        """What the records call it: settings that must not be mixed have names of their own."""
        if self.auxiliary:
            return f"transfer_{self.auxiliary}"
        return "rare_attacks" if self.benign_rows else self.name

    @property
    def sources(self) -> Mapping[str, Source]:
        """What makes rows from more than flow records, by training set."""
        return {}

    @cached_property  # the file of tools is read once
    def simulation(self) -> Simulation:
        """How tools are simulated.

        Raises:
          InputError: `tool_of` is not CLASS=TOOL, or `own_tools` no file of tools.
        """
        return Simulation.named(
            self.tool_of,
            self.own_tools,
            rows=self.simulated_rows,
            weight=self.simulated_weight,
            weighting=self.simulated_weighting,
            compat=self.compat or meter_of(self.dataset),
        )

    @property
    def training_sets(self) -> list[TrainingSetName]:
        """Each once, however often it is named; `cddpm` once for each of `timesteps`."""
        names: list[str] = []
        for name in self.generators:
            names += [f"cddpm_{t}" for t in self.timesteps] if name == "cddpm" and self.timesteps else [name]
        if self.benign_rows and "real_weighted" not in names:
            names.insert(1, "real_weighted")
        return [TrainingSetName(name) for name in dict.fromkeys(names)]

    def majority(self, table: FlowTable) -> dict[str, int]:
        """Training rows of the classes that are not rare.

        Raises:
          InputError: benign rows are asked for, and no class is benign.
        """
        if self.benign_rows is None:
            return {}
        if table.benign is None:
            raise InputError(
                f"`benign_rows` is {self.benign_rows}, but no class is benign: {', '.join(table.classes)}; name one "
                "with `benign`"
            )
        return {table.benign: self.benign_rows}

    def tested(self) -> int:
        """Test rows per class at most, where `test_rows` says nothing."""
        return self.preset.tested(self.dataset)

    def extra(self, shots: int) -> int:
        """Real rows of each class to set aside beside the training rows."""
        return self.generated

    def split(self, table: FlowTable, shots: int, seed: int) -> Split:
        """The rows of a split seed."""
        aside: dict[str, Any] = {"extra": self.extra(shots), "majority": self.majority(table)}
        tested = self.test_rows or self.tested()
        return few_shot(table, shots, seed, test_per_class=tested, disjoint=self.disjoint_tests, **aside)

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts, and how many test rows nearly equal a training row in split 0.

        Auxiliary rows are not left out of this split.
        """
        split = self.split(table, self.shots[0], 0)
        return {
            "dataset": self.dataset,
            "counts": table.counts,
            "near_duplicates": near_duplicates(split.train, split.test),
            **self._described_tools(table),
        }

    def _described_tools(self, table: FlowTable) -> dict[str, Any]:
        """The tool behind each class, and the classes without one, where any is simulated."""
        if not any(name.simulated for name in self.training_sets):
            return {}
        obstacle = self.simulation.obstacle(table)
        return {"not_simulated": obstacle} if obstacle else self.simulation.described(table.classes)

    def _possible(self, table: FlowTable, say: Callable[[str], object]) -> list[TrainingSetName]:
        """The training sets that this table allows; what cannot be simulated is said."""
        tools, possible = self._described_tools(table), []
        if "tools" in tools and (remark := self.simulation.remark(table.classes)):
            say(remark)
        for name in self.training_sets:
            obstacle = tools.get("not_simulated") if name.simulated else None
            named = "" if name.real else name.generator if name.spec.needs == "columns" else name.spec.beside
            if named and not obstacle:
                obstacle = columns_obstacle(named, table.features)
            if obstacle:
                say(f"{obstacle}: `{name}` is left out")
            else:
                possible.append(name)
        return possible

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: a class with too few rows, or files of another job.
          TrainingError: a training diverged.
        """
        auxiliary = None
        if self.auxiliary:
            folder = runner.output_dir / "runs" / "pretrained"
            table, auxiliary = separate(table, self.auxiliary, self.preset, folder, progress=runner.progress)
        possible = self._possible(table, runner.say)
        units = runner.share((shots, seed) for shots in self.shots for seed in self.splits)
        left = self._left(runner, units, possible)
        # What serves several units comes first.
        if auxiliary is not None and any(name.spec.starts_from_auxiliary for _, name, _ in left if not name.real):
            auxiliary = trained(auxiliary, runner)
        if self.rates:
            benign = self.majority(table)
            wanted = {name: 2 * benign.get(name, max(*self.shots, 1)) for name in table.classes}
            table, tuned = for_tuning(table, wanted)
            runner.say(f"learning rates are chosen on {len(tuned):,} labelled rows beside those of the splits")
            numbers = list(dict.fromkeys(shots for shots, _, _ in left))
            runner.each(numbers, self._tune, (tuned, auxiliary), left, title="learning rate, {} shots".format)
        runner.each(units, self._split, (table, auxiliary), possible, title=TITLE)
        runner.finish()

    def key(self, name: TrainingSetName, classifier: str, shots: int, seed: int, generation: int) -> store.RunKey:
        return (self.experiment, self.dataset, name.text, classifier, shots, seed, generation)

    def _numbers(self, name: TrainingSetName) -> range:
        return range((1 if name.real else self.generations) * self.tests)

    def _left(
        self, runner: Runner, units: Sequence[tuple[int, int]], possible: Sequence[TrainingSetName]
    ) -> list[tuple[int, TrainingSetName, str]]:
        """Rows, training set and classifier, each once, of the runs that are not recorded yet."""
        every = (
            ((shots, name, classifier), self.key(name, classifier, shots, seed, number))
            for shots, seed in units
            for name in _trained(possible, shots)
            for classifier in self.classifiers
            for number in self._numbers(name)
        )
        return list(dict.fromkeys(each for each, key in every if not runner.is_done(key)))

    def _tune(self, runner: Runner, shots: int, rows: Rows, left: Sequence[tuple[int, TrainingSetName, str]]) -> None:
        """Choose the learning rates that the runs which are left need."""
        runs = _SplitRuns(self, *rows, runner, shots, TUNING_SPLIT)
        for number, name, classifier in left:
            if number == shots:
                with runner.unit(f"learning rate, {shots} shots, {name}"):
                    runs.choose_rate(name, classifier)

    def _split(self, runner: Runner, unit: tuple[int, int], rows: Rows, possible: Sequence[TrainingSetName]) -> None:
        runs = _SplitRuns(self, *rows, runner, *unit)
        for name in _trained(possible, unit[0]):
            for number in self._numbers(name):
                with runner.unit(f"{TITLE(unit)}, {name}"):
                    runs.run(name, number)


def _trained(possible: Sequence[TrainingSetName], shots: int) -> list[TrainingSetName]:
    return [name for name in possible if shots or name.text == "simulated"]


class _SplitRuns:
    """All runs on one split of the table."""

    def __init__(
        self, job: FewShot, table: FlowTable, auxiliary: Auxiliary | None, runner: Runner, shots: int, seed: int
    ):
        self.job, self.table, self.auxiliary, self.runner = job, table, auxiliary, runner
        self.shots, self.seed = shots, seed
        self.directory = runner.output_dir / "runs" / f"shots{shots}-split{seed}"

    @cached_property
    def split(self) -> Split:
        return self.job.split(self.table, self.shots, self.seed)

    @cached_property
    def sets(self) -> TrainingSets:
        job, train, auxiliary = self.job, self.split.train, self.auxiliary
        majority = [*job.majority(train)]
        if auxiliary is not None and auxiliary.label is not None:
            majority = [train.classes[auxiliary.label]]
        rare = np.array([name not in majority for name in train.classes])
        demand = Demand(
            added=np.where(rare, job.generated, 0),
            learnt=np.flatnonzero(rare[train.y]),
            codes=np.arange(len(train.classes)),
            balanced=True,
            keys=self._keys,
        )
        return TrainingSets(
            split=self.split,
            preset=job.preset,
            dataset=job.dataset,
            demand=demand,
            directory=self.directory,
            clock=self.runner.clock,
            progress=self.runner.progress,
            keep=job.keeps and self.seed != TUNING_SPLIT,
            auxiliary=auxiliary,
            auxiliary_rows=auxiliary.drawn(job.generated, self.seed) if auxiliary else None,
            sources=job.sources,
            simulation=job.simulation,
            seed=self.seed,
        )

    def _keys(self, name: TrainingSetName) -> Keys:
        key = random.stream(jax.random.key(self.seed), name.stream)
        return Keys(random.stream(key, "fit"), random.stream(key, "sample"), name.model)

    def run(self, name: TrainingSetName, generation: int) -> None:
        """The runs of a training set with every classifier that is not recorded yet.

        With several `tests` of each generated set, `generation` numbers the tests of all sets: the rows are those of
        generation number `generation` // tests, and the detector's own draws are of this number.
        """
        for classifier in dict.fromkeys(self.job.classifiers):
            key = self.job.key(name, classifier, self.shots, self.seed, generation)
            if self.runner.is_done(key):
                continue
            rate = self._rate(name, classifier, None)
            record = self.classify(name, classifier, generation, rate)
            self.runner.record(key, record)
            metrics = record["metrics"]
            self.runner.say(
                f"{self.shots} shots, split {self.seed}, {name}{f' {generation}' if generation else ''}, {classifier}:"
                f" accuracy {metrics['accuracy']:.4f}, macro-F1 {metrics['macro_f1']:.4f}"
            )

    def choose_rate(self, name: TrainingSetName, classifier: str) -> None:
        """Choose the learning rate with the highest macro F1 on this split, where there is something to choose."""
        self._rate(name, classifier, lambda rate: self.classify(name, classifier, 0, rate)["metrics"]["macro_f1"])

    def _rate(self, name: TrainingSetName, classifier: str, score: Callable[[float], float] | None) -> float | None:
        if not self.job.rates or not CLASSIFIERS[classifier].neural:
            return None
        return self.runner.choose(f"{self.shots} shots, {name}, {classifier}", "learning rate", self.job.rates, score)

    def classify(self, name: TrainingSetName, classifier: str, generation: int, rate: float | None) -> dict[str, Any]:
        """Train and test one classifier: its record, but for the key."""
        job, rows = self.job, self.sets.rows(name, generation // self.job.tests)
        options = ClassifierOptions(
            detector=detector.tuned(job.preset.detector, rate, job.detector_steps, job.early_stopping),
            class_weights=rows.class_weights,
            seed=1000 * self.seed + generation,
            checkpoint_dir=self.directory / f"{classifier}-{name}-{generation}{f'-{rate:g}' if rate else ''}",
            progress=f"{classifier} on {name}" if self.runner.progress else None,
            unlabelled=self.auxiliary.x if self.auxiliary and job.auxiliary == "unlabelled" else None,
        )
        fitted = detector.fit(classifier, options, rows, self.runner.clock)
        record = detector.test(fitted, self.sets.test_x, self.split.test, self.runner.clock, self.split.test_shares)
        if isinstance(fitted.classifier, NeuralClassifier) and self.sets.keep:
            store.keep_curve(self.directory, f"{classifier}/{name}", fitted.classifier.losses_)
            first = next(each for each in job.classifiers if CLASSIFIERS[each].neural)
            once = classifier == first and self.seed == job.splits[0] and generation == 0
            if job.explain and once and name.text not in NO_GENERATOR:
                self._explain(fitted.classifier)
        return detector.with_training(record, rows)

    def _explain(self, classifier: NeuralClassifier) -> None:
        """Explain some test rows of each class; the first of each class also one by one."""
        preset, split, scaler = self.job.preset, self.split, self.sets.scaler
        picks = [one_row_per_class(split.test.y, len(split.test.classes), turn) for turn in range(preset.shap_rows)]
        found, shown = explained(classifier, scaler, split, np.concatenate(picks), preset.shap_samples), picks[0]
        kept = keep_explanations(found, found.first(len(shown)), scaler, split, shown, self.directory / "shap.json")
        self.runner.say(f"explained {kept['rows']} test rows, {shown_error(found)}")
