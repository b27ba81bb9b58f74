"""Capture files to packet columns: pcap (µs and ns, either byte order) and pcapng, plain or gzipped.

Records are found one by one, as their lengths demand; what is in them is read for all frames at once (`frames`).

Sources: the IETF drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

import mmap
import os
import struct
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.frames import Frames, packets_in
from nids_jax.flows.packets import Packets

_NANO, _MICRO, _PATCHED = 0xA1B23C4D, 0xA1B2C3D4, 0xA1B2CD34  # magic numbers; patched: longer record headers
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6  # pcapng's blocks
_LONGEST = 1 << 28  # bytes; no frame is longer, so what says so is damaged


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The IP packets of a capture file."""

    packets: Packets
    hosts: tuple[str, ...]  # address of each host number, IPv4 or IPv6
    frames: int  # packets of any kind in the file
    left_out: Mapping[str, int]  # why → frames that `packets` leaves out
    damaged: bool  # whether the file ends within a frame, or goes on with something that is none


# What is found about each frame: its first byte within the file, the byte after it, µs since the epoch, its link type.
_COLUMNS = 4


def read_capture(path: str | os.PathLike[str]) -> Capture:
    """The IP packets of a pcap or pcapng file, in its order.

    Of a file that is cut short, everything before the cut counts.

    Raises:
      InputError: the file cannot be read, is no capture, or gives no times (pcapng's simple packets).
    """
    data, whole = _content(Path(path))
    magic = data[:4].tobytes()
    if len(data) < 4:
        raise InputError(f"{path} has {len(data)} bytes; a capture has 24 at least")
    found = array("q")
    walk = _pcapng if magic == _SECTION.to_bytes(4) else _pcap
    damaged = walk(data, path, found) or not whole
    columns = np.array(found, np.int64).reshape(-1, _COLUMNS).T
    read = packets_in(np.frombuffer(data, np.uint8), Frames(*columns))
    return Capture(
        packets=read.packets, hosts=read.hosts, frames=columns.shape[1], left_out=read.left_out, damaged=damaged
    )


def _content(path: Path) -> tuple[memoryview, bool]:
    """The file's bytes, read as they are needed, or unpacked where it is gzipped; whether these are all."""
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return memoryview(b""), True
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the capture {path}: {getattr(error, 'strerror', None) or error}") from None
    return _unpacked(data) if data[:2] == b"\x1f\x8b" else (data, True)


def _unpacked(data: memoryview) -> tuple[memoryview, bool]:
    """What can be unpacked, and whether that is all."""
    parts = []
    whole = False
    unpack = zlib.decompressobj(wbits=31)
    try:
        for at in range(0, len(data), 1 << 20):
            rest = bytes(data[at : at + (1 << 20)])
            while rest:
                unpack = zlib.decompressobj(wbits=31) if unpack.eof else unpack  # files may be strung together
                parts.append(unpack.decompress(rest))
                rest, whole = unpack.unused_data, unpack.eof
    except zlib.error:
        whole = False
    return memoryview(b"".join(parts)), whole


def _pcap(data: memoryview, path: str | os.PathLike[str], found: array) -> bool:
    """Appends `_COLUMNS` of every frame to `found`; whether what remains is no whole record."""
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (_NANO, _MICRO, _PATCHED):
            break
    else:
        raise InputError(f"{path} is no capture: it begins with {data[:4].tobytes().hex()}; give pcap or pcapng")
    if len(data) < 24:
        raise InputError(f"{path} has {len(data)} bytes; a capture has 24 at least")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF  # the bits above say how long checksums are
    unit, header = 1000 if magic == _NANO else 1, 24 if magic == _PATCHED else 16
    size, at, unpack, extend = len(data), 24, struct.Struct(order + "III").unpack_from, found.extend
    while at + header <= size:
        seconds, fraction, captured = unpack(data, at)
        begin = at + header
        if captured > min(size - begin, _LONGEST):
            break
        at = begin + captured
        extend((begin, at, seconds * 1_000_000 + fraction // unit, link))
    return at < size


class _Interface(NamedTuple):
    link: int
    ticks: int  # per second
    offset: int  # s to add


def _pcapng(data: memoryview, path: str | os.PathLike[str], found: array) -> bool:
    """As `_pcap`."""
    size, at, order = len(data), 0, "<"
    interfaces: list[_Interface] = []
    while at + 12 <= size:
        if data[at : at + 4].tobytes() == _SECTION.to_bytes(4):
            order = "<" if data[at + 8 : at + 12].tobytes() == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, length = struct.unpack_from(order + "II", data, at)
        begin, end = at + 8, at + length - 4
        if length < 12 or length % 4 or end + 4 > size:
            break
        if kind == _SIMPLE_PACKET:
            raise InputError(f"{path} holds packets without times (pcapng's simple packets); save it as pcap")
        if kind == _INTERFACE and begin + 8 <= end:
            interfaces.append(_interface(data, begin, end, order))
        elif kind in (_PACKET, _OLD_PACKET) and begin + 20 <= end:
            form = "IIII" if kind == _PACKET else "HxxIII"
            number, high, low, captured = struct.unpack_from(order + form, data, begin)
            if number >= len(interfaces) or begin + 20 + captured > end:
                break
            link, ticks, offset = interfaces[number]
            time = (high << 32 | low) * 1_000_000 // ticks + offset * 1_000_000
            found.extend((begin + 20, begin + 20 + captured, time, link))
        at += length
    return at < size


def _interface(data: memoryview, begin: int, end: int, order: str) -> _Interface:
    ticks, offset, at = 1_000_000, 0, begin + 8
    while at + 4 <= end:
        code, length = struct.unpack_from(order + "HH", data, at)
        at += 4
        if code == 0 or at + length > end:
            break
        if code == 9 and length == 1:  # if_tsresol
            power = data[at]
            ticks = 2 ** (power & 127) if power & 128 else 10**power
        elif code == 14 and length == 8:  # if_tsoffset
            offset = struct.unpack_from(order + "q", data, at)[0]
        at += length + (-length) % 4
    return _Interface(struct.unpack_from(order + "H", data, begin)[0], ticks, offset)
