"""Files that are whole or absent."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from nids_jax.errors import InputError


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise InputError(f"cannot write {path}: {reason}; choose another `{argument}`") from error


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
