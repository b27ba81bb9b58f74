"""A small reader of pcap and pcapng files, for tests of the meter alone: Ethernet, Linux cooked and raw IP."""

import struct
from pathlib import Path

import numpy as np

from nids_jax.flows.packets import ICMP, ICMPV6, TCP, UDP, Packets

COLUMNS = {
    "time": np.int64,
    "source": np.int64,
    "destination": np.int64,
    "source_port": np.int32,
    "destination_port": np.int32,
    "protocol": np.int16,
    "payload": np.int32,
    "header": np.int32,
    "flags": np.uint8,
    "window": np.int32,
    "icmp": np.int32,
}


def frames(data: bytes):
    """(time in µs, link type, frame) of every packet."""
    magic = data[:4]
    if magic == b"\n\r\r\n":
        yield from _pcapng(data)
        return
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    nanoseconds = magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, size, _ = struct.unpack_from(order + "IIII", data, at)
        yield (
            seconds * 1_000_000 + (fraction // 1000 if nanoseconds else fraction),
            link,
            data[at + 16 : at + 16 + size],
        )
        at += 16 + size


def _pcapng(data: bytes):
    at, order, interfaces = 0, "<", []
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            ticks, i = 1_000_000, 8
            while i + 4 <= len(body):
                code, length = struct.unpack_from(order + "HH", body, i)
                if code == 9:
                    value = body[i + 4]
                    ticks = 2 ** (value & 127) if value & 128 else 10**value
                i += 4 + length + (-length) % 4
            interfaces.append((struct.unpack_from(order + "H", body)[0], ticks))
        elif kind == 6:
            interface, high, low, captured = struct.unpack_from(order + "IIII", body)
            link, ticks = interfaces[interface]
            yield ((high << 32 | low) * 1_000_000) // ticks, link, body[20 : 20 + captured]
        at += size


def _network(link: int, frame: bytes) -> bytes | None:
    """The IP packet in a frame."""
    if link in (101, 12):
        return frame
    at = {1: 12, 113: 14}[link]
    kind = frame[at : at + 2]
    while kind in (b"\x81\x00", b"\x88\xa8"):
        at += 4
        kind = frame[at : at + 2]
    return frame[at + 2 :] if kind in (b"\x08\x00", b"\x86\xdd") else None


def read_packets(path: Path) -> tuple[Packets, dict[bytes, int]]:
    """The IP packets of a capture, and the number given to each address."""
    hosts: dict[bytes, int] = {}
    rows = []
    for time, link, frame in frames(path.read_bytes()):
        ip = _network(link, frame)
        if not ip or ip[0] >> 4 not in (4, 6):
            continue
        if ip[0] >> 4 == 4:
            start, protocol, source, destination = (ip[0] & 15) * 4, ip[9], ip[12:16], ip[16:20]
            end = struct.unpack_from(">H", ip, 2)[0] or len(ip)  # 0: left to the network card to fill in
            whole = struct.unpack_from(">H", ip, 6)[0] & 0x1FFF == 0
        else:
            start, protocol, source, destination = 40, ip[6], ip[8:24], ip[24:40]
            end, whole = 40 + struct.unpack_from(">H", ip, 4)[0], True
        segment = ip[start:]
        ports, header, flags, window, icmp = (0, 0), 0, 0, 0, -1
        if whole and protocol == TCP and len(segment) >= 20:
            ports, header, flags = struct.unpack_from(">HH", segment), (segment[12] >> 4) * 4, segment[13]
            window = struct.unpack_from(">H", segment, 14)[0]
        elif whole and protocol == UDP and len(segment) >= 8:
            ports, header = struct.unpack_from(">HH", segment), 8
        elif whole and protocol in (ICMP, ICMPV6) and len(segment) >= 8:
            header, icmp = 8, segment[0] << 8 | segment[1]
        ids = [hosts.setdefault(address, len(hosts)) for address in (source, destination)]
        rows.append((time, *ids, *ports, protocol, max(end - start - header, 0), header, flags, window, icmp))
    columns = np.array(rows, np.int64).reshape(-1, len(COLUMNS)).T
    table = {name: column.astype(kind) for (name, kind), column in zip(COLUMNS.items(), columns, strict=True)}
    return Packets(**table), hosts
