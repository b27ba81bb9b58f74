"""Figures of results: accuracy, confusion, training curves, SHAP.  Each takes plain values and gives a Figure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from nids_jax.report.conditions import Condition, Group, Record, by_split, interval
from nids_jax.report.style import (
    BLACK,
    BLUE,
    GREY,
    ON_DARK,
    ON_LIGHT,
    PALETTE,
    VERMILION,
    new_figure,
    number,
    power,
    short,
    styled,
)

CLASSES_SHOWN = 24  # in the figures of explanations
LABELLED = 30  # classes up to which a confusion matrix has numbers in its cells; up to twice as many it has names


class Confusion(NamedTuple):
    """Confusion matrices of one condition, summed over its runs."""

    title: str
    counts: np.ndarray  # [c, c] row = true class
    classes: list[str]


@styled
def accuracy(groups: Mapping[Group, Mapping[Condition, list[Record]]]) -> Figure:
    """Accuracy of every condition: a bar for the mean, a line for the 95 % interval, a dot for each split seed."""
    classifiers = list(dict.fromkeys(condition.classifier for members in groups.values() for condition in members))
    colour = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(classifiers)}
    heights = [
        0.62 + 0.2 * len(members) + 0.16 * len({condition.generator for condition in members})
        for members in groups.values()
    ]
    figure = new_figure(8.2, sum(heights) + 0.7)
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, (group, members) in zip(panels, groups.items(), strict=True):
        _accuracy_bars(axes, members, colour)
        axes.set_title(short(group, 80))
    panels[-1].set_xlabel("accuracy: mean, 95 % interval over split seeds; each dot is one split seed")
    handles = [panels[0].barh([np.nan], [np.nan], color=colour[name], label=short(name)) for name in classifiers]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 5))
    return figure


def _accuracy_bars(axes: Axes, members: Mapping[Condition, list[Record]], colour: Mapping[str, str]) -> None:
    y, ticks, names = 0.0, [], []
    for generator in dict.fromkeys(condition.generator for condition in members):
        first = y
        for condition, runs in members.items():
            found = interval(runs, "accuracy")
            if condition.generator != generator or found is None:
                continue
            axes.barh(y, found.mean, height=0.88, color=colour[condition.classifier], alpha=0.8, linewidth=0)
            seeds = [float(np.mean(values)) for values in by_split(runs, "accuracy").values()]
            end = max([found.mean, *seeds])
            if found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [y, y], color=BLACK, lw=1.3, solid_capstyle="butt")
                end = max(end, found.high)
            axes.plot(seeds, [y] * len(seeds), "o", ms=3.6, mfc="white", mec=BLACK, mew=0.6)
            axes.annotate(f"{found.mean:.3f}", (end, y), (4, 0), textcoords="offset points", va="center", fontsize=7)
            y += 1
        if y > first:
            ticks.append((first + y - 1) / 2)
            names.append(short(generator))
            y += 0.7
    axes.set_yticks(ticks, names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(y, 1.7) - 1.1, -0.6)
    axes.set_xlim(0, 1.06)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(visible=False, axis="y")


@styled
def quality(members: Mapping[Condition, list[Record]]) -> Figure:
    """Accuracy, macro precision, recall and F1 of every training set: means and 95 % intervals (P1's Fig. 7, unrolled).

    A panel for each metric, a row for each training set, a colour for each classifier.
    """
    metrics = {
        "accuracy": "accuracy",
        "macro_precision": "macro precision",
        "macro_recall": "macro recall",
        "macro_f1": "macro F1",
    }
    generators = list(dict.fromkeys(condition.generator for condition in members))
    classifiers = list(dict.fromkeys(condition.classifier for condition in members))
    step = 0.7 / len(classifiers)
    figure = new_figure(8.2, 0.9 + len(generators) * (0.16 + 0.09 * len(classifiers)))
    panels = figure.subplots(1, len(metrics), sharey=True)
    for axes, (metric, title) in zip(panels, metrics.items(), strict=True):
        for number_, classifier in enumerate(classifiers):
            found = {g: interval(members.get(Condition(g, classifier), ()), metric) for g in generators}
            shown = [(place, value) for place, value in enumerate(found.values()) if value is not None]
            heights = [place + step * (number_ - (len(classifiers) - 1) / 2) for place, _ in shown]
            colour = PALETTE[number_ % len(PALETTE)]
            axes.plot([v.mean for _, v in shown], heights, "o", ms=3.2, color=colour, label=short(classifier))
            for height, (_, value) in zip(heights, shown, strict=True):
                if value.low is not None and value.high is not None:
                    axes.plot([value.low, value.high], [height, height], color=colour, lw=1.0)
        axes.set_title(title)
    panels[0].set_yticks(range(len(generators)), [short(g) for g in generators])
    panels[0].set_ylim(len(generators) - 0.5, -0.5)
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside upper left", ncols=5)
    return figure


@styled
def sampler_tradeoff(points: Mapping[str, Sequence[tuple[int, Sequence[float]]]]) -> Figure:
    """How well a classifier tells each sampler's rows from ancestral sampling's (C2ST AUC), by calls of the network.

    Args:
      points: of each sampler, (calls, AUC of every split); a line for the means, a dot for each split.
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    for place, (name, found) in enumerate(points.items()):
        colour, ordered = PALETTE[place % len(PALETTE)], sorted(found)
        axes.plot([c for c, _ in ordered], [np.mean(v) for _, v in ordered], "-", color=colour, label=short(name))
        for calls, values in ordered:
            axes.plot([calls] * len(values), values, "o", ms=2.6, color=colour)
    axes.axhline(0.5, color=GREY, lw=0.8)
    axes.set_xscale("log")
    every = sorted({calls for found in points.values() for calls, _ in found})
    apart = [n for place, n in enumerate(every) if place == 0 or n > 1.15 * every[place - 1]]
    axes.set_xticks(apart, [f"{n:,}" for n in apart])
    axes.minorticks_off()
    axes.set_xlabel("calls of the network for a row")
    axes.set_ylabel("C2ST AUC against all steps")
    axes.legend()
    return figure


@styled
def learning_curve(curve: Mapping[int, Mapping[Condition, list[Record]]]) -> Figure:
    """Accuracy and macro F1 against real rows per class: a line with a 95 % band for each training set.

    Args:
      curve: by real rows per class, the runs of each condition; a panel a metric, a line style a classifier.
    """
    metrics = {"accuracy": "accuracy", "macro_f1": "macro F1", "attack_recall_at_0.01": "attack recall at FPR 1 %"}
    conditions = list(dict.fromkeys(each for members in curve.values() for each in members))
    used = {
        name: title
        for name, title in metrics.items()
        if any(interval(runs, name) is not None for members in curve.values() for runs in members.values())
    }
    figure = new_figure(3.2 * len(used) + 0.4, 3.6)
    panels = figure.subplots(1, len(used), squeeze=False)[0]
    generators = list(dict.fromkeys(each.generator for each in conditions))
    classifiers = list(dict.fromkeys(each.classifier for each in conditions))
    for axes, (metric, title) in zip(panels, used.items(), strict=True):
        for each in conditions:
            colour = PALETTE[generators.index(each.generator) % len(PALETTE)]
            style = ("-", "--", ":")[classifiers.index(each.classifier) % 3]
            found = [(n, interval(curve[n].get(each, ()), metric)) for n in sorted(curve)]
            known = [(n, value) for n, value in found if value is not None]
            x, mean = [n for n, _ in known], [value.mean for _, value in known]
            axes.plot(x, mean, style, marker="o", ms=3, color=colour, label=short(each, 44))
            band = [(n, v.low, v.high) for n, v in known if v.low is not None and v.high is not None]
            if band:
                axes.fill_between(*zip(*band, strict=True), color=colour, alpha=0.18, linewidth=0)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks(sorted(curve), [str(n) for n in sorted(curve)])
        axes.minorticks_off()
        axes.set(title=title, xlabel="real rows a class")
    handles = panels[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


@styled
def confusions(shown: Sequence[Confusion]) -> Figure:
    """Confusion matrices, two in a row, in percent of each true class; a class without test rows stays blank."""
    size = max(len(matrix.classes) for matrix in shown)
    side = 0.29 * min(max(size, 6), LABELLED)
    words = _word_height([name for matrix in shown for name in matrix.classes])
    columns = min(len(shown), 2)
    rows = -(-len(shown) // columns)
    figure = new_figure((side + 0.3) * columns + words + 1.3, (side + 0.3) * rows + words + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = grid.ravel()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes, (title_, counts, classes) in zip(panels, shown, strict=False):
        total = counts.sum(axis=1, keepdims=True)
        share = np.divide(100.0 * counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        names = [short(name, 26) for name in classes] if size <= 2 * LABELLED else []
        lowest, leftmost = axes in panels[-columns:], axes in grid[:, 0]
        same = classes == shown[0].classes
        axes.set_xticks(range(len(names)), names if lowest or not same else [""] * len(names), rotation=90)
        axes.set_yticks(range(len(names)), names if leftmost or not same else [""] * len(names))
        axes.tick_params(length=0, labelsize=8 if size <= LABELLED else 5)
        axes.grid(visible=False)
        axes.set_title(title_)
        if lowest:
            axes.set_xlabel("predicted class")
        if leftmost:
            axes.set_ylabel("true class")
        for i, j in zip(*np.nonzero(share >= 0.5), strict=True) if size <= LABELLED else ():
            colour = ON_DARK if share[i, j] > 55 else ON_LIGHT
            axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=6.5, color=colour)
    bar = figure.colorbar(panels[0].images[0], ax=list(panels), fraction=0.03, pad=0.015, shrink=0.75)
    bar.set_label("% of the true class")
    bar.outline.set_visible(False)
    return figure


@styled
def training_curves(curves: Mapping[str, Sequence[float | None]]) -> Figure:
    """Loss against step on a log axis (a linear core where a loss is not positive); thin: raw, thick: running mean.

    Names with a slash are classifiers (`cnn_bigru/copies`); the others are generators.
    """
    kinds = {
        "generators": [name for name in curves if "/" not in name],
        "classifiers / training set": [name for name in curves if "/" in name],
    }
    kinds = {kind: names for kind, names in kinds.items() if names}
    figure = new_figure(4.9 * len(kinds) + 0.4, 3.9)
    for axes, (kind, names) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds.items(), strict=True):
        lowest = np.inf
        for i, name in enumerate(names):
            loss = np.array([np.nan if value is None else value for value in curves[name]], np.float64)
            loss = np.clip(loss, -1e30, 1e30)  # an axis has no ticks for more
            steps, colour = np.arange(1, len(loss) + 1), PALETTE[i % len(PALETTE)]
            lowest = min(lowest, *loss[np.isfinite(loss)], np.inf)
            smooth = _running_mean(loss, max(1, len(loss) // 40))
            if len(loss) >= 80:
                axes.plot(steps, loss, color=colour, lw=0.6, alpha=0.3)
            style = ("-", "--", ":")[i // len(PALETTE) % 3]
            axes.plot(steps, smooth, style, color=colour, marker="o" if len(loss) == 1 else "", label=short(name))
        axes.set_yscale("log" if lowest > 0 else "symlog")
        axes.yaxis.set_major_formatter(power)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(title=kind, xlabel="step or epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.legend(loc="best" if len(names) < 5 else "upper right", ncols=1 if len(names) < 9 else 2)
    return figure


def _running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean over `width` steps around each, over as many as there are at the ends; NaN are left out."""
    known = np.isfinite(values)
    kernel = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), kernel, "same")
    count = np.convolve(known.astype(float), kernel, "same")
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0.5)


@styled
def shap_global(shap: Mapping[str, Any], top: int = 10) -> Figure:
    """The features with the largest mean |φ|: bars over all classes, and beside them a map of each class's own."""
    mean_abs = np.asarray(shap["global"]["mean_abs"], np.float64)
    per_class = np.asarray(shap["global"]["per_class"], np.float64)
    per_class = per_class[:CLASSES_SHOWN]
    order = np.argsort(-mean_abs, kind="stable")[:top]
    names = [short(shap["features"][j]) for j in order]
    c = len(per_class)
    figure = new_figure(6.2 + 0.34 * c, 0.7 + 0.3 * max(len(order), 4) + _word_height(shap["classes"][:c]))
    bars, cells = figure.subplots(1, 2, width_ratios=(3.4, 0.34 * c + 0.8))
    bars.barh(range(len(order)), mean_abs[order], color=BLUE, height=0.7)
    for i, value in enumerate(mean_abs[order]):
        bars.annotate(f"{value:.3g}", (value, i), (3, 0), textcoords="offset points", va="center", fontsize=7)
    bars.set_yticks(range(len(order)), names)
    bars.set_ylim(len(order) - 0.5, -0.5)
    bars.set_xlim(0, 1.18 * mean_abs.max() or 1.0)
    bars.tick_params(axis="y", length=0)
    bars.grid(visible=False, axis="y")
    bars.xaxis.set_major_locator(MaxNLocator(4))
    bars.set(title="all classes", xlabel="mean |φ| (change of probability)")
    image = cells.imshow(per_class[:, order].T, cmap="Blues", aspect="auto", vmin=0)
    cells.set_yticks([])
    cells.set_xticks(range(c), [short(name, 26) for name in shap["classes"][:c]], rotation=90)
    cells.tick_params(length=0)
    cells.grid(visible=False)
    cells.set_title("each class")
    figure.colorbar(image, ax=cells, fraction=0.05, pad=0.02).outline.set_visible(False)
    return figure


@styled
def shap_local(shap: Mapping[str, Any], top: int = 10) -> Figure:
    """One unseen row of each class: the features that moved its class's probability most, with their raw values."""
    local = shap["local"][:CLASSES_SHOWN]
    columns = min(3, len(local))
    lines = -(-len(local) // columns)
    figure = new_figure(4.7 * columns, lines * (0.85 + 0.19 * top) + 0.4)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, row in zip(grid, local, strict=False):
        phi = np.asarray(row["phi"], np.float64)
        order = np.argsort(-np.abs(phi), kind="stable")[:top]
        axes.barh(range(len(order)), phi[order], color=[VERMILION if v > 0 else BLUE for v in phi[order]], height=0.7)
        if "errors" in row:
            off = np.asarray(row["errors"], np.float64)[order]
            axes.errorbar(phi[order], range(len(order)), xerr=off, fmt="none", ecolor=GREY, elinewidth=0.9)
        axes.axvline(0, color=GREY, lw=0.8)
        values = row["values"]
        labels = [f"{short(shap['features'][j])} = {_raw(values[j])}" for j in order]
        axes.set_yticks(range(len(order)), labels, fontsize=7)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=7)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.08)
        if not phi.any():
            axes.set_xlim(-1, 1)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        right = row["predicted"] == row["class"]
        outcome = "recognised" if right else f"taken for {short(row['predicted'], 24)}"
        axes.set_title(short(row["class"], 34), fontsize=9, pad=15)
        axes.text(
            0,
            1.02,
            f"{outcome}; p = {row['probability']:.2f}, background {row['base']:.2f}",
            transform=axes.transAxes,
            fontsize=7.5,
            color="#57606A" if right else VERMILION,
            va="bottom",
        )
    for axes in grid[len(local) :]:
        axes.set_axis_off()
    figure.supxlabel("φ: change of the class's probability (vermilion: for the class, blue: against it)", fontsize=8)
    return figure


def _word_height(names: Sequence[str]) -> float:
    """Inches that the longest of these class names takes along its line."""
    return 0.4 + 0.075 * max(len(short(name, 26)) for name in names)


def _raw(value: float | None) -> str:
    return "missing" if value is None else number(value)
