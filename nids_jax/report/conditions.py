"""Records by arm: what may be compared with what, its mean over split seeds, and paired differences; tables of them.

An arm is a training set (`generator`) with a classifier, within one experiment, dataset and number of shots.  Every
interval is over split seeds: several generations of one split count once (see `nids_jax.evaluation.statistics`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nids_jax.evaluation.statistics import Interval, mean_interval, paired_interval, split_means

Record = Mapping[str, Any]

GENERATORS = [
    *("real", "real_weighted", "copies", "jitter", "smote", "adasyn", "cddpm", "cddpm_calibrated"),
    *("cddpm_adapted", "cddpm_edit", "packets", "packets_resent"),
    *("wgan", "wgan_per_class", "wcgan_gp", "vae", "vae_wgan", "vae_wgan_gp", "vae_wgan_gp_per_class", "real_all"),
]
CLASSIFIERS = [
    *("cnn_bigru", "cnn_bilstm", "bilstm_bigru", "bilstm"),
    *("random_forest", "extra_trees", "knn", "xgboost", "decision_tree"),
    *("self_training", "label_spreading"),
]


ENOUGH_SEEDS = 5  # below it a comparison is only preliminary


class Group(NamedTuple):
    """Runs that may be compared with each other."""

    experiment: str
    dataset: str
    shots: int | str | None

    def __str__(self) -> str:
        name = f"{self.experiment} on {self.dataset}"
        return name if self.shots is None else f"{name}, {self.shots} shots"


class Arm(NamedTuple):
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


def arms(records: Iterable[Record]) -> dict[Group, dict[Arm, list[Record]]]:
    """The records of each arm of each group, in an order that does not depend on theirs."""
    found: dict[Group, dict[Arm, list[Record]]] = {}
    for record in records:
        group = Group(record["experiment"], record["dataset"], record["shots"])
        arm = Arm(record["generator"], record["classifier"])
        found.setdefault(group, {}).setdefault(arm, []).append(record)
    by_group = sorted(found, key=lambda g: (str(g.experiment), str(g.dataset), _number_first(g.shots)))
    return {group: {arm: found[group][arm] for arm in sorted(found[group], key=_arm_order)} for group in by_group}


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
    return mean_interval(means.values()) if means else None


def difference(group: Mapping[Arm, list[Record]], arm: Arm, control: Arm, metric: str) -> Interval | None:
    """metric(arm) − metric(control), paired by split seed; None if they share none or are the same arm."""
    if arm == control or arm not in group or control not in group:
        return None
    return paired_interval(by_split(group[arm], metric), by_split(group[control], metric))


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


def _arm_order(arm: Arm) -> tuple[Any, ...]:
    return (*_known_first(arm.generator, GENERATORS), *_known_first(arm.classifier, CLASSIFIERS))


def _known_first(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), str(name))


def _number_first(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int)
    return (not number, value if number else 0, str(value))
