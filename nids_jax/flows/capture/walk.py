"""Where the frames lie in a piece of a pcap or pcapng file: compiled, as the lengths must be followed one by one.

Sources: the IETF drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nids_jax.compiled import compiled
from nids_jax.errors import InputError

_NANO, _MICRO, _PATCHED = 0xA1B23C4D, 0xA1B2C3D4, 0xA1B2CD34  # magic numbers; patched: longer record headers
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6  # pcapng's blocks
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}  # of bytes, by what a section begins with
LONGEST = 1 << 28  # bytes; no frame is longer, so what says so is damaged
_LATEST = 1 << 53  # µs; later times, after 2255, are no times
_FAR = 1 << 42  # s; a longer offset of time leads past the latest time as well
FRAMES = 1 << 16  # that are found at a time
_BUFFER = 1 << 22  # bytes read at a time

_MORE, _FULL, _DAMAGED, _OTHER, _NO_TIME = range(5)  # why a walk stops


class Frames(NamedTuple):
    """Where `f` frames lie among some bytes."""

    begin: np.ndarray  # [f] int64
    end: np.ndarray
    length: np.ndarray  # bytes as sent, of which the capture may have kept fewer
    time: np.ndarray  # µs since the epoch
    link: np.ndarray  # link type


class Piece(NamedTuple):
    """Some bytes of a capture, and the frames in them."""

    data: np.ndarray  # uint8, which cannot be written to
    frames: Frames


class Walk:
    """The frames of a capture, piece by piece."""

    def __init__(self, name: str, read: Callable[[int], bytes]):
        """`read(n)` gives up to `n` further bytes, none at the end; `name` is what errors call the capture."""
        self._name, self._read = name, read
        self._bytes = b""
        self._at = self._before = 0  # in the bytes at hand; bytes that came before those
        self._ended = False
        self.frames = 0
        self.damage = ""  # why the capture was not read to its end; empty where it was

    def pieces(self) -> Iterator[Piece]:
        """The pieces.

        Raises:
          InputError: this is no capture, or one without times, or with impossible ones.
        """
        if not self._more(4):
            raise InputError(f"{self._name} has {len(self._bytes)} bytes, too few for a capture; give pcap or pcapng")
        if self._bytes[:4] == _SECTION.to_bytes(4):
            yield from self._pcapng()
        else:
            yield from self._pcap()
        left = len(self._bytes) - self._at
        if left:
            self.damage = f"unreadable from byte {self._before + self._at:,} on"

    def _more(self, wanted: int) -> bool:
        """Read on until `wanted` bytes follow on what was walked over; whether they do."""
        parts = [self._bytes[self._at :]]
        have = len(parts[0])
        while have < wanted and not self._ended:  # many small parts are joined once
            parts.append(self._read(max(_BUFFER, wanted - have)))
            have += len(parts[-1])
            self._ended = not parts[-1]
        self._bytes = b"".join(parts)
        self._before += self._at
        self._at = 0
        return have >= wanted

    def _piece(self, data: np.ndarray, columns: np.ndarray, count: int) -> Piece:
        self.frames += count
        return Piece(data, Frames(*columns[:, :count]))

    def _pcap(self) -> Iterator[Piece]:
        for order in "<>":
            magic = struct.unpack_from(order + "I", self._bytes)[0]
            if magic in (_NANO, _MICRO, _PATCHED):
                break
        else:
            raise InputError(f"{self._name} is no capture: it begins with {self._bytes[:4].hex()}; give pcap or pcapng")
        if not self._more(24):
            raise InputError(f"{self._name} has {len(self._bytes)} bytes, too few for a capture; give pcap or pcapng")
        link = struct.unpack_from(order + "I", self._bytes, 20)[0] & 0xFFFF  # above: how long checksums are
        unit, header = 1000 if magic == _NANO else 1, 24 if magic == _PATCHED else 16
        self._at = 24
        while True:
            data = np.frombuffer(self._bytes, np.uint8)
            columns = np.empty((len(Frames._fields), FRAMES), np.int64)
            count, self._at, why, wanted = _walk_pcap(data, self._at, order == ">", header, unit, link, columns)
            if count:
                yield self._piece(data, columns, count)
            if why == _DAMAGED or (why == _MORE and not self._more(int(wanted))):
                return

    def _pcapng(self) -> Iterator[Piece]:
        order, interfaces = "<", np.zeros((0, 4), np.int64)
        begun = False
        while True:
            data = np.frombuffer(self._bytes, np.uint8)
            columns = np.empty((len(Frames._fields), FRAMES), np.int64)
            count, self._at, why, wanted = _walk_pcapng(data, self._at, order == ">", interfaces, columns)
            if count:
                yield self._piece(data, columns, count)
            if why == _NO_TIME:
                raise InputError(
                    f"{self._name}: packet {self.frames} is of before 1970 or after 2255; leave the file out"
                )
            if why == _DAMAGED or (why == _MORE and not self._more(int(wanted))):
                break
            if why != _OTHER:
                continue
            kind, length = struct.unpack_from(order + "II", self._bytes, self._at)
            if kind == _SECTION:
                order = _ORDERS.get(self._bytes[self._at + 8 : self._at + 12], "")
                length = struct.unpack_from((order or "<") + "I", self._bytes, self._at + 4)[0]
                if not order or length < 12 or length % 4 or length > LONGEST:
                    break
                interfaces = np.zeros((0, 4), np.int64)
            if self._at + length > len(self._bytes) and not self._more(length):
                break
            if kind == _SIMPLE_PACKET:
                raise InputError(
                    f"{self._name} holds packets without times (pcapng's simple packets); capture it with times"
                )
            if kind == _INTERFACE:
                if length < 20:
                    break
                block = self._bytes[self._at + 8 : self._at + length - 4]
                interfaces = np.concatenate([interfaces, [_interface(block, order)]])
            begun = True
            self._at += length
        if not begun:
            raise InputError(
                f"{self._name} is no capture: it begins like pcapng and does not go on so; give pcap or pcapng"
            )


def _interface(block: bytes, order: str) -> tuple[int, int, int, int]:
    """An interface's link type, base and power of its ticks per second, and seconds to add."""
    base, power, offset, at = 10, 6, 0, 8
    while at + 4 <= len(block):
        code, length = struct.unpack_from(order + "HH", block, at)
        at += 4
        if code == 0 or at + length > len(block):
            break
        if code == 9 and length == 1:  # if_tsresol
            base, power = (2 if block[at] & 128 else 10), block[at] & 127
        elif code == 14 and length == 8:  # if_tsoffset
            offset = struct.unpack_from(order + "q", block, at)[0]
        at += length + (-length) % 4
    return struct.unpack_from(order + "H", block)[0], base, power, min(max(offset, -_FAR), _FAR)


@compiled
def _number(data, at, swapped):
    """Four bytes as a number; `swapped`: the highest first."""
    a, b, c, d = np.int64(data[at]), np.int64(data[at + 1]), np.int64(data[at + 2]), np.int64(data[at + 3])
    return (a << 24 | b << 16 | c << 8 | d) if swapped else (d << 24 | c << 16 | b << 8 | a)


@compiled
def _walk_pcap(data, at, swapped, header, unit, link, columns):
    """Fill `columns` with frames from `at` on: how many, where it stopped and why, and how many bytes are wanted."""
    size, count = len(data), 0
    while at + header <= size:
        if count == columns.shape[1]:
            return count, at, _FULL, 0
        captured = _number(data, at + 8, swapped)
        if captured > LONGEST:
            return count, at, _DAMAGED, 0
        begin = at + header
        if captured > size - begin:
            return count, at, _MORE, header + captured
        time = _number(data, at, swapped) * 1_000_000 + _number(data, at + 4, swapped) // unit
        at = begin + captured
        columns[0, count] = begin
        columns[1, count] = at
        columns[2, count] = max(captured, min(_number(data, begin - header + 12, swapped), LONGEST))
        columns[3, count] = time
        columns[4, count] = link
        count += 1
    return count, at, _MORE, header


@compiled
def _microseconds(high, low, base, power):
    """Ticks of 1 / base ** power s as µs, rounded down; times past 2^62 are 2^62."""
    top = np.uint64(1) << np.uint64(62)
    million = np.uint64(1_000_000)
    ticks = np.uint64(high) << np.uint64(32) | np.uint64(low)
    if base == 10:
        step = np.uint64(1)
        for _ in range(min(abs(power - 6), 20)):
            if step > np.uint64(10) ** np.uint64(18):
                return 0 if power > 6 else np.int64(top)  # the step is more ticks than there can be
            step *= np.uint64(10)
        if power >= 6:
            return np.int64(min(ticks // step, top))
        return np.int64(ticks * step if ticks <= top // step else top)
    if power < 32:
        whole = ticks >> np.uint64(power)
        if whole > top // million:
            return np.int64(top)
        rest = ticks & ((np.uint64(1) << np.uint64(power)) - np.uint64(1))
        return np.int64(whole * million + (rest * million >> np.uint64(power)))
    # In halves, as the product has up to 84 bits; the lowest 32 of them do not matter.
    half = np.uint64(high) * million + (np.uint64(low) * million >> np.uint64(32))
    return np.int64(half >> np.uint64(power - 32)) if power - 32 < 64 else 0


@compiled
def _walk_pcapng(data, at, swapped, interfaces, columns):
    """As `_walk_pcap`, of blocks; stops at each that is no packet, too."""
    size, count = len(data), 0
    while at + 12 <= size:
        if count == columns.shape[1]:
            return count, at, _FULL, 0
        kind = _number(data, at, swapped)
        if kind == _SECTION:  # the same in either order of bytes
            return count, at, _OTHER, 0
        length = _number(data, at + 4, swapped)
        if length < 12 or length % 4 or length > LONGEST:
            return count, at, _DAMAGED, 0
        if kind in (_INTERFACE, _SIMPLE_PACKET):
            return count, at, _OTHER, 0
        if at + length > size:
            return count, at, _MORE, length
        begin = at + 8
        if kind in (_PACKET, _OLD_PACKET) and length >= 32:
            number = _number(data, begin, swapped)
            if kind == _OLD_PACKET:  # of 16 bits, then how many were dropped
                number = number >> 16 if swapped else number & 0xFFFF
            captured = _number(data, begin + 12, swapped)
            if number >= len(interfaces) or captured > length - 32:
                return count, at, _DAMAGED, 0
            link, base, power, offset = interfaces[number]
            time = _microseconds(_number(data, begin + 4, swapped), _number(data, begin + 8, swapped), base, power)
            time += offset * 1_000_000
            if not 0 <= time <= _LATEST:
                return count, at, _NO_TIME, 0
            columns[0, count] = begin + 20
            columns[1, count] = begin + 20 + captured
            columns[2, count] = max(captured, min(_number(data, begin + 16, swapped), LONGEST))
            columns[3, count] = time
            columns[4, count] = link
            count += 1
        at += length
    return count, at, _MORE, 12
