"""Does raising rare attack classes help?  Over-samplers, learned generators and class weights: P2's Tables 1 to 4.

Seven tenths of each class train and three are the test, at the classes' own proportions, z-scored as in the paper
unless `scaler` says otherwise.  Each training set raises the rare classes by synthetic rows (`real` leaves them as they
are, `real_weighted` weighs them instead) up to `sampling_strategy`, or a fraction of the way there.

The fraction is chosen among the same few for every training set and classifier, on a part of the training rows that
stands in for the test rows; the test rows choose nothing.  Run again, it goes on where it stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import numpy as np

from nids_jax import random, store
from nids_jax.classifiers import registry as classifier_registry
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.neural import NeuralClassifier
from nids_jax.classifiers.registry import CLASSIFIERS, compared_in
from nids_jax.data.datasets import meter_of
from nids_jax.data.sampling_strategy import Strategy, even_rows, parse_strategy, raised_counts
from nids_jax.data.scaling import SCALERS
from nids_jax.data.split import Split, stratified
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.generators import registry as generator_registry
from nids_jax.pipeline import detector
from nids_jax.pipeline.names import TrainingSetName, check_training_sets, default_training_sets
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.simulation import Simulation
from nids_jax.pipeline.training_sets import Demand, Keys, TrainingSets
from nids_jax.presets import Preset
from nids_jax.protocols.base import TUNING_SPLITS, Seeded
from nids_jax.settings import MOST, check_settings, setting

TEST_SHARE = 0.3  # of each class
TUNING_SEED = TUNING_SPLITS  # added to a split's seed, for the simulated flows that fractions are chosen with
VALIDATION_SHARE = 0.25  # of each class's training rows, to choose a fraction on


@dataclass(frozen=True, kw_only=True)
class Imbalance(Seeded):
    """What to run."""

    name: ClassVar[str] = "imbalance"

    dataset: str  # what the records call the data
    preset: Preset
    sampling_strategy: Strategy = setting(
        "auto",
        "Rows to raise classes to, as in imbalanced-learn: minority, 'not minority', 'not majority' (auto), all: these "
        "to the largest class's; a share of that, of two classes; or CLASS:ROWS,CLASS:ROWS,….",
    )
    fractions: tuple[float, ...] = setting(
        (),
        "How much of the way there, to choose from for each training set and classifier; 1 balances the classes; "
        "default: the preset's, 0.03,0.1,0.3 or, in paper, 1.",
    )
    scaler: str = setting("zscore", "How columns are scaled; the paper's is zscore.", choices=sorted(SCALERS))
    seeds: int = setting(5, "Number of split seeds, from 0.", least=1)
    generations: int = setting(1, "Times to generate per split, from the same trained generator.", least=1)
    generators: tuple[str, ...] = setting(
        default_training_sets("imbalance", before=["real", "real_weighted"]),
        "Training sets to compare: generators, real and real_weighted.",
    )
    classifiers: tuple[str, ...] = setting(compared_in("imbalance"), "Detectors to train.")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "generators", generator_registry.known(self.generators))
        object.__setattr__(self, "classifiers", classifier_registry.known(self.classifiers))
        if isinstance(self.sampling_strategy, str):
            object.__setattr__(self, "sampling_strategy", parse_strategy(self.sampling_strategy))
        object.__setattr__(self, "preset", replace(self.preset, scaler=self.scaler))
        if "real_all" in self.generators:
            raise InputError("`generators` names 'real_all', but all training rows are used here; leave it out")
        check_training_sets(self.generators, self.preset, given={"tools", "columns"}, repeated_rows=True)
        check_names("classifiers", self.classifiers, [name for name, spec in CLASSIFIERS.items() if not spec.needs])
        check_settings(self)
        if not self.fractions:
            object.__setattr__(self, "fractions", self.preset.fractions)
        if not all(0 < fraction <= 1 for fraction in self.fractions):
            given = ",".join(f"{fraction:g}" for fraction in self.fractions)
            raise InputError(f"`fractions` is {given!r}; give one or more above 0 and up to 1, such as 0.03,0.1,0.3")

    @property
    def simulation(self) -> Simulation:
        """Flows of tools as an over-sampler: as many as are added, each counting as one row."""
        return Simulation(rows=None, weight=None, compat=meter_of(self.dataset))

    def raised(self, train: FlowTable) -> dict[str, int]:
        """The rows that each class of the training rows is raised to, at fraction 1.

        Raises:
          InputError: the strategy does not fit the classes or raises none, or a class has too few rows to choose on.
        """
        counts = train.counts
        raised = raised_counts(self.sampling_strategy, counts)
        if raised == counts:
            has = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise InputError(
                f"`sampling_strategy={self.sampling_strategy}` raises no class; the training rows are {has}"
            )
        if sum(raised.values()) > MOST:
            raise InputError(
                f"`sampling_strategy` raises the classes to {sum(raised.values()):,} rows in all; up to {MOST:,} are"
                " generated, so name fewer"
            )
        alone = [name for name, count in counts.items() if count == 1]
        if alone and len(self.fractions) > 1:
            raise InputError(
                f"class {alone[0]!r} has 1 row to train on, and choosing among fractions takes 2: exclude it, or give "
                "`fractions` one number"
            )
        return raised

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts, and of split 0 the training rows and what these are raised to.

        Raises:
          InputError: as `run`, before anything is computed.
        """
        split = stratified(table, TEST_SHARE, 0)
        return {
            "dataset": self.dataset,
            "counts": table.counts,
            "training_rows": split.train.counts,
            "raised_to": self.raised(split.train),
        }

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: a class with too few rows, a strategy that does not fit the classes, or files of another job.
          TrainingError: a training diverged.
        """
        runner.each(runner.share(self.splits), self._split, table, title="split {}".format)
        runner.finish()

    def _split(self, runner: Runner, seed: int, table: FlowTable) -> None:
        runs = _SplitRuns(self, table, runner, seed)
        for name in map(TrainingSetName, dict.fromkeys(self.generators)):
            for generation in range(1 if name.real else self.generations):
                with runner.unit(f"split {seed}, {name}"):
                    runs.run(name, generation)


class _SplitRuns:
    """All runs on one split of the table."""

    def __init__(self, job: Imbalance, table: FlowTable, runner: Runner, seed: int):
        self.job, self.table, self.runner, self.seed = job, table, runner, seed
        self._sets: tuple[TrainingSets, TrainingSets | None] | None = None

    def _prepared(self) -> tuple[TrainingSets, TrainingSets | None]:
        """The training sets to judge on test rows, and those to choose fractions on, where there is a choice."""
        if self._sets is None:
            split, key = (
                stratified(self.table, TEST_SHARE, self.seed),
                random.stream(jax.random.key(self.seed), "balance"),
            )
            raised = self.job.raised(split.train)
            judged, tuning = self._training_sets(split, raised, key, ""), None
            if len(self.job.fractions) > 1:
                part = stratified(split.train, VALIDATION_SHARE, self.seed)
                raised = _in_proportion(raised, split.train.counts, part.train.counts)
                tuning = self._training_sets(part, raised, random.stream(key, "tuning"), "tuning")
            self._sets = judged, tuning
        return self._sets

    def _training_sets(self, split: Split, raised: Mapping[str, int], key: jax.Array, folder: str) -> TrainingSets:
        """Generators that learn are fitted on the classes to be raised alone, every class as often as the largest.

        Of one-hot categories, interpolated by SMOTE and ADASYN or made by a network, the largest wins; SMOTE-NC would
        take the neighbours' commonest.
        """
        train = split.train
        added = np.array([raised[name] - count for name, count in train.counts.items()])
        codes = np.flatnonzero(added)
        learnt = np.flatnonzero(np.isin(train.y, codes))
        demand = Demand(
            added=added,
            fraction=max(self.job.fractions),
            learnt=learnt[even_rows(train.y[learnt], self.seed)],
            codes=codes,
            balanced=False,
            keys=lambda name: Keys(random.stream(key, f"{name} fit"), random.stream(key, f"{name} sample"), name.text),
        )
        return TrainingSets(
            split=split,
            preset=self.job.preset,
            dataset=self.job.dataset,
            demand=demand,
            directory=self.runner.output_dir / "runs" / f"split{self.seed}" / folder,
            clock=self.runner.clock,
            progress=self.runner.progress,
            keep=not folder,
            whole=False,
            headline="vae_wgan_gp",
            simulation=self.job.simulation,
            seed=self.seed if not folder else self.seed + TUNING_SEED,
        )

    def run(self, name: TrainingSetName, generation: int) -> None:
        """The runs of a training set with every classifier that is not recorded yet."""
        job = self.job
        keys = {
            classifier: ("imbalance", job.dataset, name.text, classifier, None, self.seed, generation)
            for classifier in job.classifiers
        }
        missing = [classifier for classifier in keys if not self.runner.is_done(keys[classifier])]
        # All choices first: the training sets to choose on hold one generator's rows, and so do those to judge on.
        for classifier, fraction in [(each, self._fraction(name, each)) for each in missing]:
            record = self.classify(self._prepared()[0], name, generation, fraction, classifier)
            self.runner.record(keys[classifier], record)
            self.runner.say(
                f"split {self.seed}, {name}{f' {generation}' if generation else ''}, {classifier}: macro-F1"
                f" {record['metrics']['macro_f1']:.4f}, rows generated {record['rows']['generated']}"
            )

    def _fraction(self, name: TrainingSetName, classifier: str) -> float:
        """The fraction with the highest macro F1 on the validation rows, where there is something to choose."""
        tuning = self._prepared()[1]
        if name.text == "real" or tuning is None:
            return self.job.fractions[0]
        return self.runner.choose(
            f"split {self.seed}, {name}, {classifier}",
            "fraction",
            self.job.fractions,
            lambda fraction: self.classify(tuning, name, 0, fraction, classifier)["metrics"]["macro_f1"],
        )

    def classify(
        self, sets: TrainingSets, name: TrainingSetName, generation: int, fraction: float, classifier: str
    ) -> dict[str, Any]:
        """Train and test one classifier: its record, but for the key."""
        rows = sets.rows(name, generation, fraction)
        options = ClassifierOptions(
            detector=self.job.preset.table,
            class_weights=rows.class_weights,
            seed=1000 * self.seed + generation,
            checkpoint_dir=sets.directory / f"{classifier}-{name}-{generation}-{fraction:g}",
            progress=f"{classifier} on {name}" if self.runner.progress else None,
        )
        fitted = detector.fit(classifier, options, rows, self.runner.clock)
        if sets.keep and isinstance(fitted.classifier, NeuralClassifier):
            store.keep_curve(sets.directory, f"{classifier}/{name}", fitted.classifier.losses_)
        train, test = sets.split.train, sets.split.test
        record = detector.with_training(detector.test(fitted, sets.test_x, test, self.runner.clock, None), rows)
        generated = np.bincount(rows.y[len(train) :], minlength=len(test.classes))
        return {
            **record,
            "training_rows": list(train.counts.values()),
            "generated_rows": generated.tolist(),
            "fraction": None if name.text == "real" else fraction,
        }


def _in_proportion(raised: Mapping[str, int], whole: Mapping[str, int], part: Mapping[str, int]) -> dict[str, int]:
    """What the classes of a part of the rows are raised to, to stand to each other as those of the whole.

    Args:
      raised, whole: rows that each class of the whole is raised to, and has.
      part: rows that it has in the part.
    """
    share = sum(part.values()) / sum(whole.values())
    return {
        name: max(count + 1, round(share * raised[name])) if raised[name] > whole[name] else count
        for name, count in part.items()
    }
