"""Tables of any kind side by side: columns of numbers and of names, with missing values, coded alike in all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURES, IDENTIFIERS, canonical_name, meant_names

FREE_TEXT = 20  # distinct names from which a column whose names hardly repeat is no column of categories
SHOWN = 40  # names with a column of their own among the coordinates; the rest share one
LARGEST = 1e30  # what is larger, or infinite, counts as this

_CODES = frozenset(feature.name for feature in FEATURES if feature.kind == "category")
_PORTS = frozenset(feature.name for feature in FEATURES if feature.kind == "port")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of all tables: numbers, NaN where missing; or codes of `names` as float64, −1 where missing."""

    name: str
    kind: Literal["number", "category"]
    names: tuple[str, ...]
    values: tuple[np.ndarray, ...]  # a table each, [n] float64

    def known(self, table: int) -> np.ndarray:
        """[n] bool: where there is a value."""
        values = self.values[table]
        return values >= 0 if self.kind == "category" else ~np.isnan(values)

    def take(self, rows: Sequence[np.ndarray]) -> "Column":
        """The rows with these numbers of each table."""
        values = tuple(each[chosen] for each, chosen in zip(self.values, rows, strict=True))
        return Column(name=self.name, kind=self.kind, names=self.names, values=values)


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Tables with the same columns."""

    columns: tuple[Column, ...]
    left_out: Mapping[str, str]  # column → why it is not compared

    def rows(self, table: int) -> int:
        return len(self.columns[0].values[table])

    def take(self, rows: Sequence[np.ndarray]) -> "Mixed":
        """The rows with these numbers of each table."""
        return Mixed(columns=tuple(column.take(rows) for column in self.columns), left_out=self.left_out)

    def named(self, name: str) -> str:
        """The name of a column that is spelt in any way.

        Raises:
          InputError: it is not among those compared.
        """
        for key in (lambda each: each.strip(), canonical_name):
            for column in self.columns:
                if key(column.name) == key(name):
                    return column.name
        why = self.left_out.get(name, "there is no such column")
        raise InputError(f"`label_column` is {name!r}, which cannot be compared: {why}")

    def without(self, *names: str) -> "Mixed":
        """All columns but those of these names, in any spelling."""
        keys = {canonical_name(name) for name in names} - {""}
        kept = tuple(c for c in self.columns if c.name not in names and canonical_name(c.name) not in keys)
        return Mixed(columns=kept, left_out=self.left_out)

    def coordinates(self) -> list[np.ndarray]:
        """Each table's rows as points [n, d], so that distances between rows mean something.

        Numbers: sign(v) · ln(1 + |v|), less the mean and over the standard deviation of the first table; a missing one
        is put at that mean, and has a column of its own that says so.  Names: 1/√2 in the column of the name, so that
        different names are 1 apart.
        """
        points: list[list[np.ndarray]] = [[] for _ in self.columns[0].values]
        for column in self.columns:
            for place, each in zip(points, _placed(column), strict=True):
                place += each
        return [np.stack(each, axis=1) for each in points]

    def cells(self) -> list[np.ndarray]:
        """Each table's rows [n, d] for trees: numbers as they are, names as codes, NaN where missing."""
        tables = range(len(self.columns[0].values))
        return [
            np.stack([np.where(column.known(t), column.values[t], np.nan) for column in self.columns], axis=1)
            for t in tables
        ]


def align(tables: Sequence[pd.DataFrame]) -> Mixed:
    """The columns that all tables have, coded alike; names may be spelt in any way that `flows.schema` knows.

    A column is one of numbers if every value of every table is a number or a time (seconds since 1970); truth values,
    the schema's codes, and everything else are names.  Columns without a value, those that name a flow, a host or a
    moment, and names of which hardly any repeats, are left out.

    Raises:
      InputError: a table has no row, or two columns of one name, or no column is left.
    """
    places = [_places(table) for table in tables]
    first, left_out, columns = tables[0], {}, []
    for key, place in places[0].items():
        header = str(first.columns[place]).strip()
        if not all(key in each for each in places):
            left_out[header] = "not in every table"
        elif key in IDENTIFIERS and key not in _PORTS:
            left_out[header] = "names a flow, a host or a moment"
        else:
            column = _column(
                header, key, [table.iloc[:, each[key]] for table, each in zip(tables, places, strict=True)]
            )
            if isinstance(column, str):
                left_out[header] = column
            else:
                columns.append(column)
    for table, each in zip(tables[1:], places[1:], strict=True):
        left_out |= {
            str(table.columns[place]).strip(): "not in every table"
            for key, place in each.items()
            if key not in places[0]
        }
    if not columns:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in [*left_out.items()][:5])
        raise InputError(f"the tables have no column to compare ({reasons or 'they have no columns'})")
    return Mixed(columns=tuple(columns), left_out=left_out)


def _places(table: pd.DataFrame) -> dict[str, int]:
    """Canonical name → number of the column."""
    headers = [str(name).strip() for name in table.columns]
    names = meant_names(headers)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"a table has several columns that mean {twice!r}; rename or remove all but one")
    return {name: place for place, name in enumerate(names)}


def _column(header: str, key: str, values: Sequence[pd.Series]) -> Column | str:
    """The column of all tables, or why it is left out."""
    if not any(each.notna().any() for each in values):
        return "no values"
    numbers = None if key in _CODES else [_numbers(each) for each in values]
    if numbers is not None and all(each is not None for each in numbers):
        return Column(name=header, kind="number", names=(), values=tuple(each for each in numbers if each is not None))
    texts = [_texts(each) for each in values]
    counts = pd.concat(texts).dropna().value_counts()
    total = int(counts.sum())
    if len(counts) > FREE_TEXT and 2 * len(counts) > total:
        return "free text: hardly any value repeats"
    names = tuple(sorted(counts.index))
    coded = tuple(pd.Categorical(each, categories=list(names)).codes.astype(np.float64) for each in texts)
    return Column(name=header, kind="category", names=names, values=coded)


def _numbers(values: pd.Series) -> np.ndarray | None:
    """[n] float64, NaN where missing; None where a value is no number."""
    kinds = pd.api.types
    if kinds.is_bool_dtype(values):
        return None
    if kinds.is_datetime64_any_dtype(values) or kinds.is_timedelta64_dtype(values):
        start = pd.Timedelta(0) if kinds.is_timedelta64_dtype(values) else pd.Timestamp(0, tz=_zone(values))
        return ((values - start) / pd.Timedelta(seconds=1)).to_numpy(np.float64, na_value=np.nan)
    if not kinds.is_numeric_dtype(values):
        texts = _texts(values)
        found = pd.Series(pd.to_numeric(texts, errors="coerce"))
        wrong = found.isna() & texts.notna()
        if wrong.any() or any(isinstance(each, bool | np.bool_) for each in values):
            return None
        values = found
    if kinds.is_complex_dtype(values):
        return None
    return np.clip(values.to_numpy(np.float64, na_value=np.nan), -LARGEST, LARGEST)


def _zone(values: pd.Series) -> Any:
    return getattr(values.dtype, "tz", None)


def _texts(values: pd.Series) -> pd.Series:
    """The values as text without outer blanks, whole numbers without a fraction; what is empty is missing."""
    if pd.api.types.is_float_dtype(values):
        known = values.dropna()
        if (known == known.round()).all() and (known.abs() < 2**53).all():
            values = values.astype("Int64")
    texts = values.astype(object).where(values.notna().to_numpy(), None)
    texts = texts.map(lambda each: str(each).strip() or None, na_action="ignore")
    return texts.astype(object)


def _placed(column: Column) -> list[list[np.ndarray]]:
    """The coordinates of a column, a list for each table."""
    known = [column.known(table) for table in range(len(column.values))]
    if column.kind == "number":
        sized = [np.sign(each) * np.log1p(np.abs(each)) for each in column.values]
        first = sized[0][known[0]]
        mean, spread = (float(first.mean()), float(first.std())) if len(first) else (0.0, 0.0)
        if spread <= 1e-12 * max(abs(mean), 1.0):  # constant: whatever differs is one step away
            spread = 1.0
        placed = [[np.where(k, (each - mean) / spread, 0.0)] for each, k in zip(sized, known, strict=True)]
    else:
        counts = np.bincount(np.concatenate(column.values).astype(int) + 1, minlength=len(column.names) + 1)[1:]
        own = np.argsort(-counts, kind="stable")[: SHOWN if len(counts) > SHOWN else len(counts)]
        place = np.full(len(column.names) + 1, len(own))
        place[own] = np.arange(len(own))
        places = range(len(own) + (len(counts) > len(own)))
        placed = [
            [((place[each.astype(int)] == p) & k) / np.sqrt(2) for p in places]
            for each, k in zip(column.values, known, strict=True)
        ]
    if not all(each.all() for each in known):
        for each, k in zip(placed, known, strict=True):
            each.append(np.where(k, 0.0, 1 / np.sqrt(2) if column.kind == "category" else 1.0))
    return placed
