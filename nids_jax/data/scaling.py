"""Scalers: raw units ↔ the numbers that networks see.  Fitted on training rows only, invertible, kept as JSON.

`SCALERS[name]` scales the numeric columns, each by itself; categorical columns become one column per category, +1 for
the category that holds and -1 for the others.  float64 inside; `transform` gives float32.

| name | scaled value | training rows within [-1, 1] |
|---|---|---|
| `minmax` | (x − (max + min)/2) / ((max − min)/2) | yes |
| `signed_log` | the same of sign(x) · log(1 + |x|) | yes |
| `quantile_uniform` | 2 F(x) − 1, F the empirical distribution function | yes |
| `quantile` | Φ⁻¹(F(x)) | no |
| `zscore` | (x − mean) / standard deviation | no |

Rows unlike the training rows may fall outside: nothing is clipped, and everything stays finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError

_LARGEST = float(np.finfo(np.float32).max)
_HUGE = float(np.finfo(np.float64).max)
_REFERENCES = 1000  # points at which `quantile` keeps the distribution function


class ColumnScaler(Protocol):
    """Scales k numeric columns, each by itself; float64 in and out."""

    bounded: ClassVar[bool]  # whether the rows it was fitted on land within [-1, 1]

    @classmethod
    def fit(cls, x: np.ndarray) -> Self: ...  # [n, k], finite, n ≥ 1
    def transform(self, x: np.ndarray) -> np.ndarray: ...  # [m, k] -> [m, k]; may overflow to ±inf
    def inverse(self, z: np.ndarray) -> np.ndarray: ...
    def to_json(self) -> dict[str, Any]: ...
    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self: ...


@dataclass(frozen=True, eq=False)
class _Affine:
    """z = (x − centre) / spread, and 0 where the spread is 0."""

    centre: np.ndarray  # [k] float64
    spread: np.ndarray  # [k] float64, at least 0

    bounded: ClassVar[bool] = False

    def transform(self, x: np.ndarray) -> np.ndarray:
        varies = self.spread > 0
        return np.where(varies, (x - self.centre) / np.where(varies, self.spread, 1), 0)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return self.centre + self.spread * z

    def to_json(self) -> dict[str, Any]:
        return {"centre": self.centre.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(np.array(data["centre"], np.float64), np.array(data["spread"], np.float64))


class Minmax(_Affine):
    """z = (x − (max + min)/2) / ((max − min)/2): the training rows fill [-1, 1]."""

    bounded: ClassVar[bool] = True

    @classmethod
    def fit(cls, x: np.ndarray) -> Self:
        low, high = x.min(axis=0), x.max(axis=0)
        return cls(low / 2 + high / 2, high / 2 - low / 2)  # halved first: their sum may exceed float64


class Zscore(_Affine):
    """z = (x − mean) / standard deviation (divided by n), as P2's eq. 1; it does not land in [0, 1], as P2 says."""

    @classmethod
    def fit(cls, x: np.ndarray) -> Self:
        size = np.abs(x).max(axis=0)
        unit = np.where(size > 0, size, 1)  # squares of huge values would overflow
        constant = x.min(axis=0) == x.max(axis=0)
        mean = np.where(constant, x[0], (x / unit).mean(axis=0) * unit)
        return cls(mean, np.where(constant, 0, (x / unit).std(axis=0) * unit))


class SignedLog(Minmax):
    """`Minmax` of s = sign(x) · log(1 + |x|): counts and times that span decades keep their small values apart."""

    @classmethod
    def fit(cls, x: np.ndarray) -> Self:
        return super().fit(_signed_log(x))

    def transform(self, x: np.ndarray) -> np.ndarray:
        return super().transform(_signed_log(x))

    def inverse(self, z: np.ndarray) -> np.ndarray:
        s = super().inverse(z)
        return np.sign(s) * np.expm1(np.minimum(np.abs(s), np.log(_HUGE)))


def _signed_log(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x))


@dataclass(frozen=True, eq=False)
class Quantile:
    """z = Φ⁻¹(F(x)), F the empirical distribution function with midranks, linear between the reference points.

    Beyond the training rows z grows as log(1 + distance / average slope), so that far values stay apart and finite.
    """

    values: tuple[np.ndarray, ...]  # per column: distinct training values, at most _REFERENCES, ascending
    scores: tuple[np.ndarray, ...]  # per column: z at each of them, ascending

    bounded: ClassVar[bool] = False

    @staticmethod
    def _score(share: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri  # here: it takes longer to import than a small capture to judge

        return ndtri(share)

    @classmethod
    def fit(cls, x: np.ndarray) -> Self:
        values: list[np.ndarray] = []
        scores: list[np.ndarray] = []
        for column in x.T:
            distinct, counts = np.unique(column, return_counts=True)
            share = (np.cumsum(counts) - counts / 2) / len(column)
            score = cls._score(share)
            if len(distinct) > _REFERENCES:  # evenly spaced in z, so that the tails keep their shape
                kept = np.unique(np.searchsorted(score, np.linspace(score[0], score[-1], _REFERENCES)))
                distinct, score = distinct[kept], score[kept]
            values.append(distinct)
            scores.append(score)
        return cls(tuple(values), tuple(scores))

    def transform(self, x: np.ndarray) -> np.ndarray:
        z = np.zeros(x.shape)
        for index, (values, scores) in enumerate(zip(self.values, self.scores, strict=True)):
            if len(values) > 1:
                shrink = _shrink(values)
                column, values = x[:, index] * shrink, values * shrink
                slope = _average_slope(values, scores)
                beyond = np.where(column > values[-1], column - values[-1], np.minimum(column - values[0], 0))
                tail = np.sign(beyond) * np.log1p(np.minimum(np.abs(beyond) / slope, _HUGE))
                z[:, index] = np.interp(column, values, scores) + tail
        return z

    def inverse(self, z: np.ndarray) -> np.ndarray:
        x = np.empty(z.shape)
        for index, (values, scores) in enumerate(zip(self.values, self.scores, strict=True)):
            x[:, index] = values[0]
            if len(values) > 1:
                shrink = _shrink(values)
                column, values = z[:, index], values * shrink
                slope = _average_slope(values, scores)
                beyond = np.where(column > scores[-1], column - scores[-1], np.minimum(column - scores[0], 0))
                tail = np.sign(beyond) * slope * np.expm1(np.minimum(np.abs(beyond), np.log(_HUGE)))
                x[:, index] = (np.interp(column, scores, values) + tail) / shrink
        return x

    def to_json(self) -> dict[str, Any]:
        return {"values": [v.tolist() for v in self.values], "scores": [s.tolist() for s in self.scores]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values, scores = (tuple(np.array(part, np.float64) for part in data[name]) for name in ("values", "scores"))
        return cls(values, scores)


def _average_slope(values: np.ndarray, scores: np.ndarray) -> float:
    return max(float((values[-1] - values[0]) / (scores[-1] - scores[0])), float(np.finfo(float).tiny))


def _shrink(values: np.ndarray) -> float:
    """A power of two (so that nothing is rounded) that keeps differences and slopes of huge values finite."""
    return 2.0**-64 if np.abs(values).max() > 1e280 else 1.0


class QuantileUniform(Quantile):
    """z = 2 F(x) − 1; otherwise as `Quantile`."""

    bounded: ClassVar[bool] = True

    @staticmethod
    def _score(share: np.ndarray) -> np.ndarray:
        return 2 * share - 1


SCALERS: Mapping[str, type[ColumnScaler]] = {
    "minmax": Minmax,
    "signed_log": SignedLog,
    "quantile": Quantile,
    "quantile_uniform": QuantileUniform,
    "zscore": Zscore,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaler:
    """A scaler for the numeric columns, and one column per category for the others, in the order of the features."""

    name: str
    features: tuple[str, ...]  # d names
    categories: tuple[tuple[str, ...], ...]  # per feature: its categories' names; () for a number
    constants: np.ndarray  # [k] float64: value of a numeric column that never varied in training, else NaN
    numeric: ColumnScaler  # of the k numeric columns

    @property
    def bounded(self) -> bool:
        """Whether the training rows land within [-1, 1], so that a sampler may clip to it."""
        return self.numeric.bounded

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scaled columns: `flow_duration`, `protocol=tcp`, `protocol=udp`, …"""
        names: list[str] = []
        for feature, categories in zip(self.features, self.categories, strict=True):
            names += [f"{feature}={category}" for category in categories] if categories else [feature]
        return tuple(names)

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Of each categorical feature, its first scaled column and the one past its last."""
        return tuple((start, stop) for _, start, stop in self._places()[1])

    @property
    def width(self) -> int:
        """Number of scaled columns."""
        return sum(len(categories) or 1 for categories in self.categories)

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Raw rows [n, d] → scaled rows [n, width] float32, all finite.

        Raises:
          InputError: another number of columns, a value that is not finite, or a code that is no category.
        """
        x = self._checked(x, len(self.features), "raw")
        z = np.empty((len(x), self.width))
        places, blocks = self._places()
        with np.errstate(over="ignore"):
            z[:, places] = self.numeric.transform(x[:, self._numeric()])
        for feature, start, stop in blocks:
            codes = x[:, feature]
            if not np.isin(codes, np.arange(stop - start)).all():
                raise InputError(f"column {self.features[feature]!r} holds codes outside its {stop - start} categories")
            z[:, start:stop] = np.where(codes[:, None] == np.arange(stop - start), 1, -1)
        return np.clip(z, -_LARGEST, _LARGEST).astype(np.float32)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Scaled rows [n, width] → raw rows [n, d] float64, all finite: of each category block the largest wins.

        Raises:
          InputError: another number of columns, or a value that is not finite.
        """
        z = self._checked(z, self.width, "scaled")
        x = np.empty((len(z), len(self.features)))
        places, blocks = self._places()
        with np.errstate(over="ignore"):
            numbers = np.clip(self.numeric.inverse(z[:, places]), -_HUGE, _HUGE)
        x[:, self._numeric()] = np.where(np.isnan(self.constants), numbers, self.constants)
        for feature, start, stop in blocks:
            x[:, feature] = z[:, start:stop].argmax(axis=1)
        return x

    def to_json(self) -> dict[str, Any]:
        """What `from_json` needs, in types that json writes exactly."""
        return {
            "name": self.name,
            "features": list(self.features),
            "categories": [list(names) for names in self.categories],
            "constants": [None if np.isnan(value) else float(value) for value in self.constants],
            "numeric": self.numeric.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The scaler that `to_json` described.

        Raises:
          InputError: the description is not one of a scaler.
        """
        try:
            return cls(
                name=data["name"],
                features=tuple(data["features"]),
                categories=tuple(tuple(names) for names in data["categories"]),
                constants=np.array([np.nan if value is None else value for value in data["constants"]], np.float64),
                numeric=_scaler_class(data["name"]).from_json(data["numeric"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"this is no description of a scaler: {error!r}") from error

    def _numeric(self) -> np.ndarray:
        return np.array([index for index, names in enumerate(self.categories) if not names], np.int64)

    def _places(self) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """Scaled columns of the numbers, and (feature, first, past the last) of each category block."""
        places: list[int] = []
        blocks: list[tuple[int, int, int]] = []
        start = 0
        for feature, names in enumerate(self.categories):
            if names:
                blocks.append((feature, start, start + len(names)))
            else:
                places.append(start)
            start += len(names) or 1
        return np.array(places, np.int64), blocks

    def _checked(self, rows: np.ndarray, width: int, what: str) -> np.ndarray:
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != width:
            raise InputError(f"the {what} rows have shape {rows.shape}; this scaler needs [n, {width}]")
        if not np.isfinite(rows).all():
            column = int(np.flatnonzero(~np.isfinite(rows).all(axis=0))[0])
            name = (self.features if what == "raw" else self.columns)[column]
            raise InputError(f"column {name!r} of the {what} rows holds values that are not finite")
        return rows


def fit_scaler(name: str, data: FlowTable | np.ndarray, categories: Mapping[int, int] | None = None) -> Scaler:
    """Fit a scaler on training rows.

    Args:
      name: one of `SCALERS`.
      data: the training rows: a table, or raw values [n, d] in which every column is a feature.
      categories: for an array, column → number of categories, the column holding codes below it; a table knows its own.

    Raises:
      InputError: an unknown name, no rows, a value that is not finite, or a code that is no category.
    """
    numeric_class = _scaler_class(name)
    if isinstance(data, FlowTable):
        if categories is not None:
            raise InputError("a table knows its categories; give them for an array only")
        x, features = data.x, data.features
        named = tuple(data.categories.get(feature, ()) for feature in features)
    else:
        x = np.asarray(data, np.float64)
        if x.ndim != 2:
            raise InputError(f"the training rows have shape {x.shape}; a scaler needs [n, d]")
        features = tuple(f"column {column}" for column in range(x.shape[1]))
        sizes = categories or {}
        named = tuple(tuple(str(code) for code in range(sizes.get(column, 0))) for column in range(x.shape[1]))
    if not len(x):
        raise InputError("there are no training rows to fit a scaler on")
    for column, feature in enumerate(features):
        if not np.isfinite(x[:, column]).all():
            raise InputError(f"column {feature!r} of the training rows holds values that are not finite")
        if named[column] and not np.isin(x[:, column], np.arange(len(named[column]))).all():
            raise InputError(f"column {feature!r} holds codes outside its {len(named[column])} categories")
    numbers = x[:, [column for column, names in enumerate(named) if not names]]
    constants = np.where(numbers.min(axis=0) == numbers.max(axis=0), numbers[0], np.nan)
    return Scaler(
        name=name,
        features=features,
        categories=named,
        constants=constants,
        numeric=numeric_class.fit(numbers),
    )


def _scaler_class(name: str) -> type[ColumnScaler]:
    if name not in SCALERS:
        raise InputError(f"unknown scaler {name!r}; choose from {', '.join(SCALERS)}")
    return SCALERS[name]
