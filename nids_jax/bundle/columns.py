"""Features by name: tables with columns in another order, more of them, or under other known names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nids_jax.data.io.labels import clean_label
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import canonical_names

# CIC-IDS2017 publishes one column twice; where the second is missing the first is as good.
_COPIES = {"fwd_header_length_1": "fwd_header_length"}


def arranged(
    names: Sequence[str],
    columns: Sequence[np.ndarray],
    features: Sequence[str],
    needed: Sequence[str],
    rows: int,
) -> np.ndarray:
    """Columns [n] under canonical names → [n, d] in the order of `features`; NaN where one is not needed and missing.

    Raises:
      InputError: a needed feature is missing.
    """
    place = {name: index for index, name in enumerate(names)}
    found = {feature: place.get(feature, place.get(_COPIES.get(feature, ""))) for feature in features}
    missing = [feature for feature in needed if found[feature] is None]
    if missing:
        listed = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise InputError(
            f"the rows have no column {listed}, which the model needs; give flow records with all its features"
        )
    x = np.full((rows, len(features)), np.nan)
    for column, feature in enumerate(features):
        if (index := found[feature]) is not None:
            x[:, column] = columns[index]
    return x


def rows_of(
    table: Any, features: Sequence[str], categories: Mapping[str, Sequence[str]], needed: Sequence[str]
) -> np.ndarray:
    """The rows of a pandas frame or a `FlowTable` as [n, d] float64 in the order of `features`.

    Text that is no number, and a category that training did not know, becomes NaN.

    Raises:
      InputError: a needed feature is missing.
    """
    if isinstance(table, FlowTable):
        names, wanted = table.features, set(features)
        columns = [
            _column(_named(table, index) if name in table.categories else table.x[:, index], categories.get(name))
            if name in wanted
            else table.x[:, index]
            for index, name in enumerate(names)
        ]
        return arranged(names, columns, features, needed, len(table))
    names = canonical_names([str(name).strip() for name in table.columns])
    wanted = {*features, *_COPIES.values()}
    used = [index for index, name in enumerate(names) if name in wanted]
    columns = [_column(table.iloc[:, index].to_numpy(), categories.get(names[index])) for index in used]
    return arranged([names[index] for index in used], columns, features, needed, len(table))


def _named(table: FlowTable, index: int) -> np.ndarray:
    names = np.array(table.categories[table.features[index]], object)
    return names[table.x[:, index].astype(int)]


def _column(values: np.ndarray, categories: Sequence[str] | None) -> np.ndarray:
    """Numbers as float64, or codes of categories; NaN for what is neither."""
    if categories is None:
        return _numbers(values)
    codes = {name: float(code) for code, name in enumerate(categories)}
    return np.array([codes.get(_category(value), np.nan) for value in values.tolist()])


def _category(value: Any) -> str:
    """A category's name as the reader of files writes it: of a whole number, without a fraction."""
    if isinstance(value, float) and np.isfinite(value):
        return np.format_float_positional(value, trim="-")
    return clean_label(str(value))


def _numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    import pandas as pd

    return np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), np.float64)
