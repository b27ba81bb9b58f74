"""What the learning curve says: figures by real rows per class, and what rows with simulation are worth without."""

from collections.abc import Mapping

import numpy as np

from nids_jax.evaluation.statistics import Interval, mean_interval
from nids_jax.report.conditions import (
    Condition,
    Group,
    Record,
    Table,
    by_split,
    difference,
    interval,
    kind_of_interval,
    show,
    within,
)

EXPERIMENTS = ("learning_curve",)
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "attack_recall_at_0.01": "attack recall at FPR 1 %",
}
Curve = Mapping[int, Mapping[Condition, list[Record]]]  # by real rows per class


def tables(group: Group, curve: Curve) -> list[Table]:
    """Of each classifier and metric, a line for each number of real rows: without, with, difference, worth."""
    found = []
    for classifier in classifiers(curve):
        for metric, title in METRICS.items():
            rows = [_line(curve, shots, classifier, metric) for shots in sorted(curve)]
            if any(cell != "–" for row in rows for cell in row[1:3]):
                header = ("real rows a class", "real", "real and simulated", "difference", "worth so many real rows")
                note = (
                    f"Differences are paired.  {kind_of_interval(_all(curve))}  Worth: the real rows with which the "
                    "detector without simulation does as well, interpolated on a logarithmic scale within each split; "
                    "its interval is Student's t."
                )
                name = f"{group.experiment} on {group.dataset}, {classifier}: {title}"
                found.append(Table(name, header, rows, note))
    return found


def verdict(group: Group, curve: Curve) -> list[str]:
    """A sentence for each classifier: what the smallest and a middle number of rows with simulation are worth."""
    sentences = []
    for classifier in classifiers(curve):
        parts = []
        for shots in [each for each in sorted(curve) if each in (0, 1, 5)]:
            value = worth(curve, shots, classifier, "accuracy")
            if value is not None:
                rows = "1 real row" if shots == 1 else f"{shots or 'no'} real rows"
                parts.append(f"{rows} a class with simulation are worth {_rows(value, max(curve))} without")
        if parts:
            sentences.append(f"{group.experiment} on {group.dataset}, {classifier}, accuracy: {'; '.join(parts)}.")
    return sentences


def classifiers(curve: Curve) -> list[str]:
    """The classifiers of the curve, in the order of the reports."""
    return list(dict.fromkeys(condition.classifier for members in curve.values() for condition in members))


def worth(curve: Curve, shots: int, classifier: str, metric: str) -> Interval | None:
    """The real rows per class that do as well alone as `shots` of them with simulated ones; None without such runs.

    Within each split the real rows' own curve, made rising, is interpolated linearly in log(1 + rows), from 0 rows at
    the metric's value 0; what lies above its end counts as its end.  The interval is Student's t in log(1 + rows).
    """
    with_simulation = by_split(curve[shots].get(Condition("simulated", classifier), ()), metric)
    counts = sorted(n for n in curve if Condition("real", classifier) in curve[n])
    alone = {n: by_split(curve[n][Condition("real", classifier)], metric) for n in counts}
    found = []
    for seed, values in with_simulation.items():
        if counts and all(seed in alone[n] for n in counts):
            heights = np.maximum.accumulate([0.0, *(float(np.mean(alone[n][seed])) for n in counts)])
            found.append(float(np.interp(np.mean(values), heights, np.log1p([0, *counts]))))
    if not found:
        return None
    return within(mean_interval(found), 0.0, float(np.log1p(max(counts))))


def _all(curve: Curve) -> dict[Condition, list[Record]]:
    found: dict[Condition, list[Record]] = {}
    for members in curve.values():
        for condition, runs in members.items():
            found.setdefault(condition, []).extend(runs)
    return found


def _rows(value: Interval, most: int) -> str:
    """`4.2 [3.1, 5.6]`; `over 100` where the curve ends before."""
    mean, *bounds = (float(np.expm1(x)) for x in (value.mean, value.low, value.high) if x is not None)
    if mean > 0.99 * most:
        return f"over {most}"
    return f"{mean:.1f}" + (f" [{bounds[0]:.1f}, {bounds[1]:.1f}]" if bounds else "")


def _line(curve: Curve, shots: int, classifier: str, metric: str) -> tuple[str, ...]:
    members, conditions = curve[shots], [Condition(name, classifier) for name in ("real", "simulated")]
    real, simulated = (interval(members.get(each, ()), metric) for each in conditions)
    value = worth(curve, shots, classifier, metric)
    return (
        str(shots),
        show(real),
        show(simulated),
        show(difference(members, conditions[1], conditions[0], metric), signed=True),
        "–" if value is None else _rows(value, max(curve)),
    )
