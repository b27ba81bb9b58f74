"""Flow records, whichever way they were metered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nids_jax.flows.schema import FEATURES

# Why a record ended, by number: nothing more could join it; FINs; RST; the packets were at an end; lack of room.
ENDS = ("timeout", "closed", "reset", "stopped", "crowded out")


@dataclass(frozen=True, kw_only=True)
class Flows:
    """`n` flow records."""

    x: np.ndarray  # [n, d] float64, raw units
    features: tuple[str, ...]  # d canonical names: all of schema.FEATURES
    source: np.ndarray  # [n] int64, the initiator's host number
    destination: np.ndarray  # [n] int64
    source_port: np.ndarray  # [n] int32
    destination_port: np.ndarray  # [n] int32
    protocol: np.ndarray  # [n] int16
    start: np.ndarray  # [n] int64, µs since the epoch
    packets: np.ndarray  # [n] int64, number of packets counted
    first_packet: np.ndarray  # [n] int64, index into the packets
    end: np.ndarray  # [n] int8, index into ENDS

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> "Flows":
        """The records at `rows`, in that order."""
        return replace(self, x=self.x[rows], **{name: getattr(self, name)[rows] for name in _TYPES})


_TYPES = {
    **dict.fromkeys(("source", "destination", "start", "packets", "first_packet"), np.int64),
    **dict.fromkeys(("source_port", "destination_port"), np.int32),
    "protocol": np.int16,
    "end": np.int8,
}


def join(parts: Sequence[Flows]) -> Flows:
    """The records of all parts, one after another; of none, no records."""
    columns = {
        name: np.concatenate([np.empty(0, kind), *(getattr(part, name) for part in parts)], dtype=kind)
        for name, kind in _TYPES.items()
    }
    x = np.concatenate([np.empty((0, len(FEATURES))), *(part.x for part in parts)])
    return Flows(x=x, features=tuple(feature.name for feature in FEATURES), **columns)
