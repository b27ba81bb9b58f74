"""Generators that reuse the real rows: the controls that a learned generator has to beat."""

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.errors import InputError


class Copies:
    """Real rows of the class, drawn with replacement: more optimiser steps, no new information."""

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d] and y [n]; `key` is not used."""
        self.x_, self.y_ = np.asarray(x, np.float32), np.asarray(y)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d].

        Raises:
          InputError: a label that no fitted row has.
        """
        labels = np.asarray(labels)
        keys = random.rows(random.stream(key, "copies"), jnp.arange(len(labels)))
        draws = np.asarray(jax.vmap(jax.random.uniform)(keys))
        out = np.empty((len(labels), self.x_.shape[1]), np.float32)
        for label in np.unique(labels):
            members = np.flatnonzero(self.y_ == label)
            if len(members) == 0:
                raise InputError(f"no fitted row has label {label}; fit on at least one row of each class to be copied")
            wanted = labels == label
            # float32 uniforms reach at most 1 − 2^-24, but their product may round up to the length itself.
            picks = np.minimum((draws[wanted] * len(members)).astype(np.int64), len(members) - 1)
            out[wanted] = self.x_[members[picks]]
        return out
