"""Tables and labels with rows added, in the form in which they were given: array, list, data frame, series."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from nids_jax.estimators.inputs import Columns


def class_labels(y: Any) -> Any:
    """Labels [n]; of indicators of one class each [n, c], the numbers of the classes."""
    if y is None:
        return None
    labels = np.asarray(y)
    if type_of_target(y) == "multilabel-indicator" and (labels.sum(axis=1) == 1).all():
        return labels.argmax(axis=1)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else y


def dense(X: Any) -> Any:
    """X; of a data frame, with its sparse columns as plain ones."""
    if isinstance(X, pd.DataFrame):
        sparse = {name: kind.subtype for name, kind in X.dtypes.items() if isinstance(kind, pd.SparseDtype)}
        return X.astype(sparse) if sparse else X
    return X


def longer_rows(X: Any, columns: Columns, x: np.ndarray) -> Any:
    """X [n, d] with the rows x [m, d], numbers and codes, under them."""
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, _frame(X, columns, x)], ignore_index=True)
    cells = np.asarray(X)
    if isinstance(X, list):
        return [*X, *_cells(columns, x, np.dtype(object if any(columns.categories) else float)).tolist()]
    return np.concatenate([cells, _cells(columns, x, cells.dtype)])


def longer_labels(y: Any, classes: np.ndarray, codes: np.ndarray) -> Any:
    """Labels with those of the further rows, the classes with the numbers `codes` [m], under them."""
    more = classes[codes]
    if type_of_target(y) == "multilabel-indicator":
        return np.concatenate([np.asarray(y), np.eye(np.shape(y)[1], dtype=np.asarray(y).dtype)[more]])
    if isinstance(y, pd.DataFrame):
        return pd.concat([y, pd.DataFrame({y.columns[0]: more}).astype(y.dtypes)], ignore_index=True)
    if isinstance(y, pd.Series):
        return pd.concat([y, pd.Series(more, dtype=y.dtype, name=y.name)], ignore_index=True)
    if isinstance(y, list):
        return [*y, *more.tolist()]
    labels = np.asarray(y).reshape(-1)
    return np.concatenate([labels, more.astype(labels.dtype)])


def _cells(columns: Columns, x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    found = np.empty(x.shape, dtype)
    for place, known in enumerate(columns.categories):
        found[:, place] = _named(known, x[:, place]) if known else _as(dtype, x[:, place])
    return found


def _frame(X: pd.DataFrame, columns: Columns, x: np.ndarray) -> pd.DataFrame:
    parts = []
    for place, known in enumerate(columns.categories):
        kind = X.dtypes.iloc[place]
        if known and isinstance(kind, pd.CategoricalDtype):
            of = {str(each): each for each in kind.categories}
            cells = [of[name] for name in _named(known, x[:, place])]
        else:
            plain = kind.subtype if isinstance(kind, pd.SparseDtype) else kind
            cells = _named(known, x[:, place]) if known else _as(plain, x[:, place])
        parts.append(pd.Series(cells, dtype=kind))
    frame = pd.concat(parts, axis=1)
    frame.columns = X.columns
    return frame


def _named(known: tuple[str, ...], codes: np.ndarray) -> np.ndarray:
    return np.array(known, object)[codes.astype(int)]


def _as(kind: Any, values: np.ndarray) -> np.ndarray:
    """Numbers that a column of this type can hold: whole ones within its bounds, where it is one of whole numbers."""
    plain = getattr(kind, "numpy_dtype", kind)  # pandas' own types know NumPy's
    if plain.kind == "b":
        return values > 0.5
    if np.issubdtype(plain, np.integer):
        bounds = np.iinfo(plain)
        return np.rint(values).clip(bounds.min, bounds.max).astype(plain)
    return values
