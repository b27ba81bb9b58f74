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
from nids_jax.flows.packets import ACK, FIN, ICMP, NO_ICMP, PSH, RST, SYN, TCP, UDP
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
    wanted = np.array([record[name] for name in STATISTICS])
    times = timed(up, down, record["flow_duration"], record["fwd_iat_total"], record["bwd_iat_total"], wanted)
    side = np.repeat([UP, DOWN], [up, down])
    time = np.concatenate(times)
    order = np.lexsort((side, time))
    side, time = side[order], time[order]
    empty = _empty(protocol, compat)
    length = np.zeros(len(side), np.int64)
    for each in (DOWN, UP):  # requests then go where they part the answers
        length[side == each] = _lengths(record, each, side, length, protocol, compat)
    flags = _flags(record, side, length > empty, compat) if protocol == TCP else np.zeros_like(side)
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
        max(int(np.nan_to_num(record[f"{side}_packets_bulk_avg"])), 1)
        for side in (name, SIDES[1 - SIDES.index(name)])
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
    counted = {flag: record[f"{flag}_flag_count"] for flag in FLAG_BITS}
    flags = np.full(n, ACK)

    def mark(bit: int, count: float, *candidates: np.ndarray) -> None:
        order = list(dict.fromkeys(np.concatenate(candidates).tolist()))
        flags[order[: int(np.nan_to_num(count))]] |= bit

    opens = record["first_syn"] if not np.isnan(record["first_syn"]) else counted["syn"]
    usual = 0.0 if data[0] else 1.0
    hellos = counted["syn"] if counted["syn"] >= 0 else np.nan_to_num(opens, nan=usual) * min(1 + len(down), 2)
    mark(SYN, hellos, up[:1] if np.nan_to_num(opens, nan=usual) else up[:0], down[:1], each[~data], each)
    exact = compat not in STREAMED
    last = each[-1:]
    ending = last if exact else np.concatenate([last, _latest(up, down), each[::-1]])
    if exact:  # the meter ends a flow at the responder's FIN or a RST, and drops further FINs of the initiator
        mark(FIN, counted["fin"], last, up[1:][::-1][:1])
    else:
        mark(FIN, counted["fin"], _latest(up, down), each[~data][::-1], each[::-1])
    if record["fwd_rst_flags"] >= 0 and record["bwd_rst_flags"] >= 0:
        for places, name in ((up, "fwd_rst_flags"), (down, "bwd_rst_flags")):
            mark(RST, record[name], np.intersect1d(places, last) if exact else places[::-1])
    else:
        mark(RST, counted["rst"], ending)
    turns = np.append(np.diff(side) != 0, True)
    spoken = np.concatenate([each[data & turns], each[data & ~turns], each[~data]])
    if record["fwd_psh_flags"] >= 0 and record["bwd_psh_flags"] >= 0:
        for value, name in ((UP, "fwd_psh_flags"), (DOWN, "bwd_psh_flags")):
            mark(PSH, record[name], spoken[side[spoken] == value])
    else:
        usual = float((data & turns).sum())
        mark(PSH, counted["psh"] if counted["psh"] >= 0 else usual, spoken)
    for place, flag in enumerate(FLAG_BITS[5:], start=5):
        known = flag == "urg" and record["fwd_urg_flags"] >= 0 and record["bwd_urg_flags"] >= 0
        if known:
            mark(1 << place, record["fwd_urg_flags"], up)
            mark(1 << place, record["bwd_urg_flags"], down)
        else:
            mark(1 << place, counted[flag], each)
    bare = np.concatenate(
        [
            up[:1][flags[up[:1]] & SYN > 0],
            up[1:][flags[up[1:]] & SYN > 0],
            up[flags[up] & RST > 0],
            down[flags[down] & RST > 0],
            each[~data],
            each,
        ]
    )
    without = n - counted["ack"] if counted["ack"] >= 0 else float(hellos > 0)
    cleared = list(dict.fromkeys(bare.tolist()))[: int(max(without, 0))]
    flags[cleared] &= 255 - ACK
    for place, flag in enumerate(FLAG_BITS):  # what the record says of the first packet alone
        shown = record[f"first_{flag}"]
        if not np.isnan(shown):
            flags[0] = flags[0] | 1 << place if shown > 0 else flags[0] & ~(1 << place)
    return flags


def _latest(up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The last packet of each side, the later one first."""
    return np.sort(np.concatenate([up[-1:], down[-1:]]))[::-1]


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
