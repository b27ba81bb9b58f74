"""What the imbalance experiment says: P2's Tables 1 to 4 with controls, the recall of rare classes, a verdict."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from nids_jax.data.datasets import Cell, printed
from nids_jax.report.conditions import Condition, Group, Record, Table, interval, kind_of_interval, mean_recall, show
from nids_jax.report.generator_comparison import differences, fidelity, judged

EXPERIMENTS = ("imbalance",)
METRICS = {"macro_precision": "macro P", "macro_recall": "macro R", "macro_f1": "macro F1"}
JUDGED = "macro_f1"
CONTROLS = ("real", "real_weighted", "copies", "smote")
RARE = 0.05  # of the training rows: a class with a smaller share is rare


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """P2's Tables 1 and 2, 3 and 4, the recall of rare classes, differences to each control, fidelity."""
    return [
        _statistics(group, members),
        _scores(group, members),
        _rare_recall(group, members),
        differences(group, members, CONTROLS, JUDGED, METRICS[JUDGED]),
        *fidelity(group, members),
    ]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """For each training set: with which classifiers it helped or hurt, against the real rows and against SMOTE."""
    generators = dict.fromkeys(condition.generator for condition in members if condition.generator != "real")
    return judged(group, members, generators, ("real", "smote"), JUDGED, METRICS[JUDGED])


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """The conditions whose confusion matrices are drawn: real rows, and P2's method with the same classifier."""
    for wanted in (("real", "vae_wgan_gp"), ("real",)):
        for classifier in dict.fromkeys(condition.classifier for condition in members):
            found = [Condition(generator, classifier) for generator in wanted]
            if all(condition in members for condition in found):
                return found
    return list(members)[:2]


def _statistics(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    run = next(iter(members.values()))[0]
    training = dict(zip(run["classes"], run["training_rows"], strict=True))
    tested = dict(zip(run["classes"], np.sum(run["confusion"], axis=1).tolist(), strict=True))
    total = {name: training[name] + tested[name] for name in training}
    paper = printed(group.dataset).rows
    rows = []
    for name in sorted({**total, **paper}, key=lambda name: -total.get(name, 0)):
        ours = [_count(counts.get(name)) for counts in (total, training, tested)]
        theirs = [_count(paper.get(name)), _share(paper, name)] if paper else []
        rows.append((name, ours[0], _share(total, name), *ours[1:], *theirs))
    return Table(
        f"{group}: rows of each class",
        ("class", "rows", "share", "to train on", "to test on", *(("P2 prints", "P2's share") if paper else ())),
        rows,
        "Ours: read and cleaned, without repeated rows unless `--keep_duplicates` is given; P2 keeps them.",
    )


def _scores(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    cells = printed(group.dataset).imbalance
    rows = []
    for condition, runs in members.items():
        seeds = str(len({run["split_seed"] for run in runs}))
        own = [show(interval(runs, name)) for name in METRICS]
        paper = [_shown_cell(cells.get(condition))] if cells else []
        rows.append((*condition, seeds, str(len(runs)), _fractions(runs), *own, *paper))
    impossible = sum(cell.impossible for cell in cells.values())
    note = "Fraction: how much of the way to the wanted rows a training set chose to raise its classes, and how often."
    if cells:
        note += (
            "  P2's figures are the paper's own, on other rows.  No F1 and no mean of F1 is above (P + R) / 2: of its "
            f"{len(cells)} F1, {impossible} are impossible."
        )
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        (
            *("generator", "classifier", "seeds", "runs", "fraction"),
            *METRICS.values(),
            *(["P2 prints (P, R, F1)"] if cells else []),
        ),
        rows,
        f"{note}  {kind_of_interval(members)}",
    )


def _rare_recall(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    counts = {
        name: count
        for runs in members.values()
        for run in runs
        for name, count in zip(run["classes"], run["training_rows"], strict=True)
    }
    total = sum(counts.values())
    rare = sorted((name for name in counts if counts[name] < RARE * total), key=lambda name: counts[name])
    return Table(
        f"{group}: recall of each class with less than {RARE:.0%} of the training rows, mean over split seeds",
        ("generator", "classifier", *(f"{name} ({counts[name]})" for name in rare)),
        [(*condition, *(mean_recall(runs, name) for name in rare)) for condition, runs in members.items()],
        "In brackets: real rows to train on.",
    )


def _fractions(runs: list[Record]) -> str:
    chosen = Counter(run["fraction"] for run in runs if run["fraction"] is not None)
    return ", ".join(f"{fraction:g} × {chosen[fraction]}" for fraction in sorted(chosen)) or "–"


def _shown_cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    figures = ", ".join(f"{value / 100:.4f}" for value in cell)
    return f"{figures} (impossible)" if cell.impossible else figures


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _share(counts: Mapping[str, int], name: str) -> str:
    return f"{counts[name] / sum(counts.values()):.4%}" if name in counts else "–"
