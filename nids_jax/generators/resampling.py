"""Generators that reuse the real rows: the controls that a learned generator has to beat."""

from collections.abc import Callable
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from sklearn.neighbors import NearestNeighbors

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.generators.spec import GeneratorSpec

_NEIGHBOURS = 5  # of SMOTE and ADASYN, as in their papers
_TILE = 1024  # rows whose draws are computed together: one compiled function, whatever the number of rows


class Copies:
    """Real rows of the class, drawn with replacement: more optimiser steps, no new information.

    Fitted attributes: `x_` [n, d], `y_` [n].
    """

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d] and y [n]; `key` is not used."""
        self.x_, self.y_ = np.asarray(x, np.float32), np.asarray(y)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d].

        Raises:
          InputError: a label that no fitted row has.
        """
        return self.x_[self._drawn(labels, key)]

    def _drawn(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """The fitted row, by number, that each of the labels [m] starts from."""
        labels = np.asarray(labels)
        draws = _uniforms(random.stream(key, "copies"), len(labels))
        drawn = np.empty(len(labels), np.int64)
        for label in np.unique(labels):
            members = self._members(label)
            wanted = labels == label
            upto = np.cumsum(self.weights(label))
            # Ends at 1 exactly, above every draw; to the right of equal values, so that no row of weight 0 is taken.
            drawn[wanted] = members[np.searchsorted(upto / upto[-1], draws[wanted], side="right")]
        return drawn

    def weights(self, label: int) -> np.ndarray:
        """Each row of a class is drawn in proportion to its weight; [rows of the class]."""
        return np.ones(len(self._members(label)))

    def _members(self, label: int) -> np.ndarray:
        members = np.flatnonzero(self.y_ == label)
        if len(members) == 0:
            raise InputError(f"no fitted row has label {label}; fit on at least one row of each class asked for")
        return members


class Jitter(Copies):
    """A copy plus N(0, scale²) in every column that varies over the training rows; the others stay as they are."""

    def __init__(self, scale: float = 0.05):
        """`scale` is in units of the scaled columns."""
        if not scale > 0.0:
            raise InputError(f"the noise's scale is {scale}; it must be above 0")
        self.scale = scale

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d]: the rows of `Copies` with noise.

        Raises:
          InputError: a label that no fitted row has.
        """
        noise = normals(random.stream(key, "jitter"), len(labels), self.x_.shape[1])
        varies = (self.x_ != self.x_[:1]).any(axis=0)
        return super().sample(labels, key) + np.where(varies, np.float32(self.scale) * noise, np.float32(0.0))


class SMOTE(Copies):
    """x_i + u (x_j − x_i), x_j one of the k nearest to x_i in its class, u uniform on [0, 1)  (Chawla et al. 2002).

    k = min(5, n − 1) in a class of n rows; a class of one row is copied.  Neighbours are looked for when a class is
    first asked for: the large ones, which take longest, seldom are.
    """

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d] and y [n]; `key` is not used."""
        super().fit(x, y, key)
        self._neighbours: dict[int, np.ndarray] = {}
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d].

        Raises:
          InputError: a label that no fitted row has.
        """
        labels = np.asarray(labels)
        begin = self._drawn(labels, key)
        places = _uniforms(random.stream(key, "neighbour"), len(begin)).astype(np.float64)
        ends = np.empty_like(begin)
        for label in np.unique(labels):
            wanted = labels == label
            near = self.neighbours(label)[np.searchsorted(self._members(label), begin[wanted])]
            ends[wanted] = near[np.arange(len(near)), (places[wanted] * near.shape[1]).astype(np.int64)]
        start = self.x_[begin]
        return start + _uniforms(random.stream(key, "step"), len(begin))[:, None] * (self.x_[ends] - start)

    def neighbours(self, label: int) -> np.ndarray:
        """For each row of a class the numbers of those nearest to it in the class, [rows of the class, k]."""
        if label not in self._neighbours:
            members = self._members(label)
            # A row alone in its class has itself for a neighbour: x_i + u (x_i − x_i) = x_i.
            self._neighbours[label] = members[_nearest(self.x_[members])] if len(members) > 1 else members[:, None]
        return self._neighbours[label]


class ADASYN(SMOTE):
    """SMOTE from rows drawn in proportion to r_i, the share of other classes among the k rows nearest to row i.

    k = min(5, n − 1) of all n rows.  A class without neighbours of other classes is drawn from evenly.  He et al. 2008
    make round(r_i / Σr · G) rows from row i (eq. 4, 5); drawing makes as many on average, and G in all.
    """

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d] and y [n]; `key` is not used."""
        super().fit(x, y, key)
        self._others: dict[int, np.ndarray] = {}
        return self

    def weights(self, label: int) -> np.ndarray:
        """r_i of each row of a class, [rows of the class]; all 1 where no row has a neighbour of another class."""
        if label not in self._others:
            members = self._members(label)
            near = _nearest(self.x_, members) if len(self.y_) > 1 else members[:, None]
            shares = (self.y_[near] != label).mean(axis=1)
            self._others[label] = shares if shares.any() else super().weights(label)
        return self._others[label]


def _nearest(x: np.ndarray, members: np.ndarray | None = None) -> np.ndarray:
    """Numbers of the k = min(5, n − 1) other rows of x [n, d] nearest to each, or to rows `members`; [n or m, k]."""
    k = min(_NEIGHBOURS, len(x) - 1)
    # In float64: scikit-learn takes differences of squares, and float32 would swap neighbours of rows far from zero.
    x = x.astype(np.float64)
    index = NearestNeighbors(n_neighbors=k).fit(x)
    if members is None:
        return index.kneighbors(return_distance=False)
    found = index.kneighbors(x[members], k + 1, return_distance=False)
    other = found != members[:, None]
    other[other.all(axis=1), -1] = False  # among equal rows a row may not find itself
    return found[other].reshape(len(members), k)


def _uniforms(key: Array, count: int) -> np.ndarray:
    """[count] uniform on [0, 1), number i from (key, i) alone."""
    return _tiled(_uniform_tile, key, count)


def normals(key: Array, count: int, width: int) -> np.ndarray:
    """[count, width] standard normals, row i from (key, i) alone."""
    return _tiled(partial(_normal_tile, width=width), key, count)


def _tiled(tile: Callable[[Array, np.int32], Array], key: Array, count: int) -> np.ndarray:
    """Rows 0 … count − 1 of what `tile` computes in pieces, each from the number of its first row."""
    firsts = range(0, max(count, 1), _TILE)
    return np.concatenate([np.asarray(tile(key, np.int32(first))) for first in firsts])[:count]


@jax.jit
def _uniform_tile(key: Array, first: Array | np.int32) -> Array:
    return jax.vmap(jax.random.uniform)(random.rows(key, first + jnp.arange(_TILE)))


@partial(jax.jit, static_argnames=("width",))
def _normal_tile(key: Array, first: Array | np.int32, *, width: int) -> Array:
    return random.row_normals(random.rows(key, first + jnp.arange(_TILE)), 0, width)


SPECS = (
    GeneratorSpec(
        name="copies",
        make=lambda _: Copies(),
        summary="Training rows drawn again (random oversampling).",
        learns=False,
        compared_in=frozenset({"few_shot", "generator_comparison", "imbalance"}),
    ),
    GeneratorSpec(
        name="jitter",
        make=lambda _: Jitter(),
        summary="Training rows with Gaussian noise.",
        learns=False,
        compared_in=frozenset({"generator_comparison"}),
    ),
    GeneratorSpec(
        name="smote",
        make=lambda _: SMOTE(),
        summary="Points between neighbouring training rows of a class (Chawla et al. 2002).",
        learns=False,
        compared_in=frozenset({"generator_comparison", "imbalance"}),
    ),
    GeneratorSpec(
        name="adasyn",
        make=lambda _: ADASYN(),
        summary="SMOTE, more of it near other classes (He et al. 2008).",
        learns=False,
        compared_in=frozenset({"generator_comparison", "imbalance"}),
    ),
)
