"""Which files a source means: one file, a list of files, or a folder with everything below it."""

import os
from collections.abc import Sequence
from pathlib import Path

from nids_jax.compressed import ENDINGS
from nids_jax.errors import InputError

EXTENSIONS = (".csv", ".parquet", ".arff")
COMPRESSED = (".csv", ".arff")  # of these, compressed files are read too

PathLike = str | os.PathLike[str]


def find_files(source: PathLike | Sequence[PathLike]) -> list[Path]:
    """Every data file that `source` names; those of a folder sorted by path, those of a list in its order.

    Folders are searched recursively for `*.csv`, `*.parquet` and `*.arff` in any case, and for compressed CSV and ARFF;
    hidden files are skipped.

    Raises:
      InputError: something does not exist, a folder holds no such file, or a file has another extension.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _below(path) if path.is_dir() else [_checked(path)]
    if not source:
        raise InputError("no data file was named")
    files = [file for entry in source for file in find_files(entry)]
    repeated = {file for file in files if files.count(file) > 1}
    if repeated:
        raise InputError(f"{min(repeated)} is named twice; each file can be read once")
    return files


def data_extension(name: str) -> str:
    """The extension that says what a file holds, in lower case: `.csv` of `day.CSV` and of `day.csv.gz`."""
    stem, last = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if last in ENDINGS else last


def _below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        found += [Path(parent, name) for name in names if not name.startswith(".") and _is_read(name)]
    broken = [path for path in found if not path.is_file()]
    if broken:
        raise InputError(f"{min(broken)} is no file that can be read (a link to nowhere?); remove it or restore it")
    if not found:
        raise InputError(f"the folder {folder} holds no .csv, .parquet or .arff file")
    return sorted(found)


def _is_read(name: str) -> bool:
    packed = name.lower().endswith(ENDINGS)
    return data_extension(name) in (COMPRESSED if packed else EXTENSIONS)


def _checked(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder")
    if not _is_read(path.name):
        raise InputError(
            f"{path} has the extension {path.suffix!r}; only .csv, .parquet and .arff are read, and .csv and .arff "
            f"compressed ({', '.join(ENDINGS)})"
        )
    return path
