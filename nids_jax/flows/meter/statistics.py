"""Statistics of the values that belong to one flow, for all flows at once."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of the values of each of `n` flows; all 0 where a flow has none."""

    count: np.ndarray  # [n]
    total: np.ndarray  # [n]
    mean: np.ndarray  # [n]
    std: np.ndarray  # [n] with n − 1 in the denominator; 0 for a single value
    max: np.ndarray  # [n]
    min: np.ndarray  # [n]


def summarise(values: np.ndarray, flow: np.ndarray, n: int) -> Summary:
    """Count, sum, mean, sample standard deviation, greatest and least of `values` [k] in each of `n` flows.

    `flow` [k] names the flow of each value and never decreases.
    """
    count = np.bincount(flow, minlength=n)
    total, greatest, least = np.zeros(n), np.zeros(n), np.zeros(n)
    filled = count > 0
    at = (np.cumsum(count) - count)[filled]
    total[filled] = np.add.reduceat(values, at)
    greatest[filled] = np.maximum.reduceat(values, at)
    least[filled] = np.minimum.reduceat(values, at)
    mean = total / np.maximum(count, 1)
    squares = np.bincount(flow, weights=np.square(values - mean[flow]), minlength=n)
    return Summary(
        count=count,
        total=total,
        mean=mean,
        std=np.sqrt(squares / np.maximum(count - 1, 1)),
        max=greatest,
        min=least,
    )


@dataclass(frozen=True, kw_only=True)
class Bulks:
    """Bulk transfers of each of `n` flows."""

    bulks: np.ndarray  # [n]
    packets: np.ndarray  # [n] in bulks
    size: np.ndarray  # [n] bytes in bulks
    duration: np.ndarray  # [n] µs in bulks


BULK_PACKETS = 4
GAP = 1_000_000  # µs: a longer pause ends a bulk, and parts two subflows


def find_bulks(time: np.ndarray, size: np.ndarray, flow: np.ndarray, n: int) -> Bulks:
    """Runs of at least four packets with payload, none more than 1 s after the one before (in each of `n` flows).

    Args:
      time: [k] µs, of the packets with payload.
      size: [k] bytes of payload, each at least 1.
      flow: [k] never decreasing.
    """
    new_flow = np.diff(flow, prepend=-1) != 0
    opens = new_flow | (np.diff(time, prepend=time[:1]) > GAP)
    # CICFlowMeter writes "no run is open" as a start time of 0, so a run that opens at time 0 is opened again by the
    # packet after it.  Along a stretch of packets at time 0 this repeats.
    after_zero = np.append(False, time[:-1] == 0) & ~new_flow
    if after_zero.any():
        stretch = np.maximum.accumulate(np.where(after_zero, 0, np.arange(len(time))))  # where the stretch begins
        opens |= after_zero & opens[stretch]
    at = np.flatnonzero(opens)
    length = np.diff(at, append=len(time))
    bulk = length >= BULK_PACKETS
    owner = flow[at[bulk]]

    def per_flow(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(owner, weights=values, minlength=n).astype(float)

    return Bulks(
        bulks=per_flow(),
        packets=per_flow(length[bulk]),
        size=per_flow(np.add.reduceat(size, at)[bulk]),
        duration=per_flow((time[at + length - 1] - time[at])[bulk]),
    )
