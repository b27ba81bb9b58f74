"""Records → summary.csv, summary.md, and the sentences that say whether generation helped.

An arm is a training set (`generator`) with a classifier, within one experiment, dataset and number of shots.  Every
interval is over split seeds: several generations of one split count once (see `nids_jax.evaluation.statistics`).
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nids_jax.evaluation.statistics import Interval, mean_interval, paired_interval, split_means
from nids_jax.files import write_atomic

Record = Mapping[str, Any]

METRICS = ("accuracy", "macro_f1", "weighted_f1", "false_positive_rate")
COMPARED = ("accuracy", "macro_f1")
TIMINGS = ("compile_s", "generator_fit_s", "sample_s", "fit_s", "classify_s")
GENERATORS = ["real", "copies", "jitter", "smote", "adasyn", "cddpm", "wgan", "wcgan_gp", "vae_wgan_gp", "real_all"]
CLASSIFIERS = ["cnn_bigru", "cnn_bilstm", "bilstm_bigru", "bilstm", "random_forest", "knn", "xgboost", "decision_tree"]
ENOUGH_SEEDS = 5  # below it a comparison is only preliminary

# Accuracy that P1 prints (Tables IV and V; 5 real and 50 generated rows per class, mean of six runs).
_P1_2017 = {
    ("real", "cnn_bigru"): "0.5035 (Table V), 0.5189 (Table IV)",
    ("smote", "cnn_bigru"): "0.715",
    ("cddpm", "cnn_bigru"): "0.805, 0.863, 0.818, 0.721 (T = 500, 1000, 1500, 2000)",
    ("wcgan_gp", "cnn_bigru"): "0.724",
    ("real_all", "cnn_bigru"): "0.9721 (55 real rows)",
    ("real", "random_forest"): "0.7649 (Table IV)",
}
_P1_2019 = {
    ("real", "cnn_bigru"): "0.2944",
    ("smote", "cnn_bigru"): "about 0.61",
    ("cddpm", "cnn_bigru"): "0.709, 0.689, 0.684, 0.766 (T = 500, 1000, 1500, 2000)",
    ("wcgan_gp", "cnn_bigru"): "about 0.53",
    ("real_all", "cnn_bigru"): "0.8905 (55 real rows)",
}
PAPER = {"cicids2017": _P1_2017, "cicids2017_improved": _P1_2017, "cicddos2019": _P1_2019}
PAPER_SHOTS = 5


class Group(NamedTuple):
    """Runs that may be compared with each other."""

    experiment: str
    dataset: str
    shots: int | str | None

    def __str__(self) -> str:
        name = f"{self.experiment} on {self.dataset}"
        return name if self.shots is None else f"{name}, {self.shots} shots"


class Arm(NamedTuple):
    """A training set and the classifier trained on it."""

    generator: str
    classifier: str

    def __str__(self) -> str:
        return f"{self.classifier} on {self.generator}"


class Table(NamedTuple):
    """A table as text, for Markdown and HTML alike."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


COPIES, FOREST = "copies", Arm("real", "random_forest")
HEADLINE = Arm("cddpm", "cnn_bigru")


def arms(records: Iterable[Record]) -> dict[Group, dict[Arm, list[Record]]]:
    """The records of each arm of each group, in an order that does not depend on theirs."""
    found: dict[Group, dict[Arm, list[Record]]] = {}
    for record in records:
        group = Group(record["experiment"], record["dataset"], record["shots"])
        arm = Arm(record["generator"], record["classifier"])
        found.setdefault(group, {}).setdefault(arm, []).append(record)
    by_group = sorted(found, key=lambda g: (str(g.experiment), str(g.dataset), _number_first(g.shots)))
    return {group: {arm: found[group][arm] for arm in sorted(found[group], key=_arm_order)} for group in by_group}


def by_split(records: Iterable[Record], metric: str) -> dict[int, list[float]]:
    """{split seed: the metric of each generation}; runs without the metric are left out."""
    values: dict[int, list[float]] = {}
    for record in records:
        value = record["metrics"].get(metric)
        if value is not None:
            values.setdefault(record["split_seed"], []).append(float(value))
    return values


def interval(records: Iterable[Record], metric: str) -> Interval | None:
    """The metric's mean over split seeds with its 95 % interval; None where no run has it."""
    means = split_means(by_split(records, metric))
    return mean_interval(means.values()) if means else None


def difference(group: Mapping[Arm, list[Record]], arm: Arm, control: Arm, metric: str) -> Interval | None:
    """metric(arm) − metric(control), paired by split seed; None if they share none or are the same arm."""
    if arm == control or arm not in group or control not in group:
        return None
    return paired_interval(by_split(group[arm], metric), by_split(group[control], metric))


def summary(records: Iterable[Record]) -> list[dict[str, Any]]:
    """summary.csv: one flat row per arm: figures with their intervals, paired differences, mean seconds, mean rows."""
    rows = []
    for group, members in arms(records).items():
        for arm, runs in members.items():
            row: dict[str, Any] = {**group._asdict(), **arm._asdict()}
            row["split_seeds"] = len({run["split_seed"] for run in runs})
            row["runs"] = len(runs)
            for metric in METRICS:
                row |= _columns(metric, interval(runs, metric))
            for metric in COMPARED:
                row |= _columns(f"{metric}_minus_copies", _against_copies(members, arm, metric))
                row |= _columns(f"{metric}_minus_forest", difference(members, arm, FOREST, metric))
            for name in TIMINGS:
                row[name] = _mean(runs, "timing", name)
            for name in ("train", "generated", "test"):
                row[f"rows_{name}"] = _mean(runs, "rows", name)
            rows.append(row)
    return rows


def tables(records: Iterable[Record]) -> list[Table]:
    """The tables of summary.md: figures, paired differences, seconds and P1's own figures, for each group."""
    result = []
    for group, members in arms(records).items():
        result += [_scores(group, members), _differences(group, members), _timings(group, members)]
        printed = PAPER.get(group.dataset, {}) if group.shots == PAPER_SHOTS else {}
        if printed:
            result.append(_beside_paper(group, members, printed))
    return result


def verdict(records: Iterable[Record]) -> list[str]:
    """Whether generation (CNN-BiGRU on `cddpm` rows) helped beyond `copies` and beyond a forest on the real rows.

    A sentence per control for each experiment, dataset and shots; also against `jitter` and `smote` where they ran.
    "Helped" only if the whole 95 % interval of the paired differences in accuracy lies above 0, "hurt" if below; else
    no difference is shown.  One seed shows nothing.
    """
    controls = {
        "copies of the real rows": Arm(COPIES, HEADLINE.classifier),
        "a random forest on the real rows": FOREST,
        "Gaussian jitter": Arm("jitter", HEADLINE.classifier),
        "SMOTE": Arm("smote", HEADLINE.classifier),
    }
    sentences = []
    for group, members in arms(records).items():
        for name, control in controls.items():
            if control.generator in ("jitter", "smote") and control not in members:
                continue
            found = difference(members, HEADLINE, control, "accuracy")
            sentences.append(f"{group}, against {name}: {_judgement(found, f'{HEADLINE} − {control}')}")
    return sentences or ["There are no finished runs, hence no verdict."]


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
    writer = csv.DictWriter(text, list(rows[0]) if rows else [*Group._fields, *Arm._fields], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(Path(output_dir) / "summary.csv", text.getvalue().encode("utf-8", "replace"))
    lines = ["# Results", "", *(f"- {sentence}" for sentence in verdict(records)), ""]
    lines += [markdown(table) for table in tables(records)]
    write_atomic(Path(output_dir) / "summary.md", "\n".join(lines).encode("utf-8", "replace"))


def show(value: Interval | None, *, signed: bool = False) -> str:
    """`0.863 [0.841, 0.885]`; without the brackets for one seed; – for none."""
    if value is None:
        return "–"
    form = "{:+.4f}" if signed else "{:.3f}"
    mean, *bounds = (form.format(round(x, 4) + 0.0) for x in (value.mean, value.low, value.high) if x is not None)
    return f"{mean} [{', '.join(bounds)}]" if bounds else mean


def _scores(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    rows = []
    for arm, runs in members.items():
        seeds = len({run["split_seed"] for run in runs})
        rows.append((*arm, str(seeds), str(len(runs)), *(show(interval(runs, metric)) for metric in METRICS)))
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        ("generator", "classifier", "seeds", "runs", "accuracy", "macro F1", "weighted F1", "false-positive rate"),
        rows,
    )


def _differences(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    rows = []
    for arm in members:
        found = [_against_copies(members, arm, metric) for metric in COMPARED]
        found += [difference(members, arm, FOREST, metric) for metric in COMPARED]
        if any(value is not None for value in found):
            rows.append((*arm, *(show(value, signed=True) for value in found)))
    return Table(
        f"{group}: paired differences",
        (
            "generator",
            "classifier",
            "accuracy − copies",
            "macro F1 − copies",
            "accuracy − forest on real",
            "macro F1 − forest on real",
        ),
        rows,
        "Paired by split seed, 95 % interval of Student's t; copies: the same classifier on copied rows.",
    )


def _timings(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    def seconds(runs: list[Record], name: str) -> str:
        mean = _mean(runs, "timing", name)
        return "–" if mean is None else f"{mean:.2f}"

    rows = [(*arm, *(seconds(runs, name) for name in TIMINGS)) for arm, runs in members.items()]
    return Table(
        f"{group}: seconds, mean of the runs",
        ("generator", "classifier", "compile", "generator fit", "sample", "classifier fit", "classify"),
        rows,
    )


def _beside_paper(group: Group, members: Mapping[Arm, list[Record]], printed: Mapping[tuple[str, str], str]) -> Table:
    rows = [
        (*key, show(interval(members[Arm(*key)], "accuracy")) if Arm(*key) in members else "–", figure)
        for key, figure in printed.items()
    ]
    return Table(
        f"{group}: accuracy beside the paper's",
        ("generator", "classifier", "ours", "P1 prints"),
        rows,
        "P1's figures are the paper's own, on different data (its own rows and test set): they stand beside ours and "
        "are not a paired comparison.",
    )


def _judgement(found: Interval | None, pair: str) -> str:
    if found is None:
        return f"no verdict, because no split seed has both arms ({pair})."
    figures = f"accuracy {show(found, signed=True)}"
    if found.side is None:
        return f"nothing shown; {figures} from n = 1 split seed, which has no interval and shows nothing ({pair})."
    word = {1: "generation helped", -1: "generation hurt", 0: "no difference shown"}[found.side]
    caution = f"; fewer than {ENOUGH_SEEDS} seeds, so preliminary" if found.n < ENOUGH_SEEDS else ""
    return f"{word}; {figures}, 95 % interval over n = {found.n} split seeds ({pair}, paired){caution}."


def _against_copies(members: Mapping[Arm, list[Record]], arm: Arm, metric: str) -> Interval | None:
    return difference(members, arm, Arm(COPIES, arm.classifier), metric)


def _columns(name: str, value: Interval | None) -> dict[str, Any]:
    mean, low, high, n = value if value is not None else (None, None, None, 0)
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}


def _mean(runs: Iterable[Record], part: str, name: str) -> float | None:
    values = [run.get(part, {}).get(name) for run in runs]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(known)) if known else None


def _arm_order(arm: Arm) -> tuple[Any, ...]:
    return (*_known_first(arm.generator, GENERATORS), *_known_first(arm.classifier, CLASSIFIERS))


def _known_first(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), str(name))


def _number_first(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int)
    return (not number, value if number else 0, str(value))


def _cell(text: str) -> str:
    """One line without a column separator."""
    return " ".join(str(text).split()).replace("|", "\\|")
