"""CSV, Parquet and ARFF files → one FlowTable, and a report of what became of every row.

Files are read in chunks, so that memory holds the kept rows and one chunk.  What the published files need:

- headers in any of CICFlowMeter's spellings, with leading blanks, repeated inside a file, one of them doubled;
- identifier columns dropped before validity is judged (a missing port invalidates nothing unless it is a feature);
- `Infinity`, `NaN`, `?` and empty cells in any spelling; blank lines and lines of separators; CRLF; a byte order mark;
- class names in UTF-8, cp1252 or with U+FFFD where a decoder gave up, all of them with an ASCII hyphen in the end;
- text columns with few distinct values become categories; others with text are left out and named in the report.

A line with more or fewer fields than the header is an invalid row.  A last line without a line end is one as well if
its label is new and only the beginning of a label seen before: the file was cut off there.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import get_args

from nids_jax.data.io.arff import ArffFile
from nids_jax.data.io.collector import Collector
from nids_jax.data.io.delimited import DelimitedFile
from nids_jax.data.io.dialects import find_dialect
from nids_jax.data.io.logs import JsonLinesFile, ZeekFile
from nids_jax.data.io.notation import Decimal
from nids_jax.data.io.parquet import ParquetFile
from nids_jax.data.io.read_report import ReadReport
from nids_jax.data.io.sniff import content
from nids_jax.data.io.sources import EmptyFileError, PathLike, data_extension, find_files
from nids_jax.data.io.survey import DataFile, OnInvalid
from nids_jax.data.io.translated import Translated
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.folders import passed_over
from nids_jax.progress import follow

_OPENERS = {".csv": DelimitedFile, ".parquet": ParquetFile, ".arff": ArffFile}
_TEXTS = {"zeek": ZeekFile, "json": JsonLinesFile, "delimited": DelimitedFile}


def open_table(path: Path) -> DataFile:
    """A CSV, Parquet or ARFF file, told by its name, or a log, told by its content; to be closed.

    Columns that another tool or dataset is known to name so come under this package's names and in its units.

    Raises:
      InputError: it cannot be read, is empty (EmptyFileError), or is of another format.
    """
    opener = _OPENERS.get(data_extension(path.name)) or _TEXTS[content(path)]
    file = opener(path)
    dialect = find_dialect(file.header)
    return file if dialect is None else Translated(file, dialect)


def read_flows(
    source: PathLike | Sequence[PathLike],
    *,
    label_column: str | None = None,
    keep_ports: bool = False,
    on_invalid: OnInvalid = "drop",
    cap: int | None = None,
    rename: Callable[[str], str | None] | None = None,
    order: Sequence[str] = (),
    identifiers: Collection[str] = (),
    decimal: Decimal | None = None,
    keep_times: bool = False,
    keep_unlabelled: bool = False,
    progress: bool = True,
) -> tuple[FlowTable, ReadReport]:
    """Read labelled flow records.

    Args:
      source: a file, a list of files, or a folder searched for `*.csv`, `*.parquet` and `*.arff`, and for logs whose
        columns are known (see `dialects`); all but Parquet may be compressed (`*.csv.gz`, `.bz2`, `.xz`, `.zst`,
        `.lz4`, `.zip`).
      label_column: the label's header in any spelling; None looks for `Label` and the like, in ARFF also for the last
        nominal attribute.
      keep_ports: keep `destination_port` as a feature; the other identifiers never are.
      on_invalid: what becomes of a row with a missing, infinite or non-numeric value: `drop` it, raise an `error`, or
        `impute` the median of the column's valid values (for categories: a category `?`).  A row without a label, or
        with the wrong number of fields, is dropped unless this is `error`.
      cap: keep the first so many valid rows of each class, in the order of files and lines.
      rename: class name → class name, or None to leave the class out; applied to cleaned names, before the cap.
      order: classes to list first, in this order; the others follow sorted.
      identifiers: normalised headers of further columns that are no features.
      decimal: the mark before decimals; the other one of point and comma may then stand between thousands.  None
        goes by what each file shows (see `notation`).
      keep_times: keep the column `timestamp`, as seconds since 1970 (NaN where it cannot be read), among the features.
      keep_unlabelled: keep rows without a label, as rows of a class `labels.UNLABELLED`, instead of dropping them.
      progress: show a bar of bytes on standard error.

    Returns:
      The table (classes with no row left are not among its classes), and the report.

    Raises:
      InputError: nothing to read, an unreadable file, files of different layouts, no label column, no valid row with a
        label, or any invalid value with `on_invalid="error"`.
    """
    if on_invalid not in get_args(OnInvalid):
        raise InputError(f"on_invalid is {on_invalid!r}; choose from {', '.join(get_args(OnInvalid))}")
    if cap is not None and cap < 1:
        raise InputError(f"the cap is {cap} rows per class; it must be at least 1")
    if decimal not in (None, *get_args(Decimal)):
        raise InputError(f"decimal is {decimal!r}; choose from {' '.join(get_args(Decimal))}")
    files, others = find_files(source)
    collector = Collector(
        label_column,
        keep_ports,
        on_invalid,
        cap,
        rename,
        frozenset(identifiers),
        decimal,
        keep_times,
        keep_unlabelled,
    )
    empty: list[EmptyFileError] = []
    said: list[str] = []
    size = sum(path.stat().st_size for path in files)
    with follow("reading" if progress else None, size, "B") as bar:
        for path in files:
            try:
                file = open_table(path)
            except EmptyFileError as error:
                if len(files) == 1:
                    raise
                empty.append(error)
                continue
            try:
                collector.read(file, bar.update)
                said += file.remarks
            finally:
                file.close()
    if len(empty) == len(files):
        raise empty[0]
    remarks = [*said, *(f"{error}, and passed over" for error in empty)]
    return collector.finish(order, [*remarks, *filter(None, [passed_over(others)])])
