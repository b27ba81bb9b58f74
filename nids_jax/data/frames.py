"""Tables of flows whose labels nobody asks for, piece by piece: columns by name, whatever their order."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nids_jax.data.io.columns import NO_LABEL, Layout, column_names
from nids_jax.data.io.label_column import LABELS
from nids_jax.data.io.notation import Decimal, find_notation
from nids_jax.data.io.parquet import ParquetFile
from nids_jax.data.io.readers import open_table
from nids_jax.data.io.sources import PathLike, find_files
from nids_jax.data.io.survey import is_text
from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURE_NAMES, canonical_name, is_identifier


class Piece(NamedTuple):
    """Some rows of a table."""

    frame: pd.DataFrame  # the columns asked for, by canonical name: float64, or text
    texts: dict[str, np.ndarray]  # [n] object: the cells of further columns, by what they are asked for as
    row: np.ndarray  # [n] number of each among the table's rows, from 1 on
    malformed: int  # rows left out before or among these: more or fewer fields than the header


def read_frame(source: PathLike | Sequence[PathLike]) -> pd.DataFrame:
    """The rows of files (or of those in folders), one file after the other, columns by canonical name.

    What a file lacks of the others' columns is missing in its rows.

    Raises:
      InputError: a file cannot be read, or has two columns that mean the same.
    """
    frames = []
    for path in find_files(source).read:
        with Frames(path) as file:
            frames.append(file.whole())
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


class Frames(AbstractContextManager["Frames"]):
    """A CSV, ARFF or Parquet file, to be used in a `with` block."""

    def __init__(self, path: Path):
        """
        Raises:
          InputError: the file cannot be read, or two of its columns mean the same.
        """
        self.path = path
        self._file = open_table(path)
        self.header = self._file.header
        try:
            self.columns = column_names(self.header, path)  # canonical
        except InputError:
            self._file.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are features of flow records, in the file's order.

        Raises:
          InputError: there is none.
        """
        found = tuple(name for name in self.columns if name in FEATURE_NAMES and not is_identifier(name))
        if not found:
            listed = ", ".join(self.header[:9])
            raise InputError(f"none of the columns of {self.path} is a feature of flow records: {listed}")
        return found

    def whole(self) -> pd.DataFrame:
        """All rows and columns by canonical name, as numbers or text; what is neither, in Parquet, as it is.

        Raises:
          InputError: the file cannot be read.
        """
        if isinstance(self._file, ParquetFile):
            try:
                frame = pq.read_table(self.path).to_pandas()
            except (pa.ArrowException, OSError, ValueError) as error:
                raise InputError(f"{self.path} cannot be read: {str(error).splitlines()[0]}") from error
            frame.columns = [*self.columns]
            return frame
        kinds = self._file.kinds(self._file.sample())
        names = [name for name, kind in zip(self.columns, kinds, strict=True) if kind == "text"]
        return pd.concat([piece.frame for piece in self.pieces(self.columns, names)], ignore_index=True)

    def label(self, column: str | None = None) -> int | None:
        """The number of the column that holds labels, where there is one: the one of this name, or called so."""
        known = (() if column is None else (canonical_name(column),)) + LABELS
        return next((self.columns.index(name) for name in known if name in self.columns), None)

    def pieces(
        self,
        wanted: Sequence[str],
        names: Collection[str] = (),
        texts: Mapping[str, int] | None = None,
        decimal: Decimal | None = None,
    ) -> Iterator[Piece]:
        """All rows.

        Args:
          wanted: canonical names of the columns to read; those that the file lacks are left out.
          names: of these, the ones that hold names rather than numbers.
          texts: further columns to read as text: what to call each → its number.
          decimal: see `read_flows`.

        Raises:
          InputError: the file cannot be read.
        """
        place = {name: number for number, name in enumerate(self.columns)}
        found = [name for name in wanted if name in place]
        texts = texts or {}
        file, sample = self._file, self._file.sample()
        if not file.always_plain:
            cells = {
                (place[name], name): sample[place[name]]
                for name in found
                if name not in names and place[name] in sample and is_text(sample[place[name]])
            }
            file.notation = find_notation(cells, self.path, decimal, None)
        layout = Layout(
            width=len(self.header),
            features=(*(place[name] for name in found), *texts.values()),
            text=(*(name in names for name in found), *(True for _ in texts)),
            label=NO_LABEL,
            label_header="",
        )
        done = 0
        for chunk in file.chunks(layout, lambda _: None):
            n = len(chunk.x)
            cells = {i: np.array([*coded.names, ""], object)[coded.codes] for i, coded in chunk.text.items()}
            data = {name: cells[i] if i in cells else chunk.x[:, i] for i, name in enumerate(found)}
            known = {what: cells[len(found) + i] for i, what in enumerate(texts)}
            yield Piece(pd.DataFrame(data, index=range(n)), known, np.arange(done + 1, done + n + 1), chunk.malformed)
            done += n
