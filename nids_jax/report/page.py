"""From the files of an output folder to summary.csv, summary.md, figures/ and one self-contained report.html.

Everything is rebuilt from the files alone, and the same files give the same bytes.  Every part is optional: one whose
file is missing or unreadable is left out, and the page says so.
"""

import os
import re
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.report import (
    comparison,
    figure_data,
    figures,
    rows,
)
from nids_jax.report.html import Section, definitions, image, items, page, paragraph, table
from nids_jax.report.results import Drawn, results
from nids_jax.report.style import svg
from nids_jax.report.tables import key_figures, tables, verdict, write_summary
from nids_jax.store import CONFIG, RECORDS, read, read_json, read_object

FEATURES_SHOWN = 12
SIMULATED = (
    "These are results on the simulated dataset: packets simulated per attack tool by this package and metered by its "
    "own flow meter. They show that the system works, and say nothing about real networks."
)


def build_report(output_dir: str | os.PathLike[str]) -> Path:
    """Write summary.csv, summary.md, figures/ and report.html into output_dir; returns the path of report.html.

    Raises:
      InputError: output_dir holds nothing of an experiment, a record is damaged, or the folder cannot be written.
    """
    out = Path(output_dir)
    if not any((out / name).exists() for name in (RECORDS, CONFIG, "data.json", "runs")):
        raise InputError(
            f"{out} holds no {RECORDS}, {CONFIG}, data.json or runs/; pass the `output_dir` of an experiment"
        )
    records, left_out = read(out), []
    if not records:
        left_out.append(f"Results: there are no finished runs in {RECORDS}.")
    write_summary(out, records)

    drawn: list[Drawn] = []
    parts: list[tuple[str, Callable[[], list[Drawn]]]] = [
        ("Accuracy and confusion", lambda: results(records)),
        ("Real and synthetic rows", lambda: _rows(out)),
        ("Training curves", lambda: _curves(out)),
        ("Explanations", lambda: _explanations(out)),
    ]
    for name, draw in parts:
        try:
            drawn += draw()
        except InputError as error:
            left_out.append(f"{name}: {error}.")
    images = {each.name: svg(each.figure) for each in drawn}
    data_of = {each.name: each.data.csv() for each in drawn}
    files = {f"{name}.svg": content for name, content in images.items()}
    _replace_figures(
        out / "figures", files | {f"{name}.csv": text.encode("utf-8", "replace") for name, text in data_of.items()}
    )

    data = _optional(out / "data.json", "Dataset", left_out)
    config = _optional(out / CONFIG, "Flags", left_out)
    pictures = [
        Section(each.title, image(images[each.name], each.alt, each.caption, (f"{each.name}.csv", data_of[each.name])))
        for each in drawn
    ]
    # What most come for stands first: the verdict, the key figures, and the learning curve or the accuracies.
    body = [Section("Verdict", items(verdict(records), "verdict"))]
    if records:
        body += [Section("Key figures", "".join(map(table, key_figures(records)))), *pictures[:1]]
        body.append(Section("Results", "".join(table(each) for each in tables(records))))
    body += pictures[1:] if records else pictures
    beside = _synthetic(out, left_out)
    body += [Section("Synthetic rows beside real ones", beside)] if beside else []
    body += [_dataset(data)] if data else []
    body += [Section("Left out", items(left_out))] if left_out else []
    body += _provenance(records, config)
    path = out / "report.html"
    write_atomic(path, page(_title(records, data, config), _opening(records, data, config), body))
    return path


def _rows(out: Path) -> list[Drawn]:
    try:
        folder, test = _first_run(out, "synthetic.parquet", "test.parquet"), "test.parquet"
    except InputError as error:
        try:
            folder, test = _first_run(out, "synthetic.parquet", "held_out.parquet"), "held_out.parquet"  # format 1
        except InputError:
            raise error from None
    real, synthetic = _read_rows(folder / test), _read_rows(folder / "synthetic.parquet")
    names = [name for name in real if name in synthetic and name != "Label"]
    if not names:
        raise InputError(f"the tables of {_place(folder)} have no feature in common")
    x, z = _as_rows(real, names), _as_rows(synthetic, names)
    drawn = []
    ranked = _ranking(out, names, x)
    if np.isin(x.labels, z.labels).any():
        figure = rows.feature_distributions([names[j] for j in ranked], _columns(x, ranked), _columns(z, ranked))
        caption = (
            f"{_place(folder)}: the {len(ranked)} most important features. Real rows are weighted to the synthetic "
            "rows' mix of classes."
        )
        shown = [names[j] for j in ranked]
        told = figure_data.features(shown, _columns(x, ranked), _columns(z, ranked))
        alt = f"Distributions of {', '.join(shown)}: real rows beside synthetic ones."
        drawn.append(Drawn("features", "Features, real and synthetic", caption, figure, alt, told))
    train = folder / "train.parquet"
    few = _as_rows(_read_rows(train).reindex(columns=[*names, "Label"]), names) if train.exists() else None
    caption = f"{_place(folder)}: principal components of the standardised signed logarithms of the real rows."
    alt = f"{len(x.x):,} real and {len(z.x):,} synthetic rows of {len(set(x.labels))} classes on a plane."
    picture, points = rows.projection(x, z, few), figure_data.projection(x, z, few)
    drawn.append(Drawn("projection", "Rows in two dimensions", caption, picture, alt, points))
    return drawn


def _read_rows(path: Path) -> pd.DataFrame:
    """Numeric feature columns and the labels as text."""
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{_place(path)} is no readable Parquet file ({_line(error)})") from error
    if "Label" not in frame or not len(frame):
        raise InputError(f"{_place(path)} has no {'rows' if 'Label' in frame else 'column Label'}")
    numeric = frame.select_dtypes("number").astype(np.float64)
    return numeric.drop(columns="Label", errors="ignore").assign(Label=frame["Label"].astype(str))


def _as_rows(frame: pd.DataFrame, names: list[str]) -> rows.Rows:
    x = frame[names].to_numpy(np.float64)
    x = np.where(np.isfinite(x), np.clip(x, -1e30, 1e30), np.nan)  # an axis has no ticks for more
    return rows.Rows(x=x, labels=frame["Label"].to_numpy(str))


def _columns(table: rows.Rows, columns: np.ndarray) -> rows.Rows:
    return rows.Rows(x=table.x[:, columns], labels=table.labels)


def _ranking(out: Path, names: list[str], real: rows.Rows) -> np.ndarray:
    """The most important features by SHAP; without explanations, those that separate the real classes best."""
    importance = rows.separation(real)
    try:
        shap = _shap(out)[1]
        by_name = dict(zip(shap["features"], shap["global"]["mean_abs"], strict=True))
        if set(names) <= by_name.keys():
            importance = np.array([by_name[name] for name in names], np.float64)
    except InputError:
        pass  # the explanations' own section says what is wrong with them
    return np.argsort(-importance, kind="stable")[:FEATURES_SHOWN]


def _curves(out: Path) -> list[Drawn]:
    path = _first_run(out, "curves.json") / "curves.json"
    curves = read_json(path)
    if not isinstance(curves, dict) or not all(
        isinstance(curve, list) and all(isinstance(v, int | float | None) for v in curve) for curve in curves.values()
    ):
        raise InputError(f"{_place(path)} must hold lists of losses by name")
    curves = {name: curve for name, curve in curves.items() if any(value is not None for value in curve)}
    if not curves:
        raise InputError(f"{_place(path)} holds no losses")
    caption = f"{_place(path.parent)}: thin lines are the losses, thick lines their running mean."
    last = {name: next(value for value in reversed(curve) if value is not None) for name, curve in curves.items()}
    alt = "Losses by step; at the end " + ", ".join(f"{name} {value:.3g}" for name, value in last.items()) + "."
    picture, data = figures.training_curves(curves), figure_data.curves(curves)
    return [Drawn("curves", "Training curves", caption, picture, alt, data)]


def _explanations(out: Path) -> list[Drawn]:
    path, shap = _shap(out)
    place = _place(path.parent)
    drawn = [
        Drawn(
            "shap_global",
            "What the detector looks at",
            f"{place}: mean |φ| over unseen rows, the ten largest.{_error(shap)}",
            figures.shap_global(shap),
            figure_data.told_shap(shap),
            figure_data.shap_global(shap),
        )
    ]
    if shap["local"]:
        caption = f"{place}: one unseen row of each class; base + Σ φ = probability of its own class; lines: errors."
        alt = f"The features that decided on one row of each of {len(shap['local'])} classes, with their values."
        picture, data = figures.shap_local(shap), figure_data.shap_local(shap)
        drawn.append(Drawn("shap_local", "Single decisions explained", caption, picture, alt, data))
    return drawn


def _error(shap: Mapping[str, Any]) -> str:
    """How far the values may be off, where that is known."""
    error = shap.get("relative_error")
    return f" Standard error of a row's φ: {error:.0%} of their root mean square." if error else ""


def _shap(out: Path) -> tuple[Path, dict[str, Any]]:
    """The first run's shap.json, checked."""
    path = _first_run(out, "shap.json") / "shap.json"
    shap = read_json(path)
    try:
        d, c = len(shap["features"]), len(shap["classes"])
        shapes = [(shap["global"]["mean_abs"], (d,)), (shap["global"]["per_class"], (c, d))]
        for row in shap["local"]:
            shapes += [(row["phi"], (d,)), (row["probability"], ()), (row["base"], ())]
            shapes += [(row["errors"], (d,))] if "errors" in row else []
            if np.asarray(row["values"], np.float64).shape != (d,) or not {"class", "predicted"} <= row.keys():
                raise ValueError("a local explanation lacks its classes or raw values")
        shapes += [(shap.get("relative_error", 0.0), ())]
        for values, shape in shapes:
            array = np.asarray(values, np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"values of shape {array.shape} where finite ones of shape {shape} belong")
        if not d or not c or not isinstance(shap["features"], list) or not isinstance(shap["classes"], list):
            raise ValueError("there are no features or no classes")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{_place(path)} does not hold explanations as this report reads them ({_line(error)})"
        ) from error
    return path, shap


def _first_run(out: Path, *names: str) -> Path:
    """The first run's folder, in natural order (shots5 before shots50), that holds all these files."""

    def natural(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]

    for folder in sorted((out / "runs").glob("*"), key=natural):
        if all(any(path.is_file() for path in folder.glob(name)) for name in names):
            return folder
    raise InputError(f"no run in runs/ has {' and '.join(names)}")


def _optional(path: Path, name: str, left_out: list[str]) -> dict[str, Any]:
    """A JSON object that may be missing; what is wrong with it is added to `left_out`."""
    if not path.exists():
        left_out.append(f"{name}: there is no {path.name}.")
        return {}
    try:
        return read_object(path)
    except InputError as error:
        left_out.append(f"{name}: {error}.")
        return {}


def _replace_figures(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the figures with their data, and remove those of an earlier report that no longer have their files."""
    for name, content in files.items():
        write_atomic(folder / name, content)
    numbered = r"(confusion|quality|radar|detectors|samplers|curve)\d+"
    named = rf"(accuracy|{numbered}|features|projection|curves|shap_(global|local))\.(svg|csv|png)"
    for path in folder.glob("*"):
        if path.name not in files and re.fullmatch(named, path.name):
            path.unlink(missing_ok=True)


def _opening(records: list[dict[str, Any]], data: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    datasets = [*(record["dataset"] for record in records), data.get("dataset"), config.get("dataset")]
    notice = paragraph(SIMULATED, "notice") if "simulated" in datasets else ""
    seeds = len({record["split_seed"] for record in records})
    count = f"{len(records)} finished runs over {seeds} split seed{'s' * (seeds != 1)}."
    return notice + paragraph(count)


def _title(records: list[dict[str, Any]], data: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    experiments = list(dict.fromkeys(str(record["experiment"]) for record in records))
    datasets = list(dict.fromkeys(str(record["dataset"]) for record in records))
    datasets = datasets or [str(value["dataset"]) for value in (data, config) if value.get("dataset")][:1]
    return " on ".join(filter(None, (", ".join(experiments), ", ".join(datasets)))) or "Report"


def _synthetic(out: Path, left_out: list[str]) -> str:
    """The synthetic rows of the first run that kept some, beside its real ones; nothing where none did."""
    try:
        folder = _first_run(out, "train.parquet", "test.parquet", "synthetic*.parquet")
    except InputError:
        return ""
    try:
        return comparison.of_run(folder)
    except InputError as error:
        left_out.append(f"Synthetic rows beside real ones: {error}.")
        return ""


def _dataset(data: Mapping[str, Any]) -> Section:
    parts, rest = [], {name: value for name, value in data.items() if name != "dataset"}
    for name, title in (("read", "As read"), ("counts", "Rows of each class")):
        if isinstance(rest.get(name), dict):
            parts.append(f"<h3>{title}</h3>" + definitions(rest.pop(name)))
    if isinstance(rest.get("leakage"), list):
        lines = [str(line) for line in rest.pop("leakage")]
        found = items(lines) if lines else paragraph("No single feature alone separates the classes.")
        parts.append("<h3>Leakage</h3>" + found)
    if rest.get("near_duplicates") is not None:
        parts.append(paragraph(f"Near duplicates between training and test rows: {rest.pop('near_duplicates')}."))
    if rest:
        parts.append("<h3>Further</h3>" + definitions(rest))
    return Section(f"Dataset {data.get('dataset', '')}", "".join(parts))


def _provenance(records: list[dict[str, Any]], config: Mapping[str, Any]) -> list[Section]:
    """Environment, exact commands and flags; what differs between runs is listed in full."""
    seen: dict[str, dict[str, None]] = {}
    for record in records:
        for name, value in record.get("environment", {}).items():
            seen.setdefault(str(name), {})["–" if value is None else str(value)] = None
    commands = list(seen.pop("command", {}))
    parts = []
    if commands:
        again = paragraph("Run it again, into a new folder or the same one:")
        parts.append("<h3>Command</h3>" + again + "".join(f"<pre>{escape(command)}</pre>" for command in commands))
    if seen:
        parts.append("<h3>Environment</h3>" + definitions({name: "; ".join(values) for name, values in seen.items()}))
    if config:
        parts.append("<h3>Flags</h3>" + definitions(config))
    return [Section("How this was made", "".join(parts))] if parts else []


def _place(path: Path) -> str:
    """The path below the output folder, from runs/ on."""
    parts = path.parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index("runs") :])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
