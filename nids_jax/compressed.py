"""Compressed files and streams, read as if they were not: gzip, bzip2, xz, Zstandard, LZ4, a zip archive of one file.

Which of them it is, is told by the first bytes, so names do not matter.  What stands before a damage is read; streams
strung together are read to the last; and what unpacks to far more than it takes is refused, as nothing else is that
large (a bomb).  All work is done in pieces, so that memory does not depend on what a file unpacks to.
"""

import bz2
import lzma
import os
import stat
import struct
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from nids_jax.errors import InputError

ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")
FIRST = 10  # bytes from which the kind can be told

_PIECE = 1 << 12  # bytes unpacked from at a time: what is lost before a damage, at most
_MOST = 1 << 16  # bytes of content made at a time
_DICTIONARY = 1 << 28  # bytes of memory that an xz file may ask for
_ALWAYS = 1 << 30  # bytes of content that any file may unpack to,
_RATIO = 200  # and how many times its own size beyond that

_BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # what follows bzip2's first four bytes: a block, or the end
# What the libraries raise at damage; zipfile also raises whatever comes of using numbers that it did not check.
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, struct.error)
_UNCHECKED = (ValueError, LookupError, ArithmeticError, RuntimeError)


class DamageError(InputError):
    """A compressed file is damaged or cut off; everything that could be unpacked has been read before."""


def kind_of(first: bytes) -> str | None:
    """What a file is compressed with, by its first `FIRST` bytes; None where it is not, or not in a known way."""
    if first[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if first[:3] == b"BZh" and first[3:4].isdigit() and first[4:10] in _BZIP2:
        return "bzip2"
    if first[:6] == b"\xfd7zXZ\0":
        return "xz"
    if first[:4] == b"\x28\xb5\x2f\xfd" or (first[1:4] == b"\x2a\x4d\x18" and first[0] >> 4 == 5):
        return "zstd"  # the second is a frame to be skipped, which parallel programs write first
    if first[:4] == b"\x04\x22\x4d\x18":
        return "lz4"
    return "zip" if first[:4] in (b"PK\x03\x04", b"PK\x05\x06") else None


def refuse_bomb(name: str, content: int, size: Callable[[], int], ratio: int | None = None) -> None:
    """Refuse a file of `size()` bytes whose content takes more than it may: `content` bytes, or so many so far.

    Raises:
      InputError: it takes more than 1 GiB, and more than `ratio` times the file's size (see `Unpacked`).
    """
    if content <= _ALWAYS:
        return
    ratio = _ratio() if ratio is None else ratio
    if content > ratio * size():
        raise InputError(
            f"{name} unpacks to more than {ratio} times its size, as hardly any file does but one made to fill a disk;"
            " unpack it yourself, or set NIDS_UNPACK_RATIO"
        )


class Unpacked:
    """The content of a compressed file."""

    def __init__(
        self,
        file: BinaryIO,
        name: str | os.PathLike[str],
        *,
        kind: str | None = None,
        first: bytes = b"",
        ratio: int | None = None,
    ):
        """Nothing is unpacked yet.

        Args:
          file: the file or stream, opened; it is closed with this.  Only a zip archive needs to be sought in.
          name: what errors call it.
          kind: as `kind_of` says; None reads the first bytes and asks it.
          first: bytes that were already read from `file`.
          ratio: content of more than 1 GiB may take so many times the file's size (of a stream: of what was read so
            far); None is the environment's NIDS_UNPACK_RATIO, or 200.

        Raises:
          InputError: it is not compressed in a known way, or an archive that does not hold one file.
        """
        self._file, self._name = file, os.fspath(name)
        self._ahead, self._taken, self._last = first, 0, 0
        self._ratio = _ratio() if ratio is None else ratio
        while kind is None and len(self._ahead) < FIRST and (more := file.read(FIRST - len(self._ahead))):
            self._ahead += more
        self.kind = kind or kind_of(self._ahead)
        if self.kind is None:
            raise DamageError(f"{self._name} is not compressed as its name promises (damaged, or another format)")
        self._pieces = self._contents()
        self._rest = b""
        self._made = 0  # bytes of content
        self._damage = ""  # what is said of it once it was met

    def read(self, count: int) -> bytes:
        """So many bytes of content, or fewer before a damage or the end; none at the end.

        Raises:
          DamageError: the file is damaged or cut off here; what was unpacked before has been returned by earlier calls.
          InputError: it unpacks to more than it may.
          OSError: it cannot be read.
        """
        found: list[bytes] = []
        while count > 0:
            try:
                piece = self.read1(count)
            except DamageError:
                if found:
                    break  # it is raised again by the next call
                raise
            if not piece:
                break
            found.append(piece)
            count -= len(piece)
        return b"".join(found)

    def read1(self, count: int) -> bytes:
        """As `read`, but what a stream has given so far is not kept waiting for the rest: 1 to 65,536 bytes."""
        while not self._rest:
            if self._damage:
                raise DamageError(self._damage)
            try:
                piece = next(self._pieces, None)
            except DamageError as error:
                self._damage = str(error)  # not the error, whose traceback would keep all this alive
                raise
            if piece is None:
                return b""
            self._made += len(piece)
            refuse_bomb(self._name, self._made, self._size, self._ratio)
            self._rest = piece
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    def taken(self) -> int:
        """How many bytes of the file itself were read since this was last asked."""
        before, self._last = self._last, self._taken
        return self._taken - before

    def close(self) -> None:
        self._pieces = iter(())  # lets go of the unpacker's memory at once
        self._file.close()

    def _size(self) -> int:
        """Bytes of the file itself, or of what was read of a stream."""
        try:
            status = os.fstat(self._file.fileno())
        except (OSError, AttributeError):  # no file of the system
            return self._taken
        return status.st_size if stat.S_ISREG(status.st_mode) else self._taken

    def _packed(self, count: int = _PIECE) -> bytes:
        """Some of the file's own bytes, as soon as there are any."""
        if self._ahead:
            data, self._ahead = self._ahead[:count], self._ahead[count:]
        else:
            # A stream's buffer waits for all that is asked for, unless it is asked like this.
            data = getattr(self._file, "read1", self._file.read)(count)
        self._taken += len(data)
        return data

    def _contents(self) -> Iterator[bytes]:
        try:
            if self.kind == "zip":
                yield from self._member()
            elif self.kind in ("zstd", "lz4"):
                yield from self._by_arrow()
            else:
                yield from _strung_together(_UNPACKERS[self.kind], self._packed)
        except InputError:
            raise
        except (OSError, *_DAMAGE, *_UNCHECKED) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # what bz2 says of damage has no number
            reason = str(error) or type(error).__name__
            raise DamageError(
                f"{self._name} is no whole {self.kind} file (damaged, cut off, or another format): {reason}"
            ) from error

    def _by_arrow(self) -> Iterator[bytes]:
        import pyarrow as pa  # here, because importing it takes longer than reading most captures

        source = _Source(self._packed)
        content = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), self.kind)
        while True:
            try:
                piece = content.read(_PIECE)
            except (OSError, pa.ArrowException) as error:
                if source.error is not None:
                    raise source.error from error
                raise EOFError(str(error).splitlines()[0]) from error
            if not piece:
                return
            yield piece

    def _member(self) -> Iterator[bytes]:
        try:
            self._file.seek(0)
        except OSError:
            raise InputError(f"{self._name} is a zip archive, which cannot be read as a stream; unpack it") from None
        with zipfile.ZipFile(self._file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            entries = [entry for entry in entries if not entry.filename.startswith("__MACOSX")]
            if len(entries) != 1:
                raise InputError(f"{self._name} holds {len(entries)} files; unpack it and name the folder")
            if entries[0].flag_bits & 1:
                raise InputError(f"{self._name} is encrypted; unpack it")
            if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InputError(f"{self._name} is compressed as few zip archives are; unpack it")
            with archive.open(entries[0]) as content:
                while piece := content.read(_PIECE):
                    self._taken = max(self._taken, self._file.tell())
                    yield piece


class _Unpacker(Protocol):
    """What bz2's and lzma's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the others' interface."""

    def __init__(self) -> None:
        self._unpack = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._unpack.eof

    @property
    def unused_data(self) -> bytes:
        return self._unpack.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        content = self._unpack.decompress(self._unpack.unconsumed_tail + data, max_length)
        self.needs_input = not self._unpack.unconsumed_tail and len(content) < max_length
        return content


_UNPACKERS: dict[str | None, Callable[[], _Unpacker]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_DICTIONARY),
}


def _strung_together(make: Callable[[], _Unpacker], packed: Callable[[], bytes]) -> Iterator[bytes]:
    """The content of one compressed stream after the other; zeros may fill up the file."""
    data = packed()
    while data:
        unpack = make()
        while not unpack.eof:
            if unpack.needs_input and not data:
                data = packed()
                if not data:
                    raise EOFError("it ends before its content does")
            piece = unpack.decompress(data, _MOST)
            data = b""
            if piece:
                yield piece
        data = unpack.unused_data.lstrip(b"\0")
        while not data and (more := packed()):
            data = more.lstrip(b"\0")


class _Source:
    """What Arrow asks of a file; it forgets what error it met, so that is kept here."""

    closed = False

    def __init__(self, packed: Callable[[int], bytes]):
        # Python's garbage collector does not look into Arrow's objects, so a circle through them would stay for ever.
        self._packed = weakref.WeakMethod(packed)
        self.error: OSError | None = None

    def read(self, count: int) -> bytes:
        packed = self._packed()
        assert packed is not None  # whose own content is being read
        try:
            return packed(count)
        except OSError as error:
            self.error = error
            raise

    def close(self) -> None: ...


def _ratio() -> int:
    text: Any = os.environ.get("NIDS_UNPACK_RATIO") or _RATIO
    try:
        ratio = int(text)
    except ValueError:
        ratio = 0
    if ratio < 1:
        raise InputError(f"NIDS_UNPACK_RATIO is {text!r}; set a whole number of at least 1, or leave it out")
    return ratio
