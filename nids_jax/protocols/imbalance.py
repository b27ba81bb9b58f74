"""Balancing rare attacks: each over-sampler with each classifier on a whole, imbalanced training set (P2).

One run is a stratified split of the table, a training set ("arm") and a classifier; each finished run is one record on
disk, and a record that is there is never computed again.

How far the classes are raised is chosen among the same few fractions for every arm and classifier, on a part of the
training rows that stands in for the test rows; the test rows choose nothing.  `real` has nothing to choose.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax

from nids_jax import random, store
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.data.sampling_strategy import Strategy, raised_counts
from nids_jax.data.split import stratified
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.pipeline.oversampling import ARMS, REAL, Bench
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock

TEST_SHARE = 0.3  # of each class
VALIDATION_SHARE = 0.25  # of each class's training rows, to choose a fraction on
TUNING = "tuning.json"


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What to run; what an arm is, `oversampling.Bench` says."""

    dataset: str
    preset: Preset
    strategy: Strategy = "auto"  # the rows that each class is raised to …
    fractions: tuple[float, ...] = (0.03, 0.1, 0.3)  # … and the shares of the way there to choose from
    split_seeds: int = 5
    generations: int = 1  # per split: further rows from the same trained generator
    arms: tuple[str, ...] = ARMS
    classifiers: tuple[str, ...] = ("xgboost", "random_forest", "decision_tree")
    progress: bool = True

    def __post_init__(self) -> None:
        check_names("generators", self.arms, ARMS)
        check_names("classifiers", self.classifiers, CLASSIFIERS)
        for name in ("split_seeds", "generations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.fractions or not all(0 < fraction <= 1 for fraction in self.fractions):
            given = ",".join(f"{fraction:g}" for fraction in self.fractions)
            raise InputError(f"--fractions is {given!r}; give one or more above 0 and up to 1, such as 0.03,0.1,0.3")

    def raised(self, train: FlowTable) -> dict[str, int]:
        """The rows that each class of the training rows is raised to, at fraction 1.

        Raises:
          InputError: the strategy does not fit the classes or raises none, or a class has too few rows to choose on.
        """
        counts = train.counts
        raised = raised_counts(self.strategy, counts)
        if raised == counts:
            has = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise InputError(f"--sampling_strategy={self.strategy} raises no class; the training rows are {has}")
        alone = [name for name, count in counts.items() if count == 1]
        if alone and len(self.fractions) > 1:
            raise InputError(
                f"class {alone[0]!r} has 1 row to train on, and choosing among fractions takes 2: exclude it, or give "
                "--fractions one number"
            )
        return raised


def run(table: FlowTable, job: Balance, output_dir: Path, command: Sequence[str], say: Callable[[str], None]) -> None:
    """Do every run of `job` that `output_dir` does not record yet.

    Args:
      table: deduplicated flows.
      output_dir: receives store.jsonl, tuning.json and runs/.
      command: the program's arguments, for the records.
      say: called with one line per finished run and per fraction tried.

    Raises:
      InputError: a class with too few rows, a strategy that does not fit the classes, or files of another job.
      TrainingError: a training diverged.
    """
    environment, clock = store.environment(command), CompileClock()
    for seed in range(job.split_seeds):
        done = store.finished(output_dir)
        missing = {
            (arm, generation): [name for name in job.classifiers if _key(job, arm, name, seed, generation) not in done]
            for arm in job.arms
            for generation in range(1 if arm in REAL else job.generations)
        }
        if any(missing.values()):
            _Splitting(table, job, seed, output_dir, environment, clock, say).run(missing)


def describe(table: FlowTable, job: Balance) -> dict[str, Any]:
    """For data.json: the deduplicated table's counts, and of split 0 the training rows and what these are raised to.

    Raises:
      InputError: as `run`, before anything is computed.
    """
    split = stratified(table, TEST_SHARE, 0)
    return {
        "dataset": job.dataset,
        "counts": table.counts,
        "training_rows": split.train.counts,
        "raised_to": job.raised(split.train),
    }


class _Splitting:
    """All runs on one split of the table."""

    def __init__(
        self,
        table: FlowTable,
        job: Balance,
        seed: int,
        output_dir: Path,
        environment: dict[str, Any],
        clock: CompileClock,
        say: Callable[[str], None],
    ):
        self.job, self.seed, self.output_dir = job, seed, output_dir
        self.environment, self.say = environment, say
        split, directory = stratified(table, TEST_SHARE, seed), output_dir / "runs" / f"split{seed}"
        raised, key = job.raised(split.train), random.stream(jax.random.key(seed), "balance")
        bench = partial(
            Bench,
            dataset=job.dataset,
            preset=job.preset,
            largest=max(job.fractions),
            seed=seed,
            clock=clock,
            progress=job.progress,
        )
        self.bench = bench(train=split.train, held=split.test, raised=raised, directory=directory, key=key)
        if len(job.fractions) > 1:
            part = stratified(split.train, VALIDATION_SHARE, seed)
            self.trial = bench(
                train=part.train,
                held=part.test,
                raised=_in_proportion(raised, split.train.counts, part.train.counts),
                directory=directory / "tuning",
                key=random.stream(key, "tuning"),
                keep=False,
            )

    def run(self, missing: Mapping[tuple[str, int], Sequence[str]]) -> None:
        """`missing`: the classifiers to run of each arm and generation."""
        for (arm, generation), names in missing.items():
            # All choices first: the two benches hold one arm's rows each.
            for name, fraction in [(name, self._fraction(arm, name)) for name in names]:
                key = _key(self.job, arm, name, self.seed, generation)
                found = self.bench.classify(arm, generation, fraction, name)
                record = {**dict(zip(store.KEY, key, strict=True)), **found, "environment": self.environment}
                store.append(self.output_dir, record)
                self.say(
                    f"split {self.seed}, {arm}{f' {generation}' if generation else ''}, {name}: macro-F1"
                    f" {found['metrics']['macro_f1']:.4f}, rows generated {found['rows']['generated']}"
                )

    def _fraction(self, arm: str, name: str) -> float:
        """The fraction with the highest macro F1 on the validation rows, where there is something to choose."""
        fractions = self.job.fractions
        if arm == "real" or len(fractions) == 1:
            return fractions[0]
        entry = f"split {self.seed}, {arm}, {name}"
        scores = self._tuning().get(entry, {})
        for fraction in fractions:
            if str(fraction) not in scores:
                scores[str(fraction)] = self.trial.classify(arm, 0, fraction, name)["metrics"]["macro_f1"]
                store.write_json(self.output_dir / TUNING, {**self._tuning(), entry: scores})
                score = f"macro-F1 {scores[str(fraction)]:.4f}"
                self.say(f"split {self.seed}, tuning {name} on {arm}: fraction {fraction:g}, {score}")
        return max(fractions, key=lambda fraction: scores[str(fraction)])

    def _tuning(self) -> dict[str, dict[str, float]]:
        """{split, arm and classifier: {fraction: macro F1 on the validation rows}} so far."""
        path = self.output_dir / TUNING
        return store.read_json(path) if path.exists() else {}


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


def _key(job: Balance, arm: str, classifier: str, seed: int, generation: int) -> store.RunKey:
    return ("balance", job.dataset, arm, classifier, None, seed, generation)
