"""Records by condition: what may be compared with what, its mean over split seeds, paired differences.

A condition is a training set (`generator`) with a classifier, within one experiment, dataset and number of shots.
Every interval is over split seeds: several generations of one split count once (see `nids_jax.evaluation.statistics`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nids_jax.evaluation.statistics import Interval, mean_interval, paired_interval, split_means

Record = Mapping[str, Any]

BOUNDED = ("accuracy", "recall", "precision", "f1", "rate", "flagged")  # what the names of shares of 1 end in

WEIGHTED = {"weighted_precision": "weighted P", "weighted_recall": "weighted R", "weighted_f1": "weighted F1"}

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
    means = split_means(by_split(records, metric))
    found = mean_interval(means.values()) if means else None
    return within(found, 0.0, 1.0) if _is_share(metric) else found


def difference(
    group: Mapping[Condition, list[Record]], condition: Condition, control: Condition, metric: str
) -> Interval | None:
    """metric(condition) − metric(control), paired by split seed; None if they share none or are the same condition."""
    if condition == control or condition not in group or control not in group:
        return None
    found = paired_interval(by_split(group[condition], metric), by_split(group[control], metric))
    return within(found, -1.0, 1.0) if _is_share(metric) else found


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
