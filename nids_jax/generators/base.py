"""What a generator of flows is."""

from typing import Protocol, Self

import numpy as np
from jax import Array


class Generator(Protocol):
    """Learns from scaled rows and makes further ones, one per label asked for."""

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] scaled rows, y [n] class indices."""
        ...

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float32, row i of class labels[i], depending on (key, i, labels[i]) alone."""
        ...
