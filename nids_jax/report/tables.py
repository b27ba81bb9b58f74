"""Records → summary.csv, summary.md, and the sentences that say what the runs show.

Conditions and their intervals are those of `nids_jax.report.conditions`; what is said of an experiment is up to its
section: a module with EXPERIMENTS, `tables`, `verdict` and `shown`.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nids_jax.evaluation.statistics import Interval
from nids_jax.files import write_atomic
from nids_jax.report import (
    cost,
    detector_comparison,
    explanations,
    few_shot,
    generator_comparison,
    imbalance,
    learning_curve,
    sampler_tradeoff,
    zero_shot,
)
from nids_jax.report.conditions import Condition, Group, Record, Table, difference, grouped, interval, show
from nids_jax.report.few_shot import COMPARED, METRICS
from nids_jax.report.generator_comparison import control_of
from nids_jax.sheets import guarded

SECTIONS = (
    *(few_shot, generator_comparison, imbalance, detector_comparison),
    *(learning_curve, sampler_tradeoff, cost, zero_shot, explanations),
)
Groups = Mapping[Group, Mapping[Condition, list[Record]]]
# In summary.csv alone.
FURTHER = (
    *("macro_precision", "macro_recall", "unseen_flagged"),
    *("attack_recall", "attack_recall_at_0.001", "attack_recall_at_0.01"),
)
KEY = {
    "attack_recall_at_0.01": "attacks found at 1 % false positives",
    "false_positive_rate": "false-positive rate",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
}
TIMINGS = ("compile_s", "generator_fit_s", "sample_s", "fit_s", "classify_s")


def section(group: Group) -> ModuleType:
    """What speaks about an experiment; the few-shot section for one that has none of its own."""
    return next((each for each in SECTIONS if group.experiment in each.EXPERIMENTS), few_shot)


def summary(records: Iterable[Record]) -> list[dict[str, Any]]:
    """summary.csv: a flat row per condition: figures with intervals, paired differences, mean seconds and rows."""
    rows = []
    for group, members in grouped(records).items():
        for condition, runs in members.items():
            row: dict[str, Any] = {**group._asdict(), **condition._asdict()}
            row["split_seeds"] = len({run["split_seed"] for run in runs})
            row["runs"] = len(runs)
            for metric in (*METRICS, *FURTHER):
                row |= _columns(metric, interval(runs, metric))
            for metric in COMPARED:
                for control in ("copies", "forest"):
                    value = difference(members, condition, control_of(condition, control), metric)
                    row |= _columns(f"{metric}_minus_{control}", value)
            for name in TIMINGS:
                row[name] = _mean(runs, "timing", name)
            for name in ("train", "generated", "test"):
                row[f"rows_{name}"] = _mean(runs, "rows", name)
            rows.append(row)
    return rows


def of_shots(groups: Groups, kind: ModuleType) -> dict[Group, dict[int, Mapping[Condition, list[Record]]]]:
    """Of each experiment of a section's and each dataset, the conditions by number of shots."""
    found: dict[Group, dict[int, Mapping[Condition, list[Record]]]] = {}
    for group, members in groups.items():
        if section(group) is kind and isinstance(group.shots, int):
            found.setdefault(group._replace(shots=None), {})[group.shots] = members
    return found


def tables(records: Iterable[Record]) -> list[Table]:
    """The tables of summary.md: each section's, the seconds, and P1's own figures, for each group."""
    result = []
    groups = grouped(records)
    for group, curve in of_shots(groups, learning_curve).items():
        result += learning_curve.tables(group, curve)
    for group, members in groups.items():
        own = section(group)
        if own is learning_curve:
            continue
        result += own.tables(group, members)
        if own not in (cost, sampler_tradeoff):
            result.append(_timings(group, members))
        if own in (few_shot, generator_comparison) and group.experiment != "rare_attacks":  # of which P1 says nothing
            result += few_shot.beside_paper(group, members)
    return result


def key_figures(records: Iterable[Record]) -> list[Table]:
    """What most come for, of each group: attacks found at 1 % false positives, false positives, accuracy, macro F1.

    The classifier is the one that is best on the real rows alone (else the first); a line for each training set.
    """
    found = []
    for group, members in grouped(records).items():
        scored = {each: value for each, runs in members.items() if (value := interval(runs, "accuracy"))}
        if not scored:
            continue
        real = {each: value.mean for each, value in scored.items() if each.generator == "real"}
        chosen = max(real, key=real.__getitem__).classifier if real else next(iter(scored)).classifier
        several = len({each.generator for each in members}) > 1
        lines = [each for each in scored if each.classifier == chosen or not several]
        rows = [(*each, *(show(interval(members[each], metric)) for metric in KEY)) for each in lines]
        header = ("training set", "classifier", *KEY.values())
        others = len({each.classifier for each in scored}) > 1
        note = f"Of {chosen}, the best on the real rows; the other classifiers are below." if several and others else ""
        found.append(Table(f"{group}", header, rows, note))
    return found


def verdict(records: Iterable[Record]) -> list[str]:
    """What the runs show, a few sentences for each group."""
    groups = grouped(records)
    found = of_shots(groups, learning_curve)
    sentences = [each for group, curve in found.items() for each in learning_curve.verdict(group, curve)]
    for group, members in groups.items():
        if section(group) is not learning_curve:
            sentences += section(group).verdict(group, members)
    if sentences:
        return sentences
    if not groups:
        return ["There are no finished runs, hence no verdict."]
    splits = {run["split_seed"] for members in groups.values() for runs in members.values() for run in runs}
    if len(splits) < 2:
        return ["There is one split, which shows nothing: more `--seeds` give intervals, and with them a verdict."]
    return ["There are no two training sets or detectors to compare, hence no verdict."]


def markdown(table: Table) -> str:
    """The table as Markdown, with columns aligned for reading on a terminal."""
    lines = [tuple(_cell(text) for text in line) for line in (table.header, *table.rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(table.header))]
    text = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join([f"## {_cell(table.title)}", "", *text, *(["", table.note] if table.note else []), ""])


def write_summary(output_dir: str | os.PathLike[str], records: Sequence[Record]) -> None:
    """Write summary.csv and summary.md into output_dir.

    Raises:
      InputError: the folder cannot be written.
    """
    rows = summary(records)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else [*Group._fields, *Condition._fields], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: guarded(cell) if isinstance(cell, str) else cell for name, cell in row.items()})
    write_atomic(Path(output_dir) / "summary.csv", text.getvalue().encode("utf-8", "replace"))
    write_atomic(Path(output_dir) / "summary.md", summary_text(records).encode("utf-8", "replace"))


def summary_text(records: Sequence[Record]) -> str:
    """The content of summary.md: the verdict, and the tables of results."""
    lines = ["# Results", "", *(f"- {sentence}" for sentence in verdict(records)), ""]
    return "\n".join([*lines, *(markdown(table) for table in tables(records))])


def _timings(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    def seconds(runs: list[Record], name: str) -> str:
        mean = _mean(runs, "timing", name)
        return "–" if mean is None else f"{mean:.2f}"

    rows = [(*condition, *(seconds(runs, name) for name in TIMINGS)) for condition, runs in members.items()]
    return Table(
        f"{group}: seconds, mean of the runs",
        ("generator", "classifier", "compile", "generator fit", "sample", "classifier fit", "classify"),
        rows,
    )


def _columns(name: str, value: Interval | None) -> dict[str, Any]:
    mean, low, high, n = value if value is not None else (None, None, None, 0)
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}


def _mean(runs: Iterable[Record], part: str, name: str) -> float | None:
    values = [run.get(part, {}).get(name) for run in runs]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(known)) if known else None


def _cell(text: str) -> str:
    """One line without a column separator."""
    return " ".join(str(text).split()).replace("|", "\\|")
