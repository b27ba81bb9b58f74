"""Which features spoke for a verdict, and how much: Shapley values by feature, beside the values measured."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nids_jax.bundle.parts import Trees
from nids_jax.errors import InputError

if TYPE_CHECKING:
    from nids_jax.bundle.model import Model


class Contribution(NamedTuple):
    """What one feature of a row did."""

    feature: str
    value: float  # as measured, in raw units; NaN where it was missing; of a category its code
    weight: float  # > 0: it speaks for the class
    error: float = 0.0  # the weight's standard error; 0: it is exact

    def signed(self, digits: int) -> str:
        """The weight and its error as text: `+0.123 ± 0.004`, or `+0.123, exact`."""
        error = f" ± {self.error:.{digits}f}" if self.error > 0 else ", exact"
        return f"{self.weight:+.{digits}f}{error}"


def explain(model: "Model", x: np.ndarray, top: int, labels: np.ndarray | None) -> list[list[Contribution]]:
    """For each raw row x [n, d] the `top` features by size of their Shapley values for one class, largest first.

    Of trees the values are exact (path-dependent Tree SHAP), in probability, and of boosted trees in log-odds; a
    network's are estimated against the model's background rows, with a standard error of each.  A category's columns
    count together.

    Args:
      labels: [n] the class to explain of each row; None: the likeliest.

    Raises:
      InputError: x is not [n, d], `top` is below 1, or labels that are no classes.
    """
    if top < 1:
        raise InputError(f"`explain` is {top}; give a number of features from 1")
    raw = np.asarray(x, np.float64)
    cleaned, _ = model.clean(raw)
    z = model.scaler.transform(cleaned)
    chosen = model.probabilities(cleaned).argmax(axis=1) if labels is None else np.asarray(labels)
    if chosen.shape != (len(raw),) or ((chosen < 0) | (chosen >= len(model.classes))).any():
        raise InputError(f"there are {len(raw)} rows to explain, and the labels are not one class of each")
    whole, errors = np.zeros(raw.shape), np.zeros(raw.shape)
    if all(isinstance(part, Trees) for part in model.parts):
        for part in model.parts:
            assert isinstance(part, Trees)
            phi = part.forest.shapley(z, chosen)[0] / len(model.parts)
            np.add.at(whole.T, model.feature_of, phi.T)
    elif len(raw):
        used, whole[:, used], errors[:, used] = _sampled(model, z, chosen)
    order = np.argsort(-np.abs(whole), axis=1, kind="stable")[:, :top]
    return [
        [
            Contribution(model.features[place], float(row[place]), float(weights[place]), float(own[place]))
            for place in places
            if weights[place] != 0
        ]
        for row, weights, own, places in zip(raw, whole, errors, order, strict=True)
    ]


def _sampled(model: "Model", z: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The features that the model uses [f], their estimated values [n, f] for the chosen classes, and the errors."""
    from nids_jax.evaluation import shapley

    columns = model.columns

    def predict(rows: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(rows), z.shape[1]), np.float32)
        whole[:, columns] = rows
        return np.mean([part.predict_proba(whole) for part in model.parts], axis=0)

    used, groups = np.unique(np.asarray(model.feature_of)[columns], return_inverse=True)
    found = shapley.estimate(
        predict,
        model.background[:, columns],
        z[:, columns],
        samples=max(shapley.MANY, 4 * len(columns)),
        groups=groups,
    )
    assert found.errors is not None
    each = np.arange(len(z))
    return used, found.values[each, :, chosen], found.errors[each, :, chosen]
