"""Tables on disk, CSV or Parquet, written piece by piece; CSV cells that no spreadsheet takes for formulas.

A class may be called `=HYPERLINK(…)`, and whoever opens the file would run that.  Such texts are written with an
apostrophe before them, which spreadsheets take for "this is text", and read without it.

Source: OWASP, "CSV Injection".
"""

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, get_args

import numpy as np

from nids_jax.errors import InputError

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def guarded(text: str) -> str:
    """The text as a cell: an apostrophe before what begins like a formula and is no number."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text that `guarded` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell


Form = Literal["csv", "parquet"]
Kind = Literal["integer", "number", "text", "few texts", "time"]  # of a column


class Sheet:
    """Rows to a file; to be used in a `with` block, as what is written is complete after it only."""

    def __init__(self, file: BinaryIO, form: Form, columns: Mapping[str, Kind]):
        """
        Args:
          file: opened to write.
          columns: names, in order, and what they hold: "few texts" is text that repeats, "time" is µs since 1970.

        Raises:
          InputError: another `form`.
        """
        import pyarrow as pa  # here: a fifth of a second

        if form not in get_args(Form):
            raise InputError(f"`form` is {form!r}; choose from {', '.join(get_args(Form))}")
        few = pa.dictionary(pa.int32(), pa.string()) if form == "parquet" else pa.string()
        self._times = pa.timestamp("us", tz="UTC")
        kinds = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "few texts": few}
        self._csv = form == "csv"
        self._schema = pa.schema([pa.field(n, kinds.get(kind, self._times)) for n, kind in columns.items()])
        sink: Any = pa.PythonFile(file, mode="w")
        self._sheet: Any
        if form == "parquet":
            import pyarrow.parquet as pq

            self._sheet = pq.ParquetWriter(sink, self._schema)
        else:
            import pyarrow.csv

            self._sheet = pyarrow.csv.CSVWriter(sink, self._schema)
        self.rows = 0

    def write(self, columns: Sequence[np.ndarray | str]) -> None:
        """Further rows: an array a column, in order; a text that stands in every row is given once."""
        import pyarrow as pa

        size = next(len(each) for each in columns if not isinstance(each, str))
        # Arrays are made from buffers: `pyarrow.array` imports pandas, and what decodes a dictionary pyarrow.compute,
        # which take as long as a small capture.
        arrays = []
        for each, field in zip(columns, self._schema, strict=True):
            if field.type == pa.string() or pa.types.is_dictionary(field.type):
                few, places = np.unique([each] if isinstance(each, str) else each.astype(str), return_inverse=True)
                cells = map(guarded, few.tolist()) if self._csv else few.tolist()
                texts = [cell.encode("utf-8", "backslashreplace") for cell in cells]
                codes = np.broadcast_to(places.astype(np.int32), size).copy()
                if field.type == pa.string():
                    arrays.append(_strings([texts[code] for code in codes.tolist()]))
                    continue
                numbers = pa.Array.from_buffers(pa.int32(), size, [None, pa.py_buffer(codes)])
                arrays.append(pa.DictionaryArray.from_arrays(numbers, _strings(texts)))
                continue
            kind = np.float64 if field.type == pa.float64() else np.int64
            values = np.ascontiguousarray(each, kind)
            arrays.append(pa.Array.from_buffers(field.type, size, [None, pa.py_buffer(values)]))
        self._sheet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.rows += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._sheet.close()


def _strings(texts: Sequence[bytes]) -> Any:
    """An array of strings."""
    import pyarrow as pa

    ends = np.cumsum([0, *map(len, texts)])
    if ends[-1] >= 2**31:
        raise InputError(f"{len(texts):,} texts of a column take {ends[-1]:,} bytes, which is too much at once")
    buffers = [pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(texts))]
    return pa.StringArray.from_buffers(len(texts), *buffers)
