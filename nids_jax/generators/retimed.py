"""Flow records at other times: what a network varies and a program does not.

A record's sizes, flags and counts say what a program does; its times depend on the network and on the hosts' load as
well.  So a further record of a class is one of its rows, with the times of another of its rows, all of them stretched
by one factor.  Nothing is trained.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.flows.free_features import free_names, from_free, to_free
from nids_jax.flows.schema import FEATURES
from nids_jax.generators.resampling import Copies, normals
from nids_jax.generators.spec import GeneratorSpec

SPREAD = 1.0  # standard deviation of the factor's logarithm
_KINDS = {feature.name: feature.kind for feature in FEATURES}
_WHOLE = {feature.name for feature in FEATURES if feature.integer}


class Retimed(Copies):
    """A row i of the class with the times of a row j, all times then multiplied by e^z and rates by e^−z.

    z ~ N(0, SPREAD²).  Times change hands as free features (`flows.free_features`), as shares of what contains them, so
    that the record keeps the rules of `flows.consistency`.  A meter's limits are not kept: a stretched flow may last
    longer than its timeout.  Rows are in raw units.

    Fitted attributes: `x_` [n, f] free features in float64, `y_` [n].
    """

    losses_ = None

    def __init__(self, features: Sequence[str]):
        """`features`: the canonical names of the columns.

        Raises:
          InputError: none of them is a time.
        """
        self.features = tuple(features)
        self._times, self._rates = (_of_kind(self.features, kind) for kind in ("time", "rate"))
        self._whole = self._times & np.array([name in _WHOLE for name in self.features], bool)
        self._free_times = _of_kind(free_names(self.features), "time")
        if not self._times.any():
            raise InputError("retimed varies times, and none of these columns is one")

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d], in raw units, and y [n]; `key` is not used.

        Raises:
          InputError: values that are not finite.
        """
        super().fit(x, y, key)
        self.x_ = to_free(x, self.features)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] in raw units; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label that no fitted row has.
        """
        row, other = self._drawn(labels, key), self._drawn(labels, random.stream(key, "times"))
        x = from_free(np.where(self._free_times, self.x_[other], self.x_[row]), self.features)
        stretch = np.exp(SPREAD * normals(random.stream(key, "stretch"), len(x), 1).astype(np.float64))
        x = np.where(self._times, x * stretch, np.where(self._rates, x / stretch, x))
        # Whole microseconds, and rates that follow from them.
        return from_free(to_free(np.where(self._whole, np.rint(x), x), self.features), self.features)


def _of_kind(names: Sequence[str], kind: str) -> np.ndarray:
    return np.array([_KINDS.get(name) == kind for name in names], bool)


SPEC = GeneratorSpec(
    name="retimed",
    make=lambda request: Retimed(request.features),
    summary="Training rows with the times of others of their class, stretched.",
    learns=False,
    needs="columns",
    compared_in=frozenset({"generator_comparison"}),
)
