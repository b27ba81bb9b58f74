"""What a generator of flows is, and what its input must be."""

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
from jax import Array

from nids_jax.errors import InputError


class Labels:
    """Labels of any number of rows without holding them: the first counts[0] rows are of class 0, and so on.

    `labels[a:b]` is an array [b − a] int32.
    """

    def __init__(self, counts: Sequence[int]):
        self._ends = np.cumsum(np.asarray(counts, np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: slice) -> np.ndarray:
        ids = np.arange(*rows.indices(len(self)))
        return np.searchsorted(self._ends, ids, side="right").astype(np.int32)

    def counts(self, first: int, stop: int) -> list[int]:
        """Rows of each class among those number `first` to `stop`."""
        return np.diff(np.clip(self._ends, first, stop), prepend=first).tolist()


class Generator(Protocol):
    """Learns from scaled rows and generates synthetic ones, one per label asked for."""

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
        raise InputError(f"training rows have shape {x.shape} and labels {y.shape}; give [n, d] and [n]")
    if len(x) == 0:
        raise InputError("no training rows; give at least one per class")
    if y.min() < 0:
        raise InputError(f"label {y.min()} is negative; labels count the classes from 0")
    return x, y


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Refuse labels [m] outside 0 … classes − 1.

    Raises:
      InputError: there is such a label.
    """
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(f"labels span {labels.min()}..{labels.max()}; the model knows 0..{classes - 1}; ask for these")
