"""What the detection experiments say: P1's Table IV, CNN-BiGRU against each rival, recall per class."""

from collections.abc import Mapping

from nids_jax.evaluation.statistics import Interval
from nids_jax.report.conditions import Arm, Group, Record, Table, difference, interval, mean_recall, show

EXPERIMENTS = ("detection", "other_capture", "unseen_attack")
METRICS = {
    "accuracy": "accuracy",
    "weighted_precision": "weighted P",
    "weighted_recall": "weighted R",
    "weighted_f1": "weighted F1",
    "macro_precision": "macro P",
    "macro_recall": "macro R",
    "macro_f1": "macro F1",
    "false_positive_rate": "false-positive rate",
    "unseen_flagged": "unseen attack flagged",
}
CHAMPION = Arm("real", "cnn_bigru")

# Accuracy in P1's Table IV, its rows put in order: from "50" of 2017 on, they stand beside the wrong labels.  What it
# prints as CNN-BiGRU's accuracy on 500 and 50 rows of 2019 differs between its own copies (0.9801 and 0.9901; 0.9911
# and 0.9991), and no row can be told to be the accuracy on 5 rows of 2019.
_COLUMNS = ("cnn_bilstm", "bilstm_bigru", "bilstm", "random_forest", "knn", "cnn_bigru")
_P1_2017 = {
    5000: (0.9910, 0.9925, 0.9989, 0.9640, 0.9500, 0.9988),
    500: (0.9974, 0.9752, 0.9916, 0.9572, 0.9158, 0.9954),
    50: (0.9310, 0.9638, 0.9692, 0.9229, 0.8080, 0.9765),
    5: (0.3966, 0.2837, 0.5324, 0.7649, 0.2751, 0.5189),
}
_P1_2019 = {
    5000: (0.9643, 0.9692, 0.9720, 0.6609, 0.6203, 0.9940),
    500: (0.9593, 0.9201, 0.9165, 0.6412, 0.5820, 0.9801),
    50: (0.8187, 0.7372, 0.7776, 0.5967, 0.5290, 0.9911),
}
PAPER = {"cicids2017": _P1_2017, "cicids2017_improved": _P1_2017, "cicddos2019": _P1_2019}


def tables(group: Group, members: Mapping[Arm, list[Record]]) -> list[Table]:
    """Table IV of one number of shots, the differences to CNN-BiGRU, and the recall of every class."""
    found = [_scores(group, members)]
    if CHAMPION in members and len(members) > 1:
        found.append(_differences(group, members))
    return [*found, _recall(group, members)]


def verdict(group: Group, members: Mapping[Arm, list[Record]]) -> list[str]:
    """A sentence for each rival: whether CNN-BiGRU is the better detector (accuracy, paired by split seed)."""
    sentences = []
    for arm in members:
        found = difference(members, CHAMPION, arm, "accuracy")
        if found is not None:
            sentences.append(
                f"{group}: CNN-BiGRU {_word(found)} {arm.classifier} (accuracy {show(found, signed=True)})."
            )
    return sentences


def shown(members: Mapping[Arm, list[Record]]) -> list[Arm]:
    """The arms whose confusion matrices P1's Fig. 6 shows: the first four neural ones, else the first four."""
    neural = [arm for arm in members if arm.classifier.startswith(("cnn_", "bilstm"))]
    return (neural or list(members))[:4]


def _word(found: Interval) -> str:
    if found.side is None:
        return "has one split seed in common, which shows nothing, with"
    return {1: "beats", -1: "loses to", 0: "shows no difference to"}[found.side]


def _scores(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    figures = PAPER.get(group.dataset, {}).get(group.shots, ()) if isinstance(group.shots, int) else ()
    printed = dict(zip(_COLUMNS, figures, strict=False))
    used = [name for name in METRICS if any(interval(runs, name) is not None for runs in members.values())]
    rows = []
    for arm, runs in members.items():
        seeds = str(len({run["split_seed"] for run in runs}))
        own = [show(interval(runs, name)) for name in used]
        paper = [f"{printed[arm.classifier]:.4f}" if arm.classifier in printed else "–"] if printed else []
        rows.append((arm.classifier, seeds, *own, *paper))
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        ("detector", "seeds", *(METRICS[name] for name in used), *(["P1 prints (accuracy)"] if printed else [])),
        rows,
        "P1's figures are the paper's own, from one run on other rows, at its own training settings."
        if printed
        else "",
    )


def _differences(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    names = ("accuracy", "macro_f1", "false_positive_rate")
    rows = [
        (arm.classifier, *(show(difference(members, CHAMPION, arm, name), signed=True) for name in names))
        for arm in members
        if arm != CHAMPION
    ]
    return Table(
        f"{group}: CNN-BiGRU minus each rival",
        ("rival", *(METRICS[name] for name in names)),
        rows,
        "Paired by split seed, 95 % interval of Student's t.",
    )


def _recall(group: Group, members: Mapping[Arm, list[Record]]) -> Table:
    first = {name: None for runs in members.values() for run in runs for name in run.get("classes", [])}
    return Table(
        f"{group}: recall of each class, mean over split seeds",
        ("class", *(arm.classifier for arm in members)),
        [(name, *(mean_recall(runs, name) for runs in members.values())) for name in first],
    )
