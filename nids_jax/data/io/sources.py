"""Which files a source means: one file, a list of files, or a folder with everything below it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nids_jax.compressed import ENDINGS
from nids_jax.data.io.sniff import holds_flows
from nids_jax.errors import InputError
from nids_jax.folders import search

EXTENSIONS = (".csv", ".parquet", ".arff")
LOGS = (".log", ".labeled", ".json", ".jsonl", ".ndjson", ".txt", ".tsv", ".binetflow")  # read from a folder if flows
_PACKED = tuple(each for each in (*EXTENSIONS, *LOGS) if each != ".parquet")  # compressed files of these are read too

PathLike = str | os.PathLike[str]


class EmptyFileError(InputError):
    """A file holds nothing at all."""


class Files(NamedTuple):
    """What a source holds."""

    read: list[Path]
    passed_over: list[Path]  # in its folders


def find_files(source: PathLike | Sequence[PathLike]) -> Files:
    """Every data file that `source` names; those of a folder sorted by path, those of a list in its order.

    Folders are searched recursively for `*.csv`, `*.parquet` and `*.arff` in any case, for compressed CSV and ARFF, and
    for logs and texts (LOGS) whose columns are known; hidden files, and those that begin with `_`, are skipped.

    Raises:
      InputError: something does not exist, a folder holds no such file, or a file has another extension.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _below(path) if path.is_dir() else Files([_checked(path)], [])
    if not source:
        raise InputError("no data file was named")
    found = [find_files(entry) for entry in source]
    files = [file for each in found for file in each.read]
    repeated = {file for file in files if files.count(file) > 1}
    if repeated:
        raise InputError(f"{min(repeated)} is named twice; each file can be read once")
    return Files(files, [file for each in found for file in each.passed_over])


def data_extension(name: str) -> str:
    """The extension that says what a file holds, in lower case: `.csv` of `day.CSV` and of `day.csv.gz`."""
    stem, last = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if last in ENDINGS else last


def _below(folder: Path) -> Files:
    read, others = search(folder, may_be_table)
    no_flows = {path for path in read if data_extension(path.name) in LOGS and not holds_flows(path)}
    found = Files([path for path in read if path not in no_flows], sorted([*others, *no_flows]))
    if not found.read:
        held = f", but {len(found.passed_over):,} other files" if found.passed_over else ""
        raise InputError(f"the folder {folder} holds no .csv, .parquet or .arff file, and no log of flows{held}")
    return found


def is_table(path: Path) -> bool:
    """Whether a file is read as a table of flows, by its name, and where that says too little, by its columns."""
    return may_be_table(path.name) and (data_extension(path.name) in EXTENSIONS or holds_flows(path))


def may_be_table(name: str) -> bool:
    """Whether the extension is that of a table, or of a log that may be one."""
    packed = name.lower().endswith(ENDINGS)
    return data_extension(name) in (_PACKED if packed else (*EXTENSIONS, *LOGS))


def _checked(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder")
    if not may_be_table(path.name):
        raise InputError(
            f"{path} has the extension {path.suffix!r}; only {', '.join((*EXTENSIONS, *LOGS))} are read, all but "
            f".parquet compressed too ({', '.join(ENDINGS)})"
        )
    return path
