"""The table of samplers and their steps against ancestral sampling, from the figures of several splits."""

from typing import Any

import numpy as np

from nids_jax.evaluation.statistics import mean_interval
from nids_jax.report.conditions import Table, show

MEASURES = ("told_apart", "wasserstein", "two_sample_auc", "macro_f1")


def table(splits: list[list[dict[str, Any]]], heading: str) -> Table:
    """A line for each sampler: means over splits, and differences to the reference with their intervals."""
    rows = []
    for runs in zip(*splits, strict=True):
        first = runs[0]
        values = {name: mean_interval([run[name] for run in runs]) for name in MEASURES}
        gap = mean_interval([run["macro_f1"] - split[-1]["macro_f1"] for run, split in zip(runs, splits, strict=True)])
        rows.append(
            (
                first["sampler"],
                str(first["calls"]),
                f"{np.median([run['rows_per_second'] for run in runs]):,.0f}",
                show(values["told_apart"]),
                f"{sum(run['passed'] for run in runs)} of {len(runs)}",
                *(show(values[name]) for name in MEASURES[1:]),
                "reference" if runs[0] is splits[0][-1] else show(gap, signed=True),
            )
        )
    header = (
        *("sampler", "calls", "rows/s", "AUC against all steps", "not told apart", "Wasserstein to unseen"),
        *("AUC against unseen", "forest on these rows, macro F1", "minus all steps"),
    )
    note = "Means over splits with 95 % intervals.  All steps are tried against themselves, on other noise."
    return Table(heading, header, rows, note)


def points(splits: list[list[dict[str, Any]]]) -> dict[str, list[tuple[int, list[float]]]]:
    """Of each sampler, (calls, AUC of every split), for `figures.frontier`."""
    found: dict[str, list[tuple[int, list[float]]]] = {}
    for runs in zip(*splits, strict=True):
        name = runs[0]["sampler"].split(",")[0]
        found.setdefault(name, []).append((runs[0]["calls"], [run["told_apart"] for run in runs]))
    return found
