"""Why the detector decided so: Kernel SHAP over any `predict_proba` (P1 III.E; Lundberg & Lee 2017).

φ_j is feature j's Shapley value: the mean change of a class's probability when j's background value is replaced by
the row's, over all orders in which the features may be replaced.  Hence base + Σ_j φ_j = the prediction, where base
is the mean prediction over the background.  Kernel SHAP estimates φ by a weighted regression over sampled coalitions.
"""

import logging
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nids_jax.errors import InputError

Predict = Callable[[np.ndarray], ArrayLike]  # [n, d] -> [n, c]

ADDITIVITY_TOLERANCE = 1e-3  # of a probability; float32 networks stay below 1e-5


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Shapley values of n rows."""

    values: np.ndarray  # φ [n, d, c]
    base: np.ndarray  # [c] mean prediction over the background
    predictions: np.ndarray  # [n, c] = base + Σ_d values
    errors: np.ndarray | None = None  # [n, d, c] standard error of each value; None: not estimated

    @property
    def relative_error(self) -> float | None:
        """Root mean square of the errors over that of the values; None where they are not estimated."""
        if self.errors is None:
            return None
        size = float(np.sqrt(np.mean(self.values**2))) if self.values.size else 0.0
        return float(np.sqrt(np.mean(self.errors**2))) / size if size else 0.0

    def first(self, n: int) -> "Explanation":
        """The explanation of the first n rows."""
        errors = None if self.errors is None else self.errors[:n]
        return Explanation(values=self.values[:n], base=self.base, predictions=self.predictions[:n], errors=errors)


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Mean |φ| over many rows."""

    mean_abs: np.ndarray  # [d] over rows and classes
    per_class: np.ndarray  # [c, d] over rows
    top: np.ndarray  # the most important features, most important first; indices
    top_per_class: np.ndarray  # [c, len(top)] likewise for each class


def fixed_batch(predict: Predict, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """`predict` called with exactly `batch` rows each time, so that a jitted one compiles once, whatever n.

    The last call is filled up by repeating its first row; of an empty table, one call of zeros tells c.
    """
    if batch < 1:
        raise InputError(f"the batch is {batch} rows; give a whole number from 1")

    def padded(x: np.ndarray) -> np.ndarray:
        if not len(x):
            return np.asarray(predict(np.zeros((batch, x.shape[1]), x.dtype)))[:0]
        parts = []
        for start in range(0, len(x), batch):
            chunk = x[start : start + batch]
            filled = np.concatenate([chunk, np.repeat(chunk[:1], batch - len(chunk), axis=0)])
            parts.append(np.asarray(predict(filled))[: len(chunk)])
        return np.concatenate(parts)

    return padded


def explain(
    predict_proba: Predict,
    background_rows: ArrayLike,
    rows: ArrayLike,
    *,
    clusters: int = 10,
    samples: int | None = None,
    batch: int = 1024,
    seed: int = 0,
) -> Explanation:
    """Shapley values of each row's class probabilities; the φ of a row depend on the seed and that row alone.

    Args:
      predict_proba: [n, d] -> [n, c], deterministic; always called with `batch` rows.
      background_rows: [m, d] what "feature absent" means: summed up by k-means as weighted, really occurring values.
      rows: [n, d] to explain, scaled like the background.
      clusters: k of the k-means; at most the distinct background rows.
      samples: coalitions tried per row, at least 2 d; None is 2 d + 2048.  2^d − 2 or more are all of them: exact.
      seed: of the coalitions drawn.

    Raises:
      InputError: shapes that do not match, values that are not finite, too few samples, or a prediction that
        base + Σ φ misses by more than `ADDITIVITY_TOLERANCE` (a model that answers differently each time).
    """
    background, x = matrices(background_rows, rows)
    d = x.shape[1]
    if samples is not None and samples < 2 * d:
        raise InputError(f"{samples} samples cannot tell {d} features apart; give at least {2 * d}")
    predict = fixed_batch(predict_proba, batch)
    predictions = checked_predictions(predict, x, clusters, seed)
    with _numpy_seed(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SHAP's own, of deprecated calls inside it
        import shap  # takes seconds, and nothing else needs it

        logging.getLogger("shap").setLevel(logging.WARNING)  # it reports every φ, once absl lets it
        explainer = shap.KernelExplainer(predict, _summary(background, clusters))
    base = np.asarray(explainer.expected_value, np.float64)
    values = np.zeros((len(x), d, len(base)))
    for i, row in enumerate(x):
        with _numpy_seed((seed + zlib.crc32(row.tobytes())) % 2**32), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values[i] = explainer.shap_values(
                row[None], nsamples="auto" if samples is None else samples, l1_reg=0, silent=True
            )[0]
    gaps = np.abs(base + values.sum(axis=1) - predictions).max(axis=1, initial=0.0)
    if len(gaps) and not gaps.max() <= ADDITIVITY_TOLERANCE:
        worst = int(gaps.argmax())
        raise InputError(
            f"the Shapley values of row {worst} miss its prediction by {gaps[worst]:.3g}; predict_proba must give the "
            "same answer for the same row each time (is dropout off?)"
        )
    return Explanation(values=values, base=base, predictions=predictions)


def checked_predictions(
    predict: Callable[[np.ndarray], np.ndarray], x: np.ndarray, clusters: int, seed: int
) -> np.ndarray:
    """The predictions [n, c] of the rows to explain.

    Raises:
      InputError: a prediction is not finite, there is no cluster, or the seed is none.
    """
    if clusters < 1:
        raise InputError(f"clusters is {clusters}; give a whole number from 1")
    if not 0 <= seed < 2**32:
        raise InputError(f"the seed is {seed}; give a whole number from 0 to 4294967295")
    predictions = predict(x).astype(np.float64)
    if predictions.ndim != 2 or not np.isfinite(predictions).all():
        bad = int(np.sum(~np.isfinite(predictions)))
        raise InputError(
            f"predict_proba gave shape {predictions.shape} with {bad} values that are not finite; it must give a "
            "finite [n, c] table"
        )
    return predictions


def summarised(background: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Background rows [m, d] by k-means: rows [k, d] of values that occur, and their weights [k], which add up to 1."""
    found = _summary(background, clusters)
    return np.asarray(found.data, np.float64), np.asarray(found.weights, np.float64)


def _summary(background: np.ndarray, clusters: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of k-means on few rows
        import shap  # takes seconds, and nothing else needs it

        return shap.kmeans(background, min(clusters, len(np.unique(background, axis=0))))


def one_row_per_class(y: ArrayLike, n_classes: int, seed: int) -> np.ndarray:
    """One row of each class that has any, drawn uniformly; indices into y, in the order of the classes.

    Args:
      y: [n] int class of each row.
    """
    labels, draw = np.asarray(y), np.random.default_rng(seed)
    found = [np.flatnonzero(labels == k) for k in range(n_classes)]
    # The draw is made for absent classes too, so that one class's row does not depend on which others are there.
    picks = draw.random(n_classes)
    return np.array([rows[int(u * len(rows))] for rows, u in zip(found, picks, strict=True) if len(rows)], np.int64)


def local_explanations(
    explanation: Explanation, y: ArrayLike, raw_rows: ArrayLike, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Each explained row as plain JSON values: why the model gave the row's own class the probability it did.

    Args:
      explanation: of n rows, such as those of `one_row_per_class`.
      y: [n] their true classes.
      raw_rows: [n, d] the same rows in raw units, to show beside φ.

    Returns:
      {"class": true class, "predicted": likeliest class, "probability": of the true class, "base": its mean over the
      background, "values": [d] raw, "phi": [d] for the true class, "errors": [d] of these, where they are estimated};
      base + Σ phi = probability.
    """
    labels, raw = np.asarray(y), np.asarray(raw_rows, np.float64)
    n, d, c = explanation.values.shape
    if labels.shape != (n,) or raw.shape != (n, d) or len(classes) != c:
        raise InputError(
            f"{n} rows of {d} features and {c} classes are explained, but there are {labels.shape} labels, "
            f"{raw.shape} raw values and {len(classes)} class names; pass the same rows"
        )
    return [
        {
            "class": classes[k],
            "predicted": classes[int(explanation.predictions[i].argmax())],
            "probability": float(explanation.predictions[i, k]),
            "base": float(explanation.base[k]),
            "values": raw[i].tolist(),
            "phi": explanation.values[i, :, k].tolist(),
            **({} if explanation.errors is None else {"errors": explanation.errors[i, :, k].tolist()}),
        }
        for i, k in enumerate(labels.tolist())
    ]


def global_importance(explanation: Explanation, top: int = 10) -> Importance:
    """Mean |φ| of each feature over the explained rows, overall and for each class, and the ranking by it.

    Ties go to the earlier feature.  Of several classes the overall figure is the mean.

    Raises:
      InputError: no rows were explained.
    """
    if not len(explanation.values):
        raise InputError("global importance needs explained rows, and there are none")
    per_class = np.abs(explanation.values).mean(axis=0).T
    mean_abs = per_class.mean(axis=0)
    return Importance(
        mean_abs=mean_abs,
        per_class=per_class,
        top=np.argsort(-mean_abs, kind="stable")[:top],
        top_per_class=np.argsort(-per_class, axis=1, kind="stable")[:, :top],
    )


def as_json(
    features: Sequence[str],
    classes: Sequence[str],
    explanation: Explanation,
    local: list[dict[str, Any]],
) -> dict[str, Any]:
    """What `shap.json` of a run holds, of the explained rows' mean |φ| and single rows; the report reads it."""
    importance, error = global_importance(explanation), explanation.relative_error
    return {
        "features": list(features),
        "classes": list(classes),
        "global": {"mean_abs": importance.mean_abs.tolist(), "per_class": importance.per_class.tolist()},
        "local": local,
        "rows": len(explanation.values),
        **({} if error is None else {"relative_error": error}),
    }


def matrices(background_rows: ArrayLike, rows: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Background rows [m, d] and rows to explain [n, d] as float64, contiguous and finite.

    Raises:
      InputError: one of them is no such table, they differ in d, or there are no background rows.
    """
    background, x = _matrix(background_rows, "background_rows"), _matrix(rows, "rows")
    d = x.shape[1]
    if background.shape[1] != d:
        raise InputError(f"background_rows have {background.shape[1]} features, but rows have {d}; pass the same ones")
    if not len(background):
        raise InputError("there are no background rows; pass some of the training rows")
    return background, x


def _matrix(values: ArrayLike, name: str) -> np.ndarray:
    """A table [n, d] as float64, contiguous and finite.

    Raises:
      InputError: it is none, and is told by its name.
    """
    x = np.ascontiguousarray(values, np.float64)
    if x.ndim != 2 or not x.shape[1]:
        raise InputError(f"{name} has shape {x.shape}; pass a table of rows by features")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise InputError(f"{name} has the value {x[row, column]} in row {row}, column {column}; clean the rows first")
    return x


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """SHAP draws coalitions from numpy's global generator: seed it, and leave it as it was found."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
