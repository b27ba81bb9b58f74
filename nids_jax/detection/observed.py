"""What names flows and sums them up, whether they were metered or read from a table."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nids_jax.detection.community_id import community_id
from nids_jax.flows.capture import Hosts
from nids_jax.flows.capture.hosts import FIRST
from nids_jax.flows.meter import Flows

# What a table calls the columns that name a flow, as `schema.normalise` spells them, best first.
SPELLINGS = {
    "timestamp": ("timestamp", "start_time", "stime", "ts"),
    "source_ip": ("source_ip", "src_ip", "srcip", "saddr", "ipv4_src_addr"),
    "source_port": ("source_port", "src_port", "sport", "l4_src_port"),
    "destination_ip": ("destination_ip", "dst_ip", "dstip", "daddr", "ipv4_dst_addr"),
    "destination_port": ("destination_port", "dst_port", "dport", "dsport", "l4_dst_port"),
    "protocol": ("protocol", "proto"),
}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """`n` flows; what a table does not say is None."""

    count: int
    start: np.ndarray | None = None  # [n] int64 µs since 1970
    source_ip: np.ndarray | None = None  # [n] object: text
    source_port: np.ndarray | None = None  # [n] int64, −1 where it is not known
    destination_ip: np.ndarray | None = None
    destination_port: np.ndarray | None = None
    protocol: np.ndarray | None = None  # [n] int64, −1 where it is not known
    icmp: np.ndarray | None = None  # [n, 2] int64: type and code
    duration: np.ndarray | None = None  # [n] µs
    packets: np.ndarray | None = None  # [n, 2] int64: from the initiator and to it
    sizes: np.ndarray | None = None  # [n, 2] int64 bytes: payload, transport headers, IP headers without options
    end: np.ndarray | None = None  # [n] index into ENDS
    community_ids: tuple[str, ...] | None = None  # "" where one is not known


def of_flows(flows: Flows, hosts: Hosts) -> Observed:
    """What names metered flows."""
    place = {name: number for number, name in enumerate(flows.features)}

    def both(forward: str, backward: str) -> np.ndarray:
        return flows.x[:, [place[forward], place[backward]]].astype(np.int64)

    packets = both("total_fwd_packets", "total_bwd_packets")
    sizes = both("total_length_of_fwd_packets", "total_length_of_bwd_packets")
    sizes += both("fwd_header_length", "bwd_header_length")
    sizes += packets * np.where(flows.source < FIRST, 20, 40)[:, None]
    icmp = both("icmp_type", "icmp_code")
    ends = [np.asarray(each).tolist() for each in (flows.source, flows.destination)]
    binary = [[hosts.packed(number) for number in each] for each in ends]
    ports = [flows.source_port.tolist(), flows.destination_port.tolist()]
    rows = zip(*binary, *ports, flows.protocol.tolist(), map(tuple, icmp.tolist()), strict=True)
    return Observed(
        count=len(flows),
        start=flows.start,
        source_ip=hosts.names(flows.source),
        source_port=flows.source_port.astype(np.int64),
        destination_ip=hosts.names(flows.destination),
        destination_port=flows.destination_port.astype(np.int64),
        protocol=flows.protocol.astype(np.int64),
        icmp=icmp,
        duration=flows.x[:, place["flow_duration"]].astype(np.int64),
        packets=packets,
        sizes=sizes,
        end=flows.end,
        community_ids=tuple(community_id(*row) for row in rows),
    )


def of_table(columns: Mapping[str, np.ndarray], texts: Mapping[str, np.ndarray], count: int) -> Observed:
    """What names the rows of a table.

    Args:
      columns: [n] float64 each: numbers by canonical name.
      texts: [n] object each: cells by the names in SPELLINGS.
      count: n.
    """

    def numbers(name: str) -> np.ndarray | None:
        if name in columns:  # the model looks at it
            values = columns[name]
            return np.where(np.isfinite(values) & (values >= 0), values, -1).astype(np.int64)
        if name not in texts:
            return None
        return np.array([_whole(cell) for cell in texts[name].tolist()], np.int64)

    def pair(forward: str, backward: str) -> np.ndarray | None:
        if forward not in columns or backward not in columns:
            return None
        return np.nan_to_num(np.stack([columns[forward], columns[backward]], axis=1), posinf=0, neginf=0).astype(
            np.int64
        )

    found = {name: texts.get(name) for name in ("source_ip", "destination_ip")}
    found |= {name: numbers(name) for name in ("source_port", "destination_port", "protocol")}
    found["icmp"] = pair("icmp_type", "icmp_code")
    ids = None
    if all(found[name] is not None for name in ("source_ip", "destination_ip", "protocol")):
        ids = tuple(_id_of(found, row) for row in range(count))
    duration = columns.get("flow_duration")
    return Observed(
        count=count,
        start=_moments(texts["timestamp"]) if "timestamp" in texts else None,
        duration=None if duration is None else np.nan_to_num(duration, posinf=0, neginf=0).astype(np.int64),
        packets=pair("total_fwd_packets", "total_bwd_packets"),
        community_ids=ids,
        **found,
    )


def _whole(cell: str) -> int:
    """A port or protocol number; −1 where the cell is none."""
    try:
        value = float(cell)
    except ValueError:
        return {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132}.get(cell.strip().lower(), -1)
    return int(value) if value.is_integer() and 0 <= value <= 65535 else -1


def _id_of(found: Mapping[str, np.ndarray | None], row: int) -> str:
    def at(name: str, otherwise: int) -> int:
        values = found[name]
        return otherwise if values is None else int(values[row])

    def address(name: str) -> bytes:
        values = found[name]
        return ipaddress.ip_address("" if values is None else str(values[row]).strip()).packed

    try:
        source, destination = address("source_ip"), address("destination_ip")
    except ValueError:
        return ""
    protocol, source_port, destination_port = at("protocol", -1), at("source_port", -1), at("destination_port", -1)
    icmp = found["icmp"]
    kind, code = (-1, -1) if icmp is None else icmp[row].tolist()
    if not 0 <= protocol <= 255 or len(source) != len(destination):
        return ""
    if protocol in (1, 58) and min(kind, code) < 0:
        return ""
    if protocol in (6, 17, 132) and min(source_port, destination_port) < 0:
        return ""
    return community_id(source, destination, max(source_port, 0), max(destination_port, 0), protocol, (kind, code))


def _moments(cells: np.ndarray) -> np.ndarray | None:
    """Times in ISO 8601, or numbers since 1970, as µs; None where not all are so: other orders of day are a guess."""
    # Here: pyarrow, which captures do without.
    from nids_jax.data.io.moments import iso_microseconds, number_microseconds

    for read in (iso_microseconds, number_microseconds):
        found = read(cells.tolist())
        if np.isfinite(found).all():
            return found.astype(np.int64)
    return None
