"""Figures of merit of a detector: what a record's `metrics` holds, and the confusion matrix.

With C the confusion matrix (row = true class, column = predicted class), per class k:
  precision_k = C_kk / Σ_i C_ik,   recall_k = C_kk / Σ_j C_kj,   F1_k = 2 C_kk / (Σ_i C_ik + Σ_j C_kj),
and 0 where a denominator is 0 (a class that is never predicted has precision 0), without a warning.

Macro figures are plain means over the classes that have test rows; a class without test rows has no recall to speak
of and is left out, even if some row was predicted as it (that row already counts against its own class).  This is
scikit-learn's `labels=numpy.unique(y_true)`, and its default whenever every class has test rows.  Weighted figures
weight each class by its test rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nids_jax.errors import InputError


def detection_metrics(
    y_true: ArrayLike, predicted: ArrayLike, classes: Sequence[str], benign: str | None = "BENIGN"
) -> dict[str, Any]:
    """The `metrics` of a record: accuracy, weighted and macro precision, recall and F1, FPR, recall per class.

    Args:
      y_true: [n] int, index into `classes`.
      predicted: [n, c] probabilities (or any scores: the first largest one wins) or [n] int class indices.
      classes: c names.
      benign: the name of the class that is no attack; None where the dataset has none.

    Returns:
      accuracy, weighted_precision, weighted_recall, weighted_f1, macro_precision, macro_recall, macro_f1: float;
      false_positive_rate: the share of benign rows predicted as any attack, None if there are no benign rows;
      per_class_recall: {class: float} of the classes that have test rows.

    Raises:
      InputError: no rows, lengths that differ, labels out of range, scores that are not finite.
    """
    table = confusion(y_true, predicted, classes)
    support, claimed, right = table.sum(axis=1), table.sum(axis=0), np.diagonal(table)
    per_class = {
        "precision": _ratio(right, claimed),
        "recall": _ratio(right, support),
        "f1": _ratio(2 * right, support + claimed),
    }
    present = support > 0
    metrics: dict[str, Any] = {"accuracy": float(right.sum() / support.sum())}
    for average, weights in (("weighted", support), ("macro", present)):
        for name, values in per_class.items():
            metrics[f"{average}_{name}"] = float(np.average(values, weights=weights))
    metrics["false_positive_rate"] = None
    if benign is not None and benign in classes:
        row = list(classes).index(benign)
        if present[row]:
            metrics["false_positive_rate"] = float((support[row] - right[row]) / support[row])
    metrics["per_class_recall"] = {
        name: float(recall)
        for name, recall, has_rows in zip(classes, per_class["recall"], present, strict=True)
        if has_rows
    }
    return metrics


ALLOWED = (0.001, 0.01)  # false-positive rates at which detectors are compared


def attack_recall(
    y_true: ArrayLike, probabilities: np.ndarray, classes: Sequence[str], benign: str
) -> dict[str, float | None]:
    """How many attacks a detector finds, whatever it calls them.

    Args:
      y_true: [n] int, index into `classes`.
      probabilities: [n, c]; rows are ranked by 1 − the probability of `benign`.

    Returns:
      attack_recall: the share of attack rows predicted as any attack, mean over the attack classes;
      attack_recall_at_R for R of ALLOWED: the same where those rows count as attacks that rank strictly above all but
        ⌊R · n_benign⌋ of the benign test rows.  None without benign rows, or without attacks.

    Raises:
      InputError: as `detection_metrics`.
    """
    table = confusion(y_true, probabilities, classes)  # checks the arguments
    y, row = np.asarray(y_true), list(classes).index(benign)
    names = ["attack_recall", *(f"attack_recall_at_{rate:g}" for rate in ALLOWED)]
    if not table[row].sum() or (y == row).all():
        return dict.fromkeys(names)
    suspicion = 1.0 - np.asarray(probabilities, np.float64)[:, row]
    flagged = np.asarray(probabilities).argmax(axis=1) != row
    found = [_recall_of_each(y, flagged, row), *(recall_at(y, suspicion, row, rate) for rate in ALLOWED)]
    return {name: float(np.mean([*each.values()])) for name, each in zip(names, found, strict=True)}


def recall_at(y_true: ArrayLike, suspicion: np.ndarray, benign: int, rate: float) -> dict[int, float]:
    """The share of each attack class's rows that rank strictly above all but ⌊rate · n_benign⌋ of the benign rows.

    Args:
      y_true: [n] class indices, at least one of them `benign`.
      suspicion: [n] what rows are ranked by.

    Returns:
      Class index → recall, for the attack classes that have rows.
    """
    y = np.asarray(y_true)
    calm = np.sort(suspicion[y == benign])[::-1]
    return _recall_of_each(y, suspicion > calm[int(rate * len(calm))], benign)


def _recall_of_each(y: np.ndarray, flagged: np.ndarray, benign: int) -> dict[int, float]:
    return {int(k): float(flagged[y == k].mean()) for k in np.unique(y) if k != benign}


def confusion(y_true: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> np.ndarray:
    """C_ij = the number of rows of class i predicted as class j, [c, c] int64.

    Arguments and errors as in `detection_metrics`.
    """
    if len(set(classes)) != len(classes):
        raise InputError(f"the {len(classes)} class names {list(classes)} repeat; give every class a name of its own")
    c = len(classes)
    y = _labels(y_true, c, "y_true")
    scores = np.asarray(predicted)
    if scores.ndim == 2:
        if scores.shape[1] != c:
            raise InputError(f"the probabilities have {scores.shape[1]} columns, but there are {c} classes")
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise InputError(f"the probabilities of row {bad} are not finite; check the classifier's training")
        scores = scores.argmax(axis=1)
    p = _labels(scores, c, "predicted")
    if len(p) != len(y):
        raise InputError(f"there are {len(y)} labels but {len(p)} predictions; pass one prediction per test row")
    if not len(y):
        raise InputError("there are no test rows to judge; give every class at least one row outside training")
    return np.bincount(y * c + p, minlength=c * c).reshape(c, c)


def _labels(values: ArrayLike, c: int, name: str) -> np.ndarray:
    """[n] int64 class indices, each in 0..c−1."""
    labels = np.asarray(values)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise InputError(f"{name} is {labels.dtype} of shape {labels.shape}; pass a vector of whole class indices")
    if labels.size and (labels.min() < 0 or labels.max() >= c):
        raise InputError(f"{name} spans {labels.min()}..{labels.max()}, but there are {c} classes")
    return labels.astype(np.int64)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
