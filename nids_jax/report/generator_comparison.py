"""What the comparisons of generators say: P1's Table V with its controls, rare attacks, and how real the rows look."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nids_jax.evaluation.statistics import Interval, holm
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

EXPERIMENTS = (
    *("generator_comparison", "packet_augmentation", "rare_attacks", "transfer_benign", "transfer_unlabelled"),
)
COPIES = "copies"
HEADLINE = Condition("cddpm", "cnn_bigru")
_NOT_GENERATED = ("real", "real_all", COPIES)  # training sets without a generator: the "before" of a comparison
CONTROLS = ("real", "real_weighted", "copies", "real_all")
_FEW = {
    "accuracy": "accuracy",
    **WEIGHTED,
    "macro_f1": "macro F1",
}
_RARE = {
    "macro_f1": "macro F1",
    "attack_recall": "attack recall",
    "attack_recall_at_0.001": "attack recall at FPR 0.1 %",
    "attack_recall_at_0.01": "attack recall at FPR 1 %",
    "false_positive_rate": "false-positive rate",
}
METRICS = {name: _RARE if name == "rare_attacks" else _FEW for name in EXPERIMENTS}
JUDGED = {name: "attack_recall_at_0.01" if name == "rare_attacks" else "accuracy" for name in EXPERIMENTS}
FIDELITY = {
    "wasserstein": "Wasserstein",
    "ks": "KS",
    "correlation_difference": "correlation",
    "density": "density",
    "coverage": "coverage",
    "two_sample_auc": "C2ST AUC",
    "nearest_train_ratio": "distance to training row",
    "copied": "copied",
    "consistent": "consistent",
    "consistent_real": "consistent (real)",
}


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """Scores, differences to each control, and the fidelity of the synthetic rows."""
    metric = JUDGED[group.experiment]
    named = METRICS[group.experiment][metric]
    compared = differences(group, members, _controls(group), metric, named)
    return [_scores(group, members), compared, *fidelity(group, members)]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """For each generator: with which classifiers it helped or hurt, against each control; and `best`."""
    metric = JUDGED[group.experiment]
    named = METRICS[group.experiment][metric]
    generators = dict.fromkeys(condition.generator for condition in members if condition.generator not in CONTROLS)
    sentences = judged(group, members, generators, _controls(group), metric, named)
    # What learns from auxiliary rows is no rival of what has the few rows alone.
    transfer = group.experiment.startswith("transfer")
    return sentences if transfer else [*sentences, *best(group, members, metric, named)]


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """The conditions before and after generation with the same classifier: copies or real, and cddpm or another one."""
    classifiers = [condition.classifier for condition in members]
    classifier = HEADLINE.classifier if HEADLINE.classifier in classifiers else classifiers[0]
    there = [condition.generator for condition in members if condition.classifier == classifier]
    before = next((name for name in (COPIES, "real", "real_all") if name in there), None)
    generated = [name for name in there if name not in _NOT_GENERATED]
    after = HEADLINE.generator if HEADLINE.generator in there else next(iter(generated), None)
    return [Condition(name, classifier) for name in (before, after) if name]


def best(group: Group, members: Mapping[Condition, list[Record]], metric: str, named: str) -> list[str]:
    """The best condition with synthetic rows beside the best without; `real_all` has more real rows and is no rival.

    One sentence, of the conditions with as many split seeds as any; none where either kind is missing, or for one seed.
    """
    means = {condition: value for condition, runs in members.items() if (value := interval(runs, metric)) is not None}
    seeds = max((value.n for value in means.values()), default=0)
    scores = {
        condition: value.mean
        for condition, value in means.items()
        if value.n == seeds and condition.generator != "real_all"
    }
    synthetic = max(
        (condition for condition in scores if condition.generator not in CONTROLS), key=scores.__getitem__, default=None
    )
    real = max(
        (condition for condition in scores if condition.generator in CONTROLS), key=scores.__getitem__, default=None
    )
    if synthetic is None or real is None:
        return []
    found = difference(members, synthetic, real, metric)
    if found is None or found.side is None:
        return []
    caution = f"; fewer than {ENOUGH_SEEDS}, so preliminary" if found.n < ENOUGH_SEEDS else ""
    return [
        f"{group}, {named}: the best with synthetic rows is {synthetic} ({scores[synthetic]:.3f}), the best"
        f" without is {real} ({scores[real]:.3f}); difference {show(found, signed=True)}, n = {found.n} split"
        f" seeds{caution}."
        "  Both were picked by these figures, which flatters whichever was picked from more."
    ]


def judged(
    group: Group,
    members: Mapping[Condition, list[Record]],
    generators: Iterable[str],
    controls: Iterable[str],
    metric: str,
    named: str,
) -> list[str]:
    """A sentence for each of the generators and controls (see `control_of`): whole intervals of the metric count."""
    generators, controls = list(generators), list(controls)
    found = {
        (generator, control, condition.classifier): value
        for generator in generators
        for control in controls
        for condition in members
        if condition.generator == generator
        and (value := difference(members, condition, control_of(condition, control), metric)) is not None
        and value.side is not None
    }
    reserved = reservations(found)
    sentences = []
    for generator in generators:
        for control in controls:
            shown = {name: value for (*place, name), value in found.items() if place == [generator, control]}
            if not shown:
                continue
            parts = []
            for side, word in ((1, "helped"), (-1, "hurt"), (0, "no difference shown with")):
                names = [
                    f"{name} ({show(value, signed=True)}{reserved[generator, control, name]})" if side else name
                    for name, value in shown.items()
                    if value.side == side
                ]
                parts += [f"{word} {', '.join(names)}"] if names else []
            what = "its classifier on the same rows without it" if control == "real" else _named(control)
            few = min(value.n for value in shown.values()) < ENOUGH_SEEDS
            caution = f"; fewer than {ENOUGH_SEEDS} seeds, so preliminary" if few else ""
            sentences.append(f"{group}, {generator} against {what}, {named}: {'; '.join(parts)}{caution}.")
    return sentences


def reservations(found: Mapping[Any, Interval]) -> dict[Any, str]:
    """What a sentence on each comparison must add: that it is shown by itself, but not with all taken together."""
    sure = _confirmed(found)
    told = f", not shown when all {len(found)} comparisons are taken together"
    return {place: told if value.side and place not in sure else "" for place, value in found.items()}


def _controls(group: Group) -> tuple[str, ...]:
    """Names of generators whose rows the same classifier is trained on, and `forest`."""
    rare = ("real", "real_weighted", "copies", "forest_weighted")
    return rare if group.experiment == "rare_attacks" else ("real", "copies", "forest")


def control_of(condition: Condition, control: str) -> Condition:
    """What a condition is compared with: the same classifier on a control's rows, or a forest on the real ones."""
    if control == "forest":
        return Condition("real", "random_forest")
    if control == "forest_weighted":
        return Condition("real_weighted", "random_forest")
    return Condition(control, condition.classifier)


def _named(control: str) -> str:
    return {
        "real": "real",
        "real_weighted": "class weights",
        "copies": "copies",
        "smote": "SMOTE",
        "forest": "a random forest on the real rows",
        "forest_weighted": "a class-weighted random forest",
    }[control]


def _scores(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    metrics = METRICS[group.experiment]
    rows = []
    for condition, runs in members.items():
        seeds = str(len({run["split_seed"] for run in runs}))
        rows.append((*condition, seeds, str(len(runs)), *(show(interval(runs, name)) for name in metrics)))
    note = (
        "Attack recall: share of attacks taken for any attack, mean over classes; at a false-positive rate: where the "
        "threshold on the probability of benign lets that share of benign test rows through."
    )
    return Table(
        f"{group}: mean and 95 % interval over split seeds",
        ("generator", "classifier", "seeds", "runs", *metrics.values()),
        rows,
        f"{note if group.experiment == 'rare_attacks' else ''}  {kind_of_interval(members)}".strip(),
    )


def differences(
    group: Group, members: Mapping[Condition, list[Record]], controls: Sequence[str], metric: str, named: str
) -> Table:
    """Every condition minus each of the controls (see `control_of`) in the metric, paired; † is what Holm confirms."""
    found = {
        (condition, control): value
        for condition in members
        for control in controls
        if (value := difference(members, condition, control_of(condition, control), metric)) is not None
    }
    cell, told = marked(found)
    rows = [
        (*condition, *(cell((condition, control)) for control in controls))
        for condition in members
        if any((condition, control) in found for control in controls)
    ]
    return Table(
        f"{group}: paired differences in {named}",
        ("generator", "classifier", *(f"− {_named(control)}" for control in controls)),
        rows,
        f"Paired by split seed; where no forest is named, with the same classifier.  {kind_of_interval(members)}  "
        f"{told}",
    )


def marked(found: Mapping[Any, Interval]) -> tuple[Callable[[Any], str], str]:
    """How a table of paired differences shows each, with † where Holm's correction confirms it, and what † means."""
    sure = _confirmed(found)

    def cell(place: Any) -> str:
        return show(found.get(place), signed=True) + ("†" if place in sure else "")

    return cell, (
        f"†: also different from 0 when the {len(found)} comparisons of this table are taken together (Holm, 5 %)."
    )


def _confirmed(found: Mapping[Any, Interval]) -> set[Any]:
    """Of comparisons those that differ from 0 when all are taken together (Holm's correction, 5 %)."""
    known = {place: value.p for place, value in found.items() if value.p is not None}
    return {place for place, p in zip(known, holm([*known.values()]), strict=True) if p <= 0.05}


def fidelity(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """How real each generator's rows look; no table where nothing was generated."""
    rows = []
    for generator in dict.fromkeys(condition.generator for condition in members):
        runs = {
            (run["split_seed"], run["generation_seed"]): run["fidelity"]
            for condition, each in members.items()
            if condition.generator == generator
            for run in each
            if run.get("fidelity")
        }
        if runs:
            values = [[run.get(name) for run in runs.values()] for name in FIDELITY]
            known = [[value for value in column if value is not None] for column in values]
            rows.append((generator, *(f"{np.mean(column):.3f}" if column else "–" for column in known)))
    if not rows:
        return []
    return [
        Table(
            f"{group}: synthetic rows beside real test rows",
            ("generator", *FIDELITY.values()),
            rows,
            "Means over all runs.  Ideal: 0 for the first three and `copied`, 1 for density, coverage and the distance "
            "to the nearest training row (over that of unseen rows), 0.5 for the AUC.",
        )
    ]
