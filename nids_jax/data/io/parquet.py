# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions at import, where no checker sees them)
"""Parquet → chunks of rows.

Text is read as places in a list of its distinct values, as most writers store it: a value of megabytes that stands in
every row is in memory once.  What a file's rows take is known before any is read, so that one made to fill the memory
is refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nids_jax.compressed import refuse_bomb
from nids_jax.data.io.columns import (
    NO_LABEL,
    Chunk,
    Coded,
    Kind,
    Layout,
    check_header,
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
_FEW_ROWS = 1 << 10  # where columns of text share a name, as only one of them comes as a list of distinct values
_SAMPLE = 1 << 24  # bytes of text of one column in a sample
_EXACT = float(1 << 53)  # from which on not every whole number is a float
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
            with pq.ParquetFile(path) as file:
                metadata, schema = file.metadata, file.schema_arrow
                self.header: list[str] = schema.names
                check_header(self.header, path)
                self._types = schema.types
                texts = [name for name, kind in zip(self.header, self._types, strict=True) if _is_text(kind)]
                groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            self._size = path.stat().st_size
            rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
            cells = rows * sum(4 if _is_text(kind) else 8 * _is_number(kind) for kind in self._types)
            refuse_bomb(str(path), max(cells, sum(group.total_byte_size for group in groups)), lambda: self._size)
            self._rows = _ROWS if len(texts) == len(set(texts)) else _FEW_ROWS
            self._file = pq.ParquetFile(path, read_dictionary=texts)
        except InputError:
            raise
        except _DAMAGE as error:
            raise self._refusal(error) from error
        self.has_rows: bool = metadata.num_rows > 0

    def _refusal(self, error: BaseException) -> InputError:
        if self.path.stat().st_size == 0:
            return EmptyFileError(f"{self.path} is empty")
        reason = str(error).splitlines()[0][:120]
        return InputError(f"{self.path} is not a whole Parquet file (truncated, or another format): {reason}")

    def sample(self) -> dict[int, pa.Array]:
        """The cells of the first rows, by column: text as strings, numbers as they are."""
        columns = [column for column, kind in enumerate(self._types) if _is_text(kind) or _is_number(kind)]
        rows = next(self._batches(columns), None) if columns else {}
        if rows is None:
            raise self._refusal(ValueError("it holds none of the rows that it announces"))
        try:
            return {column: _some(cells) if _is_text(self._types[column]) else cells for column, cells in rows.items()}
        except _DAMAGE as error:
            raise self._refusal(error) from error

    def kinds(self, sample: Mapping[int, pa.Array]) -> list[Kind]:
        """What each column holds, by its type and, where that is text, by a sample of its cells."""
        kinds: list[Kind] = []
        for column, (name, kind) in enumerate(zip(self.header, self._types, strict=True)):
            if _is_text(kind) and column in sample:
                kinds.append(guess_kind(sample[column], name, self.notation.pattern(column)))
            else:
                kinds.append("number" if _is_number(kind) else "text" if _is_text(kind) else "other")
        return kinds

    def _batches(self, columns: Sequence[int]) -> Iterator[dict[int, pa.Array]]:
        """Rows of these columns, by the column's number: several may have one name."""
        named: dict[str, list[int]] = {}
        for column, name in enumerate(self.header):
            named.setdefault(name, []).append(column)
        names = list(dict.fromkeys(self.header[column] for column in columns))
        read = [column for name in names for column in named[name]]  # they come name by name, in the order asked for
        try:
            for batch in self._file.iter_batches(batch_size=self._rows, columns=names, use_threads=True):
                if batch.num_columns != len(read):
                    raise InputError(f"{self.path} has columns inside others whose names are also columns'; flatten it")
                yield dict(zip(read, batch.columns, strict=True))
        except InputError:
            raise
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
                text[index] = to_coded(_texts(values))
            elif _is_number(values.type):
                x[:, index] = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            else:
                texts = _texts(values)
                codes = texts.indices.fill_null(len(texts.dictionary)).to_numpy(zero_copy_only=False)
                numbers, wrong = to_numbers(self.notation.plain(texts.dictionary, column))
                x[:, index] = np.append(numbers, np.nan)[codes]
                if wrong is not None:
                    garbled = np.zeros(x.shape, bool) if garbled is None else garbled
                    garbled[:, index] = np.append(wrong, False)[codes]
        labels = unlabelled(count) if layout.label == NO_LABEL else to_coded(_texts(batch[layout.label]))
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
    return any(
        each(kind)
        for each in (
            *(types.is_string, types.is_large_string, types.is_string_view),
            *(types.is_binary, types.is_large_binary, types.is_binary_view),
        )
    )


def _texts(values: pa.Array) -> pa.DictionaryArray:
    """Any scalar column as places in a list of texts.

    Raises:
      pa.ArrowInvalid: a place is none of the list.
    """
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    if pa.types.is_null(values.type):
        values = pc.cast(values, pa.large_string())
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    found = pa.DictionaryArray.from_arrays(values.indices, _as_text(values.dictionary))
    found.validate(full=True)
    return found


def _some(values: pa.Array) -> pa.Array:
    """The first of a column's texts, as long as they do not take too much memory all together."""
    texts = _texts(values)
    sizes = pc.binary_length(texts.dictionary).take(texts.indices).fill_null(0).to_numpy(zero_copy_only=False)
    within = int(np.searchsorted(np.cumsum(sizes, dtype=np.int64), _SAMPLE, side="right"))
    return texts.slice(0, max(within, 1)).dictionary_decode()


def _as_text(values: pa.Array) -> pa.Array:
    """Distinct values as text; floats without a fraction as whole numbers, so that label 1.0 is `1`."""
    if pa.types.is_floating(values.type):
        whole = pc.and_(pc.less_equal(pc.abs(values), _EXACT), pc.equal(values, pc.trunc(values)))
        numbers = pc.cast(pc.if_else(whole, values, pa.scalar(0, values.type)), pa.int64())
        return pc.if_else(whole, pc.cast(numbers, pa.large_string()), pc.cast(values, pa.large_string()))
    if not _is_text(values.type):
        return pc.cast(values, pa.large_string())
    texts = [decode(text) for text in pc.cast(values, pa.large_binary()).to_pylist()]
    return pa.array(texts, pa.large_string())
