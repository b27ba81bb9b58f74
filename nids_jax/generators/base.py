"""What a generator of flows is, and what its input must be."""

from typing import Protocol, Self

import numpy as np
from jax import Array

from nids_jax.errors import InputError


class Generator(Protocol):
    """Learns from scaled rows and makes further ones, one per label asked for."""

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] scaled rows, y [n] class indices."""
        ...

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float32, row i of class labels[i], depending on (key, i, labels[i]) alone."""
        ...


def checked_rows(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training rows x [n, d] float32 and labels y [n] int32.

    Raises:
      InputError: other shapes, no rows, or a negative label.
    """
    x, y = np.asarray(x, np.float32), np.asarray(y, np.int32)
    if x.ndim != 2 or len(x) != len(y):
        raise InputError(f"training rows have shape {x.shape} and labels {y.shape}; expected [n, d] and [n]")
    if len(x) == 0:
        raise InputError("no training rows; give at least one per class")
    if y.min() < 0:
        raise InputError(f"label {y.min()} is negative; labels count the classes from 0")
    return x, y


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Refuse labels [m] outside 0 … classes − 1.

    Raises:
      InputError: as said.
    """
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(f"labels span {labels.min()}..{labels.max()}; the model knows 0..{classes - 1}")
