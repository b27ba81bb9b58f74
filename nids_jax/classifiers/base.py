"""What a classifier of flows is."""

from typing import Protocol, Self

import numpy as np


class Classifier(Protocol):
    """Labels scaled rows."""

    classes_: np.ndarray  # [c] the labels seen in training, rising

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        """x [n, d] scaled rows, y [n] integer labels."""
        ...

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → [n, c], columns in the order of `classes_`."""
        ...
