"""Packet columns: what a capture reader or a simulator hands to the flow meter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
NO_ICMP = -1  # in the column `icmp`


@dataclass(frozen=True, kw_only=True)
class Packets:
    """`p` packets in order of capture, one array per column."""

    time: np.ndarray  # [p] int64, µs since the epoch
    source: np.ndarray  # [p] int64, a number per host address
    destination: np.ndarray  # [p] int64
    source_port: np.ndarray  # [p] int32, 0 without ports
    destination_port: np.ndarray  # [p] int32
    protocol: np.ndarray  # [p] int16, IP protocol number: 6 TCP, 17 UDP
    payload: np.ndarray  # [p] int32, bytes above the transport header
    header: np.ndarray  # [p] int32, bytes of the transport header
    flags: np.ndarray  # [p] uint8, TCP flag bits (FIN = 1 … CWR = 128), 0 without TCP
    window: np.ndarray  # [p] int32, TCP window as sent (unscaled), 0 without TCP
    icmp: np.ndarray  # [p] int32, ICMP's type · 256 + code, −1 without ICMP

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> "Packets":
        """The packets at `rows`, in that order."""
        return Packets(**{name: column[rows] for name, column in vars(self).items()})


TYPES = {
    **dict.fromkeys(("time", "source", "destination"), np.int64),
    **dict.fromkeys(("source_port", "destination_port", "payload", "header", "window", "icmp"), np.int32),
    "protocol": np.int16,
    "flags": np.uint8,
}


def concatenate(parts: Sequence[Packets]) -> Packets:
    """The packets of all parts, one after the other, in the types that `Packets` names; of none, no packets."""
    columns = {name: [np.empty(0, kind), *(getattr(part, name) for part in parts)] for name, kind in TYPES.items()}
    return Packets(**{name: np.concatenate(each, dtype=TYPES[name]) for name, each in columns.items()})
