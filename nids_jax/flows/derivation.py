"""How a record's columns are derived one after the other, for reading free features and for deriving rows from them.

A free feature holds the place of a value between its bounds on a logarithmic scale (`encode`, `decode`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from nids_jax.flows.consistency import ABSOLUTE, RELATIVE
from nids_jax.flows.schema import FEATURE_NAMES, FEATURES

LARGEST = 1e12  # of a free quantity; keeps every product of two finite and far from float64's end
_LARGEST_OWN = 1e300  # of a column without relations
_ABSENT = 0.25  # free features that are 0 or at least 0.5: below this, there is no such quantity

_SIGNED = frozenset(f.name for f in FEATURES if f.signed)
_INTEGER = frozenset(f.name for f in FEATURES if f.integer)

Bound = np.ndarray | float
Columns = dict[str, np.ndarray]  # name → [n]
Encode = Callable[[Columns], np.ndarray]  # a row's columns → a free feature [n]
Source = Callable[[int, Encode], np.ndarray]  # number of the free feature, how a row would give it → the column


class Derivation:
    """The columns in their order, each after those that bound it; `known` holds the values derived so far.

    Free features are read from rows in the order in which rows are derived from them: reading computes a free feature
    from the row (`encode`) and goes on with the value that it stands for, so that rounding cannot add up.
    """

    def __init__(self, features: Sequence[str], rows: int, source: Source):
        self.features, self.rows, self.source = tuple(features), rows, source
        self.known: Columns = {}
        self.names: list[str] = []

    def have(self, *names: str) -> bool:
        """Whether the values of all these are known by now."""
        return all(name in self.known for name in names)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.known[name]

    def get(self, name: str, missing: Bound) -> Bound:
        return self.known.get(name, missing)

    def total(self, *names: str) -> np.ndarray | None:
        """Their sum, or None if one is not known."""
        return np.sum([self.known[name] for name in names], axis=0) if self.have(*names) else None

    def free(self, name: str, read: Encode) -> np.ndarray:
        """The free feature `name` [n]."""
        z = self.source(len(self.names), read)
        self.names.append(name)
        return z

    def derive(self, name: str, value: np.ndarray) -> None:
        if name in self.features:
            self.known[name] = value

    def place(self, name: str, low: Bound = 0.0, centre: Bound | None = None, high: Bound = np.inf) -> None:
        """A column between bounds, at `centre` (low by default) where its free feature is 0."""
        if name in self.features and name not in self.known:
            bounds = self._bounds(low, low if centre is None else centre, high)
            whole = name in _INTEGER
            z = self.free(name, lambda row: encode(row[name], *bounds, whole))
            self.known[name] = decode(z, *bounds, whole)

    def place_if_any(self, name: str, high: Bound = LARGEST) -> None:
        """A column that is 0 or far from it: free feature 0, or 0.5 … 1 for its place between 1 and `high`."""
        if name in self.features and name not in self.known:
            low, _, high = self._bounds(np.minimum(high, 1.0), 0.0, high)
            whole = name in _INTEGER
            z = self.free(
                name, lambda row: np.where(row[name] > 0, 0.5 + encode(row[name], low, low, high, whole) / 2, 0)
            )
            self.known[name] = np.where(z < _ABSENT, 0, decode(2 * z - 1, low, low, high, whole))

    def switch(self, name: str, on: Callable[[Columns], np.ndarray]) -> np.ndarray:
        """A choice of two, on where the free feature is above 0; 0 too where the row does not tell."""
        return self.free(name, lambda row: on(row).astype(float)) > 0

    def own(self, name: str, per: np.ndarray | None = None) -> None:
        """A column by itself, on a signed logarithmic scale; `per` packets, if given, and 0 where there are none."""
        if name in self.features and name not in self.known:
            count = np.ones(self.rows) if per is None else per
            scale = np.maximum(count, 1)
            z = self.free(name, lambda row: np.where(count > 0, _signed_log(row[name] / scale), 0))
            value = np.sign(z) * np.expm1(np.minimum(np.abs(z), np.log(_LARGEST_OWN if per is None else LARGEST)))
            value = np.where(count > 0, value * scale, 0)
            if name in FEATURE_NAMES - _SIGNED:
                value = np.maximum(value, 0)
            self.known[name] = np.rint(value) if name in _INTEGER else value

    def _bounds(self, *bounds: Bound) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        low, centre, high = (np.broadcast_to(np.asarray(bound, np.float64), self.rows) for bound in bounds)
        return low, centre, high


def _signed_log(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x))


def _widths(low: np.ndarray, centre: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of (1 + centre) / (1 + low) and (1 + high) / (1 + centre); 1 where there is no upper bound."""
    below, above = np.log1p(centre) - np.log1p(low), np.log1p(high) - np.log1p(centre)
    return below, np.where(np.isinf(high), 1, above)


def encode(value: np.ndarray, low: np.ndarray, centre: np.ndarray, high: np.ndarray, whole: bool) -> np.ndarray:
    """log((1 + v) / (1 + centre)), divided by its greatest value: −1 at `low`, 0 at `centre`, 1 at `high`.

    Without an upper bound it is not divided above `centre`.  0 within the rules' tolerance of `centre`.
    """
    centre = np.clip(centre, low, high)
    value = np.clip(value, low, np.minimum(high, np.maximum(centre, LARGEST)))
    slack = 0.5 if whole else ABSOLUTE + RELATIVE * value
    away = np.where(np.abs(value - centre) <= slack, 0, np.log1p(value) - np.log1p(centre))
    below, above = _widths(low, centre, high)
    return np.where(away == 0, 0, away / np.where(away < 0, below, above))


def decode(z: np.ndarray, low: np.ndarray, centre: np.ndarray, high: np.ndarray, whole: bool) -> np.ndarray:
    """What `encode` encoded; any z, within the bounds always."""
    centre = np.clip(centre, low, high)
    below, above = _widths(low, centre, high)
    up = np.clip(z, 0, np.where(np.isinf(high), np.log1p(LARGEST), 1)) * above
    away = np.where(z < 0, np.maximum(z, -1) * below, up)
    value = np.where(away == 0, centre, (1 + centre) * np.exp(away) - 1)
    return np.clip(np.rint(value) if whole else value, low, np.minimum(high, np.maximum(centre, LARGEST)))
