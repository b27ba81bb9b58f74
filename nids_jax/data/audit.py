"""Signs that a test is too easy: rows almost in the training set, and single features that give a class away."""

from dataclasses import dataclass

import numpy as np

from nids_jax.data.duplicates import repeats
from nids_jax.data.near import has_near
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, shown

_ROWS = 1024  # scaled at once: few enough for the cache
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
        rules = _best_rules(table.x[:, column], table.y, counts)
        for label, (threshold, above, score) in zip(present, rules, strict=False):
            stumps.append(
                Stump(
                    feature=feature,
                    name=table.classes[label],
                    threshold=threshold,
                    above=above,
                    balanced_accuracy=score,
                )
            )
        overall[feature] = float(np.mean([score for *_, score in rules])) if rules else 0.5
    stumps.sort(key=lambda stump: -stump.balanced_accuracy)
    best: dict[str, Stump] = {}
    for stump in stumps:
        best.setdefault(stump.name, stump)
    return LeakageReport(
        leaks=tuple(stump for stump in stumps if stump.balanced_accuracy >= LEAK),
        best={table.classes[label]: best[table.classes[label]] for label in present if table.classes[label] in best},
        overall=dict(sorted(overall.items(), key=lambda item: -item[1])),
    )


def _best_rules(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> list[tuple[float, bool, float]]:
    """For each class that has rows its best rule on a column: threshold, whether above it, balanced accuracy.

    No rules where all values are equal.  The accuracy of `x > t` rises with t past the rows of other classes and falls
    past the class's own: so it is highest just before a value of the class and lowest just after one, or at either end.
    Looking there alone takes a time that does not depend on the number of classes.

    Args:
      x: the column [n].
      y: labels [n].
      counts: rows of each class.
    """
    order = np.argsort(x)
    x, y = x[order], y[order]
    ends = np.flatnonzero(x[1:] != x[:-1])  # last row of each distinct value but the largest
    if not len(ends):
        return []
    value = np.repeat(np.arange(len(ends) + 1), np.diff(np.r_[-1, ends, len(x) - 1]))  # of each row, which one
    by_class = np.argsort(y.astype(np.uint16) if len(counts) <= 1 << 16 else y, kind="stable")  # 16 bits: one pass
    value = value[by_class]
    rules: list[tuple[float, bool, float]] = []
    for label, stop in zip(np.flatnonzero(counts), np.cumsum(counts[counts > 0]), strict=True):
        count = counts[label]
        own = value[stop - count : stop]
        starts = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])  # of the class's distinct values
        edges = np.r_[starts, count]  # rows of the class below each of them, and in all
        # `x > t` past so many values of all, with the class's rows below: at the lower end, around its own values, and
        # at the upper end.
        cuts = np.empty(2 * len(starts) + 2, np.int64)
        below = np.empty(len(cuts))
        cuts[0], cuts[1:-1:2], cuts[2:-1:2], cuts[-1] = 0, own[starts] - 1, own[starts], len(ends) - 1
        below[0], below[1:-1:2], below[2:-1:2] = edges[int(own[0] == 0)], edges[:-1], edges[1:]
        below[-1] = edges[-2] if own[-1] == len(ends) else count
        within = (cuts >= 0) & (cuts < len(ends))
        cuts, below = cuts[within], below[within]
        recall = below / count
        rest = (ends[cuts] + 1 - below) / (len(x) - count)
        balance = (1 + rest - recall) / 2  # of `x > t` as the rule; its mirror image scores 1 − balance
        score = np.maximum(balance, 1 - balance)
        best = score.argmax()
        low, high = x[ends[cuts[best]]], x[ends[cuts[best]] + 1]
        middle = low / 2 + high / 2
        threshold = float(middle if middle < high else low)  # neighbouring floats have no middle
        rules.append((threshold, bool(balance[best] >= 0.5), float(score[best])))
    return rules


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
        found = np.empty(x.shape)
        for start in range(0, len(x), _ROWS):
            part = x[start : start + _ROWS]
            found[start : start + _ROWS] = np.sign(part) * np.log1p(np.minimum(np.abs(part) / unit, largest))
        return found

    largest = np.finfo(float).max
    with np.errstate(over="ignore"):  # a huge value over a tiny unit
        known, asked = scaled(train.x), scaled(test.x)
    return int(has_near(asked, known[~repeats(known)], tolerance).sum())
