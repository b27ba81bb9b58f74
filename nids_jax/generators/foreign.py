"""Generators of other packages: a class like those here, imbalanced-learn's over-samplers, or a specification."""

from dataclasses import replace
from typing import Any, Self

import jax
import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.generators.base import checked_rows
from nids_jax.generators.heads import Blocks
from nids_jax.generators.spec import GeneratorSpec, Request
from nids_jax.plugins import Plugin

GROUP = "nids_jax.generators"
_BLOCK = 1024  # rows that an over-sampler is asked for at once
_NEIGHBOURS = ("k_neighbors", "n_neighbors", "m_neighbors")  # parameters that no class may have fewer rows than


def spec_of(plugin: Plugin) -> GeneratorSpec:
    """The specification of a generator that another package brings.

    Raises:
      InputError: it is neither a specification nor a class with the methods of a generator or an over-sampler.
    """
    found = plugin.found
    if isinstance(found, GeneratorSpec):
        if found.family:
            raise InputError(f"{plugin.source} has a family of settings, which no plug-in has; leave `family` out")
        return replace(found, name=plugin.name or found.name)
    name = plugin.name or getattr(found, "__name__", "")
    methods = plugin.methods(("fit", "sample"), ("fit", "fit_resample"))
    summary = f"{plugin.source[:60]}, a plug-in."
    if "sample" in methods:
        return GeneratorSpec(name=name, make=lambda _: ForeignGenerator(plugin), summary=summary)
    return GeneratorSpec(name=name, make=lambda request: OverSampled(plugin, request), summary=summary, learns=False)


class _Foreign:
    """What both kinds check of rows and labels."""

    def __init__(self, plugin: Plugin):
        self._plugin = plugin

    def _known(self, labels: np.ndarray) -> np.ndarray:
        labels = np.asarray(labels, np.int32)
        unknown = np.setdiff1d(labels, self._labels)
        if len(unknown):
            raise InputError(f"no fitted row has label {unknown[0]}; fit on at least one row of each class asked for")
        return labels

    def _keep(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = checked_rows(x, y)
        self._labels, self._width = np.unique(y), x.shape[1]
        return x, y

    def _rows(self, found: Any, count: int, doing: str) -> np.ndarray:
        with self._plugin.speaking(doing):
            rows = np.asarray(found, np.float32)
        if rows.shape != (count, self._width):
            raise InputError(
                f"{self._plugin.source} gave rows of shape {rows.shape} in {doing}, and not {(count, self._width)}"
            )
        if not np.isfinite(rows).all():
            raise InputError(f"{self._plugin.source} gave values that are missing or infinite in {doing}")
        return rows


class ForeignGenerator(_Foreign):
    """A class with `fit(x, y, key)` and `sample(labels, key)`; what it gives is checked."""

    @property
    def losses_(self) -> np.ndarray | None:
        return getattr(self._made, "losses_", None)

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] scaled rows, y [n] class indices.

        Raises:
          InputError: rows that are none, or the class failed.
        """
        x, y = self._keep(x, y)
        self._made = self._plugin.make()
        with self._plugin.speaking("`fit`"):
            self._made.fit(x, y, key)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float32.

        Raises:
          InputError: a label without training rows; the class failed, or gave other rows than asked for.
        """
        labels = self._known(labels)
        if not len(labels):  # a case that one's own class need not think of
            return np.zeros((0, self._width), np.float32)
        with self._plugin.speaking("`sample`"):
            found = self._made.sample(labels, key)
        return self._rows(found, len(labels), "`sample`")


class OverSampled(_Foreign):
    """An over-sampler of imbalanced-learn's kind: `fit_resample` gives the rows, and further ones under them.

    Rows are asked for in blocks of _BLOCK of a class, by a seed from (key, class, block): row i of label k is the row
    i mod _BLOCK of its block, whatever else is asked for.  In a class of few rows fewer neighbours are looked for.
    One that knows `categorical_features` (SMOTE-NC) gets each categorical column as one column of codes.
    """

    losses_ = None  # what it learns, it keeps to itself

    def __init__(self, plugin: Plugin, request: Request):
        super().__init__(plugin)
        self._categories = request.columns.blocks

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d] and y [n]; `key` is not used.

        Raises:
          InputError: rows that are none, or without categories where these are wanted.
        """
        x, self._y = self._keep(x, y)
        takes = self._plugin.parameters
        self._blocks: Blocks = self._categories if "categorical_features" in takes else ()
        if "categorical_features" in takes and not self._blocks:
            raise InputError(f"{self._plugin.source} wants columns of categories, and these rows have none")
        self._x = coded(x, self._blocks)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float32; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label without training rows; the class failed, or gave other rows than asked for.
        """
        labels = self._known(labels)
        found = np.zeros((len(labels), self._width), np.float32)
        for first in range(0, len(labels), _BLOCK):
            wanted = labels[first : first + _BLOCK]
            for label in np.unique(wanted):
                places = np.flatnonzero(wanted == label)
                block = self._block(int(label), jax.random.fold_in(key, first // _BLOCK))
                found[first + places] = block[places]
        return found

    def _block(self, label: int, key: Array) -> np.ndarray:
        """_BLOCK rows of a class, [_BLOCK, d]."""
        seed = int(jax.random.bits(jax.random.fold_in(random.stream(key, "over-sampler"), label)) >> 1)
        n, members = len(self._y), int((self._y == label).sum())
        takes = self._plugin.parameters
        chosen: dict[str, Any] = {"sampling_strategy": {label: members + _BLOCK}, "random_state": seed}
        chosen |= {name: min(takes[name], members - 1) for name in _NEIGHBOURS if isinstance(takes.get(name), int)}
        if self._blocks:
            chosen["categorical_features"] = _code_columns(self._blocks, self._x.shape[1])
        sampler = self._plugin.make(**chosen)
        doing = f"`fit_resample` for class {label} of {members} rows"
        with self._plugin.speaking(doing):
            x, y = sampler.fit_resample(self._x, self._y)
            x, y = np.asarray(x), np.asarray(y)
        if len(x) < n or not np.array_equal(y[:n], self._y) or not np.allclose(x[:n], self._x):
            raise InputError(
                f"{self._plugin.source} did not keep the rows given and add to them in {doing}; name an over-sampler"
            )
        more = x[n:][y[n:] == label]
        if not len(more):
            raise InputError(f"{self._plugin.source} made no row in {doing}; leave it out, or give it other rows")
        rows = one_hot(more[np.arange(_BLOCK) % len(more)], self._blocks, self._width)  # ADASYN gives about so many
        return self._rows(rows, _BLOCK, doing)


def _code_columns(blocks: Blocks, width: int) -> list[int]:
    """Where the codes stand, when of `width` columns each block has become one: after the others."""
    return [*range(width - len(blocks), width)]


def coded(x: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Scaled rows [n, d] with each block of categories as one column of codes, after the other columns."""
    inside = np.concatenate([np.zeros(0, int), *(np.arange(*block) for block in blocks)])
    codes = [x[:, start:stop].argmax(axis=1)[:, None] for start, stop in blocks]
    return np.concatenate([np.delete(x, inside, axis=1), *codes], axis=1)


def one_hot(x: np.ndarray, blocks: Blocks, width: int) -> np.ndarray:
    """The inverse of `coded`: of each block +1 for the category that holds, −1 for the others."""
    inside = np.concatenate([np.zeros(0, int), *(np.arange(*block) for block in blocks)])
    found = np.empty((len(x), width), np.float32)
    found[:, np.setdiff1d(np.arange(width), inside)] = x[:, : x.shape[1] - len(blocks)]
    for (start, stop), codes in zip(blocks, x[:, x.shape[1] - len(blocks) :].T, strict=True):
        found[:, start:stop] = np.where(codes[:, None] == np.arange(stop - start), 1, -1)
    return found
