"""Frames of a capture to packet columns, all at once: link layer, VLAN tags, IPv4 and IPv6 with its further headers.

Sources: RFC 791, 8200, 4302, 9293, 768, 2516; the link types of tcpdump.org; IEEE 802.1Q.
"""

import ipaddress
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nids_jax.flows.packets import ICMP, ICMPV6, TCP, UDP, Packets

_IPV4, _IPV6, _PPPOE = 0x0800, 0x86DD, 0x8864
_TAGS = (0x8100, 0x88A8, 0x9100)
# Link type → where the frame says what it carries, and where that begins: Ethernet, Linux "cooked" 1 and 2.
_TYPED = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
# Link type → where the IP packet begins: raw IP as various systems number it, BSD loopback.
_BARE = {12: 0, 14: 0, 101: 0, 228: 0, 229: 0, 0: 4, 108: 4}
_FRAGMENT, _AUTHENTICATION, _NOTHING = 44, 51, 59
_EXTENSIONS = (0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140)  # headers between IPv6 and what it carries
_DEEPEST = 8  # headers or tags in a row; more are taken for a packet of no known protocol
_MAPPED = 0xFFFF << 32  # an IPv4 address as an IPv6 one: ::ffff:a.b.c.d


class Frames(NamedTuple):
    """Where `f` frames lie among a capture's bytes."""

    begin: np.ndarray  # [f] int64
    end: np.ndarray
    length: np.ndarray  # bytes as sent, of which the capture may have kept fewer
    time: np.ndarray  # µs since the epoch
    link: np.ndarray  # link type

    def take(self, rows: np.ndarray) -> "Frames":
        """The frames at `rows`."""
        return Frames(*(column[rows] for column in self))


class Found(NamedTuple):
    """The IP packets of some frames."""

    packets: Packets
    hosts: tuple[str, ...]  # address of each host number
    left_out: Mapping[str, int]  # why → frames that hold none


class _Bytes:
    """Numbers of several bytes, the highest first, at an array of places; past the end anything."""

    def __init__(self, data: np.ndarray):
        self._data = data if len(data) else np.zeros(1, np.uint8)

    def __call__(self, at: np.ndarray, count: int = 1) -> np.ndarray:
        """At places at [k] → [k] uint64 for eight bytes, else int64."""
        value = np.zeros(len(at), np.uint64)
        for i in range(count):
            value = value << np.uint64(8) | self._data[np.minimum(at + i, len(self._data) - 1)]
        return value if count == 8 else value.astype(np.int64)


def packets_in(data: np.ndarray, frames: Frames) -> Found:
    """The IP packets in the frames of a capture, in their order.

    A payload is as long as the IP header says, even where less was captured.  Where a packet is a fragment without
    the transport header, or that is impossible or was not captured whole, ports, header and flags are 0.  ICMP's header
    has 8 bytes, in both versions.  What travels in tunnels stays packed.

    Args:
      data: the capture's bytes [n] uint8.
    """
    read = _Bytes(data)
    left_out: Counter[str] = Counter()
    at = _network(read, frames, left_out)
    version = np.where(at < frames.end, read(at) >> 4, 0)
    whole = ((version == 4) & (at + 20 <= frames.end)) | ((version == 6) & (at + 40 <= frames.end))
    left_out["IP header cut off or damaged"] = int(np.count_nonzero(~whole)) - left_out.total()
    frames, at, version = frames.take(whole), at[whole], version[whole]
    start, stop, protocol, first = _internet(read, frames, at, version == 6)
    source, destination, hosts = _hosts(read, at, version == 6)

    def there(number: int, length: int) -> np.ndarray:
        return first & (protocol == number) & (start + length <= np.minimum(frames.end, stop))

    words = read(start + 12) >> 4
    tcp, udp, icmp = there(TCP, 20) & (words >= 5), there(UDP, 8), there(ICMP, 8) | there(ICMPV6, 8)
    ports = tcp | udp
    header = np.select([tcp, udp | icmp], [words * 4, 8], 0)
    packets = Packets(
        time=frames.time,
        source=source,
        destination=destination,
        source_port=np.where(ports, read(start, 2), 0).astype(np.int32),
        destination_port=np.where(ports, read(start + 2, 2), 0).astype(np.int32),
        protocol=protocol.astype(np.int16),
        payload=np.maximum(stop - start - header, 0).astype(np.int32),
        header=header.astype(np.int32),
        flags=np.where(tcp, read(start + 13), 0).astype(np.uint8),
        window=np.where(tcp, read(start + 14, 2), 0).astype(np.int32),
    )
    return Found(packets, hosts, {why: count for why, count in left_out.items() if count})


def _network(read: _Bytes, frames: Frames, left_out: Counter[str]) -> np.ndarray:
    """Where each frame's IP packet begins, [f]; its end where it carries something else, or its link type is unknown,
    which is counted."""
    at = frames.end.copy()
    for link in np.unique(frames.link).tolist():
        rows = np.flatnonzero(frames.link == link)
        begin = frames.begin[rows]
        if link in _BARE:
            at[rows] = begin + _BARE[link]
        elif link in _TYPED:
            place, header = _TYPED[link]
            inner, kind = begin + header, read(begin + place, 2)
            for _ in range(_DEEPEST):
                tagged = np.isin(kind, _TAGS)
                if not tagged.any():
                    break
                kind, inner = np.where(tagged, read(inner + 2, 2), kind), inner + 4 * tagged
            session, inside = kind == _PPPOE, read(inner + 6, 2)
            carried = np.select([inside == 0x21, inside == 0x57], [_IPV4, _IPV6], 0)
            kind, inner = np.where(session, carried, kind), inner + 8 * session
            carries = (kind == _IPV4) | (kind == _IPV6)
            left_out["not IP"] += int(np.count_nonzero(~carries))
            at[rows] = np.where(carries, inner, frames.end[rows])
        else:
            left_out[f"link type {link}"] += len(rows)
    return at


def _internet(
    read: _Bytes, frames: Frames, at: np.ndarray, six: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where the transport header begins and the packet ends, its protocol, and whether it is no later fragment."""
    length = np.where(six, read(at + 4, 2) + 40, read(at + 2, 2))
    start = at + np.where(six, 40, np.maximum((read(at) & 15) * 4, 20))
    protocol = np.where(six, read(at + 6), read(at + 9))
    # Network cards that cut packets up themselves are handed ones of length 0.
    unknown = (length == 40 * six) & (protocol != _NOTHING)
    stop = np.where(unknown, frames.begin + frames.length, at + length)
    first = six | (read(at + 6, 2) & 0x1FFF == 0)
    for _ in range(_DEEPEST):
        more = six & first & np.isin(protocol, _EXTENSIONS) & (start + 8 <= frames.end)
        if not more.any():
            break
        fragment = more & (protocol == _FRAGMENT)
        words = read(start + 1)
        size = np.select([protocol == _FRAGMENT, protocol == _AUTHENTICATION], [8, (words + 2) * 4], (words + 1) * 8)
        first &= ~(fragment & (read(start + 2, 2) >> 3 > 0))
        protocol = np.where(more, read(start), protocol)
        start = start + np.where(more, size, 0)
    return start, stop, protocol, first


def _hosts(read: _Bytes, at: np.ndarray, six: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Numbers of the source and destination hosts, [p] each, and the hosts' addresses."""
    high, low = [], []
    for old, new in ((12, 8), (16, 24)):
        high.append(np.where(six, read(at + new, 8), np.uint64(0)))
        low.append(np.where(six, read(at + new + 8, 8), (read(at + old, 4) | _MAPPED).astype(np.uint64)))
    # Sorting one column of numbers is many times faster than sorting pairs.
    highs, high_of = np.unique(np.concatenate(high), return_inverse=True)
    lows, low_of = np.unique(np.concatenate(low), return_inverse=True)
    known, number = np.unique(high_of * len(lows) + low_of, return_inverse=True)
    names = []
    for code in known.tolist():
        address = ipaddress.IPv6Address(int(highs[code // len(lows)]) << 64 | int(lows[code % len(lows)]))
        names.append(str(address.ipv4_mapped or address))
    source, destination = number.reshape(2, -1).astype(np.int64)
    return source, destination, tuple(names)
