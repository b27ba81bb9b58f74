"""What detection without attack rows says: attacks found at one false-positive rate."""

from collections.abc import Mapping

from nids_jax.evaluation.metrics import ALLOWED
from nids_jax.report.conditions import Condition, Group, Record, Table, difference, interval, mean_recall, show

EXPERIMENTS = ("zero_shot",)
CONTROLS = "benign"  # the training set of anomaly detectors


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """Mean recall at each rate, and beside the best control; then the recall of each attack at the largest rate."""
    names = {rate: f"attack_recall_at_{rate:g}" for rate in ALLOWED}
    best = _best(members, names[ALLOWED[-1]], controls=True)
    rows = []
    for condition, runs in members.items():
        cells = [show(interval(runs, name)) for name in names.values()]
        if best is not None:
            own = condition.generator == CONTROLS
            found = None if own else difference(members, condition, best, names[ALLOWED[-1]])
            cells.append(show(found, signed=True))
        rows.append((condition.generator, condition.classifier, *cells))
    beside = () if best is None else (f"minus {best.classifier}, FPR {ALLOWED[-1]:.1%}",)
    header = ("training set", "detector", *(f"attacks found, FPR {rate:.1%}" for rate in ALLOWED), *beside)
    note = (
        "Mean recall of the attack classes, those without a tool included, at the threshold that flags the named share "
        "of the benign test rows (–: they are too few for that); mean and 95 % interval over draws of rows from one "
        "table. The intervals say nothing about other attacks."
    )
    return [Table(f"{group}: attacks found without an attack row", header, rows, note), _each(group, members)]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """The best detector of simulated attacks beside the best control."""
    name = f"attack_recall_at_{ALLOWED[-1]:g}"
    best, control = (_best(members, name, controls=controls) for controls in (False, True))
    parts = [
        f"{each.classifier} on {each.generator} finds {show(interval(members[each], name))}"
        for each in (best, control)
        if each is not None
    ]
    if not parts:
        return []
    return [f"{group.experiment} on {group.dataset}, share of attacks at FPR {ALLOWED[-1]:.0%}: {', '.join(parts)}."]


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """No confusion matrices: what counts is attack or not."""
    return []


def _best(members: Mapping[Condition, list[Record]], name: str, *, controls: bool) -> Condition | None:
    found = {
        condition: value.mean
        for condition, runs in members.items()
        if (condition.generator == CONTROLS) == controls and (value := interval(runs, name)) is not None
    }
    return max(found, key=found.__getitem__) if found else None


def _each(group: Group, members: Mapping[Condition, list[Record]]) -> Table:
    attacks = dict.fromkeys(k for runs in members.values() for run in runs for k in run["metrics"]["per_class_recall"])
    return Table(
        f"{group}: share of each attack found, FPR {ALLOWED[-1]:.1%}",
        ("attack", *map(str, members)),
        [(attack, *(mean_recall(runs, attack) for runs in members.values())) for attack in attacks],
    )
