# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions at import, where no checker sees them)
"""Parquet → chunks of rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nids_jax.data.io.columns import (
    NO_LABEL,
    Chunk,
    Coded,
    Kind,
    Layout,
    guess_kind,
    to_coded,
    to_numbers,
    unlabelled,
    without_skipped,
)
from nids_jax.data.io.labels import decode
from nids_jax.data.io.notation import Notation
from nids_jax.data.io.sources import EmptyFileError
from nids_jax.errors import InputError

_ROWS = 1 << 16  # rows read at once
_DAMAGE = (OSError, pa.ArrowException, ValueError, LookupError, ArithmeticError)  # what Arrow raises on meeting it


class ParquetFile:
    """A Parquet file: header and kinds of the columns at once, the rows by `chunks`."""

    default_label: int | None = None
    notation = Notation()  # of text columns that hold numbers; until another is found
    always_plain = False
    identifiers: frozenset[str] = frozenset()
    remarks: list[str] = []  # noqa: RUF012 (never changed)

    def __init__(self, path: Path) -> None:
        """Open the file and read its schema.

        Raises:
          InputError: the file cannot be read or is not a whole Parquet file.
        """
        self.path = path
        self.declared: dict[int, tuple[str, ...]] = {}
        try:
            self._file = pq.ParquetFile(path)
            self.header: list[str] = self._file.schema_arrow.names
        except _DAMAGE as error:
            raise self._refusal(error) from error
        self.has_rows: bool = self._file.metadata.num_rows > 0
        self._size = path.stat().st_size

    def _refusal(self, error: BaseException) -> InputError:
        if self.path.stat().st_size == 0:
            return EmptyFileError(f"{self.path} is empty")
        reason = str(error).splitlines()[0][:120]
        return InputError(f"{self.path} is not a whole Parquet file (truncated, or another format): {reason}")

    def sample(self) -> dict[int, pa.Array]:
        """The cells of the first rows, by column: text as strings, numbers as they are."""
        types = self._file.schema_arrow.types
        columns = [column for column, kind in enumerate(types) if _is_text(kind) or _is_number(kind)]
        rows = next(self._batches(columns), None) if columns else {}
        if rows is None:
            raise self._refusal(ValueError("it holds none of the rows that it announces"))
        try:
            return {column: _strings(cells) if _is_text(types[column]) else cells for column, cells in rows.items()}
        except _DAMAGE as error:
            raise self._refusal(error) from error

    def kinds(self, sample: Mapping[int, pa.Array]) -> list[Kind]:
        """What each column holds, by its type and, where that is text, by a sample of its cells."""
        kinds: list[Kind] = []
        for column, (name, kind) in enumerate(zip(self.header, self._file.schema_arrow.types, strict=True)):
            if _is_text(kind) and column in sample:
                kinds.append(guess_kind(sample[column], name, self.notation.pattern(column)))
            else:
                kinds.append("number" if _is_number(kind) else "text" if _is_text(kind) else "other")
        return kinds

    def _batches(self, columns: Sequence[int]) -> Iterator[dict[int, pa.Array]]:
        """Rows of these columns, by the column's number: several may have one name."""
        names = list(dict.fromkeys(self.header[column] for column in columns))
        # They come name by name, in the order asked for.
        read = [column for name in names for column, other in enumerate(self.header) if other == name]
        try:
            for batch in self._file.iter_batches(batch_size=_ROWS, columns=names, use_threads=True):
                yield dict(zip(read, batch.columns, strict=True))
        except _DAMAGE as error:
            raise self._refusal(error) from error

    def chunks(self, layout: Layout, advance: Callable[[int], object]) -> Iterator[Chunk]:
        """The data rows, 65,536 at once; `advance` is told the bytes that each chunk stands for.

        Raises:
          InputError: the file cannot be read.
        """
        done = read = 0
        for batch in self._batches([*layout.features, *([] if layout.label == NO_LABEL else [layout.label])]):
            try:
                chunk = self._chunk(batch, layout)
            except _DAMAGE as error:
                raise self._refusal(error) from error
            yield without_skipped(chunk, layout)
            done += len(next(iter(batch.values())))
            now = self._size * done // max(self._file.metadata.num_rows, 1)
            advance(now - read)
            read = now

    def _chunk(self, batch: dict[int, pa.Array], layout: Layout) -> Chunk:
        count = len(next(iter(batch.values())))
        x = np.full((count, len(layout.features)), np.nan)
        garbled = None
        text: dict[int, Coded] = {}
        for index, column in enumerate(layout.features):
            values = batch[column]
            if layout.text[index]:
                text[index] = to_coded(_strings(values))
            elif _is_number(values.type):
                x[:, index] = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            else:
                x[:, index], wrong = to_numbers(self.notation.plain(_strings(values), column))
                if wrong is not None:
                    garbled = np.zeros(x.shape, bool) if garbled is None else garbled
                    garbled[:, index] = wrong
        labels = unlabelled(count) if layout.label == NO_LABEL else to_coded(_strings(batch[layout.label]))
        return Chunk(x, garbled, text, labels)

    def close(self) -> None:
        self._file.close()


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return numeric or types.is_boolean(kind) or types.is_null(kind)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _strings(values: pa.Array) -> pa.Array:
    """Any scalar column as text; whole floats without a fraction, so that label 1.0 is `1`."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        if pc.all(pc.and_(pc.is_finite(values), pc.equal(values, pc.round(values)))).as_py():
            values = pc.cast(values, pa.int64(), safe=False)
    if _is_text(values.type) and not _is_utf8(values):
        values = pc.cast(values, pa.large_binary())
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        coded = values.dictionary_encode()
        return pa.array([decode(text) for text in coded.dictionary.to_pylist()], pa.large_string()).take(coded.indices)
    return values if _is_text(values.type) else pc.cast(values, pa.large_string())


def _is_utf8(values: pa.Array) -> bool:
    """Whether strings are what their type says, which no writer of a file has to keep to."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            return False
        raise
    return True
