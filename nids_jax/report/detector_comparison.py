"""What the comparison of detectors says: P1's Table IV, CNN-BiGRU against each rival, recall per class."""

from collections.abc import Mapping

from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.data.datasets import printed
from nids_jax.evaluation.statistics import Interval
from nids_jax.report.conditions import (
    WEIGHTED,
    Condition,
    Group,
    Record,
    Table,
    difference,
    interval,
    kind_of_interval,
    mean_recall,
    show,
)
from nids_jax.report.generator_comparison import marked, reservations

EXPERIMENTS = ("detector_comparison", "other_capture", "unseen_attack")
METRICS = {
    "accuracy": "accuracy",
    **WEIGHTED,
    "macro_precision": "macro P",
    "macro_recall": "macro R",
    "macro_f1": "macro F1",
    "false_positive_rate": "false-positive rate",
    "unseen_flagged": "unseen attack flagged",
}
_OF_PAPER = "P1's figures are the paper's own, from one run on other rows, at its own training settings.  "
CHAMPION = Condition("real", "cnn_bigru")


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """Table IV of one number of shots, the differences to CNN-BiGRU, and the recall of every class."""
    found = [_scores(group, members)]
    if CHAMPION in members and len(members) > 1:
        found.append(_differences(group, members))
    return [*found, _recall(group, members)]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """A sentence for each rival: whether CNN-BiGRU is the better detector (accuracy, paired by split seed)."""
    found = {
        condition.classifier: value
        for condition in members
        if (value := difference(members, CHAMPION, condition, "accuracy")) is not None
    }
    reserved = reservations(found)
    return [
        f"{group}: CNN-BiGRU {_word(value)} {name} (accuracy {show(value, signed=True)}{reserved[name]})."
        for name, value in found.items()
    ]


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """The conditions whose confusion matrices P1's Fig. 6 shows: the first four neural ones, else the first four."""
    neural = [each for each in members if each.classifier in CLASSIFIERS and CLASSIFIERS[each.classifier].neural]
    return (neural or list(members))[:4]


def _word(found: Interval) -> str:
    if found.side is None:
        return "has one split seed in common, which shows nothing, with"
    return {1: "beats", -1: "loses to", 0: "shows no difference to"}[found.side]


def _scores(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    figures = printed(group.dataset).detectors.get(group.shots, {}) if isinstance(group.shots, int) else {}
    used = [name for name in METRICS if any(interval(runs, name) is not None for runs in members.values())]
    rows = []
    for condition, runs in members.items():
        seeds = str(len({run["split_seed"] for run in runs}))
        own = [show(interval(runs, name)) for name in used]
        paper = [f"{figures[condition.classifier]:.4f}" if condition.classifier in figures else "–"] if figures else []
        rows.append((condition.classifier, seeds, *own, *paper))
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        ("detector", "seeds", *(METRICS[name] for name in used), *(["P1 prints (accuracy)"] if figures else [])),
        rows,
        f"{_OF_PAPER if figures else ''}{kind_of_interval(members)}",
    )


def _differences(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    names = ("accuracy", "macro_f1", "false_positive_rate")
    rivals = [condition for condition in members if condition != CHAMPION]
    cell, told = marked(
        {
            (condition, name): value
            for condition in rivals
            for name in names
            if (value := difference(members, CHAMPION, condition, name)) is not None
        }
    )
    rows = [(rival.classifier, *(cell((rival, name)) for name in names)) for rival in rivals]
    return Table(
        f"{group}: CNN-BiGRU minus each rival",
        ("rival", *(METRICS[name] for name in names)),
        rows,
        f"Paired by split seed.  {kind_of_interval(members)}  {told}",
    )


def _recall(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    first = {name: None for runs in members.values() for run in runs for name in run.get("classes", [])}
    return Table(
        f"{group}: recall of each class, mean over split seeds",
        ("class", *(condition.classifier for condition in members)),
        [(name, *(mean_recall(runs, name) for runs in members.values())) for name in first],
    )
