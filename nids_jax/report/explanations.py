"""What the explanations say: P1's Fig. 8, the features that weigh most, and those that P1 names."""

from collections.abc import Mapping

import numpy as np

from nids_jax.data.datasets import printed
from nids_jax.report.conditions import Condition, Group, Record, Table, interval, show

EXPERIMENTS = ("explanations",)
_SHOWN = 10


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """Accuracy and errors of each detector, its ten heaviest features, and the ranks of the features that P1 names."""
    found = [_runs(group, members)]
    for condition, runs in members.items():
        names, weights = _weights(runs)
        order = np.argsort(-weights.mean(axis=0), kind="stable")[:_SHOWN]
        ranks = _ranks(weights)
        rows = [
            (str(place), names[j], f"{weights[:, j].mean():.4f}", ", ".join(map(str, ranks[:, j])))
            for place, j in enumerate(order, start=1)
        ]
        header = ("rank", "feature", "mean |φ|", "rank in each split")
        found.append(Table(f"{group}: features that weigh most with {condition.classifier}", header, rows))
    named = printed(group.dataset).explained
    if named:
        found.append(_named(group, members, named))
    return found


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """Where P1's features stand with each detector."""
    sentences = []
    for condition, runs in members.items():
        names, weights = _weights(runs)
        ranks = _ranks(weights.mean(axis=0, keepdims=True))[0]
        parts = [f"{name} {_place(name, names, ranks)}" for name in printed(group.dataset).explained]
        heaviest = names[int(np.argmax(weights.mean(axis=0)))]
        named = f"; the features that P1 names: {', '.join(parts)}" if parts else ""
        sentences.append(f"{group}: {heaviest} weighs most with {condition.classifier}{named}.")
    return sentences


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """No confusion matrices."""
    return []


def _runs(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    rows = []
    for condition, runs in members.items():
        errors = [
            max(float(run["explanation"][name] or 0) for run in runs)
            for name in ("relative_error", "single_relative_error")
        ]
        counted = ", ".join(dict.fromkeys(str(run["explanation"]["rows"]) for run in runs))
        rows.append(
            (
                condition.classifier,
                show(interval(runs, "accuracy")),
                counted,
                *("exact" if not error else f"{error:.0%}" for error in errors),
            )
        )
    header = ("detector", "accuracy", "rows explained", "error of φ", "error of φ, rows shown by themselves")
    note = "Errors: root mean square of the standard errors over that of the values; the largest of the splits."
    return Table(f"{group}: detectors explained", header, rows, note)


def _named(group: Group, members: Mapping[Condition, list[Record]], named: tuple[str, ...]) -> Table:
    rows = []
    for condition, runs in members.items():
        names, weights = _weights(runs)
        for name in named:
            each = [_place(name, names, ranks) for ranks in _ranks(weights)]
            rows.append((condition.classifier, name, ", ".join(each)))
    return Table(f"{group}: the features that P1 names", ("detector", "feature", "rank in each split"), rows)


def _weights(runs: list[Record]) -> tuple[list[str], np.ndarray]:
    """The columns and their mean |φ| in each run, [runs, columns]."""
    names = list(dict.fromkeys(name for run in runs for name in run["explanation"]["mean_abs"]))
    found = [[float(run["explanation"]["mean_abs"].get(name, 0.0)) for name in names] for run in runs]
    return names, np.array(found)


def _ranks(weights: np.ndarray) -> np.ndarray:
    """Rank of each column in each run, 1 for the heaviest, ties in the columns' order: [runs, columns]."""
    return np.argsort(np.argsort(-weights, axis=1, kind="stable"), axis=1) + 1


def _place(name: str, names: list[str], ranks: np.ndarray) -> str:
    return f"{ranks[names.index(name)]} of {len(names)}" if name in names else "not among the columns"
