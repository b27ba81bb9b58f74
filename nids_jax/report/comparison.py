"""A synthetic table beside a real one: tables, figure and page; and an experiment's synthetic rows in the same way."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nids_jax import store
from nids_jax.data.frames import read_frame
from nids_jax.evaluation.comparison import Comparison, Part, compare
from nids_jax.evaluation.comparison.result import ColumnFigures, shown
from nids_jax.files import write_atomic
from nids_jax.report.conditions import Table
from nids_jax.report.figure_data import Data
from nids_jax.report.generator_comparison import HEADLINE
from nids_jax.report.html import Section, definitions, image, items, page, table
from nids_jax.report.rows import signed_log_axis
from nids_jax.report.style import BLUE, VERMILION, new_figure, short, styled, svg

JSON, HTML = "comparison.json", "report.html"
PANELS = 12  # columns that are drawn: those with the lowest scores


def write_comparison(found: Comparison, output_dir: str | os.PathLike[str], environment: Mapping[str, Any]) -> Path:
    """Write comparison.json and report.html; returns the path of report.html.

    Args:
      environment: what was run, and with which versions: see `store.environment`.

    Raises:
      InputError: the folder cannot be written.
    """
    out = Path(output_dir)
    store.write_json(out / JSON, {**found.to_dict(), "environment": environment})
    lowest = ", ".join(f"{name} ({shown(found.columns[name].score)})" for name in _lowest(found))
    alt = f"Real and synthetic values of the columns with the lowest scores: {lowest}."
    drawn = image(svg(panels(found)), alt, CAPTION, ("columns.csv", _drawn(found).csv()))
    body = [
        Section("Verdict", items(verdict(found), "verdict")),
        Section("Parts", "".join(table(each) for each in parts(found))),
        Section("Columns", table(columns(found)) + drawn),
        Section("How it was measured", items(f"{part.title}: {part.meaning}" for part in found.parts.values())),
        Section("Rows", definitions({**found.rows, **{f"used at most: {k}": v for k, v in found.used.items()}})),
    ]
    if found.left_out:
        body.append(Section("Columns that are not compared", definitions(found.left_out)))
    body.append(Section("How this was made", definitions(environment)))
    write_atomic(out / HTML, page("Synthetic rows beside real ones", "", body))
    return out / HTML


CAPTION = (
    "The columns with the lowest scores. Numbers: cumulative share of rows against the value, on a signed logarithmic "
    "axis; names: share of rows of the most frequent ones."
)


def _lowest(found: Comparison) -> list[str]:
    """The columns that are drawn."""
    return sorted(found.columns, key=lambda name: found.columns[name].score)[:PANELS]


def _drawn(found: Comparison) -> Data:
    """What is drawn of each column: of numbers the value at each percentage of rows, of names their shares."""
    rows = [
        (name, found.columns[name].kind, kind, str(of), float(value))
        for name in _lowest(found)
        for kind, told in (("real", found.columns[name].real), ("synthetic", found.columns[name].synthetic))
        for of, value in told.items()
    ]
    return Data(("column", "kind", "rows", "percentage or name", "value or share"), rows)


def verdict(found: Comparison) -> list[str]:
    """The score in all, the best and the worst part, the worst columns, and what a reader should know."""
    known = {part.title: part.score for part in found.parts.values() if part.score == part.score}
    best, worst = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    lowest = sorted(found.columns, key=lambda name: found.columns[name].score)[:3]
    listed = ", ".join(f"{name} ({shown(found.columns[name].score)})" for name in lowest)
    beside = "unseen real rows" if found.beside == "holdout" else "the real rows"
    return [
        f"Score in all: {shown(found.score)} of 1, the mean of {len(known)} parts, for synthetic rows beside {beside}.",
        f"Best: {best} ({shown(known[best])}); worst: {worst} ({shown(known[worst])}).",
        f"Columns that differ most: {listed}.",
        *found.remarks,
    ]


def parts(found: Comparison) -> list[Table]:
    """The score of each part, and its figures beside those that real rows reach."""
    scores = [(part.title, shown(part.score), part.obstacle) for part in found.parts.values()]
    figures = [
        (part.title, name, shown(value), shown(part.unseen.get(name, float("nan"))))
        for part in found.parts.values()
        for name, value in part.figures.items()
    ]
    return [
        Table("Scores, 1 is best", ("part", "score", "why there is none"), scores),
        Table("Figures", ("part", "figure", "synthetic rows", "real rows"), figures, NOTE),
    ]


NOTE = "Real rows: the same figure of the real table itself beside unseen rows, or beside its own, where there is one."


def columns(found: Comparison, most: int | None = None) -> Table:
    """A line for each column (at most so many), the lowest scores first."""
    ordered = sorted(found.columns.items(), key=lambda each: each[1].score)[:most]
    rows = [
        (name, c.kind, *(shown(v) for v in (c.score, c.shape, c.missing_real, c.missing_synthetic, c.pairs)))
        for name, c in ordered
    ]
    header = ("column", "kind", "score", "shape", "missing, real", "missing, synthetic", "its pairs")
    return Table("Columns, lowest scores first", header, rows)


def beside_each_other(found: Mapping[str, Comparison]) -> Table:
    """The scores of several synthetic tables, a line each."""
    titles = {name: part.title for each in found.values() for name, part in each.parts.items()}

    def score(parts: Mapping[str, Part], name: str) -> str:
        return shown(parts[name].score) if name in parts else "–"

    rows = [(name, shown(each.score), *(score(each.parts, part) for part in titles)) for name, each in found.items()]
    return Table(
        "Scores of the synthetic rows, 1 is best",
        ("rows of", "in all", *titles.values()),
        rows,
        "As `nids_jax compare` finds them: training rows are the real table, test rows the unseen one. Rows of one "
        "split, at most 50 of a class; with few rows even real ones do not reach 1.",
    )


def of_run(folder: Path) -> str:
    """The section about a run's synthetic rows, one table of them for each generator, as HTML.

    Raises:
      InputError: the folder's tables cannot be compared.
    """
    names = {path: path.stem.removeprefix("synthetic").lstrip("-") or HEADLINE.generator for path in _tables(folder)}
    train, test = (read_frame(folder / f"{name}.parquet") for name in ("train", "test"))
    found = {name: compare(train, path, test) for path, name in sorted(names.items())}
    first = next(iter(found))
    own = [*parts(found[first]), columns(found[first], PANELS)]
    shown_tables = [beside_each_other(found), *(each._replace(title=f"{first}: {each.title}") for each in own)]
    return "".join(map(table, shown_tables))


def _tables(folder: Path) -> list[Path]:
    """The synthetic rows of each generator: of several generations the first."""
    return [path for path in folder.glob("synthetic*.parquet") if not re.search(r"-[0-9]+$", path.stem)]


@styled
def panels(found: Comparison) -> Figure:
    """The distributions of the columns with the lowest scores, a panel each."""
    names = _lowest(found)
    wide = min(4, len(names))
    high = -(-len(names) // wide)
    figure = new_figure(2.75 * wide, 2.05 * high + 0.5)
    grid = figure.subplots(high, wide, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        (_quantiles if found.columns[name].kind == "number" else _shares)(axes, found.columns[name])
        axes.set_title(short(name), fontsize=8)
        axes.set_ylim(-0.03, 1.03)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    handles = [
        Line2D([], [], color=BLUE, label="real"),
        Line2D([], [], color=VERMILION, ls="--", label="synthetic"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


def _quantiles(axes: Axes, column: ColumnFigures) -> None:
    drawn = []
    for told, colour, style in ((column.real, BLUE, "-"), (column.synthetic, VERMILION, "--")):
        values = np.array([*told.values()])
        drawn.append(values)
        axes.step(values, [float(level) / 100 for level in told], style, where="post", color=colour)
    signed_log_axis(axes, np.concatenate(drawn))


def _shares(axes: Axes, column: ColumnFigures) -> None:
    places = np.arange(len(column.real))
    axes.bar(places - 0.2, [*column.real.values()], 0.38, color=BLUE)
    axes.bar(places + 0.2, [*column.synthetic.values()], 0.38, color=VERMILION)
    axes.set_xticks(places, [short(name, 9) for name in column.real], rotation=60, fontsize=6)
