"""The moments at which flows started, as published files write them."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nids_jax.data.io.columns import Coded, to_numbers


def iso_microseconds(texts: Sequence[str]) -> np.ndarray:
    """Moments as ISO 8601 writes them, UTC where no zone is named → µs since 1970 [n] float64; NaN for any other."""
    import pandas as pd  # it takes a moment to import, and few runs need it

    return _microseconds(pd.to_datetime(pd.Series(texts, dtype=object), errors="coerce", utc=True, format="ISO8601"))


def number_microseconds(texts: Sequence[str]) -> np.ndarray:
    """Moments as numbers, in a unit that their size tells (see `seconds`) → µs since 1970 [n] float64; else NaN."""
    return np.rint(_of_numbers(np.array(to_numbers(pa.array(texts, pa.string()))[0], np.float64)) * 1e6)


def _of_numbers(values: np.ndarray) -> np.ndarray:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, by their size → seconds."""
    return values / np.select([np.abs(values) < 1e11, np.abs(values) < 1e14, np.abs(values) < 1e17], [1, 1e3, 1e6], 1e9)


def _microseconds(moments: Any) -> np.ndarray:
    whole = np.asarray(moments.dt.tz_localize(None), "datetime64[us]")
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64))


def seconds(coded: Coded) -> np.ndarray:
    """Moments as published → seconds since 1970 [n] float64; NaN where there is none that can be read.

    Numbers are such seconds, or milliseconds, microseconds or nanoseconds, by their size.  Of days and months the first
    release of CIC-IDS2017 puts the day first, as does every date whose first number exceeds 12.
    """
    import pandas as pd

    texts = pd.Series(coded.names, dtype=object)
    found = np.array(to_numbers(pa.array(coded.names, pa.string()))[0], np.float64)
    found = _of_numbers(found)
    rest = np.flatnonzero(np.isnan(found))
    if len(rest):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that differ from row to row
            read = texts.iloc[rest]
            moments = iso_microseconds(read.tolist())
            others = pd.to_datetime(read, errors="coerce", utc=True, format="mixed", dayfirst=True)
            found[rest] = np.where(np.isnan(moments), _microseconds(others), moments) / 1e6
    return np.append(found, np.nan)[coded.codes]
