"""A conversation inferred from a flow record: packets whose record is that one, or nearly.

A record does not say which packet had which size or which flag.  Here a connection opens with its SYN, then one side
speaks and the other answers, what is empty acknowledges, and FIN and RST come last; the sizes and gaps are such that
their statistics are the record's (`levels`, `times`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nids_jax.flows.compat import STREAMED, Compat
from nids_jax.flows.meter.cicflowmeter import EARLY
from nids_jax.flows.meter.stream import ACTIVITY_TIMEOUT
from nids_jax.flows.packets import ACK, FIN, ICMP, NO_ICMP, RST, SYN, TCP, UDP
from nids_jax.flows.simulate.inverse.levels import levels
from nids_jax.flows.simulate.inverse.records import FLAG_BITS, SIDES
from nids_jax.flows.simulate.inverse.times import STATISTICS, timed
from nids_jax.flows.simulate.network import TCP_HEADER, TIMESTAMPS, UDP_HEADER
from nids_jax.flows.simulate.script import DOWN, UP

_PADDING = 6  # bytes in an Ethernet frame with nothing in it but the headers of IP and TCP, without options
_SYN_OPTIONS = 20  # bytes, of Linux
_MOST_HEADER = 60  # bytes, of TCP


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """`p` packets in order of time."""

    protocol: int
    port: int  # the server's
    icmp: int  # type · 256 + code, or NO_ICMP
    empty: int  # bytes in a packet that carries none: of padding
    side: np.ndarray  # [p] UP or DOWN
    gap: np.ndarray  # [p] µs since the packet before; 0 of the first
    payload: np.ndarray  # [p] bytes, with padding where the meter counts that
    header: np.ndarray  # [p] bytes
    flags: np.ndarray  # [p]
    window: np.ndarray  # [p]

    def __len__(self) -> int:
        return len(self.side)


def infer(record: Mapping[str, float], compat: Compat) -> Conversation:
    """The conversation behind one record.

    Args:
      record: a row of `records.told`.
      compat: how it was metered.
    """
    up, down = int(record["total_fwd_packets"]), int(record["total_bwd_packets"])
    protocol = _protocol(record, up)
    wanted = np.maximum([record[name] for name in STATISTICS], 0)  # clocks that went backwards are not followed
    # The early meters do not look at a pause before the packet that ends a flow: so what they missed tells of the end.
    longest, idle = record["flow_iat_max"], record["idle_max"]
    ended = compat in EARLY and longest > ACTIVITY_TIMEOUT and idle < 0.99 * longest
    duration, up_total, down_total = (record[name] for name in ("flow_duration", "fwd_iat_total", "bwd_iat_total"))
    times = timed(up, down, duration, up_total, down_total, wanted, ended=ended)
    side = np.repeat([UP, DOWN], [up, down])
    time = np.concatenate(times)
    order = np.lexsort((side, time))
    side, time = side[order], time[order]
    empty = _empty(protocol, compat)
    length = np.zeros(len(side), np.int64)
    for each in (DOWN, UP):  # requests then go where they part the answers
        length[side == each] = _lengths(record, each, side, length, protocol, compat)
    flags = _flags(record, side, length > empty, compat) if protocol == TCP else np.zeros_like(side)
    if ended and protocol == TCP:
        flags[-1] |= FIN if side[-1] == DOWN else RST
    header = np.zeros(len(side), np.int64)
    for each in (UP, DOWN):
        mine = side == each
        header[mine] = _headers(record, SIDES[each], flags[mine], protocol)
    window = np.zeros(len(side), np.int64)
    if protocol == TCP:
        for each, name in ((UP, "fwd_init_win_bytes"), (DOWN, "bwd_init_win_bytes")):
            window[side == each] = int(np.clip(np.nan_to_num(record[name], nan=29_200), 0, 2**31 - 1))
    kind, code = record["icmp_type"], record["icmp_code"]
    known = protocol == ICMP and kind >= 0 and code >= 0
    return Conversation(
        protocol=protocol,
        port=int(np.clip(np.nan_to_num(record["destination_port"], nan=0), 0, 65535)),
        icmp=(int(kind) << 8 | int(code)) if known else NO_ICMP,
        side=side,
        gap=np.diff(time, prepend=0),
        payload=length,
        empty=empty,
        header=header,
        flags=flags,
        window=window,
    )


def _protocol(record: Mapping[str, float], up: int) -> int:
    """As recorded; else UDP where there are no windows or headers of eight bytes, and TCP otherwise."""
    if record["protocol"] >= 0:
        return int(record["protocol"])
    windows = [record[f"{side}_init_win_bytes"] for side in SIDES]
    flagged = any(record[f"{flag}_flag_count"] > 0 or record[f"first_{flag}"] > 0 for flag in FLAG_BITS)
    if flagged or any(window > 0 for window in windows):
        return TCP
    eight = record["fwd_header_length"] == UDP_HEADER * up or record["fwd_segment_size_min"] == UDP_HEADER
    return UDP if eight or windows[UP] < 0 else TCP


def _lengths(
    record: Mapping[str, float], each: int, side: np.ndarray, known: np.ndarray, protocol: int, compat: Compat
) -> np.ndarray:
    """Bytes of each packet of one side, in order of time, as the meter counts them; `known`: of the other side's."""
    name = SIDES[each]
    mine = np.flatnonzero(side == each)
    first = record["first_length"] if each == UP else np.nan
    filled = None
    least, most, std = (record[f"{name}_packet_length_{of}"] for of in ("min", "max", "std"))
    if each == UP and least == 0 and record["fwd_act_data_packets"] >= 0:
        filled = int(record["fwd_act_data_packets"]) + (compat not in STREAMED and first > 0.5)
    values = levels(len(mine), record[f"total_length_of_{name}_packets"], least, most, std, filled)
    empty = _empty(protocol, compat)
    spoken, silent = values[values > empty], values[values <= empty]
    result = np.empty(len(mine), np.int64)
    places = np.arange(len(mine)) if protocol != TCP else _free(len(spoken), mine, side)
    chosen = places[_speaking(len(spoken), np.cumsum((side != each) & (known > empty))[mine[places]], record, name)]
    result[chosen] = spoken
    result[np.setdiff1d(np.arange(len(mine)), chosen)] = silent
    if len(mine) and not np.isnan(first):  # the packet that is counted twice
        other = int(np.argmin(np.abs(result - first)))
        result[[0, other]] = result[[other, 0]]
    return result


def _empty(protocol: int, compat: Compat) -> int:
    """The most bytes that a meter may count in a packet that carries none."""
    return _PADDING if protocol == TCP and compat in EARLY and EARLY[compat].padded else 0


def _free(count: int, mine: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The packets of a side that may carry data: not the handshake's nor the last, if the others are enough."""
    n = len(mine)
    begin = 0 if not n else 2 if side[mine[0]] == UP and n > 2 else 1
    end = max(n - 1, begin + count)
    begin = max(0, min(begin, n - count))
    return np.arange(begin, min(end, n))


def _speaking(count: int, heard: np.ndarray, record: Mapping[str, float], name: str) -> np.ndarray:
    """Which `count` of a side's packets carry data: spread so that both sides' runs of data are as long as recorded.

    Args:
      heard: [m] packets with data that the other side has sent before each, never falling.
      record: whose bulks say how long runs are; without any the sides take turns.
    """
    m = len(heard)
    if count >= m or not count:
        return np.arange(min(count, m))
    own, others = (
        max(int(np.nan_to_num(record[f"{side}_packets_bulk_avg"])), 1) for side in (name, SIDES[1 - SIDES.index(name)])
    )
    each = np.arange(count)
    if not heard[-1]:
        return each if own > 1 else (each * m) // count
    after = (each // own * own) * heard[-1] / count  # how much is to be heard before each
    after = np.floor(after / others) * others
    chosen = np.searchsorted(heard, after, side="left")
    chosen = np.maximum.accumulate(chosen - each) + each  # each later than the one before
    return np.minimum(chosen, m - count + each)


def _flags(record: Mapping[str, float], side: np.ndarray, data: np.ndarray, compat: Compat) -> np.ndarray:
    """TCP flags of each packet; the counts are the record's, and where it says nothing, those of a usual connection."""
    n = len(side)
    each = np.arange(n)
    up, down = each[side == UP], each[side == DOWN]
    flags = np.full(n, ACK)

    def mark(flag: str, count: float, *candidates: np.ndarray) -> None:
        """Set a flag in the first `count` of the candidates; what is known of the first packet goes before."""
        first = record[f"first_{flag}"]
        order = dict.fromkeys(np.concatenate([each[: int(first > 0)], *candidates]).tolist())
        chosen = [place for place in order if place or first != 0]
        flags[chosen[: int(np.nan_to_num(count))]] |= 1 << FLAG_BITS.index(flag)

    def count(flag: str, usual: float = 0.0) -> float:
        return float(np.nan_to_num(record[f"{flag}_flag_count"], nan=usual))

    opens = float(np.nan_to_num(record["first_syn"], nan=count("syn", usual=not data[0]))) > 0
    hellos = count("syn", usual=opens * min(1 + len(down), 2))
    mark("syn", hellos, each[: int(opens)], down[:1], each[~data], each)
    latest = np.sort(np.concatenate([up[-1:], down[-1:]]))[::-1]
    if compat in STREAMED:
        one_side = np.concatenate(
            [up[~data[up]][::-1], up[::-1]]
        )  # more than two are repeats, because the other side does not answer
        mark("fin", count("fin"), one_side if count("fin") > 2 else latest, each[~data][::-1], each[::-1])
        closing = each[::-1]
    else:  # the meter ends a flow at the responder's FIN or a RST, and drops further FINs of the initiator
        closing = each[-1:]
        mark("fin", count("fin"), closing, up[1:][::-1][:1])
    turns = np.append(np.diff(side) != 0, True)
    spoken = np.concatenate([each[data & turns], each[data & ~turns], each[~data]])
    for flag, places in (("rst", closing), ("psh", spoken), ("urg", each)):
        told_apart = [record[f"{name}_{flag}_flags"] for name in SIDES]
        if np.isnan(told_apart).any():
            mark(flag, count(flag, usual=float((data & turns).sum()) if flag == "psh" else 0.0), places)
        else:
            for value, number in zip((UP, DOWN), told_apart, strict=True):
                mark(flag, number, places[side[places] == value])
    for flag in ("ece", "cwr"):
        mark(flag, count(flag), each)

    bare = np.concatenate([up[flags[up] & (SYN | RST) > 0], each[flags & RST > 0], each[~data], each])
    without = max(n - count("ack", usual=n - float(hellos > 0)), 0)
    flags[list(dict.fromkeys(bare.tolist()))[: int(without)]] &= 255 - ACK
    for place, flag in enumerate(FLAG_BITS):  # where the meter looks at the first packet alone
        shown = record[f"first_{flag}"]
        if not np.isnan(shown):
            flags[0] = flags[0] | 1 << place if shown > 0 else flags[0] & ~(1 << place)
    return flags


def _headers(record: Mapping[str, float], name: str, flags: np.ndarray, protocol: int) -> np.ndarray:
    """Bytes of the transport header of each packet of one side; where the record's cannot be, the usual ones."""
    n = len(flags)
    total, least = record[f"{name}_header_length"], record["fwd_segment_size_min"] if name == "fwd" else np.nan
    syn, rst = flags & SYN > 0, flags & RST > 0
    if not n or not protocol or not total >= n:  # CICFlowMeter writes nonsense where a packet has no such header
        options = np.where(syn, _SYN_OPTIONS, np.where(rst, 0, TIMESTAMPS))
        return TCP_HEADER + options if protocol == TCP else np.full(n, UDP_HEADER if protocol else 0)
    usual = TCP_HEADER if protocol == TCP and total >= TCP_HEADER * n else int(total) // n
    header = np.full(n, int(least) if 0 < least <= total / n else usual)
    left = int(total) - int(header.sum())
    for chosen, most in (
        (syn, TCP_HEADER + _SYN_OPTIONS),
        (~syn & ~rst, TCP_HEADER + TIMESTAMPS),
        (np.ones(n, bool), _MOST_HEADER),
    ):
        room = np.where(chosen, np.maximum(most - header, 0), 0)
        given = np.clip(left - (np.cumsum(room) - room), 0, room)
        header += given
        left -= int(given.sum())
    header[0] += left
    return header
