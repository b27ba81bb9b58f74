"""Figures of rows: real beside synthetic, feature by feature and in two dimensions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from nids_jax.report.style import BLACK, BLUE, GREY, MARKERS, PALETTE, VERMILION, new_figure, power, short, styled

ROWS_SHOWN = 150  # of one class and one kind in the projection; more only cover each other
CLASSES_SHOWN = 20  # that get a colour and a panel


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows in raw units with their class names."""

    x: np.ndarray  # [n, d] float64, NaN where missing, nothing infinite
    labels: np.ndarray  # [n] str


@styled
def feature_distributions(features: Sequence[str], real: Rows, synthetic: Rows) -> Figure:
    """Cumulative share of rows against the value, real and synthetic, a panel per feature, on a signed log axis.

    Real rows are weighted to the synthetic rows' mix of classes, so that only differences within the classes show.
    """
    weights = matching_weights(real.labels, synthetic.labels)
    columns = min(4, len(features))
    lines = -(-len(features) // columns)
    figure = new_figure(2.75 * columns, 2.05 * lines + 0.5)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for j, (axes, name) in enumerate(zip(grid, features, strict=False)):
        for rows, mass, colour, style in (
            (real, weights, BLUE, "-"),
            (synthetic, np.ones(len(synthetic.x)), VERMILION, "--"),
        ):
            _ecdf(axes, rows.x[:, j], mass, colour, style)
        signed_log_axis(axes, np.concatenate([real.x[weights > 0, j], synthetic.x[:, j]]))
        axes.set_title(short(name), fontsize=8)
        axes.set_ylim(-0.03, 1.03)
    for axes in grid[len(features) :]:
        axes.set_axis_off()
    figure.supylabel("share of rows at or below", fontsize=8)
    handles = [
        Line2D([], [], color=BLUE, label="real, test rows"),
        Line2D([], [], color=VERMILION, ls="--", label="synthetic"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


def matching_weights(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """Weight of each real row that gives the real classes the synthetic classes' shares; 0 for classes not generated.

    Args:
      real, synthetic: [n], [m] class names.
    """
    wanted = dict(zip(*np.unique(synthetic, return_counts=True), strict=True))
    names, inverse, counts = np.unique(real, return_inverse=True, return_counts=True)
    return np.array([wanted.get(name, 0) / count for name, count in zip(names, counts, strict=True)])[inverse]


def cumulative(values: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The known values [n] with a mass above 0, rising, and the share of all mass at or below each."""
    known = np.isfinite(values) & (mass > 0)
    order = np.argsort(values[known], kind="stable")
    share = np.cumsum(mass[known][order])
    return values[known][order], share / share[-1:]


def _ecdf(axes: Axes, values: np.ndarray, mass: np.ndarray, colour: str, style: str) -> None:
    x, share = cumulative(values, mass)
    if len(x):
        axes.step(np.concatenate([x[:1], x]), np.concatenate([[0], share]), style, where="post", color=colour)


def signed_log_axis(axes: Axes, values: np.ndarray) -> None:
    """Symmetric log axis whose linear core ends at the decade of the small values; few ticks."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    if not size.size or size.max() < 20 * np.percentile(size, 2):
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.margins(x=0.08)
        return
    core = 10.0 ** np.clip(np.floor(np.log10(np.percentile(size, 2))), -3, 3)
    axes.set_xscale("symlog", linthresh=core, linscale=max(0.4, 0.11 * np.log10(size.max() / core)))
    first, last = int(np.log10(core)), int(np.ceil(np.log10(size.max())))
    decades = 10.0 ** np.arange(first, last + 1, max(1, -(-(last - first) // 3)))
    below = [] if np.nanmin(values) >= 0 else [-decades[0] if np.nanmin(values) > -decades[-1] else -decades[-1]]
    axes.set_xticks([*below, 0.0, *decades])
    axes.xaxis.set_major_formatter(power)
    axes.xaxis.set_minor_formatter(NullFormatter())


@styled
def projection(real: Rows, synthetic: Rows, train: Rows | None = None) -> Figure:
    """First two principal components: all classes at once, and each class alone (real filled, synthetic hollow).

    The few real rows that the generator was trained on (`train`) are black crosses in each class's own panel.
    Rows are put through sign(x) log(1 + |x|) and standardised on the real rows; the components are the real rows' too.
    """
    place = principal_plane(real.x)
    points = {"real": (place(real.x), real.labels), "synthetic": (place(synthetic.x), synthetic.labels)}
    everyone = sorted(set(real.labels) | set(synthetic.labels))
    classes = everyone[:CLASSES_SHOWN]
    limits = _limits(points["real"][0])
    lines = -(-len(classes) // 5)
    columns = -(-len(classes) // lines)
    figure = new_figure(11.0, 4.8 + 2.0 * lines)
    grid = figure.add_gridspec(2, 1, height_ratios=(4.8, 2.0 * lines))
    overview, key = grid[0].subgridspec(1, 2, width_ratios=(4, 1)).subplots(squeeze=False)[0]
    panels = list(grid[1].subgridspec(lines, columns).subplots(squeeze=False).flat)
    for k, name in enumerate(classes):
        colour, marker = PALETTE[k % len(PALETTE)], MARKERS[k // len(PALETTE) % len(MARKERS)]
        panel = panels[k]
        for everything, _ in points.values():
            panel.plot(*few(everything, 600).T, ".", color=GREY, alpha=0.25, ms=1.6, mew=0, zorder=1, rasterized=True)
        for kind, (where, labels) in points.items():
            mine = few(where[labels == name], ROWS_SHOWN)
            filled = kind == "real"
            for axes, size in ((overview, 4.0), (panel, 3.2)):
                axes.plot(
                    *mine.T,
                    marker,
                    ms=size,
                    mfc=colour if filled else "none",
                    mec="none" if filled else colour,
                    mew=0 if filled else 0.8,
                    alpha=0.35 if filled else 1.0,
                    zorder=2 if filled else 3,
                    rasterized=True,  # so many points are smaller as pixels
                )
        if train is not None:
            panel.plot(*place(train.x[train.labels == name]).T, "x", color=BLACK, ms=3.5, mew=0.9, zorder=4)
        panel.set_title(short(name, 28), fontsize=7.5)
        panel.set(xticks=[], yticks=[], xlim=limits[0], ylim=limits[1])
    handles = [
        Line2D(
            [],
            [],
            ls="",
            color=PALETTE[k % len(PALETTE)],
            marker=MARKERS[k // len(PALETTE) % len(MARKERS)],
            label=short(name),
        )
        for k, name in enumerate(classes)
    ]
    handles += [
        Line2D([], [], ls="", marker="o", color=GREY, label="filled: real, test rows"),
        Line2D([], [], ls="", marker="o", mfc="none", color=GREY, label="hollow: synthetic"),
    ]
    if train is not None:
        handles.append(Line2D([], [], ls="", marker="x", color=BLACK, label="cross: real, trained on"))
    if len(everyone) > len(classes):
        handles.append(Line2D([], [], ls="", label=f"and {len(everyone) - len(classes)} classes not shown"))
    for axes in (key, *panels[len(classes) :]):
        axes.set_axis_off()
    key.legend(handles=handles, loc="center left")
    overview.set(
        xlim=limits[0], ylim=limits[1], xlabel="first principal component", ylabel="second principal component"
    )
    where = points["synthetic"][0]
    outside = int(((where < limits[:, 0]) | (where > limits[:, 1])).any(axis=1).sum())
    if outside:
        overview.text(
            0.99, 0.01, f"{outside} of {len(where)} synthetic rows lie outside the frame", transform=overview.transAxes,
            ha="right", va="bottom", fontsize=7.5, color=BLACK,
        )  # fmt: skip
    return figure


def principal_plane(real: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The map [n, d] -> [n, 2] onto the plane of largest variance of the real rows' standardised signed logs.

    Missing values count as the mean.  The sign is fixed: each axis' largest loading is positive.
    """
    logs = signed_log(real)
    known = np.isfinite(logs)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, logs, 0).sum(axis=0) / counts
    deviation = np.sqrt(np.where(known, (logs - mean) ** 2, 0).sum(axis=0) / counts)
    scale = np.where(deviation > 1e-9, deviation, np.inf)  # a constant column says nothing about the real rows

    def standardise(x: np.ndarray) -> np.ndarray:
        z = (signed_log(x) - mean) / scale
        return np.where(np.isfinite(z), z, 0.0)

    z = standardise(real)
    axes = np.linalg.eigh(z.T @ z)[1][:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))  # a single feature has no second component
    return lambda x: standardise(x) @ axes


def signed_log(x: np.ndarray) -> np.ndarray:
    """sign(x) log(1 + |x|)."""
    return np.sign(x) * np.log1p(np.abs(x))


def separation(rows: Rows) -> np.ndarray:
    """η² of each feature, [d]: the share of its signed logs' variance that lies between classes; 0 for a constant."""
    logs = signed_log(rows.x)
    logs = np.where(np.isfinite(logs), logs, 0.0)
    total = logs.var(axis=0)
    between = np.zeros(logs.shape[1])
    for name in np.unique(rows.labels):
        mine = logs[rows.labels == name]
        between += len(mine) / len(logs) * (mine.mean(axis=0) - logs.mean(axis=0)) ** 2
    return np.divide(between, total, out=np.zeros_like(total), where=total > 1e-12)


def few(points: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the points, evenly through the table."""
    return points[np.linspace(0, len(points) - 1, most).astype(int)] if len(points) > most else points


def _limits(points: np.ndarray) -> np.ndarray:
    """[2, 2] low and high of each axis, around nearly all points with a margin."""
    low, high = np.percentile(points, [0.2, 99.8], axis=0)
    margin = np.maximum(0.12 * (high - low), 0.5)
    return np.stack([low - margin, high + margin], axis=1)
