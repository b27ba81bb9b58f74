"""Trees of any kind as arrays, checked and evaluated in one way.

Every tree model here is a sum over trees, followed by a link:

    mean      P(class | row) = Σ_t leaf_t(row) / trees             random forests, randomised trees, one tree
    softmax   P(class | row) = softmax(base + Σ_t leaf_t(row))     boosting

The rows are float32, as scikit-learn and XGBoost see them, and so are the thresholds: x ≤ t for a float64 t is x ≤ the
largest float32 that is not above t, and x < s is x ≤ the float32 before s.  Numbers too small for full precision count
as 0 in thresholds, because processors and XLA may take them for 0 in rows.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from nids_jax.errors import InputError
from nids_jax.runtime import cores

Link = Literal["mean", "softmax"]
_ROUNDING = 1e-6  # of probabilities that add up to 1
_LARGEST_MARGIN = 1e6  # of a leaf
_BLOCK = 2048  # rows that go through the trees together


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """Trees over scaled columns."""

    link: Link
    feature: np.ndarray  # [nodes] int32 scaled column, −1: a leaf
    threshold: np.ndarray  # [nodes] float32
    left: np.ndarray  # [nodes] int32 node, or of a leaf the row of `values`
    right: np.ndarray  # [nodes] int32 node, or of a leaf the same
    cover: np.ndarray  # [nodes] float32 weight of the training rows that came here
    roots: np.ndarray  # [trees] int32, rising
    output: np.ndarray  # [trees] int32 class to which a tree adds; −1: to all
    values: np.ndarray  # [k, classes or 1] float64
    base: np.ndarray  # [classes] float64

    @classmethod
    def from_arrays(cls, link: Any, arrays: Mapping[str, np.ndarray], columns: int, classes: int) -> "Forest":
        """The forest in a bundle, checked so that evaluating it stays within its arrays and ends.

        Raises:
          InputError: arrays that are missing, too many, of another type or shape, or that do not make trees.
        """
        if link not in get_args(Link):
            raise InputError(f"trees are put together by {str(link)[:40]!r}, which this version does not know")
        kinds = {"threshold": "<f4", "cover": "<f4", "values": "<f8", "base": "<f8"}
        names = [name for name in cls.__dataclass_fields__ if name != "link"]
        if sorted(arrays) != sorted(names):
            raise InputError(f"trees are stored as the arrays {', '.join(names)}, and here are {', '.join(arrays)}")
        for name in names:
            if arrays[name].dtype != np.dtype(kinds.get(name, "<i4")):
                raise InputError(f"the array {name!r} of trees is of type {arrays[name].dtype}")
        forest = cls(link=link, **{name: np.ascontiguousarray(array) for name, array in arrays.items()})
        forest._check(columns, classes)
        return forest

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays, for a bundle."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "link"}

    def over(self, columns: np.ndarray) -> "Forest":
        """The same trees, where column j of theirs is the j-th of these columns [k] of wider rows."""
        feature = np.where(self.feature >= 0, columns[np.maximum(self.feature, 0)], -1)
        return replace(self, feature=feature.astype(np.int32))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.base)

    @property
    def columns(self) -> np.ndarray:
        """The scaled columns that any tree looks at, rising."""
        return np.unique(self.feature[self.feature >= 0])

    @cached_property
    def parent(self) -> np.ndarray:
        """[nodes] the node above; of a root itself."""
        above = np.arange(len(self.feature), dtype=np.int32)
        inner = np.flatnonzero(self.feature >= 0).astype(np.int32)
        above[self.left[inner]] = inner
        above[self.right[inner]] = inner
        return above

    @cached_property
    def _nodes(self) -> np.ndarray:
        """[nodes, 4] int32: what is asked for at each node, in one place of memory; see `kernels.add_leaves`."""
        return np.stack([self.feature, self.threshold.view(np.int32), self.left, self.right], axis=1)

    @cached_property
    def depth(self) -> int:
        """Levels below the roots of the deepest tree."""
        levels, node = 0, self.roots
        while len(node := node[self.feature[node] >= 0]):
            node = np.concatenate([self.left[node], self.right[node]])
            levels += 1
        return levels

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """P(class | row): scaled rows x [n, d] → [n, classes] float64."""
        sums = self.sums(x)
        if self.link == "mean":
            return sums / len(self.roots)
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def sums(self, x: np.ndarray) -> np.ndarray:
        """base + Σ_t leaf_t(row): scaled rows x [n, d] → [n, classes] float64, the blocks of rows on all cores."""
        from nids_jax.bundle.kernels import add_leaves  # numba takes a moment to import

        x, nodes = np.ascontiguousarray(x, np.float32), self._nodes
        sums = np.tile(self.base, (len(x), 1))

        def add(start: int) -> None:
            part = slice(start, start + _BLOCK)
            add_leaves(x[part], nodes, nodes.view(np.float32), self.roots, self.output, self.values, sums[part])

        starts = range(0, len(x), _BLOCK)
        if len(starts) > 1:
            with ThreadPoolExecutor(cores()) as pool:
                list(pool.map(add, starts))
        elif len(x):
            add(0)
        return sums

    def shapley(self, x: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shapley values φ [n, d] of one class's output for each scaled row x [n, d], and the base values [n].

        base + Σ φ is the probability of the class, for the link `softmax` the margin (its logarithm less a constant).

        Args:
          classes: [n] int, the class to explain of each row.
        """
        from nids_jax.bundle.kernels import shapley

        x = np.ascontiguousarray(x, np.float32)
        phi = np.zeros(x.shape)
        base = np.zeros(len(x))
        for i in range(len(x)):
            base[i] = self.base[classes[i]] + shapley(
                x[i],
                int(classes[i]),
                self.feature,
                self.threshold,
                self.left,
                self.right,
                self.parent,
                self.cover,
                self.roots,
                self.output,
                self.values,
                phi[i],
            )
        scale = len(self.roots) if self.link == "mean" else 1
        return phi / scale, base / scale

    def _check(self, columns: int, classes: int) -> None:
        wrong = self._fault(columns, classes)
        if wrong:
            raise InputError(f"the stored trees are damaged: {wrong}")

    def _fault(self, columns: int, classes: int) -> str | None:
        n, trees = len(self.feature.ravel()), len(self.roots.ravel())
        nodes = (self.feature, self.threshold, self.left, self.right, self.cover)
        if any(array.shape != (n,) for array in nodes) or not n or n >= 2**31:
            return "their arrays of nodes differ in length"
        if self.roots.shape != (trees,) or self.output.shape != (trees,) or not trees:
            return "their arrays of trees differ in length"
        if self.base.shape != (classes,) or self.values.ndim != 2 or not len(self.values):
            return f"their values are not those of {classes} classes"
        if self.values.shape[1] not in (1, classes):
            return f"their values are not those of {classes} classes"
        if self.values.shape[1] != classes and (self.output < 0).any():
            return "a tree gives one number, but no class is named to which it adds"
        if ((self.output < -1) | (self.output >= classes)).any():
            return "a tree adds to a class that is not there"
        if not all(np.isfinite(array).all() for array in (self.threshold, self.values, self.base, self.cover)):
            return "a number is not finite"
        if self.link == "mean" and (
            self.base.any() or (self.values < 0).any() or (np.abs(self.values.sum(axis=1) - 1) > _ROUNDING).any()
        ):
            return "a leaf's values are no probabilities"
        if max(np.abs(self.values).max(), np.abs(self.base).max()) > _LARGEST_MARGIN:
            return "a value is too large for a margin"
        if self.roots[0] != 0 or (np.diff(self.roots.astype(np.int64)) <= 0).any() or self.roots[-1] >= n:
            return "the trees do not follow each other"
        if (self.cover <= 0).any():
            return "no training row came to one of the nodes"
        return self._fault_of_nodes(columns)

    def _fault_of_nodes(self, columns: int) -> str | None:
        n = len(self.feature)
        places = np.arange(n)
        ends = np.append(self.roots[1:], n)
        end = ends[np.searchsorted(self.roots, places, side="right") - 1]
        inner = self.feature >= 0
        if ((self.feature < -1) | (self.feature >= columns)).any():
            return "a node looks at a column that is not there"
        leaves = self.left[~inner]
        if ((leaves < 0) | (leaves >= len(self.values))).any() or (leaves != self.right[~inner]).any():
            return "a leaf's value is not there"
        children = np.concatenate([self.left[inner], self.right[inner]])
        if (children <= np.tile(places[inner], 2)).any() or (children >= np.tile(end[inner], 2)).any():
            return "a node's child does not come after it in its tree"
        met = np.bincount(children, minlength=n)
        met[self.roots] += 1
        if (met != 1).any():
            return "a node has not one parent"
        return None


def float32_not_above(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 that is at most each float64 number; numbers below the normal range count as 0 from below."""
    with np.errstate(over="ignore"):
        found = thresholds.astype(np.float32)
    above = found.astype(np.float64) > thresholds
    found[above] = np.nextafter(found[above], np.float32(-np.inf))
    return _normal(np.clip(found, -np.finfo(np.float32).max, np.finfo(np.float32).max))


def float32_below(splits: np.ndarray) -> np.ndarray:
    """The largest float32 below each float32 number."""
    return _normal(np.nextafter(splits.astype(np.float32), np.float32(-np.inf)))


def _normal(found: np.ndarray) -> np.ndarray:
    tiny = np.finfo(np.float32).tiny
    small = np.abs(found) < tiny
    return np.where(small & (found < 0), -tiny, np.where(small, np.float32(0), found)).astype(np.float32)
