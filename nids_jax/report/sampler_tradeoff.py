"""What the sampler trade-off says: samplers and their steps against ancestral sampling with all of them."""

from collections.abc import Mapping

import numpy as np

from nids_jax.evaluation.statistics import Interval
from nids_jax.report.conditions import Condition, Group, Record, Table, difference, interval, show

EXPERIMENTS = ("sampler_tradeoff",)
MEASURES = ("reference_c2st_auc", "wasserstein", "two_sample_auc", "macro_f1")


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """A line for each sampler, cheapest first: means over splits, and differences to the reference."""
    every = reference(members)
    rows = []
    for condition in sorted(members, key=lambda each: (calls(members[each]), each == every)):
        runs = members[condition]
        passed = sum(bool(run["metrics"]["indistinguishable"]) for run in runs)
        gap = difference(members, condition, every, "macro_f1")
        found = {name: _measured(runs, name) for name in MEASURES}
        rows.append(
            (
                condition.generator,
                str(calls(runs)),
                f"{np.median([run['metrics']['rows_per_second'] for run in runs]):,.0f}",
                show(found["reference_c2st_auc"]),
                f"{passed} of {len(runs)}",
                *(show(found[name]) for name in MEASURES[1:]),
                "reference" if condition == every else show(gap, signed=True),
            )
        )
    header = (
        *("sampler", "calls", "rows/s", "C2ST AUC against all steps", "indistinguishable", "Wasserstein to test rows"),
        *("C2ST AUC against test rows", "forest on these rows, macro F1", "minus all steps"),
    )
    note = "Means over splits with 95 % intervals.  All steps are tried against themselves, on other noise."
    return [Table(str(group), header, rows, note)]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """The sampler with fewest calls whose rows the test tells from all steps' in none of the splits."""
    good = [each for each, runs in members.items() if all(run["metrics"]["indistinguishable"] for run in runs)]
    if not good:
        return [f"{group}: every sampler's rows are told from those of all steps in some split."]
    best = min(good, key=lambda each: calls(members[each]))
    count = len(members[best])
    return [
        f"{group}: {best.generator} ({calls(members[best])} calls) is the sampler with fewest calls whose rows no "
        f"classifier tells from those of all steps, in any of {count} split{'s' * (count != 1)}."
    ]


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """No confusion matrices."""
    return []


def points(members: Mapping[Condition, list[Record]]) -> dict[str, list[tuple[int, list[float]]]]:
    """Of each sampler, (calls, C2ST AUC of every split), for `figures.sampler_tradeoff`."""
    found: dict[str, list[tuple[int, list[float]]]] = {}
    for condition, runs in members.items():
        name = condition.generator.split(",")[0]
        aucs = [run["metrics"]["reference_c2st_auc"] for run in runs]
        found.setdefault(name, []).append((calls(runs), aucs))
    return found


def calls(runs: list[Record]) -> int:
    """Calls of the network for a row."""
    return int(runs[0]["metrics"]["calls"])


def reference(members: Mapping[Condition, list[Record]]) -> Condition:
    """The sampler that takes most calls: ancestral sampling with all steps."""
    return max(members, key=lambda condition: calls(members[condition]))


def _measured(runs: list[Record], name: str) -> Interval | None:
    if name in runs[0]["metrics"]:
        return interval(runs, name)
    return interval([{**run, "metrics": run.get("fidelity", {})} for run in runs], name)
