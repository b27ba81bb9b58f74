"""Generators of rows in raw units: of the columns themselves, or of the free features from which these follow."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from jax import Array

from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.flows.free_features import from_free, to_free
from nids_jax.generators.base import Generator


class InRawUnits:
    """A generator of scaled rows and the scaler; `losses_` are the generator's, if it has any."""

    def __init__(self, generator: Generator, scaler: Scaler):
        self.generator, self.scaler = generator, scaler

    @property
    def losses_(self) -> np.ndarray | None:
        return getattr(self.generator, "losses_", None)

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] rows in raw units, y [n] class indices.

        Raises:
          InputError: rows that the scaler or the generator refuses.
        """
        self.generator.fit(self.scaler.transform(x), y, key)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float64 in raw units; row i depends on (key, i, labels[i]) alone."""
        return self.scaler.inverse(self.generator.sample(labels, key))


class OnFreeFeatures(InRawUnits):
    """A generator of scaled rows, fitted on free features (`flows.free_features`) that fill [-1, 1].

    Its rows keep every rule of `flows.consistency`, whatever the generator makes.

    Fitted attribute: `scaler`, of the free features (bounded).
    """

    def __init__(self, generator: Generator, features: Sequence[str]):
        """`features`: the canonical names of the columns of the raw rows."""
        self.generator, self.features = generator, tuple(features)

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] rows in raw units, y [n] class indices.

        Raises:
          InputError: rows that `to_free` or the generator refuses.
        """
        self.scaler = free_scaler(x, self.features)
        self.generator.fit(self.scaler.transform(to_free(x, self.features)), y, key)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float64 in raw units; row i depends on (key, i, labels[i]) alone."""
        return from_free(self.scaler.inverse(self.generator.sample(labels, key)), self.features)


def free_scaler(x: np.ndarray, features: Sequence[str]) -> Scaler:
    """The scaler that brings free features of the raw rows x [n, d] into [-1, 1].

    Raises:
      InputError: rows that `to_free` refuses, or none.
    """
    return fit_scaler("minmax", to_free(x, features))
