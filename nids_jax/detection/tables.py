"""Flow tables without labels, piece by piece: columns by name, whatever their order."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from nids_jax.data.io.columns import NO_LABEL, Coded, Layout, column_names
from nids_jax.data.io.notation import find_notation
from nids_jax.data.io.readers import open_table
from nids_jax.detection.observed import SPELLINGS, Observed, of_table
from nids_jax.flows.schema import normalise


class Piece(NamedTuple):
    """Some rows of a table."""

    frame: pd.DataFrame  # the columns asked for, by canonical name
    observed: Observed
    row: np.ndarray  # [n] number of each among the table's rows, from 1 on
    malformed: int  # rows left out before or among these: more or fewer fields than the header


def table_pieces(path: Path, wanted: Collection[str], names: Collection[str]) -> Iterator[Piece]:
    """The rows of a CSV, ARFF or Parquet file.

    Args:
      wanted: canonical names of the features to read; those that the file lacks are left out.
      names: of these, the ones that hold names rather than numbers.

    Raises:
      InputError: the file cannot be read.
    """
    file = open_table(path)
    try:
        columns = column_names(file.header, path)
        place = {name: number for number, name in enumerate(columns)}
        features = [name for name in columns if name in wanted]
        plain = [normalise(cell) for cell in file.header]
        texts = {
            what: next(plain.index(each) for each in spellings if each in plain)
            for what, spellings in SPELLINGS.items()
            if what not in features and any(each in plain for each in spellings)
        }
        counted = [name for name in _COUNTED if name in place and name not in features]
        sample = file.sample()
        if not file.always_plain:
            cells = {
                (place[name], name): sample[place[name]]
                for name in features
                if name not in names and place[name] in sample and pa.types.is_string(sample[place[name]].type)
            }
            file.notation = find_notation(cells, path, None, None)
        numbers = [*features, *counted]
        layout = Layout(
            width=len(file.header),
            features=(*(place[name] for name in numbers), *texts.values()),
            text=(*(name in names for name in numbers), *(True for _ in texts)),
            label=NO_LABEL,
            label_header="",
        )
        done = 0
        for chunk in file.chunks(layout, lambda _: None):
            n = len(chunk.x)
            values = {name: chunk.x[:, i] for i, name in enumerate(numbers)}
            cells = {i: _cells(coded) for i, coded in chunk.text.items()}
            known = {what: cells[len(numbers) + i] for i, what in enumerate(texts)}
            data = {name: cells[i] if i in cells else values[name] for i, name in enumerate(features)}
            row = np.arange(done + 1, done + n + 1)
            yield Piece(pd.DataFrame(data, index=range(n)), of_table(values, known, n), row, chunk.malformed)
            done += n
    finally:
        file.close()


_COUNTED = (
    *("flow_duration", "total_fwd_packets", "total_bwd_packets", "icmp_type", "icmp_code"),
)  # what an event says of a flow, whether or not the model uses it


def _cells(coded: Coded) -> np.ndarray:
    return np.array([*coded.names, ""], object)[coded.codes]
