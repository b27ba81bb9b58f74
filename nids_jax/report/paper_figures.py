"""P1's figures of weighted figures of merit: bars of detectors (its Fig. 5), a radar of training sets (its Fig. 7)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from nids_jax.report.conditions import Condition, Record, interval
from nids_jax.report.style import BLACK, PALETTE, new_figure, short, styled

WEIGHTED = {
    "accuracy": "accuracy",
    "weighted_precision": "weighted precision",
    "weighted_recall": "weighted recall",
    "weighted_f1": "weighted F1",
}


@styled
def detectors(by_shots: Mapping[int, Mapping[Condition, list[Record]]]) -> Figure:
    """Accuracy and weighted precision, recall and F1 of every detector: a panel each, bars grouped by rows a class.

    Args:
      by_shots: by real rows per class, the runs of each condition; lines are 95 % intervals.
    """
    names = list(dict.fromkeys(each.classifier for members in by_shots.values() for each in members))
    shots = sorted(by_shots)
    width = 0.8 / len(names)
    figure = new_figure(8.6, 5.4)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
    for axes, (metric, title) in zip(panels, WEIGHTED.items(), strict=True):
        for number, name in enumerate(names):
            runs = [[run for each, own in by_shots[n].items() if each.classifier == name for run in own] for n in shots]
            found = [interval(each, metric) for each in runs]
            places = np.arange(len(shots)) + width * (number - (len(names) - 1) / 2)
            heights = [np.nan if value is None else value.mean for value in found]
            axes.bar(places, heights, 0.92 * width, color=PALETTE[number % len(PALETTE)], label=short(name))
            for place, value in zip(places, found, strict=True):
                if value is not None and value.low is not None and value.high is not None:
                    axes.plot([place, place], [value.low, value.high], color=BLACK, lw=1.0)
        axes.set_title(title)
        axes.set_ylim(0, 1)
        axes.grid(visible=False, axis="x")
        axes.tick_params(axis="x", length=0)
        axes.set_xticks(range(len(shots)), [f"{n:,}" for n in shots])
    for axes in panels[2:]:
        axes.set_xlabel("real rows a class")
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside upper left", ncols=min(len(names), 6))
    return figure


@styled
def radar(members: Mapping[Condition, list[Record]]) -> Figure:
    """Means of accuracy and weighted precision, recall and F1: an axis each, a line for each training set.

    A panel for each classifier; the centre is 0, the rim 1.
    """
    classifiers = list(dict.fromkeys(each.classifier for each in members))
    generators = list(dict.fromkeys(each.generator for each in members))
    columns = min(len(classifiers), 3)
    lines = -(-len(classifiers) // columns)
    figure = new_figure(3.4 * columns + 0.6, 3.3 * lines + 0.3 + 0.16 * len(generators))
    panels = figure.subplots(lines, columns, squeeze=False, subplot_kw={"projection": "polar"}).ravel()
    angles = np.linspace(0, 2 * np.pi, len(WEIGHTED), endpoint=False)
    handles = {}
    for axes, classifier in zip(panels, classifiers, strict=False):
        assert isinstance(axes, PolarAxes)
        for number, generator in enumerate(generators):
            found = [interval(members.get(Condition(generator, classifier), ()), metric) for metric in WEIGHTED]
            values = [value.mean for value in found if value is not None]
            if len(values) < len(WEIGHTED):
                continue
            style = ("-", "--", ":")[number // len(PALETTE) % 3]
            (line,) = axes.plot(
                [*angles, angles[0]],
                [*values, values[0]],
                style,
                marker="o",
                ms=3,
                color=PALETTE[number % len(PALETTE)],
                label=short(generator),
            )
            handles.setdefault(generator, line)
        axes.set_theta_zero_location("N")
        axes.set_theta_direction(-1)
        axes.set_ylim(0, 1)
        axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "0.5", "", "1"])
        axes.set_xticks(angles, list(WEIGHTED.values()))
        axes.tick_params(axis="x", pad=6)
        axes.set_title(short(classifier), pad=14)
    for axes in panels[len(classifiers) :]:
        axes.set_axis_off()
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=3)
    return figure
