"""What held-out rows show of a detector, as it would be used: at low false-positive rates, and in alerts a day.

Thresholds are set on benign rows of the other folds, then applied: what is reported at a rate is what the rate asked
for would have given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from nids_jax.bundle.calibration import Calibration
from nids_jax.evaluation.metrics import confusion, detection_metrics

RESAMPLES = 200
POINTS = 200  # of each curve at most


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """Rows that were tested, with the probabilities that models not trained on them gave."""

    y: np.ndarray  # [n]
    p: np.ndarray  # [n, c]
    fold: np.ndarray  # [n]
    classes: Sequence[str]
    benign: int

    @property
    def score(self) -> np.ndarray:
        """[n] 1 − P(benign)."""
        return 1.0 - self.p[:, self.benign]

    def alerts(self, rate: float, calibrated: np.ndarray | None = None) -> np.ndarray | None:
        """[n] which rows are above the threshold of a rate; None without benign rows to set it on.

        Args:
          calibrated: scores of other benign rows to set it on; None: those of the other folds' benign rows.
        """
        score = self.score
        if calibrated is not None:
            return score > Calibration.of(calibrated).threshold(rate).value if len(calibrated) else None
        calm = self.y == self.benign
        found = np.zeros(len(score), bool)
        for fold in np.unique(self.fold):
            others = score[calm & (self.fold != fold)]
            if not len(others):
                return None
            own = self.fold == fold
            found[own] = score[own] > Calibration.of(others).threshold(rate).value
        return found


def evaluate(held: HeldOut, rates: Sequence[float], seed: int, calibrated: np.ndarray | None = None) -> dict[str, Any]:
    """Figures of merit with 95 % intervals, as JSON.

    The intervals are percentiles over resampled rows of each class (bootstrap); they do not say how much another
    training set would change the figures.

    Args:
      rates: false-positive rates to report the recall at.
      calibrated: see `HeldOut.alerts`.
    """
    calm = held.y == held.benign
    attack = ~calm
    figures = detection_metrics(held.y, held.p, held.classes, held.classes[held.benign])
    found: dict[str, Any] = {
        "rows": len(held.y),
        "accuracy": figures["accuracy"],
        "macro_f1": figures["macro_f1"],
        "per_class_recall": figures["per_class_recall"],
        "confusion": confusion(held.y, held.p, held.classes).tolist(),
        "roc_auc": None,
        "average_precision": None,
        "at": [],
    }
    if calm.any() and attack.any():
        found["roc_auc"] = float(roc_auc_score(attack, held.score))
        found["average_precision"] = float(average_precision_score(attack, held.score))
        for rate in rates:
            found["at"].append(_at(held, rate, calibrated))
    found["interval"] = _intervals(held, found["at"], seed, calibrated)
    return found


def _at(held: HeldOut, rate: float, calibrated: np.ndarray | None) -> dict[str, Any]:
    alerts = held.alerts(rate, calibrated)
    calm = held.y == held.benign
    folds = [int((calm & (held.fold != fold)).sum()) for fold in np.unique(held.fold)]
    rows = min(folds) if calibrated is None else len(calibrated)
    result: dict[str, Any] = {"rate": rate, "benign_rows": rows, "supported": rate * (rows + 1) >= 1}
    if alerts is None:
        return {**result, "recall": None, "measured_rate": None, "per_class_recall": {}}
    each = {held.classes[k]: float(alerts[held.y == k].mean()) for k in np.unique(held.y).tolist() if k != held.benign}
    return {
        **result,
        "recall": float(np.mean([*each.values()])),
        "measured_rate": float(alerts[calm].mean()),
        "per_class_recall": each,
    }


def _intervals(
    held: HeldOut, at: Sequence[dict[str, Any]], seed: int, calibrated: np.ndarray | None
) -> dict[str, list[float]]:
    """95 % percentile intervals of the main figures, over resampled rows."""
    draws = np.random.default_rng(seed)
    places = [np.flatnonzero(held.y == k) for k in np.unique(held.y)]
    predicted, score = held.p.argmax(axis=1), held.score
    flagged = {each["rate"]: held.alerts(each["rate"], calibrated) for each in at}
    both = bool((held.y == held.benign).any() and (held.y != held.benign).any())
    names = list(held.classes)
    values: dict[str, list[float]] = {}
    for _ in range(RESAMPLES):
        rows = np.concatenate([draws.choice(own, len(own)) for own in places])
        figures = detection_metrics(held.y[rows], predicted[rows], names, names[held.benign])
        values.setdefault("accuracy", []).append(figures["accuracy"])
        values.setdefault("macro_f1", []).append(figures["macro_f1"])
        if both:
            values.setdefault("roc_auc", []).append(_auc(score[rows], held.y[rows] != held.benign))
        for rate, alerts in flagged.items():
            if alerts is not None:
                own = [alerts[rows][held.y[rows] == k].mean() for k in np.unique(held.y) if k != held.benign]
                values.setdefault(f"recall_at_{rate:g}", []).append(float(np.mean(own)))
    return {name: [float(v) for v in np.percentile(each, [2.5, 97.5])] for name, each in values.items()}


def _auc(score: np.ndarray, attack: np.ndarray) -> float:
    """The area under the ROC curve: the share of (attack, benign) pairs in order, ties half."""
    calm = np.sort(score[~attack])
    below, upto = (np.searchsorted(calm, score[attack], side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(calm)))


def daily(rate: float, recall: float, prevalence: float, flows: int) -> dict[str, float]:
    """What a rate of false positives and a recall come to in a day of so many flows, of which a share are attacks.

    alerts = flows (π recall + (1 − π) rate);   precision = π recall / (π recall + (1 − π) rate)
    """
    true, false = prevalence * recall, (1 - prevalence) * rate
    return {
        "alerts_per_day": flows * (true + false),
        "false_alerts_per_day": flows * false,
        "precision": true / (true + false) if true + false else 0.0,
    }


def curves(held: HeldOut) -> str:
    """The ROC and the precision-recall curve of attack against benign, as CSV: curve,x,y,threshold."""
    attack = held.y != held.benign
    lines = ["curve,x,y,threshold"]
    if attack.any() and not attack.all():
        low, high, at = roc_curve(attack, held.score)
        lines += _lines("roc", low, high, at)
        precision, recall, at = precision_recall_curve(attack, held.score)
        lines += _lines("precision_recall", recall[:-1], precision[:-1], at)
    return "\n".join(lines) + "\n"


def _lines(name: str, x: np.ndarray, y: np.ndarray, threshold: np.ndarray) -> list[str]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
    if name == "roc":  # evenly spaced on a logarithmic scale of false positives as well: the left end is what counts
        wanted = np.searchsorted(x, np.geomspace(1e-5, 1, POINTS))
        kept = np.unique(np.concatenate([kept, np.minimum(wanted, len(x) - 1)]))
    return [f"{name},{x[i]:.6g},{y[i]:.6g},{threshold[i]:.6g}" for i in kept]
