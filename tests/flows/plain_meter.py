"""CICFlowMeter as a state machine, one packet at a time: slow and plain, for comparison with the vectorised meter.

Written from the Java source's rules with the standard library alone; nothing of nids_jax.flows.meter.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, stdev

import numpy as np

from nids_jax.flows.packets import Packets
from tests.flows.capture_reader import COLUMNS

FIN, RST, PSH, URG = 1, 4, 8, 32
SECOND = 1_000_000


@dataclass(frozen=True)
class Packet:
    time: int
    source: int
    destination: int
    source_port: int
    destination_port: int
    protocol: int
    payload: int
    header: int
    flags: int
    window: int
    icmp: int = -1


def to_columns(packets: list[Packet]) -> Packets:
    """The same packets as the vectorised meter takes them."""
    return Packets(**{name: np.array([getattr(p, name) for p in packets], kind) for name, kind in COLUMNS.items()})


@dataclass(frozen=True)
class Stream:
    """Packets from whole numbers: few hosts and ports, so that packets share flows."""

    pauses: tuple[int, ...]  # µs
    flags: tuple[int, ...]

    @property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """Of a packet's pause, end points, protocol, payload, header and flags."""
        ends = ((1, 2, 3), (1, 2, 3), (1, 2), (1, 2))
        return (self.pauses, *ends, (6, 6, 6, 17, 1), (0, 1, 6, 1460), (0, 20, 32), self.flags)

    @property
    def codes(self) -> int:
        """How many packets there are to choose from."""
        return math.prod(map(len, self.choices))

    def packets(self, start: int, hosts: int, codes: list[int], longest: int = 2**62) -> list[Packet]:
        """Packets of so many hosts from `start` on, none more than `longest` after the one before.

        A code, below `codes`, is one packet's fields.
        """
        time, packets = start, []
        for code in codes:
            fields = []
            for choices in self.choices:
                code, digit = divmod(code, len(choices))
                fields.append(choices[digit])
            pause, source, destination, source_port, destination_port, protocol, payload, header, flags = fields
            time = max(time + min(pause, longest), 0)
            tcp, icmp = protocol == 6, len(packets) if protocol == 1 else -1
            ends = (min(source, hosts), min(destination, hosts), source_port, destination_port)
            packets.append(Packet(time, *ends, protocol, payload, header, flags * tcp, len(packets) * tcp, icmp))
        return packets


@dataclass
class Flow:
    index: int  # of the first packet
    source: tuple[int, int]
    destination: tuple[int, int]
    protocol: int
    start: int
    connection_start: int
    last: int
    active_start: int
    active_end: int
    packets: list[tuple[Packet, bool]] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    initiator_fins: int = 0
    pauses: int = 0
    run_start: int = 0
    run_last: int = 0
    run_packets: int = 0
    run_bytes: int = 0
    bulks: int = 0
    bulk_packets: int = 0
    bulk_bytes: int = 0
    bulk_duration: int = 0

    def rest_or_work(self, now: int, threshold: int) -> None:
        if now - self.active_end > threshold:
            if self.active_end > self.active_start:
                self.active.append(self.active_end - self.active_start)
            self.idle.append(now - self.active_end)
            self.active_start = now
        self.active_end = now

    def add(self, packet: Packet, forward: bool, threshold: int) -> None:
        self._bulk(packet)
        if packet.time - self.last > SECOND:
            self.pauses += 1
            self.rest_or_work(packet.time, threshold)
        self.packets.append((packet, forward))
        self.last = packet.time

    def _bulk(self, packet: Packet) -> None:
        if packet.payload == 0:
            return
        if self.run_start == 0 or packet.time - self.run_last > SECOND:
            self.run_start, self.run_packets, self.run_bytes = packet.time, 1, packet.payload
        else:
            self.run_packets += 1
            self.run_bytes += packet.payload
            if self.run_packets == 4:
                self.bulks += 1
                self.bulk_packets += 4
                self.bulk_bytes += self.run_bytes
                self.bulk_duration += packet.time - self.run_start
            elif self.run_packets > 4:
                self.bulk_packets += 1
                self.bulk_bytes += packet.payload
                self.bulk_duration += packet.time - self.run_last
        self.run_last = packet.time


def plain_meter(packets: list[Packet], *, timeout: int, activity_timeout: int, java: bool) -> list[dict[str, float]]:
    """One dictionary a flow, in order of first packets: the features, and the keys `source`, `source_port`,
    `destination`, `start`, `packets`, `first_packet`."""
    table: dict[tuple, Flow] = {}
    flows: list[Flow] = []

    def begin(key: tuple, i: int, packet: Packet, before: Flow | None) -> None:
        flow = Flow(
            index=i,
            source=before.source if before else (packet.source, packet.source_port),
            destination=before.destination if before else (packet.destination, packet.destination_port),
            protocol=packet.protocol,
            start=packet.time,
            connection_start=before.connection_start if before else packet.time,
            last=packet.time,
            active_start=packet.time,
            active_end=packet.time,
        )
        flow.add(packet, True, activity_timeout)
        table[key] = flow
        flows.append(flow)

    for i, packet in enumerate(packets):
        if java and (packet.protocol not in (6, 17) or packet.header == 0):
            packet = Packet(packet.time, packet.source, packet.destination, 0, 0, 0, 0, 0, 0, 0)
        here = (packet.source, packet.source_port)
        there = (packet.destination, packet.destination_port)
        key = (min(here, there), max(here, there), packet.protocol)
        flow = table.get(key)
        if flow is None:
            begin(key, i, packet, None)
            continue
        if packet.time - flow.start > timeout:
            begin(key, i, packet, flow)
            continue
        forward = packet.source == flow.source[0] if java else here == flow.source
        if packet.flags & FIN:
            if forward:
                flow.initiator_fins += 1
                if flow.initiator_fins == 1:
                    flow.rest_or_work(packet.time, activity_timeout)
                    flow.add(packet, forward, activity_timeout)
            else:
                flow.add(packet, forward, activity_timeout)
                del table[key]
        elif packet.flags & RST:
            flow.add(packet, forward, activity_timeout)
            del table[key]
        else:
            flow.rest_or_work(packet.time, activity_timeout)
            flow.add(packet, forward, activity_timeout)
    return [_record(flow, java) for flow in flows if not java or len(flow.packets) > 1]


def _statistics(name: str, values: list[int]) -> dict[str, float]:
    return {
        f"{name}_mean": fmean(values) if values else 0,
        f"{name}_std": stdev(values) if len(values) > 1 else 0,
        f"{name}_max": max(values, default=0),
        f"{name}_min": min(values, default=0),
    }


def _towards_zero(a: int, b: int) -> int:
    return 0 if b == 0 else int(a / b)


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 else math.inf


def _record(flow: Flow, java: bool) -> dict[str, float]:
    every = [packet for packet, _ in flow.packets]
    sides = {
        "fwd": [packet for packet, forward in flow.packets if forward],
        "bwd": [packet for packet, forward in flow.packets if not forward],
    }
    duration = flow.last - flow.start
    lengths = [packet.payload for packet in every]
    counted = [lengths[0], *lengths] if java else lengths
    r: dict[str, float] = {
        "source": flow.source[0],
        "source_port": flow.source[1],
        "destination": flow.destination[0],
        "destination_port": flow.destination[1],
        "protocol": flow.protocol,
        "start": flow.start,
        "packets": len(every),
        "first_packet": flow.index,
        "flow_duration": duration,
        "total_tcp_flow_time": flow.last - flow.connection_start if flow.protocol == 6 else 0,
        "average_packet_size": sum(counted) / len(every),
        "packet_length_variance": stdev(counted) ** 2 if len(counted) > 1 else 0,
        "down_up_ratio": _towards_zero(len(sides["bwd"]), len(sides["fwd"])),
        "fwd_act_data_packets": sum(packet.payload >= 1 for packet in sides["fwd"][1:]),
        "fwd_segment_size_min": min(packet.header for packet in sides["fwd"]),
        "fwd_init_win_bytes": every[0].window,
        "bwd_init_win_bytes": sides["bwd"][-1].window if sides["bwd"] else 0,
        "fwd_bytes_bulk_avg": 0,
        "fwd_packets_bulk_avg": 0,
        "fwd_bulk_rate_avg": 0,
        "bwd_bytes_bulk_avg": _towards_zero(flow.bulk_bytes, flow.bulks),
        "bwd_packets_bulk_avg": _towards_zero(flow.bulk_packets, flow.bulks),
        "bwd_bulk_rate_avg": int(flow.bulk_bytes / (flow.bulk_duration / 1e6)) if flow.bulk_duration else 0,
        "icmp_code": -1,
        "icmp_type": -1,
    }
    single = len(every) == 1
    r["flow_bytes_s"] = 0 if single else _divide(sum(lengths), duration / 1e6)
    r["flow_packets_s"] = 0 if single else _divide(len(every), duration / 1e6)
    r |= _statistics("packet_length", counted)
    r |= _statistics("active", flow.active)
    r |= _statistics("idle", flow.idle)
    for side, packets in {"flow": every, **sides}.items():
        gaps = [b.time - a.time for a, b in pairwise(packets)]
        r |= _statistics(f"{side}_iat", gaps)
        if side != "flow":
            r[f"{side}_iat_total"] = sum(gaps)
    for side, packets in sides.items():
        sizes = [packet.payload for packet in packets]
        r |= _statistics(f"{side}_packet_length", sizes)
        r[f"{side}_segment_size_avg"] = fmean(sizes) if sizes else 0
        r[f"total_{side}_packets"] = len(sizes)
        r[f"total_length_of_{side}_packets"] = sum(sizes)
        r[f"{side}_packets_s"] = len(sizes) / (duration / 1e6) if duration > 0 else 0
        r[f"{side}_header_length"] = sum(packet.header for packet in packets)
        r[f"subflow_{side}_packets"] = _towards_zero(len(sizes), flow.pauses)
        r[f"subflow_{side}_bytes"] = _towards_zero(sum(sizes), flow.pauses)
        for name, bit in (("psh", PSH), ("urg", URG), ("rst", RST)):
            read = packets if not java or name == "rst" else [p for p in packets if p is every[0]]
            r[f"{side}_{name}_flags"] = sum(packet.flags & bit != 0 for packet in read)
    r["fwd_header_length_1"] = r["fwd_header_length"]
    for k, name in enumerate(["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"]):
        r[f"{name}_flag_count"] = sum(packet.flags >> k & 1 for packet in every)
    return r
