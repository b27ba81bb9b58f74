"""The figures of an experiment's records, each with what the page says about it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from nids_jax.errors import InputError
from nids_jax.report import (
    cost,
    detector_comparison,
    explanations,
    figure_data,
    figures,
    generator_comparison,
    imbalance,
    learning_curve,
    paper_figures,
    sampler_tradeoff,
    zero_shot,
)
from nids_jax.report.conditions import Condition, Group, Record, grouped
from nids_jax.report.tables import of_shots
from nids_jax.report.tables import section as section_of


class Drawn(NamedTuple):
    """A figure with its file name, what the page says about it, what it shows in words, and as a table."""

    name: str
    title: str
    caption: str
    figure: Figure
    alt: str
    data: figure_data.Data


def results(records: list[dict[str, Any]]) -> list[Drawn]:
    """Accuracy, each experiment's own figures and confusion matrices.

    Raises:
      InputError: no records, or a confusion matrix that does not fit its classes.
    """
    groups = grouped(records)
    if not groups:
        raise InputError("there are no finished runs")
    apart = (cost, sampler_tradeoff, learning_curve, zero_shot, explanations)  # these have other figures, or none
    judged = {group: members for group, members in groups.items() if section_of(group) not in apart}
    drawn = [
        Drawn(
            f"curve{i + 1}",
            f"Learning curve: {group}",
            "Bands: 95 % over split seeds.",
            figures.learning_curve(curve),
            f"Lines of accuracy by real rows a class. {figure_data.told_scores(_apart(group, curve))}",
            figure_data.scores(_apart(group, curve)),
        )
        for i, (group, curve) in enumerate(of_shots(groups, learning_curve).items())
    ]
    if judged:
        alt, data = figure_data.told_scores(judged), figure_data.scores(judged)
        drawn.append(Drawn("accuracy", "Accuracy", "", figures.accuracy(judged), alt, data))
    drawn += [
        Drawn(
            f"detectors{i + 1}",
            f"Detectors: {group}",
            "Means and 95 % intervals over split seeds (P1's Fig. 5).",
            paper_figures.detectors(by_shots),
            f"Bars of each detector by rows a class. {figure_data.told_scores(_apart(group, by_shots))}",
            figure_data.scores(_apart(group, by_shots)),
        )
        for i, (group, by_shots) in enumerate(of_shots(groups, detector_comparison).items())
    ]
    for i, (group, members) in enumerate(groups.items()):
        own = section_of(group)
        caption = "Means and 95 % intervals over split seeds."
        if own in (generator_comparison, imbalance):
            alt, data = figure_data.told_scores({group: members}, "macro_f1"), figure_data.scores({group: members})
            figure = figures.quality(members)
            drawn.append(Drawn(f"quality{i + 1}", f"Training sets: {group}", caption, figure, alt, data))
            caption = f"Means over split seeds{' (P1, Fig. 7)' if own is generator_comparison else ''}."
            figure = paper_figures.radar(members)
            alt = figure_data.told_scores({group: members}, "weighted_f1")
            drawn.append(Drawn(f"radar{i + 1}", f"At a glance: {group}", caption, figure, alt, data))
        if own is sampler_tradeoff:
            points = sampler_tradeoff.points(members)
            figure, data = figures.sampler_tradeoff(points), figure_data.samplers(points)
            alt = f"How well rows of {len(points)} samplers are told from those of all steps, by calls of the network."
            drawn.append(Drawn(f"samplers{i + 1}", f"Samplers: {group}", "A dot for each split.", figure, alt, data))
        chosen = own.shown(members) if own is not learning_curve else []
        known = [matrix for condition in chosen if (matrix := summed(condition, members[condition])) is not None]
        if known:
            drawn.append(
                Drawn(
                    f"confusion{i + 1}",
                    f"Confusion: {group}",
                    "Percent of each true class, summed over all seeds; cells below 0.5 % are empty.",
                    figures.confusions(known),
                    figure_data.told_confusions(known),
                    figure_data.confusions(known),
                )
            )
    return drawn


def _apart(group: Group, by_shots: Mapping[int, Mapping[Condition, list[Record]]]) -> dict[Group, Any]:
    """The runs of each number of shots as a group of their own."""
    return {group._replace(shots=shots): members for shots, members in sorted(by_shots.items())}


def summed(condition: Condition, runs: list[Record]) -> figures.Confusion | None:
    """The runs' confusion matrices added up by class name; None if no run has one."""
    sums: dict[tuple[str, str], float] = {}
    order: dict[str, None] = {}
    for run in runs:
        classes, counts = run.get("classes"), run.get("confusion")
        if not classes or not counts:
            continue
        if not _is_confusion(classes, counts):
            raise InputError(f"a record of {condition} has a confusion matrix that does not fit its classes")
        order |= dict.fromkeys(classes)
        for true, row in zip(classes, counts, strict=True):
            for predicted, count in zip(classes, row, strict=True):
                sums[true, predicted] = sums.get((true, predicted), 0) + count
    names = list(order)
    table = np.array([[sums.get((a, b), 0) for b in names] for a in names])
    return figures.Confusion(str(condition), table, names) if names else None


def _is_confusion(classes: Any, counts: Any) -> bool:
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        return False
    try:
        table = np.asarray(counts, np.float64)
    except (TypeError, ValueError):
        return False
    return table.shape == (len(classes), len(classes)) and bool((table >= 0).all())
