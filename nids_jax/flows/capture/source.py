"""Where the bytes of a capture come from: a file or a stream, plain or compressed."""

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nids_jax.compressed import FIRST, DamageError, Unpacked, kind_of
from nids_jax.errors import InputError


class Source:
    """The bytes of a capture; what it was compressed with, if anything, is told by its first bytes."""

    def __init__(self, file: BinaryIO, name: str | os.PathLike[str]):
        """`file` is closed with this; `name` is what errors call it."""
        self._file, self._name = file, name
        self._first: bytes | None = None  # bytes that were read to see what this is
        self._unpacked: Unpacked | None = None
        self._given = False  # whether something was unpacked
        self.damage = ""  # why it was not read to its end; empty where it was

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """A file's bytes.

        Raises:
          InputError: it cannot be read.
        """
        try:
            return cls(Path(path).open("rb"), path)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the capture {path}: {_why(error)}") from None

    def read(self, count: int) -> bytes:
        """Up to so many further bytes, as many as there are so far; none at the end.

        Raises:
          InputError: it cannot be read, or unpacks to more than it may.
        """
        try:
            if self._first is None:
                self._begin()
            if self._unpacked is not None:
                found = self._unpacked.read1(count)
                self._given = True
                return found
            if self._first:
                found, self._first = self._first, b""
                return found
            return self._some(count)
        except DamageError:
            if not self._given:
                raise InputError(f"{self._name} is damaged from its beginning on; fetch it again") from None
            self.damage = "its compression is damaged"
            return b""
        except OSError as error:
            raise InputError(f"cannot read the capture {self._name}: {_why(error)}") from None

    def _begin(self) -> None:
        self._first = b""
        while len(self._first) < FIRST and (more := self._some(FIRST - len(self._first))):
            self._first += more
        kind = kind_of(self._first)
        if kind is not None:
            self._unpacked = Unpacked(self._file, self._name, kind=kind, first=self._first)

    def _some(self, count: int) -> bytes:
        """What there is, without waiting for more on a stream."""
        read = getattr(self._file, "read1", self._file.read)
        return read(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
