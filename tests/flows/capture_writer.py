"""Packets and the captures that hold them, written byte by byte."""

import ipaddress
import struct
from dataclasses import dataclass

from nids_jax.flows.packets import TCP, UDP


@dataclass(frozen=True)
class Sent:
    """One packet and how it travels."""

    time: int  # µs
    source: str
    destination: str
    ports: tuple[int, int]
    protocol: int
    payload: int
    options: int  # of TCP, in words
    flags: int
    window: int
    tags: int  # VLAN tags, on Ethernet
    further: int  # words of IPv4 options or headers after IPv6's own


def transport(sent: Sent) -> tuple[bytes, int]:
    """Header and payload, and the header's length."""
    ports = struct.pack(">HH", *sent.ports)
    if sent.protocol == TCP:
        words = 5 + sent.options
        head = ports + struct.pack(">IIBBHHH", 1, 2, words << 4, sent.flags, sent.window, 0, 0) + bytes(words * 4 - 20)
    elif sent.protocol == UDP:
        head = ports + struct.pack(">HH", 8 + sent.payload, 0)
    else:
        head = bytes([8, 0, 0, 0, 0, 0, 0, 0])
    return head + b"x" * sent.payload, len(head)


def internet(sent: Sent) -> bytes:
    body, _ = transport(sent)
    source, destination = ipaddress.ip_address(sent.source), ipaddress.ip_address(sent.destination)
    if source.version == 4:
        words = 5 + sent.further
        head = struct.pack(">BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), 7, 0x4000, 64, sent.protocol, 0)
        return head + source.packed + destination.packed + bytes(words * 4 - 20) + body
    chain = [0, 60, 43][: sent.further]  # hop by hop, for the destination, routing
    further = b"".join(
        bytes([following, i]) + bytes(6 + 8 * i) for i, following in enumerate([*chain, sent.protocol][1:])
    )
    length = len(further) + len(body)
    head = struct.pack(">IHBB", 6 << 28, length, [*chain, sent.protocol][0], 64)
    return head + source.packed + destination.packed + further + body


def framed(sent: Sent, link: int) -> bytes:
    packet = internet(sent)
    kind = struct.pack(">H", 0x0800 if packet[0] >> 4 == 4 else 0x86DD)
    if link == 1:
        return bytes(12) + b"\x81\x00\x00\x05" * sent.tags + kind + packet + b"\0" * max(46 - len(packet), 0)
    return {113: bytes(14) + kind, 276: kind + bytes(18), 0: b"\2\0\0\0", 101: b""}[link] + packet


def pcap(packets: list[Sent], link: int, order: str = "<", nano: bool = False) -> bytes:
    unit = 1000 if nano else 1
    parts = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for sent in packets:
        frame = framed(sent, link)
        seconds, fraction = divmod(sent.time, 1_000_000)
        parts += [struct.pack(order + "IIII", seconds, fraction * unit + unit - 1, len(frame), len(frame)), frame]
    return b"".join(parts)


def block(kind: int, body: bytes, order: str) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(packets: list[Sent], link: int, order: str = "<", power: int = 9, offset: int = 0) -> bytes:
    """A section with two interfaces, of which the second counts in 10^-power s from `offset` on."""
    section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    options = struct.pack(order + "HHBxxxHHqHH", 9, 1, power, 14, 8, offset, 0, 0)
    parts = [section, block(1, struct.pack(order + "HHI", 1, 0, 0), order)]
    parts += [block(1, struct.pack(order + "HHI", link, 0, 0) + options, order), block(5, bytes(12), order)]
    for sent in packets:
        frame = framed(sent, link)
        ticks = (sent.time - offset * 1_000_000) * 10**power // 1_000_000
        head = struct.pack(order + "IIIII", 1, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        parts.append(block(6, head + frame, order))
    return b"".join(parts)
