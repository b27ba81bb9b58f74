"""What figures show, as tables of plain values for a CSV file, and as a sentence for those who do not see them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nids_jax.report.conditions import Condition, Group, Record, interval
from nids_jax.report.figures import Confusion
from nids_jax.report.rows import ROWS_SHOWN, Rows, cumulative, few, matching_weights, principal_plane
from nids_jax.sheets import guarded

Members = Mapping[Condition, list[Record]]
SCORES = (
    *("accuracy", "macro_precision", "macro_recall", "macro_f1"),
    *("weighted_precision", "weighted_recall", "weighted_f1", "attack_recall_at_0.01"),
)


class Data(NamedTuple):
    """A table of plain values."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> str:
        """The table as CSV text; numbers to six digits."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        for row in self.rows:
            writer.writerow([_cell(value) for value in row])
        return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(value)
    return f"{value:.6g}" if isinstance(value, float) else value


def scores(groups: Mapping[Group, Members], metrics: Sequence[str] = SCORES) -> Data:
    """Mean and interval of each metric, training set and classifier; without metrics that no run has."""
    rows = [
        (*group, *condition, metric, *found[:4])
        for group, members in groups.items()
        for condition, runs in members.items()
        for metric in metrics
        if (found := interval(runs, metric)) is not None
    ]
    return Data((*Group._fields, *Condition._fields, "metric", "mean", "low", "high", "split_seeds"), rows)


def told_scores(groups: Mapping[Group, Members], metric: str = "accuracy") -> str:
    """The best and the lowest condition of each group in a metric."""
    parts = []
    for group, members in groups.items():
        means = {each: found.mean for each, runs in members.items() if (found := interval(runs, metric)) is not None}
        if means:
            best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
            of = f"{metric.replace('_', ' ')} of {len(means)} conditions"
            parts.append(f"{group}: {of}, from {means[worst]:.3f} ({worst}) to {means[best]:.3f} ({best})")
    return "; ".join(parts) + "." if parts else "No condition has a figure."


def confusions(shown: Iterable[Confusion]) -> Data:
    """Rows of each true class predicted as each class."""
    rows = [
        (title, true, predicted, int(counts[i, j]))
        for title, counts, classes in shown
        for i, true in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
    return Data(("condition", "true_class", "predicted_class", "rows"), rows)


def told_confusions(shown: Iterable[Confusion]) -> str:
    """Of each matrix, how much is right and what is mistaken most."""
    parts = []
    for title, counts, classes in shown:
        wrong = counts - np.diag(np.diag(counts))
        i, j = np.unravel_index(wrong.argmax(), wrong.shape)
        mistaken = f", most often {classes[i]} for {classes[j]}" if wrong[i, j] else ""
        parts.append(f"{title}: {np.trace(counts) / max(counts.sum(), 1):.1%} of the rows are right{mistaken}")
    return "Confusion matrices. " + "; ".join(parts) + "."


def samplers(points: Mapping[str, Sequence[tuple[int, Sequence[float]]]]) -> Data:
    """The C2ST AUC of every sampler, number of calls and split."""
    rows = [
        (name, calls, split, float(auc))
        for name, found in points.items()
        for calls, aucs in sorted(found)
        for split, auc in enumerate(aucs)
    ]
    return Data(("sampler", "calls", "split", "c2st_auc"), rows)


def features(names: Sequence[str], real: Rows, synthetic: Rows) -> Data:
    """Percentiles of each feature, of real rows (weighted as drawn) and of synthetic ones."""
    kinds = {"real": (real, matching_weights(real.labels, synthetic.labels)), "synthetic": (synthetic, None)}
    rows: list[Sequence[Any]] = []
    for column, name in enumerate(names):
        for kind, (table, weights) in kinds.items():
            mass = np.ones(len(table.x)) if weights is None else weights
            values, share = cumulative(table.x[:, column], mass)
            for percent in range(0, 101, 5) if len(values) else ():
                place = np.searchsorted(share, percent / 100 - 1e-12)
                rows.append((name, kind, percent, float(values[min(place, len(values) - 1)])))
    return Data(("feature", "rows", "percent_at_or_below", "value"), rows)


def projection(real: Rows, synthetic: Rows, train: Rows | None) -> Data:
    """The points of the projection, at most `ROWS_SHOWN` of each class and kind."""
    place, rows = principal_plane(real.x), []
    for kind, table in (("real", real), ("synthetic", synthetic), ("trained on", train)):
        if table is None:
            continue
        points = place(table.x)
        for name in np.unique(table.labels):
            own = table.labels == name
            shown = few(points[own], ROWS_SHOWN).tolist()
            rows += [(kind, str(name), *(round(value, 3) for value in point)) for point in shown]
    return Data(("rows", "class", "first_component", "second_component"), rows)


def curves(losses: Mapping[str, Sequence[float | None]]) -> Data:
    """Losses, of each training at most 500, evenly through its steps."""
    rows = [
        (name, int(step) + 1, values[int(step)])
        for name, values in losses.items()
        for step in np.unique(np.linspace(0, len(values) - 1, min(len(values), 500)).astype(int))
    ]
    return Data(("training", "step", "loss"), rows)


def shap_global(shap: Mapping[str, Any]) -> Data:
    """mean |φ| of each feature, over all classes and in each."""
    order = np.argsort(-np.asarray(shap["global"]["mean_abs"], np.float64), kind="stable")
    each = np.asarray(shap["global"]["per_class"], np.float64)
    rows = [
        (str(shap["features"][j]), float(shap["global"]["mean_abs"][j]), *(float(v) for v in each[:, j])) for j in order
    ]
    return Data(("feature", "all_classes", *(guarded(str(name)) for name in shap["classes"])), rows)


def told_shap(shap: Mapping[str, Any]) -> str:
    """The features that matter most."""
    order = np.argsort(-np.asarray(shap["global"]["mean_abs"], np.float64), kind="stable")[:3]
    listed = ", ".join(f"{shap['features'][j]} ({shap['global']['mean_abs'][j]:.3g})" for j in order)
    return f"Mean absolute Shapley values of {len(shap['features'])} features; the largest: {listed}."


def shap_local(shap: Mapping[str, Any]) -> Data:
    """Of each explained row every feature's value and φ."""
    rows = [
        (str(row["class"]), str(row["predicted"]), str(name), value, float(phi))
        for row in shap["local"]
        for name, value, phi in zip(shap["features"], row["values"], row["phi"], strict=True)
    ]
    return Data(("class", "predicted", "feature", "value", "phi"), rows)
