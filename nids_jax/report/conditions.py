"""Records by condition: what may be compared with what, its mean over split seeds, paired differences.

A condition is a training set (`generator`) with a classifier, within one experiment, dataset and number of shots.
Every interval is over split seeds: several generations of one split count once (see `nids_jax.evaluation.statistics`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nids_jax.evaluation.statistics import Interval, mean_interval, paired_interval, share_interval, split_means

Record = Mapping[str, Any]

BOUNDED = ("accuracy", "recall", "precision", "f1", "rate", "flagged")  # what the names of shares of 1 end in

WEIGHTED = {"weighted_precision": "weighted P", "weighted_recall": "weighted R", "weighted_f1": "weighted F1"}

FILLED = ("imbalance",)  # experiments whose splits divide all rows of the table into those to train and to test on

ENOUGH_SEEDS = 5  # below it a comparison is only preliminary


class Group(NamedTuple):
    """Runs that may be compared with each other."""

    experiment: str
    dataset: str
    shots: int | str | None

    def __str__(self) -> str:
        name = f"{self.experiment} on {self.dataset}"
        return name if self.shots is None else f"{name}, {self.shots} shots"


class Condition(NamedTuple):
    """A training set and the classifier trained on it."""

    generator: str
    classifier: str

    def __str__(self) -> str:
        return f"{self.classifier} on {self.generator}"


class Table(NamedTuple):
    """A table as text, for Markdown and HTML alike."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


def grouped(records: Iterable[Record]) -> dict[Group, dict[Condition, list[Record]]]:
    """The records of each condition of each group, in an order that does not depend on theirs."""
    found: dict[Group, dict[Condition, list[Record]]] = {}
    for record in records:
        group = Group(record["experiment"], record["dataset"], record["shots"])
        condition = Condition(record["generator"], record["classifier"])
        found.setdefault(group, {}).setdefault(condition, []).append(record)
    by_group = sorted(found, key=lambda g: (str(g.experiment), str(g.dataset), _number_first(g.shots)))
    return {
        group: {condition: found[group][condition] for condition in sorted(found[group], key=_order)}
        for group in by_group
    }


def by_split(records: Iterable[Record], metric: str) -> dict[int, list[float]]:
    """{split seed: the metric of each generation}; runs without the metric are left out."""
    values: dict[int, list[float]] = {}
    for record in records:
        value = record["metrics"].get(metric)
        if value is not None:
            values.setdefault(record["split_seed"], []).append(float(value))
    return values


def interval(records: Iterable[Record], metric: str) -> Interval | None:
    """The metric's mean over split seeds with its 95 % interval; None where no run has it."""
    records = list(records)
    means = split_means(by_split(records, metric))
    if not means:
        return None
    found = mean_interval(means.values(), overlap=_overlap(records), common=_common(records, (), metric))
    return share_interval(found) if _is_share(metric) else found


def difference(
    group: Mapping[Condition, list[Record]], condition: Condition, control: Condition, metric: str
) -> Interval | None:
    """metric(condition) − metric(control), paired by split seed; None if they share none or are the same condition."""
    if condition == control or condition not in group or control not in group:
        return None
    runs, others = group[condition], group[control]
    found = paired_interval(
        by_split(runs, metric),
        by_split(others, metric),
        overlap=_overlap([*runs, *others]),
        common=_common(runs, others, metric),
    )
    return within(found, -1.0, 1.0) if _is_share(metric) else found


def kind_of_interval(members: Mapping[Condition, list[Record]]) -> str:
    """A sentence for under a table of these runs: what its intervals are."""
    records = [run for runs in members.values() for run in runs]
    if _overlap(records):
        return "Intervals: 95 %, the corrected resampled t (Nadeau and Bengio 2003), as the splits share rows."
    if records and all(record.get("redraws") for record in records):
        return "Intervals: 95 %, Student's t over split seeds, widened for the test rows that splits have in common."
    return "Intervals: 95 %, Student's t over split seeds; that splits share test rows is not allowed for."


def _overlap(records: Sequence[Record]) -> float:
    """Rows that test over rows that train, where splits fill the table."""
    if not records or any(record["experiment"] not in FILLED for record in records):
        return 0.0
    trained = sum(record["rows"]["train"] for record in records if record.get("rows", {}).get("train"))
    return sum(record["rows"]["test"] for record in records) / trained if trained else 0.0


def _common(runs: Iterable[Record], others: Iterable[Record], metric: str) -> float:
    """The variance of a metric, or of its difference, over test rows drawn again: the mean of all split seeds.

    0 where a run has none, as one of an earlier version, or none of this metric.
    """
    drawn: list[dict[int, np.ndarray]] = []
    for records in (runs, others):
        each: dict[int, list[list[float]]] = {}
        for record in records:
            values = record.get("redraws", {}).get(metric)
            if values is None:
                return 0.0
            each.setdefault(record["split_seed"], []).append(values)
        drawn.append({seed: np.mean(values, axis=0) for seed, values in each.items()})
    own, control = drawn
    shared = own.keys() & control.keys() if control else own.keys()
    return float(np.mean([np.var(own[seed] - control.get(seed, 0.0), ddof=1) for seed in shared])) if shared else 0.0


def within(value: Interval | None, least: float, most: float) -> Interval | None:
    """The part of an interval within the bounds: a share of 1 cannot be above it, whatever Student's t says."""
    if value is None or value.low is None or value.high is None:
        return value
    return value._replace(low=max(value.low, least), high=min(value.high, most))


def _is_share(metric: str) -> bool:
    return metric.endswith(BOUNDED) or metric.startswith("attack_recall_at_")


def mean_recall(records: Iterable[Record], name: str) -> str:
    """The mean recall of the class called `name` over the runs that tested it; – for none."""
    values = [record["metrics"].get("per_class_recall", {}).get(name) for record in records]
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else "–"


def show(value: Interval | None, *, signed: bool = False) -> str:
    """`0.863 [0.841, 0.885]`; without the brackets for one seed; – for none."""
    if value is None:
        return "–"
    form = "{:+.4f}" if signed else "{:.3f}"
    mean, *bounds = (form.format(round(x, 4) + 0.0) for x in (value.mean, value.low, value.high) if x is not None)
    return f"{mean} [{', '.join(bounds)}]" if bounds else mean


def _order(condition: Condition) -> tuple[Any, ...]:
    """As the registries list them: real rows, generators by their order (each T after the other), more real rows."""
    from nids_jax.classifiers.registry import CLASSIFIERS  # here: what reads a report needs no models
    from nids_jax.generators.registry import GENERATORS
    from nids_jax.pipeline.names import REAL, TrainingSetName

    name = TrainingSetName(condition.generator)
    generators = ["real", "real_weighted", *GENERATORS, *REAL]
    return (
        *_known_first(name.generator, generators),
        name.timesteps or 0,
        condition.generator,
        *_known_first(condition.classifier, list(CLASSIFIERS)),
    )


def _known_first(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), str(name))


def _number_first(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int)
    return (not number, value if number else 0, str(value))
