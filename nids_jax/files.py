"""Files that are whole or absent."""

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from nids_jax.errors import InputError, reason
from nids_jax.locks import lock

_LEFTOVER_S = 24 * 3600  # how old a temporary file is that is taken for a leftover where locks do not tell


class Digest:
    """A file that is counted and hashed as it is written."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.sha256 = hashlib.sha256()
        self.bytes = 0

    @property
    def closed(self) -> bool:
        """Whether the file is."""
        return self._file.closed

    def write(self, data: Any) -> int:
        """Write all of the data."""
        self.sha256.update(data)
        self.bytes += memoryview(data).nbytes
        return self._file.write(data)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Put all on the disk first."""
        if not self.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def write_atomic(path: str | os.PathLike[str], content: bytes, argument: str = "output_dir") -> None:
    """Write a file whole or not at all, and have it on the disk before returning (see `whole_or_absent`)."""
    with whole_or_absent(path, argument) as file:
        file.write(content)


@contextmanager
def whole_or_absent(path: str | os.PathLike[str], argument: str) -> Iterator[BinaryIO]:
    """A file to write piece by piece, which gets its name once all is written, or is removed.

    It is written under a temporary name beside it and flushed to the disk, then renamed, and the folder's entry is
    flushed too: a crash of the machine leaves the old file or the new one.

    Args:
      argument: the caller's argument that names the place, for the error.

    Raises:
      InputError: the folder or the file cannot be written.
    """
    path = Path(path)
    with writing(path, argument):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, file = open_temporary(path, argument)
    try:
        with file:
            yield file
            with writing(path, argument):
                file.flush()
                os.fsync(file.fileno())
        with writing(path, argument):
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


@contextmanager
def writing(path: Path, argument: str) -> Iterator[None]:
    """Around what writes to a place: an error of the system names it, and the argument that names it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}; choose another `{argument}`") from error


class _Written(io.FileIO):
    """A file whose errors name its place: within the same block, other files are read and written."""

    def __init__(self, temporary: Path, path: Path, argument: str):
        super().__init__(temporary, "xb")
        self._about = path, argument

    def write(self, data: Any, /) -> int:
        with writing(*self._about):
            return super().write(data)


def open_temporary(path: Path, argument: str) -> tuple[Path, BinaryIO]:
    """A new file beside `path` under a temporary name, and those removed that killed processes left for `path`.

    While it is open, it is locked, by which other processes know that it is no leftover.  Where it cannot be written
    on, an InputError names `path` and the `argument`.
    """
    remove_leftovers(path)
    while True:
        temporary = temporary_name(path)
        file = io.BufferedWriter(_Written(temporary, path, argument))
        lock(file.fileno(), wait=True)
        if temporary.exists():  # or else it was taken for a leftover before it was locked
            return temporary, file
        file.close()


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, locked within the block; it is removed at its end unless it was renamed."""
    while True:
        temporary = temporary_name(path)
        temporary.mkdir()
        descriptor = None if sys.platform == "win32" else os.open(temporary, os.O_RDONLY)  # Windows opens no folders
        try:
            if descriptor is not None:
                lock(descriptor, wait=True)
            if not temporary.exists():
                continue
            yield temporary
            return
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            if descriptor is not None:
                os.close(descriptor)


def temporary_name(path: Path, ending: str = "tmp") -> Path:
    """A hidden name beside `path` that no other process takes."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.{ending}")


def remove_leftovers(path: Path) -> None:
    """Remove what stands beside `path` under a temporary name, but for that of processes which are at work."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9]+(-[0-9a-f]+)?\.(tmp|old)")
    for name in os.listdir(path.parent):
        if not pattern.fullmatch(name):
            continue
        each = path.with_name(name)
        with suppress(OSError):
            if sys.platform == "win32":  # where nothing is removed that is open
                if not each.is_dir():
                    each.unlink()
                elif _is_old(each):
                    shutil.rmtree(each)
                continue
            descriptor = os.open(each, os.O_RDONLY if each.is_dir() else os.O_RDWR)
            try:
                free = lock(descriptor)
                if free or (free is None and _is_old(each)):
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
            finally:
                os.close(descriptor)


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _LEFTOVER_S


def own_checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object without its entry `sha256`, where it keeps this; blanks and order do not matter."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def make_folder(folder: Path, argument: str) -> None:
    """Make a folder, and those above it, where they are not there yet.

    Raises:
      InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}; name another `{argument}`") from error


def flush_folder(folder: Path) -> None:
    """Put the folder's entries on the disk, where the system can: Windows and some network folders cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
