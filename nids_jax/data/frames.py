"""Tables of flows without labels: CSV and Parquet files as data frames."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nids_jax.data.io.columns import LABELS
from nids_jax.data.io.delimited import DelimitedFile
from nids_jax.data.io.notation import MISSING
from nids_jax.data.io.sources import PathLike, data_extension, find_files
from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURES, canonical_names, is_identifier

_METERED = frozenset(feature.name for feature in FEATURES)


def read_frame(source: PathLike | Sequence[PathLike]) -> pd.DataFrame:
    """The rows of CSV and Parquet files (or of those in folders), one file after the other, columns by canonical name.

    What a file lacks of the others' columns is missing in its rows.

    Raises:
      InputError: a file cannot be read.
    """
    frames = [_read(path) for path in find_files(source).read]
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _read(path: Path) -> pd.DataFrame:
    kind = data_extension(path.name)
    if kind == ".arff":
        raise InputError(f"{path} is ARFF, which is read with labels only; give CSV or Parquet")
    try:
        frame = pq.read_table(path).to_pandas() if kind == ".parquet" else _csv(path)
    except (pa.ArrowException, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    frame.columns = [*canonical_names([str(name).strip() for name in frame.columns])]
    return frame


def _csv(path: Path) -> pd.DataFrame:
    file = DelimitedFile(path)  # knows delimiters, byte order marks, and what is no text
    header, delimiter = file.header, file.delimiter
    file.close()
    options: dict[str, Any] = {"na_values": MISSING, "skipinitialspace": True, "low_memory": False}
    return pd.read_csv(
        path, sep=delimiter, header=0, names=header, index_col=False, encoding_errors="replace", **options
    )


def label_column(frame: pd.DataFrame) -> str | None:
    """The column that holds labels, where there is one."""
    return next((name for name in LABELS if name in frame.columns), None)


def flow_features(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns that are features of flow records, in the frame's order.

    Raises:
      InputError: there is none.
    """
    found = tuple(name for name in frame.columns if name in _METERED and not is_identifier(name))
    if not found:
        raise InputError(f"none of the columns is a feature of flow records: {', '.join(map(str, frame.columns[:9]))}")
    return found
