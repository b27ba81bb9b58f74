"""Other records that the same flows could have left: their packets at other times, some of them sent again, metered.

Every rule between a record's quantities holds by construction, because packets are what is varied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.meter import TIMEOUT, Flows, meter_mended
from nids_jax.flows.meter.splitting import split_flows
from nids_jax.flows.packets import TCP, Packets, concatenate


@dataclass(frozen=True, kw_only=True)
class Variation:
    """How far packets are varied."""

    timing: float = 0.3  # σ of two log-normal factors on a gap between packets: one of the flow, one of the gap itself
    # Chance that a TCP packet with payload is captured a second time; after a FIN or RST that is no longer the flow's.
    resent: float = 0.0
    wait: tuple[float, float] = (0.2e6, 0.4e6)  # µs until then, uniform

    def __post_init__(self) -> None:
        if not 0 <= self.timing <= 2:
            raise InputError(f"timing is {self.timing}; give a deviation from 0 to 2, such as 0.3")
        if not 0 <= self.resent <= 1:
            raise InputError(f"resent is {self.resent}; give a share from 0 to 1")
        if not 0 <= self.wait[0] <= self.wait[1] < float("inf"):
            raise InputError(f"wait is {self.wait}; give two numbers of µs, the lesser first")


def first_flows(flows: Flows) -> np.ndarray:
    """The numbers [k] of the flows that begin a conversation: the first of each two-way 5-tuple, in order.

    What the meter makes of packets after a FIN, or after its timeout, is left out.
    """
    hosts = np.unique(np.stack([flows.source, flows.destination]), return_inverse=True)[1].reshape(2, -1)
    ends = hosts * 65536 + np.stack([flows.source_port, flows.destination_port])
    both = np.column_stack([ends.min(axis=0), ends.max(axis=0), flows.protocol])
    return np.sort(np.unique(both, axis=0, return_index=True)[1])


def packets_of(packets: Packets, flows: Flows, numbers: np.ndarray) -> list[Packets]:
    """The packets that each of the flows `numbers` counts, in order of capture.

    `meter_separately` gives the record of a conversation's first flow again.  A flow that a timeout began has its end
    points from the flow before, which its own packets do not tell.

    Args:
      packets: the capture.
      flows: what `meter_mended` gave for it with its own timeouts.

    Raises:
      InputError: the flows are not of these packets.
    """
    packets = concatenate([packets])
    split = split_flows(packets, timeout=TIMEOUT, by_host=False)
    place = {int(rows[0]): rows for rows in np.split(split.rows, split.begin[1:]) if len(rows)}
    found = []
    for number in np.asarray(numbers).tolist():
        first = int(flows.first_packet[number])
        rows = place.get(first, np.empty(0, np.int64))
        if len(rows) != flows.packets[number] or packets.time[first] != flows.start[number]:
            raise InputError(
                f"flow {number} has {flows.packets[number]} packets from number {first} on, and {len(rows)} are found"
                " there; give the capture that was metered, with the meter's own timeout"
            )
        found.append(packets.take(rows))
    return found


def vary(flow: Packets, variation: Variation, rng: np.random.Generator) -> Packets:
    """One flow's packets at other times: gaps g' = g exp(timing · (a + b_g)), a, b_g ~ N(0, 1); the first stays.

    A packet sent again is the same packet, later.  Times are whole µs, a gap that was one stays one (times going
    backwards, too), and the order of what is not sent again stays.
    """
    gaps = np.diff(flow.time).astype(np.float64)
    factors = np.exp(variation.timing * (rng.standard_normal() + rng.standard_normal(len(gaps))))
    steps = np.sign(gaps) * np.maximum(np.rint(np.abs(gaps) * factors), 1)  # no gap stays none
    time = flow.time[:1] + np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
    varied = replace(flow, time=time)
    again = (rng.random(len(flow)) < variation.resent) & (flow.payload > 0) & (flow.protocol == TCP)
    if not again.any():
        return varied
    late = varied.take(np.flatnonzero(again))
    late = replace(late, time=late.time + rng.uniform(*variation.wait, size=len(late)).astype(np.int64))
    # After every packet captured until then; where times go backwards, these keep their places.
    place = np.concatenate([np.maximum.accumulate(varied.time), late.time])
    return concatenate([varied, late]).take(np.argsort(place, kind="stable"))


def meter_separately(parts: Sequence[Packets]) -> np.ndarray:
    """The record of each part's packets, metered as if nothing else had been captured: [len(parts), d].

    Where they give several flows (a gap grew past the meter's timeout), the first counts.

    Args:
      parts: packets of one flow each, at least one.

    Returns:
      Columns as `meter_mended`'s features, raw units.

    Raises:
      InputError: a part without packets.
    """
    empty = [number for number, part in enumerate(parts) if not len(part)]
    if empty:
        raise InputError(f"part {empty[0]} has no packets, and so no record; leave it out")
    # Hosts of their own keep the parts apart.
    apart = [_renumbered(part, number) for number, part in enumerate(parts)]
    begin = np.cumsum([0, *(len(part) for part in parts)])[:-1]
    flows = meter_mended(concatenate(apart))
    part = np.searchsorted(begin, flows.first_packet, side="right") - 1
    return flows.x[np.unique(part, return_index=True)[1]]


def _renumbered(part: Packets, number: int) -> Packets:
    hosts = np.unique(np.concatenate([part.source, part.destination]), return_inverse=True)[1] + 2 * number
    return replace(part, source=hosts[: len(part)], destination=hosts[len(part) :])
