"""What the balancing experiment says: P2's Tables 1 to 4 with controls, the recall of rare classes, a verdict."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nids_jax.report.conditions import Arm, Group, Record, Table, interval, mean_recall, show
from nids_jax.report.generator_comparison import differences, fidelity, judged

EXPERIMENTS = ("balance",)
METRICS = {"macro_precision": "macro P", "macro_recall": "macro R", "macro_f1": "macro F1"}
JUDGED = "macro_f1"
CONTROLS = ("real", "real_weighted", "copies", "smote")
RARE = 0.05  # of the training rows: a class with a smaller share is rare


class Printed(NamedTuple):
    """What P2 prints of one cell, in percent."""

    precision: float
    recall: float
    f1: float

    @property
    def impossible(self) -> bool:
        """Whether F1 exceeds (P + R) / 2 by more than rounding to two digits can make it.

        2PR / (P + R) ≤ (P + R) / 2, for every class as for the macro averages; hence the mean of the classes' F1 does
        not exceed the mean of the macro averages either.
        """
        return self.f1 > (self.precision + self.recall) / 2 + 0.01


def _cells(*lines: tuple[str, tuple[float, ...]]) -> dict[Arm, Printed]:
    """One line of P2's table: the training set, and P, R and F1 of XGBoost, random forest and decision tree each."""
    classifiers = ("xgboost", "random_forest", "decision_tree")
    return {
        Arm(name, classifier): Printed(figures[i], figures[3 + i], figures[6 + i])
        for name, figures in lines
        for i, classifier in enumerate(classifiers)
    }


_TABLE_3 = _cells(
    ("real", (90.89, 84.31, 82.45, 62.66, 74.09, 79.56, 66.20, 76.92, 81.06)),
    ("smote", (93.17, 83.34, 80.69, 73.21, 74.55, 82.38, 73.62, 77.95, 81.82)),
    ("wgan", (91.84, 84.21, 81.65, 71.45, 75.72, 80.87, 71.38, 79.12, 81.69)),
    ("vae_wgan_gp", (94.26, 89.35, 85.12, 84.93, 77.55, 85.23, 85.41, 83.94, 85.58)),
)
_TABLE_4 = _cells(
    ("real", (60.87, 59.47, 59.84, 60.12, 61.03, 60.67, 61.49, 60.68, 59.31)),
    ("smote", (62.32, 61.42, 61.82, 61.35, 62.15, 62.39, 61.82, 61.35, 61.15)),
    ("wgan", (78.71, 77.57, 77.49, 73.32, 72.78, 70.97, 73.23, 73.98, 69.81)),
    ("vae_wgan_gp", (83.74, 89.05, 81.32, 85.46, 86.14, 84.98, 84.28, 83.64, 83.07)),
)
PAPER = {"cicids2017": _TABLE_3, "cicids2017_improved": _TABLE_3, "gas_pipeline": _TABLE_4}

# Rows in P2's Tables 1 and 2.
PAPER_ROWS = {
    "cicids2017": {
        "BENIGN": 2271320,
        "DoS": 251712,
        "PortScan": 158804,
        "DDoS": 128025,
        "FTP-Patator": 7935,
        "SSH-Patator": 5897,
        "Bot": 1956,
        "Web Attack - Brute Force": 1507,
        "Web Attack - XSS": 652,
        "Infiltration": 36,
        "Web Attack - Sql Injection": 21,
        "Heartbleed": 11,
    },
    "gas_pipeline": {
        "Normal": 61156,
        "CMRI": 15466,
        "MPCI": 7637,
        "Recon": 6805,
        "NMRI": 2763,
        "DoS": 1837,
        "MSCI": 782,
        "MFCI": 573,
    },
}


def tables(group: Group, members: Mapping[Arm, list[Record]]) -> list[Table]:
    """P2's Tables 1 and 2, 3 and 4, the recall of rare classes, differences to each control, fidelity."""
    return [
        _statistics(group, members),
        _scores(group, members),
        _rare_recall(group, members),
        differences(group, members, CONTROLS, JUDGED, METRICS[JUDGED]),
        *fidelity(group, members),
    ]


def verdict(group: Group, members: Mapping[Arm, list[Record]]) -> list[str]:
    """For each training set: with which classifiers it helped or hurt, against the raw rows and against SMOTE."""
    generators = dict.fromkeys(arm.generator for arm in members if arm.generator != "real")
    return judged(group, members, generators, ("real", "smote"), JUDGED, METRICS[JUDGED])


def shown(members: Mapping[Arm, list[Record]]) -> list[Arm]:
    """The arms whose confusion matrices are drawn: raw rows, and P2's method with the same classifier."""
    for wanted in (("real", "vae_wgan_gp"), ("real",)):
        for classifier in dict.fromkeys(arm.classifier for arm in members):
            found = [Arm(generator, classifier) for generator in wanted]
            if all(arm in members for arm in found):
                return found
    return list(members)[:2]


def _statistics(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    run = next(iter(members.values()))[0]
    training = dict(zip(run["classes"], run["training_rows"], strict=True))
    tested = dict(zip(run["classes"], np.sum(run["confusion"], axis=1).tolist(), strict=True))
    total = {name: training[name] + tested[name] for name in training}
    paper = PAPER_ROWS.get(group.dataset, {})
    rows = []
    for name in sorted({**total, **paper}, key=lambda name: -total.get(name, 0)):
        ours = [_count(counts.get(name)) for counts in (total, training, tested)]
        theirs = [_count(paper.get(name)), _share(paper, name)] if paper else []
        rows.append((name, ours[0], _share(total, name), *ours[1:], *theirs))
    return Table(
        f"{group}: rows of each class",
        ("class", "rows", "share", "to train on", "to test on", *(("P2 prints", "P2's share") if paper else ())),
        rows,
        "Ours: read, cleaned and without repeated rows; P2 keeps these.",
    )


def _scores(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    printed = PAPER.get(group.dataset, {})
    rows = []
    for arm, runs in members.items():
        seeds = str(len({run["split_seed"] for run in runs}))
        own = [show(interval(runs, name)) for name in METRICS]
        paper = [_printed(printed.get(arm))] if printed else []
        rows.append((*arm, seeds, str(len(runs)), _fractions(runs), *own, *paper))
    impossible = sum(cell.impossible for cell in printed.values())
    note = "Fraction: how much of the way to the wanted rows a training set chose to raise its classes, and how often."
    if printed:
        note += (
            "  P2's figures are the paper's own, on other rows.  No F1 and no mean of F1 is above (P + R) / 2: of its "
            f"{len(printed)} F1, {impossible} are impossible."
        )
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        (
            *("generator", "classifier", "seeds", "runs", "fraction"),
            *METRICS.values(),
            *(["P2 prints (P, R, F1)"] if printed else []),
        ),
        rows,
        note,
    )


def _rare_recall(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
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
        [(*arm, *(mean_recall(runs, name) for name in rare)) for arm, runs in members.items()],
        "In brackets: real rows to train on.",
    )


def _fractions(runs: list[Record]) -> str:
    chosen = Counter(run["fraction"] for run in runs if run["fraction"] is not None)
    return ", ".join(f"{fraction:g} × {chosen[fraction]}" for fraction in sorted(chosen)) or "–"


def _printed(cell: Printed | None) -> str:
    if cell is None:
        return "–"
    figures = ", ".join(f"{value / 100:.4f}" for value in cell)
    return f"{figures} (impossible)" if cell.impossible else figures


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _share(counts: Mapping[str, int], name: str) -> str:
    return f"{counts[name] / sum(counts.values()):.4%}" if name in counts else "–"
