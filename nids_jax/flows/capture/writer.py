"""Packet columns to capture files: pcap (µs) and pcapng, Ethernet, IPv4 with TCP, UDP and ICMP's echo.

`wire` says what stands in the headers and `text` in the payloads; here they become bytes, a group of equal headers at
once.  A segment that the simulator hands over merged, as a network card's receive offload does, is one frame.

Sources: the IETF drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng; RFC 791, 792, 768, 9293, 7323, 1071.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.capture.wire import Addresses, Conversations, Datagrams, datagrams, merge, spans
from nids_jax.flows.packets import ICMP, SYN, TCP, UDP, Packets

Form = Literal["pcap", "pcapng"]

MSS = 1460  # bytes, as every SYN says
_SLICE = 1 << 22  # bytes of frames made at a time
_LONGEST = 65_535  # bytes of an IPv4 packet
_FRAGMENT = 1480  # bytes before a later fragment
_ETHERNET, _LEAST = 14, 60  # bytes of its header; of a frame, without its checksum
_BEFORE: dict[Form, int] = {"pcap": 16, "pcapng": 28}  # bytes before a frame

_COMMON = [
    *(("to", ">u8"), ("from", ">u4"), ("kind", ">u2")),  # MACs as 8 + 4 bytes: that of the sender crosses over
    *(("version", "u1"), ("service", "u1"), ("total", ">u2"), ("identification", ">u2"), ("fragment", ">u2")),
    *(("lifetime", "u1"), ("protocol", "u1"), ("check", ">u2"), ("source", ">u4"), ("destination", ">u4")),
]
_PORTS = [("source_port", ">u2"), ("destination_port", ">u2")]
_HEADERS = {
    TCP: [
        *_PORTS,
        *(("sequence", ">u4"), ("acknowledgement", ">u4"), ("words", "u1"), ("flags", "u1"), ("window", ">u2")),
        *(("checksum", ">u2"), ("urgent", ">u2")),
    ],
    UDP: [*_PORTS, ("length", ">u2"), ("checksum", ">u2")],
    ICMP: [("type", "u1"), ("code", "u1"), ("checksum", ">u2"), ("echo_id", ">u2"), ("echo_number", ">u2")],
}
_HEADER = {TCP: 20, UDP: 8, ICMP: 8}  # bytes

_END, _NOP = b"\0", b"\1"
_SAYS_MSS = b"\2\4" + MSS.to_bytes(2)
_SACK, _STAMPS = b"\4\2", b"\x08\x0a" + bytes(8)
# Bytes of options → what they are, on a SYN: Windows, Linux, macOS; and on other segments.
_ON_SYN = {
    12: _SAYS_MSS + _NOP + b"\3\3\x08" + _NOP * 2 + _SACK,
    20: _SAYS_MSS + _SACK + _STAMPS + _NOP + b"\3\3\7",
    24: _SAYS_MSS + _NOP + b"\3\3\6" + _NOP * 2 + _STAMPS + _SACK + _END * 2,
}


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Conversations by their 5-tuples, [c] each, in order of their first packets."""

    start: np.ndarray  # µs since the epoch
    source: np.ndarray  # uint32, address
    source_port: np.ndarray
    destination: np.ndarray
    destination_port: np.ndarray
    protocol: np.ndarray
    row: np.ndarray  # of the first packet, in the piece


def write_capture(file: BinaryIO, pieces: Iterable[Packets], form: Form = "pcap") -> Iterator[Labelled]:
    """Write packets to a capture, in order of time; the conversations of each piece, once its packets are taken.

    In memory at once are a piece, what of earlier pieces is later than its first packet, and a few MB of frames: about
    200 bytes a packet and the texts, several times as much while a piece is prepared.

    Args:
      pieces: each of whole conversations and in order of time, in order of their first packets.  A host that begins
        conversations in two pieces is two hosts.

    Raises:
      InputError: more hosts than there are addresses, a packet of more than 65,535 bytes, or a time after 2106.
    """
    file.write(_opening(form))
    held: Datagrams | None = None
    addresses = Addresses()
    for piece in pieces:
        if not len(piece):
            continue
        found, conversations = datagrams(piece, addresses)
        _check(found)
        yield _labelled(found, conversations)
        if held is not None:
            now = int(np.searchsorted(held.time, found.time[0]))
            _write(file, held, now, form)
            found = merge(held.take(np.arange(now, len(held))).shed(), found)
        held = found
    if held is not None:
        _write(file, held, len(held), form)


def _labelled(d: Datagrams, conversations: Conversations) -> Labelled:
    rows = conversations.first
    names = ("source", "source_port", "destination", "destination_port", "protocol")
    return Labelled(start=d.time[rows], row=rows, **{name: getattr(d, name)[rows] for name in names})


def _opening(form: Form) -> bytes:
    """What a file begins with: its version, and that there is Ethernet within, of any length."""
    if form == "pcap":
        return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    return section + struct.pack("<IIHHII", 1, 20, 1, 0, 262_144, 20)


def _lengths(d: Datagrams) -> np.ndarray:
    """Bytes of each packet's transport header as it is written."""
    tcp = np.clip(d.header // 4 * 4, 20, 60)
    known = np.isin(d.protocol, list(_HEADER)) & (d.header > 0)  # a later fragment has no header
    return np.where(known, np.where(d.protocol == TCP, tcp, 8), d.header)


def _check(d: Datagrams) -> None:
    longest = int((_lengths(d) + d.payload).max()) + 20
    if longest > _LONGEST:
        raise InputError(f"a packet has {longest:,} bytes with its headers; IPv4 takes {_LONGEST:,}")
    if d.time[0] < 0 or d.time[-1] >= 1_000_000 << 32:
        raise InputError("packets are of times before 1970 or after 2106; a capture has none for them")


def _write(file: BinaryIO, d: Datagrams, count: int, form: Form) -> None:
    """The first packets, some MB at a time."""
    total = np.cumsum(np.int64(_BEFORE[form] + _LEAST) + _lengths(d) + d.payload)
    begin = 0
    while begin < count:
        reached = total[begin - 1] if begin else 0
        end = min(max(int(np.searchsorted(total, reached + _SLICE, side="right")), begin + 1), count)
        file.write(_frames(d.take(np.arange(begin, end)), form).data)
        begin = end


def _frames(d: Datagrams, form: Form) -> np.ndarray:
    """The packets' records, one after another: uint8."""
    transport = _lengths(d)
    total = 20 + transport + d.payload
    length = np.maximum(_ETHERNET + total, _LEAST)
    before = _BEFORE[form]
    record = before + length + ((-length % 4 + 4) if form == "pcapng" else 0)
    ends = np.cumsum(record)
    begin = ends - record
    data = np.zeros(ends[-1], np.uint8)

    _put(data, begin, _record_heads(d, length, record, form))
    if form == "pcapng":
        _put(data, ends - 4, np.ascontiguousarray(record, "<u4").view(np.uint8).reshape(-1, 4))

    payload = begin + before + _ETHERNET + 20 + transport
    letters = d.text[spans(d.text_begin, d.text_length)]
    places = spans(np.zeros_like(d.text_length), d.text_length)
    data[np.repeat(payload, d.text_length) + places] = letters
    sums = np.append(0, np.cumsum(np.where(places % 2, letters, letters.astype(np.int64) << 8)))
    stop = np.cumsum(d.text_length)
    payload_sum = sums[stop] - sums[stop - d.text_length]

    # Packets whose headers are alike: protocol, length, and whether it is a SYN.
    syn = (d.protocol == TCP) & (d.flags & SYN != 0)
    groups, group = np.unique((d.protocol.astype(np.int64) << 17) + transport * 2 + syn, return_inverse=True)
    for i in range(len(groups)):
        rows = np.flatnonzero(group == i)
        heads = _headers(
            d.take(rows), int(groups[i] >> 17), int(transport[rows[0]]), bool(syn[rows[0]]), payload_sum[rows]
        )
        _put(data, begin[rows] + before, heads)
    return data


def _put(data: np.ndarray, at: np.ndarray, rows: np.ndarray) -> None:
    """Write rows [k, width] of bytes at places [k]."""
    width = rows.shape[1]
    np.lib.stride_tricks.sliding_window_view(data, width, writeable=True)[at] = rows


def _record_heads(d: Datagrams, length: np.ndarray, record: np.ndarray, form: Form) -> np.ndarray:
    columns = [d.time // 1_000_000, d.time % 1_000_000, length, length]
    if form == "pcapng":
        zero = np.zeros_like(d.time)
        columns = [zero + 6, record, zero, d.time >> 32, d.time & 0xFFFFFFFF, length, length]
    return np.stack(columns, axis=1).astype("<u4").view(np.uint8)


def _headers(d: Datagrams, protocol: int, transport: int, syn: bool, payload_sum: np.ndarray) -> np.ndarray:
    """Ethernet, IPv4 and transport headers of packets that have the same ones, [k, width] uint8."""
    known = protocol in _HEADERS and transport > 0
    options = transport - _HEADER[protocol] if known else transport
    form = np.dtype(
        [*_COMMON, *(_HEADERS[protocol] if known else []), *([("options", "u1", (options,))] if options else [])]
    )
    h = np.zeros(len(d), form)
    # 02:00:00:00:00:01 stands on the clients' side of the capturing point, 02:00:00:00:00:02 on the servers'.
    h["to"] = np.where(d.up, 0x0200000000020200, 0x0200000000010200)
    h["from"] = np.where(d.up, 1, 2)
    h["kind"], h["version"] = 0x0800, 0x45
    h["total"] = 20 + transport + d.payload
    # TCP's are not to be fragmented; without the header that its protocol has it is a later fragment.
    later = protocol in _HEADERS and not transport
    h["fragment"] = 0x2000 | _FRAGMENT // 8 if later else 0x4000 if protocol == TCP else 0
    h["protocol"] = protocol
    for name in ("identification", "lifetime", "source", "destination"):
        h[name] = getattr(d, name)
    h["check"] = ~_folded(_words(h, _ETHERNET, _ETHERNET + 20))
    if not known:
        return _bytes(h)

    if protocol == TCP:
        for name in ("source_port", "destination_port", "sequence", "acknowledgement", "flags", "window"):
            h[name] = getattr(d, name)
        h["words"] = transport // 4 << 4
        if options:
            h["options"] = _options(d, options, syn)
    elif protocol == UDP:
        h["source_port"], h["destination_port"] = d.source_port, d.destination_port
        h["length"] = transport + d.payload
    else:
        low, high = np.minimum(d.source, d.destination), np.maximum(d.source, d.destination)
        h["type"] = np.where(d.up, 8, 0)
        h["echo_id"] = (low * 31 + high) & 0xFFFF
        h["echo_number"] = d.identification
    pseudo = _words(h, _ETHERNET + 12, _ETHERNET + 20) + protocol + transport + d.payload if protocol != ICMP else 0
    check = np.uint16(~_folded(_words(h, _ETHERNET + 20, _ETHERNET + 20 + transport) + pseudo + payload_sum) & 0xFFFF)
    h["checksum"] = np.where(check == 0, 0xFFFF, check) if protocol == UDP else check
    return _bytes(h)


def _bytes(headers: np.ndarray) -> np.ndarray:
    return headers.view(np.uint8).reshape(len(headers), -1)


def _words(headers: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Sums of the 16-bit words of bytes begin … end − 1."""
    part = np.ascontiguousarray(_bytes(headers)[:, begin:end])
    return part.view(">u2").sum(axis=1, dtype=np.int64)


def _folded(total: np.ndarray) -> np.ndarray:
    """Sums of words, carries added: RFC 1071."""
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _options(d: Datagrams, length: int, syn: bool) -> np.ndarray:
    """TCP options of `length` bytes for each packet."""
    if syn:
        plain = _ON_SYN.get(length, _SAYS_MSS if length < 12 else _SAYS_MSS + _SACK + _STAMPS)
    else:
        plain = _NOP * 2 + _STAMPS if length >= 12 else b""
    plain = plain[:length].ljust(length, _NOP)
    filled = np.tile(np.frombuffer(plain, np.uint8), (len(d), 1))
    at = plain.find(_STAMPS)
    if at >= 0:
        both = np.stack([d.stamp, d.echo], axis=1).astype(">u4")
        filled[:, at + 2 : at + 10] = both.view(np.uint8)
    return filled
