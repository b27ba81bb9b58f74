"""Flow tables to judge, piece by piece."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nids_jax.data.frames import Frames
from nids_jax.detection.observed import SPELLINGS, Observed, of_table
from nids_jax.flows.schema import normalise

# What an event says of a flow, whether or not the model uses it.
_COUNTED = ("flow_duration", "total_fwd_packets", "total_bwd_packets", "icmp_type", "icmp_code")


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
    with Frames(path) as file:
        features = [name for name in file.columns if name in wanted]
        counted = [name for name in _COUNTED if name not in features]
        plain = [normalise(cell) for cell in file.header]
        named = [what for what in SPELLINGS if what in features and what in names]
        further = {
            what: next(plain.index(each) for each in spellings if each in plain)
            for what, spellings in SPELLINGS.items()
            if what not in features and any(each in plain for each in spellings)
        }
        for piece in file.pieces([*features, *counted], names, further):
            numbers = {name: piece.frame[name].to_numpy() for name in piece.frame if name not in names}
            texts = piece.texts | {what: piece.frame[what].to_numpy() for what in named}
            observed = of_table(numbers, texts, len(piece.row))
            yield Piece(piece.frame.loc[:, features], observed, piece.row, piece.malformed)
