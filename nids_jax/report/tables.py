"""Records → summary.csv, summary.md, and the sentences that say whether generation helped.

Arms and their intervals are those of `nids_jax.report.arms`.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nids_jax.evaluation.statistics import Interval
from nids_jax.files import write_atomic
from nids_jax.report import detector_comparison, generator_comparison, imbalance
from nids_jax.report.conditions import ENOUGH_SEEDS, Arm, Group, Record, Table, arms, difference, interval, show

METRICS = ("accuracy", "macro_f1", "weighted_f1", "false_positive_rate")
# In summary.csv alone.
FURTHER = (
    *("weighted_precision", "weighted_recall", "macro_precision", "macro_recall", "unseen_flagged"),
    *("attack_recall", "attack_recall_at_0.001", "attack_recall_at_0.01"),
)
COMPARED = ("accuracy", "macro_f1")
TIMINGS = ("compile_s", "generator_fit_s", "sample_s", "fit_s", "classify_s")

# Accuracy that P1 prints (Tables IV and V; 5 real and 50 generated rows per class, mean of six runs).
_T = ("500", "1000", "1500", "2000")
_P1_2017 = {
    ("real", "cnn_bigru"): "0.5035 (Table V), 0.5189 (Table IV)",
    ("smote", "cnn_bigru"): "0.715",
    ("cddpm", "cnn_bigru"): "0.805, 0.863, 0.818, 0.721 (T = 500, 1000, 1500, 2000)",
    **{("cddpm_" + t, "cnn_bigru"): a for t, a in zip(_T, ("0.805", "0.863", "0.818", "0.721"), strict=True)},
    ("wcgan_gp", "cnn_bigru"): "0.724",
    ("real_all", "cnn_bigru"): "0.9721 (55 real rows)",
    ("real", "random_forest"): "0.7649 (Table IV)",
}
_P1_2019 = {
    ("real", "cnn_bigru"): "0.2944",
    ("smote", "cnn_bigru"): "about 0.61",
    ("cddpm", "cnn_bigru"): "0.709, 0.689, 0.684, 0.766 (T = 500, 1000, 1500, 2000)",
    **{("cddpm_" + t, "cnn_bigru"): a for t, a in zip(_T, ("0.709", "0.689", "0.684", "0.766"), strict=True)},
    ("wcgan_gp", "cnn_bigru"): "about 0.53",
    ("real_all", "cnn_bigru"): "0.8905 (55 real rows)",
}
PAPER = {"cicids2017": _P1_2017, "cicids2017_improved": _P1_2017, "cicddos2019": _P1_2019}
PAPER_SHOTS = 5


COPIES, FOREST = "copies", Arm("real", "random_forest")
HEADLINE = Arm("cddpm", "cnn_bigru")


def summary(records: Iterable[Record]) -> list[dict[str, Any]]:
    """summary.csv: one flat row per arm: figures with their intervals, paired differences, mean seconds, mean rows."""
    rows = []
    for group, members in arms(records).items():
        for arm, runs in members.items():
            row: dict[str, Any] = {**group._asdict(), **arm._asdict()}
            row["split_seeds"] = len({run["split_seed"] for run in runs})
            row["runs"] = len(runs)
            for metric in (*METRICS, *FURTHER):
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
        if group.experiment in detector_comparison.EXPERIMENTS:
            result += [*detector_comparison.tables(group, members), _timings(group, members)]
            continue
        if group.experiment in imbalance.EXPERIMENTS:
            result += imbalance.tables(group, members)
        elif group.experiment in generator_comparison.EXPERIMENTS:
            result += generator_comparison.tables(group, members)
        else:
            result += [_scores(group, members), _differences(group, members)]
        result.append(_timings(group, members))
        printed = PAPER.get(group.dataset, {}) if group.shots == PAPER_SHOTS else {}
        printed = {} if group.experiment == "rare_attacks" else printed  # P1 has no such experiment
        if printed:
            result.append(_beside_paper(group, members, printed))
    return result


def verdict(records: Iterable[Record]) -> list[str]:
    """What the runs show: whether generation helped, and whether CNN-BiGRU beats its rivals.

    Generation is CNN-BiGRU on `cddpm` rows, against `copies` and against a forest on the real rows; then the best
    detector with generated rows beside the best without (`generator_comparison.best`).

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
    groups = arms(records)
    for group, members in groups.items():
        if group.experiment in detector_comparison.EXPERIMENTS:
            sentences += detector_comparison.verdict(group, members)
            continue
        if group.experiment in (*generator_comparison.EXPERIMENTS, *imbalance.EXPERIMENTS):
            own = imbalance if group.experiment in imbalance.EXPERIMENTS else generator_comparison
            sentences += own.verdict(group, members)
            continue
        for name, control in controls.items():
            if control.generator in ("jitter", "smote") and control not in members:
                continue
            found = difference(members, HEADLINE, control, "accuracy")
            sentences.append(f"{group}, against {name}: {_judgement(found, f'{HEADLINE} − {control}')}")
        sentences += generator_comparison.best(group, members, "accuracy", "accuracy")
    if not sentences:
        return [f"There are no {'runs to compare with CNN-BiGRU' if groups else 'finished runs'}, hence no verdict."]
    return sentences


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
        if Arm(*key) in members or key[0].removeprefix("cddpm_") not in _T  # a T that was not run is left out
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


def _cell(text: str) -> str:
    """One line without a column separator."""
    return " ".join(str(text).split()).replace("|", "\\|")
