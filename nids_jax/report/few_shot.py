"""What the few-shot experiment says: scores, differences to the controls, P1's figures beside ours, and a verdict.

It is also the section of every experiment that has none of its own.
"""

from collections.abc import Mapping

from nids_jax.data.datasets import printed
from nids_jax.evaluation.statistics import Interval
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.report import generator_comparison
from nids_jax.report.conditions import (
    ENOUGH_SEEDS,
    WEIGHTED,
    Condition,
    Group,
    Record,
    Table,
    difference,
    interval,
    kind_of_interval,
    show,
)
from nids_jax.report.generator_comparison import COPIES, HEADLINE, control_of, judged, shown

__all__ = ["EXPERIMENTS", "shown", "tables", "verdict"]  # a section

EXPERIMENTS = ("fewshot",)
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    **WEIGHTED,
    "false_positive_rate": "false-positive rate",
}
COMPARED = ("accuracy", "macro_f1")
FOREST = Condition("real", "random_forest")
PAPER_SHOTS = 5


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """Figures, and paired differences to copies and to a random forest."""
    return [_scores(group, members), _differences(group, members), *generator_comparison.fidelity(group, members)]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """Whether generation helped: CNN-BiGRU on `cddpm` rows against its controls, then the best detectors.

    Where it did not run, whether any generator helped its classifier (`generator_comparison.judged`).  Else a sentence
    per control; also against `jitter` and `smote` where they ran.  "Helped" only if the whole 95 % interval
    of the paired differences in accuracy lies above 0, "hurt" if below; else no difference is shown.  One seed shows
    nothing.
    """
    if HEADLINE not in members:
        others = dict.fromkeys(
            each.generator for each in members if each.generator not in generator_comparison.CONTROLS
        )
        sentences = judged(group, members, others, ("real", COPIES), "accuracy", "accuracy")
        return [*sentences, *generator_comparison.best(group, members, "accuracy", "accuracy")]
    controls = {
        "copies of the real rows": Condition(COPIES, HEADLINE.classifier),
        "a random forest on the real rows": FOREST,
        "Gaussian jitter": Condition("jitter", HEADLINE.classifier),
        "SMOTE": Condition("smote", HEADLINE.classifier),
    }
    found = {
        name: difference(members, HEADLINE, control, "accuracy")
        for name, control in controls.items()
        if control.generator not in ("jitter", "smote") or control in members
    }
    compared = {name: value for name, value in found.items() if value is not None and value.side is not None}
    reserved = generator_comparison.reservations(compared)
    sentences = [
        f"{group}, against {name}: {_judgement(value, f'{HEADLINE} − {controls[name]}', reserved.get(name, ''))}"
        for name, value in found.items()
    ]
    return [*sentences, *generator_comparison.best(group, members, "accuracy", "accuracy")]


def beside_paper(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """P1's accuracy beside ours; no table where P1 prints none."""
    figures = printed(group.dataset).few_shot if group.shots == PAPER_SHOTS else {}
    rows = [
        (*key, show(interval(members[Condition(*key)], "accuracy")) if Condition(*key) in members else "–", figure)
        for key, figure in figures.items()
        if Condition(*key) in members or not TrainingSetName(key[0]).timesteps  # a T that was not run is left out
    ]
    title = f"{group}: accuracy beside the paper's"
    note = (
        "P1's figures are the paper's own, on different data (its own rows and test set): they stand beside ours and "
        "are not a paired comparison."
    )
    return [Table(title, ("generator", "classifier", "ours", "P1 prints"), rows, note)] if rows else []


def _scores(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    rows = []
    for condition, runs in members.items():
        seeds = len({run["split_seed"] for run in runs})
        rows.append((*condition, str(seeds), str(len(runs)), *(show(interval(runs, metric)) for metric in METRICS)))
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        ("generator", "classifier", "seeds", "runs", *METRICS.values()),
        rows,
        kind_of_interval(members),
    )


def _differences(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    compared = [(control, metric) for control in (COPIES, "forest") for metric in COMPARED]
    found = {
        (condition, control, metric): value
        for condition in members
        for control, metric in compared
        if (value := difference(members, condition, control_of(condition, control), metric)) is not None
    }
    cell, told = generator_comparison.marked(found)
    rows = [
        (*condition, *(cell((condition, *each)) for each in compared))
        for condition in members
        if any((condition, *each) in found for each in compared)
    ]
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
        f"Paired by split seed; copies: the same classifier on copied rows.  {kind_of_interval(members)}  {told}",
    )


def _judgement(found: Interval | None, pair: str, reservation: str) -> str:
    if found is None:
        return f"no verdict, because no split seed has both conditions ({pair})."
    figures = f"accuracy {show(found, signed=True)}"
    if found.side is None:
        return f"nothing shown; {figures} from n = 1 split seed, which has no interval and shows nothing ({pair})."
    word = {1: "generation helped", -1: "generation hurt", 0: "no difference shown"}[found.side]
    caution = f"; fewer than {ENOUGH_SEEDS} seeds, so preliminary" if found.n < ENOUGH_SEEDS else ""
    return f"{word}; {figures}, 95 % interval over n = {found.n} split seeds ({pair}, paired){reservation}{caution}."
