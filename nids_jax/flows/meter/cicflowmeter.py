"""Packets to flow records as CICFlowMeter makes them, over whole arrays.

Facts about CICFlowMeter are from its Java source (github.com/ahlashkari/CICFlowMeter: FlowGenerator, BasicFlow,
BasicPacketInfo, PacketReader) and were checked against what the program writes.  The meaning of the six later features
(RST counts, ICMP code and type, Total TCP Flow Time) is that of the corrected CIC-IDS2017 (Engelen et al. 2021, Liu et
al. 2022).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nids_jax.flows.meter.connections import FINISHED, TIMED_OUT
from nids_jax.flows.meter.flows import Flows
from nids_jax.flows.meter.splitting import Split, split_flows
from nids_jax.flows.meter.statistics import GAP, find_bulks, summarise
from nids_jax.flows.packets import ACK, CWR, ECE, FIN, PSH, RST, SYN, TCP, UDP, URG, Packets
from nids_jax.flows.schema import FEATURES

# The features in which `mended` records depart from CICFlowMeter, which adds the first packet of a flow twice to the
# length statistics and reads PSH and URG off the first packet only.
MENDED: frozenset[str] = frozenset(
    [
        "packet_length_mean",
        "packet_length_std",
        "packet_length_variance",
        "average_packet_size",
        "fwd_psh_flags",
        "bwd_psh_flags",
        "fwd_urg_flags",
        "bwd_urg_flags",
    ]
)


@dataclass(frozen=True)
class Early:
    """How the version of CICFlowMeter that a published dataset was made with differs from today's.

    The published rows say so: subflow features are the totals in all of them, bulks 0, and windows −1 where there is
    none.  Flags are 0 or 1, of the first packet alone, and stand under other names: the program kept them in a Java
    HashMap, which lists RST, PSH, ECE, SYN, ACK, FIN, URG, CWR in this order, under a header in another.  A pause
    before the packet that ends a flow is no idle time.  The rows of CIC-IDS2017 whose packets are at hand (14) agree in
    all features.
    """

    flags: Mapping[str, str]  # column → the flag that stands in it
    padded: bool  # the padding of Ethernet frames of less than 60 bytes counts as payload


_HEADER: tuple[str, ...] = ("fin", "syn", "rst", "psh", "ack", "urg", "cwr", "ece")
_LISTED: tuple[str, ...] = (
    "rst",
    "psh",
    "ece",
    "syn",
    "ack",
    "fin",
    "urg",
    "cwr",
)  # a HashMap of 16 buckets by String.hashCode
_AS_LISTED: dict[str, str] = dict(zip(_HEADER, _LISTED, strict=True))
EARLY = {
    "cicids2017": Early(flags=_AS_LISTED, padded=True),
    "cicids2018": Early(flags=_AS_LISTED, padded=False),
    # Here the columns are shifted by one, and the first is 0 throughout.
    "cicddos2019": Early(flags=dict(zip(_HEADER[1:], _LISTED[:-1], strict=True)), padded=True),
}
_SHORTEST = 46  # bytes of an Ethernet frame's content; shorter content is padded


def cicflowmeter(
    packets: Packets, *, timeout_us: int, activity_timeout_us: int, mended: bool = False, early: Early | None = None
) -> Flows:
    """Flow records as today's CICFlowMeter (Java) makes them, with its defects: [n flows, d features].

    Packets are taken in order of capture, so that inter-arrival times (and with them durations and rates) can be
    negative; how they are split into flows, see `splitting`.  The bulk features put the packets of both directions
    under backward, `bwd_init_win_bytes` is the window of the last backward packet, `fwd_act_data_packets` leaves out
    the first packet, `down_up_ratio`, subflow and bulk averages are rounded towards zero, subflow features divide by
    the number of pauses over 1 s, the last active period is not counted, ICMP's type and code are −1.  A rate over a
    duration of 0 is infinite, or NaN where nothing is divided (`fwd_packets_s` and `bwd_packets_s`: 0 for durations of
    0 and below).

    Args:
      packets: checked.
      timeout_us, activity_timeout_us: see `meter`.
      mended: depart from CICFlowMeter in the features `MENDED`, tell the two directions of traffic from a host to
        itself apart by port, keep flows of one packet (whose rates are 0), and keep the protocol number, header and
        payload of what is neither TCP nor UDP, where CICFlowMeter writes 0 and merges all such traffic of two hosts.
        The embedded simulated dataset and packet augmentation are metered so.
      early: as a published dataset was metered.

    Returns:
      The records, in order of their first packets.
    """
    exact = not mended
    if exact:
        packets = _without_other_protocols(packets)
    if early is not None and early.padded:
        content = np.where(packets.header > 0, 20 + packets.header + packets.payload, _SHORTEST)
        packets = replace(packets, payload=packets.payload + np.maximum(_SHORTEST - content, 0).astype(np.int32))
    split = split_flows(packets, timeout=timeout_us, by_host=exact)
    columns = _features(packets, split, activity_timeout=activity_timeout_us, exact=exact, early=early)
    count = np.diff(split.begin, append=len(split.rows))
    first = split.rows[split.begin]
    shown = np.flatnonzero(count > 1) if exact else np.arange(len(count))
    shown = shown[np.argsort(first[shown], kind="stable")]
    # A flow that a timeout began keeps the end points of the one before.
    origin, first = first[split.connection[shown]], first[shown]
    x = np.empty((len(FEATURES), len(shown)))
    for row, feature in zip(x, FEATURES, strict=True):
        row[:] = getattr(packets, feature.name)[origin] if feature.name in _KEYS else columns[feature.name][shown]
    return Flows(
        x=x.T,
        features=tuple(feature.name for feature in FEATURES),
        source=packets.source[origin],
        destination=packets.destination[origin],
        source_port=packets.source_port[origin],
        destination_port=packets.destination_port[origin],
        protocol=packets.protocol[origin],
        start=packets.time[first],
        packets=count[shown],
        first_packet=first,
        end=np.where(split.terminated[shown], FINISHED, TIMED_OUT).astype(np.int8),
    )


_NEVER = 2**62  # µs
_KEYS = ("destination_port", "protocol")  # features that are packet columns

_FLAGS = {"fin": FIN, "syn": SYN, "rst": RST, "psh": PSH, "ack": ACK, "urg": URG, "cwr": CWR, "ece": ECE}


def _without_other_protocols(packets: Packets) -> Packets:
    """CICFlowMeter's view: what carries no TCP or UDP header has neither ports, sizes nor a protocol number."""
    known = ((packets.protocol == TCP) | (packets.protocol == UDP)) & (packets.header > 0)
    if known.all():
        return packets
    blank = {name: np.where(known, column, 0) for name, column in vars(packets).items()}
    return replace(packets, **blank | {name: getattr(packets, name) for name in ("time", "source", "destination")})


def _features(
    packets: Packets, split: Split, *, activity_timeout: int, exact: bool, early: Early | None
) -> dict[str, np.ndarray]:
    """Every feature but the key columns, [n] each, in the order of `split`."""
    n = len(split.begin)
    flow, forward, rows = split.flow, split.forward, split.rows
    time, flags = packets.time[rows], packets.flags[rows]
    payload, header = packets.payload[rows].astype(np.int64), packets.header[rows].astype(np.int64)
    is_first = np.zeros(len(rows), bool)
    is_first[split.begin] = True
    last = np.append(split.begin[1:], len(rows))[:n] - 1
    both = np.ones(len(rows), bool)
    sides = {"fwd": forward, "bwd": ~forward}
    c: dict[str, np.ndarray] = {}

    duration = time[last] - time[split.begin]
    c["flow_duration"] = duration
    seconds = duration / 1e6
    for side, mask in sides.items():
        lengths = summarise(payload[mask], flow[mask], n)
        c[f"total_{side}_packets"] = lengths.count
        c[f"total_length_of_{side}_packets"] = lengths.total
        for statistic in ("max", "min", "mean", "std"):
            c[f"{side}_packet_length_{statistic}"] = getattr(lengths, statistic)
        c[f"{side}_segment_size_avg"] = lengths.mean
        c[f"{side}_packets_s"] = np.divide(lengths.count, seconds, out=np.zeros(n), where=seconds > 0)
        c[f"{side}_header_length"] = _sum(header[mask], flow[mask], n)
    c["fwd_header_length_1"] = c["fwd_header_length"]
    count = c["total_fwd_packets"] + c["total_bwd_packets"]
    c["flow_bytes_s"] = _rate(c["total_length_of_fwd_packets"] + c["total_length_of_bwd_packets"], seconds, count)
    c["flow_packets_s"] = _rate(count, seconds, count)

    times = 1 + is_first if exact else 1
    lengths = summarise(np.repeat(payload, times), np.repeat(flow, times), n)
    c["packet_length_mean"], c["packet_length_std"] = lengths.mean, lengths.std
    c["packet_length_max"], c["packet_length_min"] = lengths.max, lengths.min
    c["packet_length_variance"] = lengths.std**2
    c["average_packet_size"] = lengths.total / count

    for side, mask in {"flow": both, **sides}.items():
        gaps, owner = _gaps(time[mask], flow[mask])
        iat = summarise(gaps, owner, n)
        for statistic in ("max", "min", "mean", "std"):
            c[f"{side}_iat_{statistic}"] = getattr(iat, statistic)
        if side != "flow":
            c[f"{side}_iat_total"] = iat.total

    for name, bit in _FLAGS.items():
        flagged = flags & bit != 0
        c[f"{name}_flag_count"] = _count(flow[flagged], n)
        if name in ("psh", "urg", "rst"):
            read = flagged & is_first if exact and name != "rst" else flagged
            for side, mask in sides.items():
                c[f"{side}_{name}_flags"] = _count(flow[read & mask], n)

    c["down_up_ratio"] = c["total_bwd_packets"] // c["total_fwd_packets"]
    c |= _bulk_features(time, payload, flow, n)
    c |= _subflow_features(c, *_gaps(time, flow), n)
    c |= _active_features(time, flow, split, last, activity_timeout, ends_count=early is None)

    window = packets.window[rows]
    c["fwd_init_win_bytes"] = window[split.begin]
    final = np.maximum.reduceat(np.where(forward, -1, np.arange(len(rows))), split.begin)
    c["bwd_init_win_bytes"] = np.where(final < 0, 0, window[final])
    c["fwd_act_data_packets"] = _count(flow[forward & ~is_first & (payload > 0)], n)
    c["fwd_segment_size_min"] = summarise(header[forward], flow[forward], n).min
    c["icmp_code"] = c["icmp_type"] = np.full(n, -1)
    tcp = packets.protocol[rows[split.begin]] == TCP
    if early is not None:
        c |= _early_features(c, flags[split.begin], packets.protocol[rows], flow, forward, early)
    c["total_tcp_flow_time"] = np.where(tcp, time[last] - time[split.begin][split.connection], 0)
    return c


def _early_features(
    c: dict[str, np.ndarray],
    first: np.ndarray,
    protocol: np.ndarray,
    flow: np.ndarray,
    forward: np.ndarray,
    early: Early,
) -> dict[str, np.ndarray]:
    """The features that were others: `first` [n] has the flags of each flow's first packet."""
    n = len(first)
    found = {f"subflow_{side}_packets": c[f"total_{side}_packets"] for side in ("fwd", "bwd")}
    found |= {f"subflow_{side}_bytes": c[f"total_length_of_{side}_packets"] for side in ("fwd", "bwd")}
    found |= {f"bwd_{what}_avg": np.zeros(n) for what in ("bytes_bulk", "packets_bulk", "bulk_rate")}
    for name in _FLAGS:
        flag = early.flags.get(name)
        found[f"{name}_flag_count"] = (first & _FLAGS[flag] > 0).astype(np.int64) if flag else np.zeros(n, np.int64)
    for side, mask in (("fwd", forward), ("bwd", ~forward)):
        told = _count(flow[mask & (protocol == TCP)], n) > 0
        found[f"{side}_init_win_bytes"] = np.where(told, c[f"{side}_init_win_bytes"], -1)
    return found


def _count(flow: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(flow, minlength=n)


def _sum(values: np.ndarray, flow: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(flow, weights=values, minlength=n)


def _rate(amount: np.ndarray, seconds: np.ndarray, packets: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(packets > 1, amount / seconds, 0.0)


def _gaps(time: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times from packet to packet within a flow, and the flow of each."""
    inside = np.diff(flow) == 0
    return np.diff(time)[inside], flow[1:][inside]


def _bulk_features(time: np.ndarray, payload: np.ndarray, flow: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Averages over the bulks of either direction, under backward: CICFlowMeter takes no packet for a forward one."""
    data = payload > 0
    found = find_bulks(time[data], payload[data], flow[data], n)
    bulks = np.maximum(found.bulks, 1)
    rate = np.divide(found.size, found.duration / 1e6, out=np.zeros(n), where=found.duration != 0)
    none = np.zeros(n)
    return {
        "fwd_bytes_bulk_avg": none,
        "fwd_packets_bulk_avg": none,
        "fwd_bulk_rate_avg": none,
        "bwd_bytes_bulk_avg": found.size // bulks,
        "bwd_packets_bulk_avg": found.packets // bulks,
        "bwd_bulk_rate_avg": np.trunc(rate),
    }


def _subflow_features(c: dict[str, np.ndarray], gaps: np.ndarray, owner: np.ndarray, n: int) -> dict[str, np.ndarray]:
    pauses = _count(owner[gaps > GAP], n)
    divisor = np.maximum(pauses, 1)
    return {
        f"subflow_{side}_{what}": np.where(pauses > 0, c[total] // divisor, 0)
        for side in ("fwd", "bwd")
        for what, total in (("packets", f"total_{side}_packets"), ("bytes", f"total_length_of_{side}_packets"))
    }


def _active_features(
    time: np.ndarray, flow: np.ndarray, split: Split, last: np.ndarray, threshold: int, *, ends_count: bool
) -> dict[str, np.ndarray]:
    """Pauses longer than `threshold`, and how long the flow had been active before each of them.

    `ends_count`: so does a pause before the packet that ends a flow.
    """
    n = len(split.begin)
    gap = np.diff(time, prepend=time[:1])
    needed = np.full(len(time), threshold)
    # CICFlowMeter looks at the packet that ends a flow only where it also parts two subflows.
    needed[last[split.terminated]] = max(threshold, GAP) if ends_count else _NEVER
    idle = gap > needed
    idle[split.begin] = False
    opens = idle.copy()
    opens[split.begin] = True
    at = np.flatnonzero(opens)  # where an active period begins
    resumes = np.flatnonzero(idle[at])
    paused = at[resumes]
    active = time[paused - 1] - time[at[resumes - 1]]
    some = active > 0
    result = {}
    for name, values, owner in (("active", active[some], flow[paused[some]]), ("idle", gap[paused], flow[paused])):
        summary = summarise(values, owner, n)
        for statistic in ("mean", "std", "max", "min"):
            result[f"{name}_{statistic}"] = getattr(summary, statistic)
    return result
