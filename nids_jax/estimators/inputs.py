"""What scikit-learn hands over → the numbers, codes and seeds that this package works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from nids_jax.data.scaling import Scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, shown
from nids_jax.flows.schema import canonical_name, canonical_names, is_identifier

RandomState = int | np.random.RandomState | None
Invalid = Literal["impute", "error"]

CELLS = {"dtype": None, "ensure_all_finite": False}  # numbers may be missing, and cells may be text
_UNKNOWN = -1  # the code of a name that was not there when the columns were fitted
_PORT = "destination_port"


def seed_of(random_state: RandomState) -> int:
    """A seed: the whole number itself, or one drawn from the state (None: from NumPy's own)."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def rows_and_labels(estimator: Any, X: Any, y: Any, **checks: Any) -> tuple[np.ndarray, np.ndarray]:
    """X [n, d] and labels y [n] as scikit-learn checks them at the time of fitting, the columns' names too.

    Raises:
      ValueError: what scikit-learn refuses, labels that are no classes, or several for a row.
    """
    shape = () if y is None else np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError("Multilabel and multioutput targets are not supported.")
    found: Any = validate_data(estimator, X, y, **checks)  # pyright: ignore[reportArgumentType] (labels)
    check_classification_targets(found[1])
    return found


class Labelled(NamedTuple):
    """The rows that count."""

    rows: np.ndarray  # [m] their numbers
    weights: np.ndarray  # [m] how many rows each stands for
    classes: np.ndarray  # [c] the labels that occur, rising
    codes: np.ndarray  # [m] which of them each row has


def labelled(x: np.ndarray, y: np.ndarray, sample_weight: Any) -> Labelled:
    """The rows of x [n, d] with labels y [n] that weigh something; without weights all weigh 1.

    Raises:
      ValueError: weights of another shape, below 0, or all 0.
      InputError: one class only.
    """
    weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
    rows = np.flatnonzero(weights)
    if not len(rows):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    classes, codes = np.unique(y[rows], return_inverse=True)
    if len(classes) < 2:
        count = "1 sample has" if len(rows) == 1 else f"all {len(rows)} samples have"
        raise InputError(f"{count} the class {shown(classes[0])}, and a classifier needs two classes; add rows")
    return Labelled(rows, weights[rows], classes, codes)


def cells(estimator: Any, X: Any) -> np.ndarray:
    """X [n, d] of a fitted estimator; numbers may be missing, and cells may be text."""
    found: Any = validate_data(estimator, X, reset=False, **CELLS)
    return found


def column_names(estimator: Any) -> tuple[str, ...]:
    """The columns' names at the time of fitting; of an array x0, x1, …"""
    if hasattr(estimator, "feature_names_in_"):
        return tuple(estimator.feature_names_in_)
    return tuple(f"x{column}" for column in range(estimator.n_features_in_))


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """How the columns of X are read: which count, which hold names, what stands where nothing is."""

    names: tuple[str, ...]  # of all d columns
    kept: tuple[int, ...]  # the k that count
    categories: tuple[tuple[str, ...], ...]  # of each of these: its names; () of a number
    fill: np.ndarray  # [k] the median, or the code of the commonest name

    @classmethod
    def found(cls, X: Any, cells: np.ndarray, names: Sequence[str], *, flows: bool, keep_ports: bool = False) -> Self:
        """The columns of X, whose checked cells [n, d] are given.

        Args:
          flows: leave out what no pipeline trains on: identifiers of flows, the destination port unless `keep_ports`,
            and columns without a value.

        Raises:
          InputError: no column is left.
          TypeError: a cell is neither a number nor text.
        """
        categorical = _categorical(X, cells.shape[1])
        kept, categories, fill = [], [], []
        for place, name in enumerate(names):
            port = keep_ports and canonical_name(name) == _PORT
            if flows and is_identifier(name) and not port:
                continue
            column = cells[:, place]
            numbers = None if categorical[place] else _numbers(column)
            if numbers is None:
                texts = _texts(column)
                found, counts = np.unique(texts[texts != ""], return_counts=True)
                if not len(found):
                    continue
                categories.append(tuple(found.tolist()))
                fill.append(counts.argmax())
            else:
                finite = numbers[np.isfinite(numbers)]
                if not len(finite) and flows:
                    continue
                categories.append(())
                fill.append(np.median(finite) if len(finite) else np.nan)
            kept.append(place)
        if not kept:
            raise InputError(f"none of the columns can be trained on: {', '.join(map(shown, names[:9]))}")
        return cls(names=tuple(names), kept=tuple(kept), categories=tuple(categories), fill=np.array(fill, np.float64))

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that count."""
        return tuple(self.names[place] for place in self.kept)

    def read(self, cells: np.ndarray, invalid: Invalid) -> np.ndarray:
        """Checked cells [n, d] → numbers and codes [n, k] float64, all finite; the code of an unknown name is −1.

        Raises:
          InputError: `invalid` is "error" and a value is missing or infinite, or a number is text.
        """
        x = np.empty((len(cells), len(self.kept)))
        for column, (place, known, fill) in enumerate(zip(self.kept, self.categories, self.fill, strict=True)):
            name = self.names[place]
            if known:
                texts = _texts(cells[:, place])
                codes = {text: code for code, text in enumerate(known)}
                values = np.array([codes.get(text, _UNKNOWN) for text in texts], np.float64)
                missing = texts == ""
            else:
                numbers = _numbers(cells[:, place])
                if numbers is None:
                    raise InputError(f"column {shown(name)!r} held numbers when it was fitted, and holds text now")
                values, missing = numbers, ~np.isfinite(numbers)
            if missing.any() and invalid == "error":
                raise InputError(
                    f"Input X contains NaN, infinity or missing text in column {shown(name)!r}; clean it first"
                )
            x[:, column] = np.where(missing, fill, values)
        return x

    def table(self, x: np.ndarray, codes: np.ndarray, classes: np.ndarray) -> FlowTable:
        """The rows that were read, as a table of flows: columns by canonical names, classes [c] by their text.

        Raises:
          InputError: two classes have one text.
        """
        names = tuple(map(str, classes))
        if len(set(names)) < len(names):
            raise InputError(f"two classes have the same text: {', '.join(map(shown, names))}")
        features = canonical_names(self.features)
        named = {feature: known for feature, known in zip(features, self.categories, strict=True) if known}
        return FlowTable(x=x, y=codes.astype(np.int32), features=features, classes=names, categories=named)

    def scaled(self, scaler: Scaler, x: np.ndarray) -> np.ndarray:
        """Rows that were read [n, k] → scaled rows [n, width] float32; an unknown name is none of its categories."""
        unknown = np.array([bool(known) for known in self.categories]) & (x == _UNKNOWN)
        z = scaler.transform(np.where(unknown, 0, x))
        places = [place for place, known in enumerate(self.categories) if known]
        for place, (start, stop) in zip(places, scaler.blocks, strict=True):
            z[unknown[:, place], start:stop] = -1
        return z


def _categorical(X: Any, width: int) -> list[bool]:
    """Whether each column is one of categories by its type."""
    if isinstance(X, pd.DataFrame):
        return [isinstance(dtype, pd.CategoricalDtype) for dtype in X.dtypes]
    return [False] * width


def _numbers(column: np.ndarray) -> np.ndarray | None:
    """The cells as float64; None where one is text.

    Raises:
      TypeError: a cell is neither.
    """
    if column.dtype == object:
        column = np.where(pd.isna(column), np.nan, column)
    try:
        return column.astype(np.float64)
    except ValueError:
        return None


def _texts(column: np.ndarray) -> np.ndarray:
    """The cells as text [n] object; nothing where a value is missing."""
    return np.array(["" if gone else str(cell) for cell, gone in zip(column, pd.isna(column), strict=True)], object)
