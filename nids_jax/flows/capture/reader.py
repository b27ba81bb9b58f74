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
from nids_jax.flows.capture.frames import Frames, packets_in
from nids_jax.flows.packets import Packets

_NANO, _MICRO, _PATCHED = 0xA1B23C4D, 0xA1B2C3D4, 0xA1B2CD34  # magic numbers; patched: longer record headers
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6  # pcapng's blocks
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}  # of bytes, by what a section begins with
_LONGEST = 1 << 28  # bytes; no frame is longer, so what says so is damaged
_LATEST = 1 << 53  # µs; later times are no times
_PIECE = 1 << 12  # bytes of a gzipped file unpacked at a time: what is lost before its damage, at most


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The IP packets of a capture file."""

    packets: Packets
    hosts: tuple[str, ...]  # address of each host number, IPv4 or IPv6
    frames: int  # packets of any kind in the file
    left_out: Mapping[str, int]  # why → frames that `packets` leaves out
    damage: str  # why the file was not read to its end; empty where it was


_COLUMNS = len(Frames._fields)  # of what is found about each frame


def read_capture(path: str | os.PathLike[str]) -> Capture:
    """The IP packets of a pcap or pcapng file, in its order.

    Of a file that is damaged or cut short, everything before that counts.

    Raises:
      InputError: the file cannot be read, does not fit into memory, is no capture, or has no times, or impossible ones.
    """
    try:
        data, whole = _content(Path(path))
        found = array("q")
        if len(data) < 4:
            raise InputError(f"{path} has {len(data)} bytes, too few for a capture; give pcap or pcapng")
        walk = _pcapng if data[:4].tobytes() == _SECTION.to_bytes(4) else _pcap
        read = walk(data, path, found)
        columns = np.array(found, np.int64).reshape(-1, _COLUMNS).T
        packets, hosts, left_out = packets_in(np.frombuffer(data, np.uint8), Frames(*columns))
    except MemoryError:
        raise InputError(f"{path} does not fit into memory; split it into smaller captures") from None
    damage = "" if whole else "its compression is damaged"
    damage = f"unreadable from byte {read:,} of {len(data):,} on" if read < len(data) else damage
    return Capture(packets=packets, hosts=hosts, frames=columns.shape[1], left_out=left_out, damage=damage)


def _content(path: Path) -> tuple[memoryview, bool]:
    """The file's bytes, read as they are needed, or unpacked where it is gzipped; whether these are all."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size:
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            else:
                data = memoryview(file.read())  # a pipe
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the capture {path}: {getattr(error, 'strerror', None) or error}") from None
    return _unpacked(data) if data[:2] == b"\x1f\x8b" else (data, True)


def _unpacked(data: memoryview) -> tuple[memoryview, bool]:
    """What can be unpacked, and whether that is all."""
    content, unpack, whole = bytearray(), zlib.decompressobj(wbits=31), False
    try:
        for at in range(0, len(data), _PIECE):
            rest = bytes(data[at : at + _PIECE])
            while rest:
                if unpack.eof:  # files may be strung together, and padded with zeros
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    unpack = zlib.decompressobj(wbits=31)
                content += unpack.decompress(rest)
                rest, whole = unpack.unused_data, unpack.eof
    except zlib.error:
        whole = False
    return memoryview(content), whole


def _pcap(data: memoryview, path: str | os.PathLike[str], found: array) -> int:
    """Appends the `_COLUMNS` of every frame to `found`; where the last whole record ends."""
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (_NANO, _MICRO, _PATCHED):
            break
    else:
        raise InputError(f"{path} is no capture: it begins with {data[:4].tobytes().hex()}; give pcap or pcapng")
    if len(data) < 24:
        raise InputError(f"{path} has {len(data)} bytes, too few for a capture; give pcap or pcapng")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF  # the bits above say how long checksums are
    unit, header = 1000 if magic == _NANO else 1, 24 if magic == _PATCHED else 16
    size, at, unpack, extend = len(data), 24, struct.Struct(order + "IIII").unpack_from, found.extend
    while at + header <= size:
        seconds, fraction, captured, sent = unpack(data, at)
        begin = at + header
        if captured > min(size - begin, _LONGEST):
            break
        at = begin + captured
        extend((begin, at, max(captured, min(sent, _LONGEST)), seconds * 1_000_000 + fraction // unit, link))
    return at


class _Interface(NamedTuple):
    link: int
    ticks: int  # per second
    offset: int  # s to add


def _pcapng(data: memoryview, path: str | os.PathLike[str], found: array) -> int:
    """As `_pcap`, of blocks."""
    size, at, order = len(data), 0, "<"
    interfaces: list[_Interface] = []
    while at + 12 <= size:
        if data[at : at + 4].tobytes() == _SECTION.to_bytes(4):
            order = _ORDERS.get(data[at + 8 : at + 12].tobytes(), "")
            if not order:
                break
            interfaces = []
        kind, length = struct.unpack_from(order + "II", data, at)
        begin, end = at + 8, at + length - 4
        if length < 12 or length % 4 or end + 4 > size:
            break
        if kind == _SIMPLE_PACKET:
            raise InputError(f"{path} holds packets without times (pcapng's simple packets); capture it with times")
        if kind == _INTERFACE:
            if begin + 8 > end:
                break
            interfaces.append(_interface(data, begin, end, order))
        elif kind in (_PACKET, _OLD_PACKET) and begin + 20 <= end:
            form = "IIIII" if kind == _PACKET else "HxxIIII"
            number, high, low, captured, sent = struct.unpack_from(order + form, data, begin)
            if number >= len(interfaces) or begin + 20 + captured > end:
                break
            link, ticks, offset = interfaces[number]
            time = (high << 32 | low) * 1_000_000 // ticks + offset * 1_000_000
            if not 0 <= time <= _LATEST:
                count = len(found) // _COLUMNS
                raise InputError(
                    f"{path}: packet {count} is of {time} µs after 1970, which is no time; leave the file out"
                )
            found.extend((begin + 20, begin + 20 + captured, max(captured, min(sent, _LONGEST)), time, link))
        at += length
    if at == 0:
        raise InputError(f"{path} is no capture: it begins like pcapng and does not go on so; give pcap or pcapng")
    return at


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
