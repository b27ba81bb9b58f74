"""Frames to packet columns, in compiled code: link layer, tags, IPv4 and IPv6 with its further headers, tunnels.

Sources: RFC 791, 8200, 4302, 9293, 768, 9260, 4340, 3828, 792, 4443, 1661, 1662, 2516, 2784, 2890, 2003, 2473, 7348,
8926; 3GPP TS 29.281; IEEE 802.1Q, 802.2 and 802.11; the link types of tcpdump.org; draft-foschiano-erspan-03.
"""

from dataclasses import fields
from typing import NamedTuple

import numpy as np

from nids_jax.compiled import compiled, inlined
from nids_jax.flows.capture.hosts import Hosts, number_of
from nids_jax.flows.capture.walk import Frames
from nids_jax.flows.packets import ICMP, ICMPV6, NO_ICMP, TCP, TYPES, UDP, Packets

PACKET, NOT_IP, DAMAGED, UNKNOWN_LINK = range(4)  # what a frame turned out to hold
_IPV4, _IPV6 = 0x0800, 0x86DD
_TAG, _TAG_SERVICE, _TAG_OLD, _MPLS, _MPLS_MANY = 0x8100, 0x88A8, 0x9100, 0x8847, 0x8848
_PPPOE, _BRIDGED, _ERSPAN_2, _ERSPAN_3 = 0x8864, 0x6558, 0x88BE, 0x22EB
_PPP_IPV4, _PPP_IPV6 = 0x21, 0x57
_SCTP, _DCCP, _UDP_LITE = 132, 33, 136
_IP_IN_IP, _IPV6_IN_IP, _GRE = 4, 41, 47
_VXLAN, _VXLAN_GPE, _GENEVE, _GTP = 4789, 4790, 6081, 2152  # UDP ports
_FRAGMENT, _AUTHENTICATION, _NOTHING = 44, 51, 59
_DEEPEST = 8  # headers, tags or tunnels in a row; more are taken for a packet of no known protocol
_NO_ID = -1  # whole packets have no identification


_COLUMNS = tuple(each.name for each in fields(Packets))  # those of the compiled function's table


class Decoded(NamedTuple):
    """What is in some frames."""

    packets: Packets
    kind: np.ndarray  # [f] int8 of every frame: PACKET, NOT_IP …
    fragment: np.ndarray  # [p] int64: −1 of a whole packet; twice the identification, and 1 more of a later fragment


def decode(data: np.ndarray, frames: Frames, hosts: Hosts, *, decapsulate: bool) -> Decoded:
    """The IP packets in the frames, in their order.

    A payload is as long as the IP header says, even where less was captured.  Where a packet is a fragment without
    the transport header, or that is impossible or was not captured whole, ports, header and flags are 0.  ICMP's header
    has 8 bytes, in both versions.

    Args:
      data: the bytes [n] uint8.
      hosts: gets the packets' hosts.
      decapsulate: read the packet inside a tunnel instead of the one outside.
    """
    n = len(frames.begin)
    hosts.make_room(2 * n)
    table = np.empty((n, len(TYPES)), np.int64)
    fragment, kind = np.empty(n, np.int64), np.empty(n, np.int8)
    found = _decode(
        data, *frames, decapsulate, hosts.known, hosts.count, hosts.buckets, hosts.salt, table, fragment, kind
    )
    columns = {name: table[:found, i].astype(TYPES[name]) for i, name in enumerate(_COLUMNS)}
    return Decoded(Packets(**columns), kind, fragment[:found])


@inlined
def _two(data, at):
    return np.int64(data[at]) << 8 | np.int64(data[at + 1])


@inlined
def _four(data, at):
    return _two(data, at) << 16 | _two(data, at + 2)


@compiled
def _eight(data, at):
    return np.uint64(_four(data, at)) << np.uint64(32) | np.uint64(_four(data, at + 4))


@compiled
def _typed(data, at, end, kind):
    """Where the IP packet begins, after an EtherType of `kind` that is followed by what begins at `at`; −1 without."""
    for _ in range(_DEEPEST):
        if kind in (_TAG, _TAG_SERVICE, _TAG_OLD):
            if at + 4 > end:
                return -1
            kind, at = _two(data, at + 2), at + 4
        elif kind in (_MPLS, _MPLS_MANY):
            while at + 4 <= end and not data[at + 2] & 1:  # the last label is marked
                at += 4
            at += 4
            if at >= end:
                return -1
            version = data[at] >> 4
            kind = _IPV4 if version == 4 else _IPV6 if version == 6 else 0
        elif kind == _PPPOE:
            return _ppp(data, at + 6, end)
        elif kind < 0x600:  # a length: IEEE 802.2 and its subnetwork access protocol follow
            if at + 8 > end or data[at] != 0xAA or data[at + 1] != 0xAA:
                return -1
            kind, at = _two(data, at + 6), at + 8
            if kind < 0x600:
                return -1
        else:
            break
    return at if kind in (_IPV4, _IPV6) else -1


@compiled
def _ethernet(data, at, end):
    return _typed(data, at + 14, end, _two(data, at + 12)) if at + 14 <= end else -1


@compiled
def _ppp(data, at, end):
    """As `_typed`, of a PPP frame, with address and control fields or without, and protocols of one byte or two."""
    if at + 2 <= end and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if at + 2 > end:
        return -1
    kind, size = (np.int64(data[at]), 1) if data[at] & 1 else (_two(data, at), 2)
    return at + size if kind in (_PPP_IPV4, _PPP_IPV6) else -1


@compiled
def _wireless(data, at, end):
    """As `_typed`, of an IEEE 802.11 frame that is neither encrypted nor an aggregate."""
    if at + 24 > end or (data[at] >> 2) & 3 != 2 or data[at] & 0x40 or data[at + 1] & 0x40:
        return -1  # no data frame, one without data, or a protected one
    size = 24 + 6 * (data[at + 1] & 3 == 3)
    if data[at] & 0x80:  # with quality of service
        size += 2 + 4 * (data[at + 1] >> 7)
    return _typed(data, at + size, end, 0)


@compiled
def _network(data, at, end, link):
    """Where the frame's IP packet begins; −1 where there is none, −2 where the link type is not known."""
    if link == 1:
        return _ethernet(data, at, end)
    if link in (12, 14, 101, 228, 229):  # raw IP as various systems number it
        return at
    if link in (0, 108):  # BSD loopback
        return at + 4
    if link == 113:  # Linux "cooked"
        return _typed(data, at + 16, end, _two(data, at + 14)) if at + 16 <= end else -1
    if link == 276:
        return _typed(data, at + 20, end, _two(data, at)) if at + 20 <= end else -1
    if link in (9, 50):
        return _ppp(data, at, end)
    if link == 51:
        return _typed(data, at, end, _PPPOE)
    if link == 104:  # Cisco's HDLC
        return _typed(data, at + 4, end, _two(data, at + 2)) if at + 4 <= end else -1
    if link == 105:
        return _wireless(data, at, end)
    if link in (127, 192) and at + 4 <= end:  # 802.11 behind Radiotap's or PPI's header, which says how long it is
        size = np.int64(data[at + 2]) | np.int64(data[at + 3]) << 8
        if link == 127:
            return _wireless(data, at + size, end)
        inner = np.int64(data[at + 4]) | np.int64(data[at + 5]) << 8 if at + 8 <= end else 0
        return (
            _wireless(data, at + size, end) if inner == 105 else _ethernet(data, at + size, end) if inner == 1 else -1
        )
    if link == 109:  # OpenBSD's encapsulating interface
        return at + 12
    if link == 117 and at < end:  # OpenBSD's packet filter log
        return at + (np.int64(data[at]) + 3) // 4 * 4
    if link == 239:  # Linux's netfilter log: type, length and value
        place = at + 4
        while place + 4 <= end:
            size = np.int64(data[place]) | np.int64(data[place + 1]) << 8
            kind = np.int64(data[place + 2]) | np.int64(data[place + 3]) << 8
            if kind == 9:
                return place + 4
            if size < 4:
                return -1
            place += (size + 3) // 4 * 4
        return -1
    return -2 if link not in (127, 192, 117) else -1


@compiled
def _is_ip(data, at, end):
    """Whether a whole IP header begins there."""
    if at < 0 or at >= end:
        return False
    version = data[at] >> 4
    return (version == 4 and at + 20 <= end) or (version == 6 and at + 40 <= end)


@compiled
def _internet(data, at, end, sent):
    """Where the transport header begins and the packet ends, its protocol, and its `Decoded.fragment`.

    `sent` is where the packet would end if the whole frame had been captured.
    """
    if data[at] >> 4 == 4:
        length = _two(data, at + 2)
        offset = _two(data, at + 6)
        part = _NO_ID if not offset & 0x3FFF else _two(data, at + 4) * 2 + (offset & 0x1FFF > 0)
        # Network cards that cut packets up themselves are handed ones of length 0.
        return at + max((data[at] & 15) * 4, 20), at + length if length else sent, np.int64(data[at + 9]), part
    length = _two(data, at + 4)
    start, protocol, part = at + 40, np.int64(data[at + 6]), _NO_ID
    stop = sent if not length and protocol != _NOTHING else start + length
    for _ in range(_DEEPEST):
        if start + 8 > end or protocol not in (0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140):
            break
        size = (np.int64(data[start + 1]) + 1) * 8
        if protocol == _FRAGMENT:
            size = 8
            if _two(data, start + 2) & 0xFFF9:
                part = _four(data, start + 4) * 2 + (_two(data, start + 2) >> 3 > 0)
        elif protocol == _AUTHENTICATION:
            size = (np.int64(data[start + 1]) + 2) * 4
        protocol = np.int64(data[start])
        start += size
        if part >= 0 and part & 1:
            break
    return start, stop, protocol, part


@compiled
def _inside(data, at, end, protocol):
    """Where the IP packet begins that travels in the tunnel whose header, of the transport `protocol`, begins at `at`;
    −1 where this is no tunnel."""
    inner = -1
    if protocol in (_IP_IN_IP, _IPV6_IN_IP):
        inner = at
    elif protocol == _GRE and at + 4 <= end and not data[at + 1] & 7:  # version 0
        bits, kind = data[at], _two(data, at + 2)
        start = at + 4 + 4 * (bits >> 7) + 4 * (bits >> 5 & 1) + 4 * (bits >> 4 & 1)
        if kind == _BRIDGED:
            inner = _ethernet(data, start, end)
        elif kind == _ERSPAN_2:
            inner = _ethernet(data, start + 8 * (bits >> 4 & 1), end)  # without sequence numbers there is no header
        elif kind == _ERSPAN_3 and start + 12 <= end:
            inner = _ethernet(data, start + 12 + 8 * (data[start + 11] & 1), end)
        else:
            inner = _typed(data, start, end, kind)
    elif protocol == UDP and at + 16 <= end:
        port, start = _two(data, at + 2), at + 8
        if port == _VXLAN and data[start] & 8:
            inner = _ethernet(data, start + 8, end)
        elif port == _VXLAN_GPE and data[start] & 12 == 12:
            kind = data[start + 3]
            inner = _ethernet(data, start + 8, end) if kind == 3 else start + 8 if kind in (1, 2) else -1
        elif port == _GENEVE and not data[start] & 0xC0:
            inside, kind = start + 8 + 4 * np.int64(data[start] & 63), _two(data, start + 2)
            inner = _ethernet(data, inside, end) if kind == _BRIDGED else _typed(data, inside, end, kind)
        elif port == _GTP and data[start] & 0xF0 == 0x30 and data[start + 1] == 255:
            inside = start + 8
            if data[start] & 7:
                inside += 4
                more = data[inside - 1] if inside <= end else 0
                while more and inside < end and data[inside]:
                    inside += 4 * np.int64(data[inside])
                    more = data[inside - 1] if inside <= end else 0
            inner = inside
    return inner if _is_ip(data, inner, end) else -1


@compiled
def _decode(data, begins, ends, lengths, times, links, decapsulate, known, count, buckets, salt, table, fragment, kind):
    """Fill a row of `table` and of `fragment` for each IP packet, and `kind` for each frame; the number of packets."""
    row = 0
    for i in range(len(begins)):
        end = ends[i]
        at = _network(data, begins[i], end, links[i])
        if at < 0:
            kind[i] = NOT_IP if at == -1 else UNKNOWN_LINK
            continue
        if not _is_ip(data, at, end):
            kind[i] = DAMAGED
            continue
        kind[i] = PACKET
        sent = begins[i] + lengths[i]
        start, stop, protocol, part = _internet(data, at, end, sent)
        if decapsulate:
            for _ in range(_DEEPEST):
                if part >= 0:
                    break
                inner = _inside(data, start, min(end, stop), protocol)
                if inner < 0:
                    break
                sent = min(stop, sent)
                at = inner
                start, stop, protocol, part = _internet(data, at, end, sent)
        source_port = destination_port = header = flags = window = 0
        icmp = NO_ICMP
        room = min(end, stop) - start
        if part < 0 or not part & 1:
            if protocol == TCP:
                words = np.int64(data[start + 12]) >> 4 if room >= 20 else 0
                if words >= 5:
                    header, flags, window = words * 4, np.int64(data[start + 13]), _two(data, start + 14)
            elif protocol in (UDP, _UDP_LITE):
                header = 8 if room >= 8 else 0
            elif protocol == _SCTP:
                header = 12 if room >= 12 else 0
            elif protocol == _DCCP:
                header = np.int64(data[start + 4]) * 4 if room >= 12 else 0
            elif protocol in (ICMP, ICMPV6) and room >= 8:
                header, icmp = 8, _two(data, start)
            if header and icmp == NO_ICMP:
                source_port, destination_port = _two(data, start), _two(data, start + 2)
        table[row, 0] = times[i]
        if data[at] >> 4 == 4:
            table[row, 1], table[row, 2] = _four(data, at + 12), _four(data, at + 16)
        else:
            for side in range(2):
                high, low = _eight(data, at + 8 + 16 * side), _eight(data, at + 16 + 16 * side)
                if high == 0 and low >> np.uint64(32) == 0xFFFF:  # an IPv4 address in IPv6's form
                    table[row, 1 + side] = np.int64(low & np.uint64(0xFFFFFFFF))
                else:
                    table[row, 1 + side] = number_of(high, low, known, count, buckets, salt)
        table[row, 3], table[row, 4], table[row, 5] = source_port, destination_port, protocol
        table[row, 6], table[row, 7], table[row, 8] = max(stop - start - header, 0), header, flags
        table[row, 9], table[row, 10] = window, icmp
        fragment[row] = part
        row += 1
    return row
