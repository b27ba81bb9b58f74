"""Signs that a test is too easy: rows almost in the training set, and single features that give a class away."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import KDTree

from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, shown

LEAK = 0.99  # balanced accuracy from which one feature counts as separating a class


@dataclass(frozen=True, kw_only=True)
class Stump:
    """A depth-1 tree on one feature: rows with `feature > threshold` (or ≤, if not `above`) belong to the class."""

    feature: str
    name: str  # the class
    threshold: float
    above: bool
    balanced_accuracy: float  # mean of the class's recall and of the recall of all other rows

    def __str__(self) -> str:
        sign = ">" if self.above else "≤"
        return f"{shown(self.name)}: {shown(self.feature)} {sign} {self.threshold:g} ({self.balanced_accuracy:.4f})"


@dataclass(frozen=True, kw_only=True)
class LeakageReport:
    """What single features reveal."""

    leaks: tuple[Stump, ...]  # balanced accuracy ≥ LEAK, best first
    best: dict[str, Stump]  # class -> its best single feature, leak or not
    overall: dict[str, float]  # feature -> mean over the classes of its best balanced accuracy, best first

    def __str__(self) -> str:
        """The leaks, a class a line, and the feature that tells most classes apart."""
        lines = [f"{len(self.leaks)} single features separate a class (balanced accuracy ≥ {LEAK}):"]
        for name in self.best:
            found = [leak for leak in self.leaks if leak.name == name]
            if found:
                more = f", and {len(found) - 3} more" if len(found) > 3 else ""
                rules = "; ".join(str(leak).removeprefix(f"{shown(name)}: ") for leak in found[:3])
                lines.append(f"  {shown(name)}: {rules}{more}")
        feature, score = next(iter(self.overall.items()))
        lines.append(f"over all classes {shown(feature)} tells most apart: mean balanced accuracy {score:.4f}")
        return "\n".join(lines)


def leakage_report(table: FlowTable) -> LeakageReport:
    """Every feature with which a depth-1 tree alone separates a class from the rest.

    For each feature and class, over all thresholds t between two neighbouring values, the best balanced accuracy
    ½ (P(x > t | class) + P(x ≤ t | rest)) or its mirror image; for all classes together, the mean of these.  (A tree of
    two leaves cannot tell more than two classes apart, so the classes are judged one by one.)  Give it the whole
    table: in a few rows something separates by chance.

    Raises:
      InputError: there are fewer than two classes with rows.
    """
    counts = np.bincount(table.y, minlength=len(table.classes))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise InputError(f"{len(present)} class has rows; a leakage report compares at least 2")
    stumps: list[Stump] = []
    overall: dict[str, float] = {}
    for column, feature in enumerate(table.features):
        values, below = _cumulative(table.x[:, column], table.y, present)  # [t], [t, c]
        if len(values) < 2:
            overall[feature] = 0.5
            continue
        recall = below / counts[present]  # share of each class at or below each value
        rest = (below.sum(axis=1, keepdims=True) - below) / (len(table) - counts[present])
        balance = (1 + rest - recall) / 2  # of `x > t` as the rule; its mirror image scores 1 − balance
        score = np.maximum(balance, 1 - balance)
        where = score.argmax(axis=0)
        for place, label in enumerate(present):
            low, high = values[where[place]], values[where[place] + 1]
            middle = low / 2 + high / 2
            stumps.append(
                Stump(
                    feature=feature,
                    name=table.classes[label],
                    threshold=float(middle if middle < high else low),  # neighbouring floats have no middle
                    above=bool(balance[where[place], place] >= 0.5),
                    balanced_accuracy=float(score[where[place], place]),
                )
            )
        overall[feature] = float(score.max(axis=0).mean())
    stumps.sort(key=lambda stump: -stump.balanced_accuracy)
    best: dict[str, Stump] = {}
    for stump in stumps:
        best.setdefault(stump.name, stump)
    return LeakageReport(
        leaks=tuple(stump for stump in stumps if stump.balanced_accuracy >= LEAK),
        best={table.classes[label]: best[table.classes[label]] for label in present if table.classes[label] in best},
        overall=dict(sorted(overall.items(), key=lambda item: -item[1])),
    )


def _cumulative(x: np.ndarray, y: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values [u] of x, and for all but the last the rows of each class at or below it [u − 1, c]."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    ends = np.flatnonzero(x[1:] != x[:-1])
    values = x[np.r_[ends, len(x) - 1]]
    below = np.empty((len(ends), len(present)))
    for place, label in enumerate(present):
        below[:, place] = np.cumsum(y == label)[ends]
    return values, below


def near_duplicates(train: FlowTable, test: FlowTable, tolerance: float = 1e-3) -> int:
    """How many test rows have a training row that agrees with them in every feature to about `tolerance`.

    Two values a, b of a feature agree if |s(a) − s(b)| ≤ tolerance with s(v) = sign(v) · log(1 + |v|/u), which is a
    relative difference for |v| ≫ u and a difference in units of u below.  u is 1 (µs, byte, packet), or for a feature
    of smaller values the mean size of its non-zero training values.

    Args:
      train: the rows that were trained on.
      test: rows of the same features, whatever their labels.
      tolerance: at least 0; 0 counts repeats up to the last digits.

    Raises:
      InputError: the features differ, or the tolerance is negative.
    """
    if train.features != test.features:
        raise InputError("the training and test rows have different features, so they cannot be compared")
    if tolerance < 0:
        raise InputError(f"the tolerance is {tolerance}; it must be at least 0")
    if not len(train) or not len(test):
        return 0
    size = np.abs(train.x)
    nonzero = np.maximum((size > 0).sum(axis=0), 1)
    mean = (size / nonzero).sum(axis=0)  # divided first, so that huge values do not overflow
    unit = np.where(mean > 0, np.minimum(mean, 1), 1)

    def scaled(x: np.ndarray) -> np.ndarray:
        return np.sign(x) * np.log1p(np.minimum(np.abs(x) / unit, np.finfo(float).max))

    with np.errstate(over="ignore"):  # a huge value over a tiny unit
        known, asked = np.unique(scaled(train.x), axis=0), scaled(test.x)
    near = KDTree(known, metric="chebyshev").query_radius(asked, r=tolerance, count_only=True)
    return int((near > 0).sum())
