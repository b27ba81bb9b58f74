"""The default meter as a plain program: every packet of every flow kept in a list, features from those lists.

Written from the rules in the documentation with the standard library alone; nothing of nids_jax.flows.meter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from statistics import fmean, stdev

from tests.flows.plain_meter import Packet

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SECOND = 1_000_000
LINGER, REMEMBERED = 5 * SECOND, 600 * SECOND
Numbered = tuple[int, Packet]


@dataclass
class Connection:
    initiator: tuple[int, int]
    responder: tuple[int, int]
    began: int
    last: int
    fins: set[bool] = field(default_factory=set)  # which sides have sent FIN: True is the initiator
    acknowledged: set[bool] = field(default_factory=set)  # whose FIN is acknowledged
    closed: bool = False
    record: list[Numbered] = field(default_factory=list)

    def note(self, packet: Packet) -> None:
        up = (packet.source, packet.source_port) == self.initiator
        if packet.flags & ACK and (not up) in self.fins:
            self.acknowledged.add(not up)
        if packet.flags & FIN:
            self.fins.add(up)
        self.closed = self.closed or bool(packet.flags & RST) or self.acknowledged == {True, False}


def plain_connections(
    packets: list[Packet], *, timeout: int, activity_timeout: int, corrected: bool = False
) -> list[dict[str, float]]:
    """A dictionary a record, in order of first packets: features, and what names the flow.

    `corrected`: the features that the corrected CIC-IDS2017 means otherwise are as there.
    """
    table: dict[tuple, Connection] = {}
    done: list[dict[str, float]] = []

    def end(connection: Connection) -> None:
        if connection.record:
            found = features(connection, activity_timeout)
            done.append(found | as_corrected(connection, found) if corrected else found)
            connection.record = []

    for number, packet in sorted(enumerate(packets), key=lambda pair: pair[1].time):
        here, there = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
        key = (min(here, there), max(here, there), packet.protocol)
        tcp = packet.protocol == 6
        hello = tcp and packet.flags & (SYN | ACK) == SYN
        found = table.get(key)
        if found is not None:
            silent = packet.time - found.last
            if found.record and packet.time - found.record[0][1].time > timeout:
                end(found)
            over = (
                (found.closed and (hello or silent > LINGER))
                or (found.fins == {True, False} and hello)
                or (not found.record and (hello or silent > REMEMBERED))
            )
            if over:
                end(found)
                found = None
        if found is None:
            found = table[key] = Connection(here, there, packet.time, packet.time)
        found.last = packet.time
        found.record.append((number, packet))
        if tcp:
            found.note(packet)
    for connection in table.values():
        end(connection)
    return sorted(done, key=lambda record: (record["start"], record["first_packet"]))


def four(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, sample standard deviation, greatest, least; 0 without values."""
    if not values:
        return (0.0, 0.0, 0.0, 0.0)
    return (fmean(values), stdev(values) if len(values) > 1 else 0.0, max(values), min(values))


def over(value: float, by: float) -> float:
    return value / by if by > 0 else 0.0


def features(connection: Connection, activity_timeout: int) -> dict[str, float]:
    packets = [packet for _, packet in connection.record]
    first, last = packets[0], packets[-1]
    up = [p for p in packets if (p.source, p.source_port) == connection.initiator]
    down = [p for p in packets if (p.source, p.source_port) != connection.initiator]
    seconds = (last.time - first.time) / SECOND
    total = sum(p.payload for p in packets)
    f: dict[str, float] = {
        "first_packet": connection.record[0][0],
        "source": connection.initiator[0],
        "source_port": connection.initiator[1],
        "destination": connection.responder[0],
        "destination_port": connection.responder[1],
        "protocol": first.protocol,
        "start": first.time,
        "packets": len(packets),
        "flow_duration": last.time - first.time,
        "flow_bytes_s": over(total, seconds),
        "flow_packets_s": over(len(packets), seconds),
        "down_up_ratio": over(len(down), len(up)),
        "average_packet_size": total / len(packets),
        "fwd_act_data_packets": sum(p.payload > 0 for p in up),
        "fwd_segment_size_min": min((p.header for p in up), default=0),
        "icmp_type": first.icmp >> 8 if first.icmp >= 0 else -1,
        "icmp_code": first.icmp % 256 if first.icmp >= 0 else -1,
        "total_tcp_flow_time": last.time - connection.began if first.protocol == 6 else 0,
    }
    lengths = four([p.payload for p in packets])
    names = ("packet_length_mean", "packet_length_std", "packet_length_max", "packet_length_min")
    f |= dict(zip(names, lengths, strict=True))
    f["packet_length_variance"] = lengths[1] ** 2
    times = [p.time for p in packets]
    pauses = [b - a for a, b in pairwise(times)]
    subflows = 1 + sum(pause > SECOND for pause in pauses)
    for name, side in (("fwd", up), ("bwd", down)):
        sizes, gaps = [p.payload for p in side], [b.time - a.time for a, b in pairwise(side)]
        f[f"total_{name}_packets"], f[f"total_length_of_{name}_packets"] = len(side), sum(sizes)
        for what, value in zip(("mean", "std", "max", "min"), four(sizes), strict=True):
            f[f"{name}_packet_length_{what}"] = value
        for what, value in zip(("mean", "std", "max", "min"), four(gaps), strict=True):
            f[f"{name}_iat_{what}"] = value
        f[f"{name}_iat_total"] = sum(gaps)
        f[f"{name}_segment_size_avg"] = fmean(sizes) if sizes else 0.0
        f[f"{name}_packets_s"] = over(len(side), seconds)
        f[f"{name}_header_length"] = sum(p.header for p in side)
        f[f"{name}_init_win_bytes"] = side[0].window if side else 0
        f[f"subflow_{name}_packets"], f[f"subflow_{name}_bytes"] = len(side) // subflows, sum(sizes) // subflows
        for flag, bit in (("psh", PSH), ("urg", URG), ("rst", RST)):
            f[f"{name}_{flag}_flags"] = sum(p.flags & bit > 0 for p in side)
    f["fwd_header_length_1"] = f["fwd_header_length"]
    for what, value in zip(("mean", "std", "max", "min"), four(pauses), strict=True):
        f[f"flow_iat_{what}"] = value
    for bit, flag in enumerate(("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")):
        f[f"{flag}_flag_count"] = sum(p.flags >> bit & 1 for p in packets)
    f |= bulks(connection, [p for p in packets if p.payload])
    f |= activity(times, activity_timeout)
    return f


def bulks(connection: Connection, data: list[Packet]) -> dict[str, float]:
    runs: dict[str, list[list[Packet]]] = {"fwd": [], "bwd": []}
    for is_up, group in groupby(data, key=lambda p: (p.source, p.source_port) == connection.initiator):
        run: list[Packet] = []
        for p in group:
            if run and p.time - run[-1].time > SECOND:
                runs["fwd" if is_up else "bwd"].append(run)
                run = []
            run.append(p)
        runs["fwd" if is_up else "bwd"].append(run)
    found = {}
    for side, each in runs.items():
        long = [run for run in each if len(run) >= 4]
        size = sum(p.payload for run in long for p in run)
        found[f"{side}_bytes_bulk_avg"] = over(size, len(long))
        found[f"{side}_packets_bulk_avg"] = over(sum(map(len, long)), len(long))
        found[f"{side}_bulk_rate_avg"] = over(size, sum(run[-1].time - run[0].time for run in long) / SECOND)
    return found


def activity(times: list[int], threshold: int) -> dict[str, float]:
    active, idle, since = [], [], times[0]
    for a, b in pairwise(times):
        if b - a > threshold:
            if a > since:
                active.append(a - since)
            idle.append(b - a)
            since = b
    found = {}
    for name, values in (("active", active), ("idle", idle)):
        for what, value in zip(("mean", "std", "max", "min"), four(values), strict=True):
            found[f"{name}_{what}"] = value
    return found


def as_corrected(connection: Connection, found: dict[str, float]) -> dict[str, float]:
    packets = [packet for _, packet in connection.record]
    down = [p for p in packets if (p.source, p.source_port) != connection.initiator]
    other: dict[str, float] = {"bwd_init_win_bytes": down[-1].window if down else 0}
    for side in ("fwd", "bwd"):
        other[f"subflow_{side}_packets"] = found[f"total_{side}_packets"] // len(packets)
        other[f"subflow_{side}_bytes"] = found[f"total_length_of_{side}_packets"] // len(packets)
        for what in ("bytes_bulk", "packets_bulk", "bulk_rate"):
            other[f"{side}_{what}_avg"] = int(found[f"{side}_{what}_avg"])
    return other
