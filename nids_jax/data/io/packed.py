"""Compressed text files, read as if they were not: gzip, bzip2, xz, Zstandard, and a zip archive of one file."""

import bz2
import gzip
import lzma
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from nids_jax.errors import InputError

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException, gzip.BadGzipFile)


def data_extension(name: str) -> str:
    """The extension that says what a file holds, in lower case: `.csv` of `day.CSV` and of `day.csv.gz`."""
    stem, last = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if last in PACKED else last


class Unpacked:
    """A compressed file's content."""

    def __init__(self, path: Path, file: BinaryIO):
        """`file` is the file itself, opened; it is closed with this.

        Raises:
          InputError: an archive that does not hold one file.
        """
        self._path, self._packed, self._last = path, file, 0
        try:
            self._content = self._opened(path.suffix.lower())
        except _DAMAGE as error:
            raise self._refusal(error) from error

    def _opened(self, ending: str) -> Any:
        if ending == ".gz":
            return gzip.GzipFile(fileobj=self._packed)
        if ending == ".bz2":
            return bz2.BZ2File(self._packed)
        if ending == ".xz":
            return lzma.LZMAFile(self._packed)
        if ending == ".zst":
            return pa.CompressedInputStream(pa.PythonFile(self._packed, mode="r"), "zstd")
        archive = zipfile.ZipFile(self._packed)
        members = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if len(members) != 1:
            raise InputError(f"{self._path} holds {len(members)} files; unpack it and name the folder")
        if archive.getinfo(members[0]).flag_bits & 1:
            raise InputError(f"{self._path} is encrypted; unpack it")
        return archive.open(members[0])

    def read(self, count: int) -> bytes:
        """Up to so many bytes of content; none at its end.

        Raises:
          InputError: the file is damaged or cut off.
          OSError: it cannot be read.
        """
        try:
            return self._content.read(count)
        except _DAMAGE as error:
            raise self._refusal(error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise self._refusal(error) from error  # what bz2 says of damage

    def taken(self) -> int:
        """How many bytes of the file itself were read since this was last asked."""
        before, self._last = self._last, self._packed.tell()
        return self._last - before

    def close(self) -> None:
        self._packed.close()

    def _refusal(self, error: BaseException) -> InputError:
        kind = self._path.suffix.lower().removeprefix(".")
        return InputError(f"{self._path} is no whole {kind} file (damaged, cut off, or another format): {error}")
