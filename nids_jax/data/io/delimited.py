"""CSV → chunks of rows: Arrow's parser on blocks of whole lines, and a slower way for the blocks that it refuses.

A block parses fast when every cell of every numeric column is a number (`Infinity` and `NaN` in any case are) or
empty.  Other blocks are read as text, and the columns that hold something else are parsed in Python.  Blocks of plain
cells in a long file take a compiled way (`plain_rows`).  All ways give the float64 nearest to the decimal text.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from nids_jax.compressed import ENDINGS, Unpacked
from nids_jax.data.io.columns import (
    AFTER_LAST,
    NO_LABEL,
    Chunk,
    Coded,
    Kind,
    Layout,
    check_header,
    guess_kind,
    refuse_headless,
    to_coded,
    to_numbers,
    unlabelled,
    without_skipped,
)
from nids_jax.data.io.dialects import missing_header
from nids_jax.data.io.labels import decode
from nids_jax.data.io.notation import MISSING, Notation
from nids_jax.data.io.sources import EmptyFileError
from nids_jax.errors import InputError

_BLOCK = 8 << 20  # bytes read at once
_SAMPLE = 2 << 20  # bytes from which the kinds of the columns are guessed
_PIECE = 1 << 20  # bytes that Arrow parses at once: the fastest measured; no line is longer
_SOON = 4  # blocks of a file, after which the compiled way is worth its import
_AHEAD = 2  # blocks that are parsed while the rows of another are taken over
_LINES = 50  # from which it is told whether rows end in a separator
_TEXT = pa.dictionary(pa.int32(), pa.string())
_WRITTEN = re.compile(rb"[^ \t,;|\n]")  # what a blank line does not hold
_OTHER_FORMATS = {
    b"PAR1": "Parquet data",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "gzip data",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


class Block(NamedTuple):
    """Whole lines of a file, ended by `\\n` alone, in UTF-8."""

    text: bytes
    size: int  # bytes of the file they came from
    terminated: bool = True  # False: the file's last line, which no line end follows


def read_blocks(file: BinaryIO | Unpacked, path: Path) -> Iterator[Block]:
    """The file in blocks of about 8 MiB, without a byte order mark.

    Raises:
      InputError: the file cannot be read or is not text.
    """
    rest = b""
    start = True
    while data := _read(file, path):
        size = file.taken() if isinstance(file, Unpacked) else len(data)
        if start:
            for magic, what in _OTHER_FORMATS.items():
                if data.startswith(magic):
                    raise InputError(f"{path} holds {what}, not the text that its extension promises")
            data = data.removeprefix(b"\xef\xbb\xbf")
            start = False
        if b"\0" in data:
            raise InputError(f"{path} is not text: it holds NUL bytes")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        data = rest + data
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if len(rest) > _PIECE:
            raise InputError(f"{path} is not text in lines: {len(rest):,} bytes pass without a line end")
        yield Block(_as_utf8(data[:cut]), size)
    if rest:
        yield Block(_as_utf8(rest), 0, terminated=False)


def _read(file: BinaryIO | Unpacked, path: Path) -> bytes:
    try:
        data = file.read(_BLOCK)
        if data.endswith(b"\r"):  # keep \r\n together
            data += file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return data


def _as_utf8(data: bytes) -> bytes:
    if data.isascii():
        return data
    try:
        pa.array([data], pa.binary()).cast(pa.string())  # checks it, faster than Python decodes it
    except pa.ArrowInvalid:
        return decode(data).encode()
    return data


class DelimitedFile:
    """A CSV file: header and kinds of the columns at once, the rows by `chunks`."""

    default_label: int | None = None
    notation = Notation()  # until another is found
    always_plain = False  # whether the format allows no other notation of numbers
    identifiers: frozenset[str] = frozenset()  # normalised headers that are no features in this file
    remarks: list[str] = []  # noqa: RUF012 (replaced, never changed)

    def __init__(self, path: Path) -> None:
        """Open the file and read its header.

        Raises:
          InputError: the file cannot be read, is empty, or is not text.
        """
        self.path = path
        try:
            file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._file = Unpacked(file, path) if path.suffix.lower() in ENDINGS else file
        except BaseException:
            file.close()
            raise
        self._blocks = read_blocks(self._file, path)
        self._pending: list[Block] = []
        self._blank = 0  # blank lines before the header
        self.delimiter = ","
        self._header_line = b""
        self.declared: dict[int, tuple[str, ...]] = {}
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def _first_block(self) -> Block:
        """The block that begins the file.

        Raises:
          EmptyFileError: there is none.
        """
        block = next(self._blocks, None)
        if block is None:
            raise EmptyFileError(f"{self.path} is empty")
        return block

    def _read_header(self) -> list[str]:
        for block in self._blocks:
            first = _WRITTEN.search(block.text)
            start = len(block.text) if first is None else block.text.rfind(b"\n", 0, first.start()) + 1
            self._blank += block.text.count(b"\n", 0, start) + (first is None and not block.terminated)
            if first is None:
                continue
            line, _, rest = block.text[start:].partition(b"\n")
            if len(line) > _PIECE:
                raise InputError(_too_long(self.path, len(line)))
            self._pending.append(block._replace(text=rest))
            self._header_line = line + b"\n"
            header = line.decode()
            if not all(letter.isprintable() or letter.isspace() for letter in header):
                raise InputError(f"{self.path} is not text: its first line holds control characters")
            self.delimiter = max(",;\t|", key=header.count)
            try:
                names = next(csv.reader([header], delimiter=self.delimiter))
            except csv.Error as error:
                raise InputError(f"{self.path} has a header line that cannot be parsed: {error}") from error
            check_header(names, self.path)
            if (known := missing_header(names)) is not None:
                self._pending[-1] = block._replace(text=block.text[start:])
                self._header_line = b""
                self.remarks = [f"{self.path} has no header line, and is read with the published names of its columns"]
                return known
            refuse_headless(names, self.path)
            return [*names, AFTER_LAST] if self._ends_in_separators(len(names), rest) else names
        raise EmptyFileError(f"{self.path} is empty")

    def _ends_in_separators(self, width: int, text: bytes) -> bool:
        """Whether every one of the first rows has an empty field more than the header has names."""
        lines = [line for line in text[:_SAMPLE].split(b"\n")[:_LINES] if line.strip(b" \t,;|")]
        if len(lines) == _LINES and not text.endswith(b"\n"):
            lines.pop()  # it may be cut
        try:
            rows = list(csv.reader((line.decode() for line in lines), delimiter=self.delimiter))
        except (csv.Error, UnicodeDecodeError):
            return False
        return bool(rows) and all(len(row) == width + 1 and not row[-1].strip() for row in rows)

    @property
    def has_rows(self) -> bool:
        """Whether anything but blank lines follows the header."""
        while not (self._pending and self._pending[-1].text.strip()):
            block = next(self._blocks, None)
            if block is None:
                return False
            self._pending.append(block)
        return True

    def sample(self) -> dict[int, pa.Array]:
        """The cells of the first 2 MiB of rows, by column, as text."""
        sample = self._pending[-1].text if self.has_rows else b""
        sample = self.prepare(sample[: sample.rfind(b"\n", 0, _SAMPLE) + 1 or _SAMPLE])
        columns = range(len(self.header))
        types: dict[str, pa.DataType] = {str(column): pa.string() for column in columns}
        table = _parse(sample, self.delimiter, len(columns), types, self.path).table
        return {column: table.column(column).combine_chunks() for column in columns}

    def kinds(self, sample: Mapping[int, pa.Array]) -> list[Kind]:
        """What each column holds, by a sample of its cells."""
        return [
            guess_kind(sample[column], cell, self.notation.pattern(column)) for column, cell in enumerate(self.header)
        ]

    def chunks(self, layout: Layout, advance: Callable[[int], object]) -> Iterator[Chunk]:
        """The data rows, block by block; `advance` is told the bytes of each block.

        Raises:
          InputError: the file cannot be read or parsed.
        """
        blank = self._blank
        for block, chunk in self._parsed(layout):
            yield chunk._replace(blank=chunk.blank + blank, unterminated=not block.terminated)
            blank = 0
            advance(block.size)

    def _parsed(self, layout: Layout) -> Iterator[tuple[Block, Chunk]]:
        """The blocks with their rows, in order; the next ones are parsed in threads meanwhile."""
        waiting: deque[tuple[Block, Future[Chunk]]] = deque()
        with ThreadPoolExecutor(_AHEAD) as threads:
            for number, block in enumerate(self._all_blocks()):
                long = number >= _SOON
                waiting.append((block, threads.submit(self._chunk, self.prepare(block.text), layout, long)))
                if len(waiting) > _AHEAD:
                    first, rows = waiting.popleft()
                    yield first, rows.result()
            for first, rows in waiting:
                yield first, rows.result()

    def _all_blocks(self) -> Iterator[Block]:
        while self._pending:
            yield self._pending.pop(0)
        yield from self._blocks

    def prepare(self, text: bytes) -> bytes:
        """The lines as CSV."""
        return text

    def close(self) -> None:
        self._file.close()

    def _chunk(self, text: bytes, layout: Layout, long: bool) -> Chunk:
        """The rows of some lines, of a long file or not."""
        if long and self.notation.is_plain and not (self._header_line and self._header_line in text):
            from nids_jax.data.io.plain_rows import read_rows  # numba takes a moment to import

            rows = read_rows(text, self.delimiter, layout)
            if rows is not None:
                return without_skipped(rows, layout)
        types = {str(column): _TEXT if text_column else pa.float64() for column, text_column in _used(layout)}
        strings = {name: pa.string() if kind == pa.float64() else kind for name, kind in types.items()}
        headers = 0
        try:
            parsed = self._parse(text, layout.width, types)
        except pa.ArrowInvalid:
            text, headers = self._without_headers(text)
            try:
                parsed = self._parse(text, layout.width, types if headers else strings)
            except pa.ArrowInvalid:
                parsed = self._parse(text, layout.width, strings)
        chunk = _assemble(parsed, layout, self.notation)
        return without_skipped(chunk._replace(headers=headers), layout)

    def _parse(self, text: bytes, width: int, types: dict[str, pa.DataType]) -> "_Parsed":
        return _parse(text, self.delimiter, width, types, self.path, self.notation.decimal)

    def _without_headers(self, text: bytes) -> tuple[bytes, int]:
        """The lines other than exact repeats of the header line, and the number of those."""
        if not self._header_line:
            return text, 0
        line = self._header_line
        rest = (b"\n" + text).replace(b"\n" + line, b"\n")[1:]
        return rest, (len(text) - len(rest)) // len(line)


def _used(layout: Layout) -> list[tuple[int, bool]]:
    label = [] if layout.label == NO_LABEL else [(layout.label, True)]
    return [*zip(layout.features, layout.text, strict=True), *label]


class _Parsed(NamedTuple):
    table: pa.Table
    blank: int
    malformed: int


def _parse(
    text: bytes, delimiter: str, width: int, types: dict[str, pa.DataType], path: Path, decimal: str = "."
) -> _Parsed:
    """Parse lines; the columns' names are their numbers.

    Raises:
      pa.ArrowInvalid: a cell is not of its column's type.
      InputError: the lines cannot be parsed at all.
    """
    skipped: list[str] = []

    def skip(row: pacsv.InvalidRow) -> str:
        skipped.append(row.text)
        return "skip"

    if not text or text.isspace():
        schema = pa.schema(list(types.items()))
        return _Parsed(schema.empty_table(), text.count(b"\n"), 0)
    try:
        table = pacsv.read_csv(
            pa.BufferReader(text),
            read_options=pacsv.ReadOptions(column_names=[str(i) for i in range(width)], block_size=_PIECE),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=MISSING,
                strings_can_be_null=True,
                decimal_point=decimal,
            ),
        )
    except pa.ArrowInvalid as error:
        if pa.float64() in types.values():
            raise
        longest = max(map(len, text.split(b"\n")))
        if longest > _PIECE:
            raise InputError(_too_long(path, longest)) from error
        raise InputError(f"{path} cannot be parsed: {str(error).splitlines()[0]}") from error
    empty = [not row.strip(f' "\n{delimiter}') for row in skipped]
    blank = 0
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    if lines > table.num_rows + len(skipped):
        ends = np.frombuffer(b"\n" + text, np.uint8) == ord("\n")
        blank = int((ends[1:] & ends[:-1]).sum())
        if lines > table.num_rows + len(skipped) + blank:
            raise InputError(f"{path} has a line break inside quotation marks, or a mark that is never closed")
    return _Parsed(table, blank + sum(empty), len(empty) - sum(empty))


def _too_long(path: Path, size: int) -> str:
    return f"{path} has a line of {size:,} bytes; lines of up to {_PIECE:,} are read"


def _assemble(parsed: _Parsed, layout: Layout, notation: Notation) -> Chunk:
    table = parsed.table
    x = np.empty((table.num_rows, len(layout.features)))
    x[:, np.array(layout.text)] = np.nan
    garbled = None
    text: dict[int, Coded] = {}
    numeric: list[tuple[int, str]] = []
    for index, column in enumerate(layout.features):
        name = str(column)
        kind = table.schema.field(name).type
        if layout.text[index]:
            text[index] = to_coded(table.column(name))
        elif kind == pa.float64():
            numeric.append((index, name))
        else:
            x[:, index], wrong = to_numbers(notation.plain(table.column(name).combine_chunks(), column))
            if wrong is not None:
                garbled = np.zeros(x.shape, bool) if garbled is None else garbled
                garbled[:, index] = wrong
    columns = slice(None) if len(numeric) == x.shape[1] else [index for index, _ in numeric]
    start = 0
    for batch in table.select([name for _, name in numeric]).to_batches():  # a piece at a time stays in the cache
        rows = slice(start, start + batch.num_rows)
        x[rows, columns] = np.array([values.to_numpy(zero_copy_only=False) for values in batch.columns]).T
        start += batch.num_rows
    without = layout.label == NO_LABEL
    labels = unlabelled(table.num_rows) if without else to_coded(table.column(str(layout.label)))
    return Chunk(x, garbled, text, labels, blank=parsed.blank, malformed=parsed.malformed)
