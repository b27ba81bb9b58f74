"""A detector's figures on test rows drawn again: what the draw of those that splits share adds to their scatter.

Of a class with n rows, of which m test in each split, any two splits have m²/n test rows in common on average, a share
m/n.  What these rows happen to be moves the figures of all splits alike, which their scatter does not show.  So m/n of
a class's test rows are drawn again with replacement from all its test rows, and the others stay: the variance of a
figure over such draws is (m/n) σ²/m, with σ² that of one row's part in it, which is what the covariance of two splits'
figures is at most.  The draws are the same for every detector that is tested on the same rows, so that differences
between two of them can be taken draw by draw.
"""

from collections.abc import Sequence

import numpy as np

from nids_jax.evaluation.metrics import attack_recall, detection_metrics

REDRAWS = 100


def redraws(
    y: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], benign: str | None, shares: np.ndarray
) -> dict[str, list[float]]:
    """The figures of `detection_metrics` and `attack_recall` on test rows drawn again.

    Args:
      y: [n] class indices of the test rows.
      probabilities: [n, c].
      benign: the class that is no attack, if any.
      shares: [c] of each class's rows, how many of all test: m/n above.

    Returns:
      {figure: a value of each of the `REDRAWS` draws, to six decimals}; without figures that some draw lacks.

    Raises:
      InputError: as `detection_metrics`.
    """
    draws = np.random.default_rng(0)
    places = [np.flatnonzero(y == label) for label in range(len(classes))]
    found: dict[str, list[float | None]] = {}
    for _ in range(REDRAWS):
        rows = np.concatenate([_redrawn(own, share, draws) for own, share in zip(places, shares, strict=True)])
        figures = detection_metrics(y[rows], probabilities[rows], classes, benign)
        if benign is not None:
            figures |= attack_recall(y[rows], probabilities[rows], classes, benign)
        for name, value in figures.items():
            if not isinstance(value, dict):
                found.setdefault(name, []).append(value)
    return {
        name: [round(value, 6) for value in values if value is not None]
        for name, values in found.items()
        if None not in values
    }


def _redrawn(rows: np.ndarray, share: float, draws: np.random.Generator) -> np.ndarray:
    """The rows, of which a share has made room for others of them."""
    changed = rows.copy()
    count = int(draws.binomial(1, share * len(rows) % 1)) + int(share * len(rows)) if len(rows) else 0
    if count:
        changed[draws.choice(len(rows), count, replace=False)] = draws.choice(rows, count)
    return changed
