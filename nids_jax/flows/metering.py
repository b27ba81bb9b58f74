"""Captures → flow records, piece by piece, with an account of every packet."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nids_jax.flows.capture.hosts import Hosts
from nids_jax.flows.capture.reader import CaptureReader
from nids_jax.flows.capture.source import Source
from nids_jax.flows.meter import STREAMED, Compat, Flows, Ordered, StreamMeter, meter
from nids_jax.flows.meter.stream import ACTIVITY_TIMEOUT, MOST_FLOWS, TIMEOUT
from nids_jax.flows.packets import Packets, concatenate

LIVE = 1_000_000  # µs that packets of a live stream are held back, to be put in order


@dataclass(frozen=True, kw_only=True)
class MeterOptions:
    """How captures are metered; see `meter`."""

    compat: Compat = "none"
    timeout_us: int = TIMEOUT
    activity_timeout_us: int = ACTIVITY_TIMEOUT
    most_flows: int = MOST_FLOWS
    decapsulate: bool = False


@dataclass
class Account:
    """What became of the packets of captures: frames = in_records + all that is left out."""

    frames: int = 0
    flows: int = 0
    in_records: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # why → packets
    out_of_order: int = 0  # packets that were captured after one of a later time
    late: int = 0  # of those, the ones that came too late to be put in their place
    evicted: int = 0  # flows that ended for lack of room
    damage: str = ""  # why a capture was not read to its end

    def add(self, other: "Account") -> None:
        """Add another's counts to these."""
        for name in ("frames", "flows", "in_records", "out_of_order", "late", "evicted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.left_out.update(other.left_out)
        self.damage = self.damage or other.damage

    def __str__(self) -> str:
        parts = [f"packets: {self.frames:,}", f"in flows: {self.in_records:,}"]
        parts += [f"left out: {count:,} ({why})" for why, count in self.left_out.items()]
        parts += [f"flows: {self.flows:,}"]
        if self.out_of_order:
            late = f", {self.late:,} too late to be put in their place" if self.late else ""
            parts.append(f"out of order: {self.out_of_order:,} packets{late}")
        if self.evicted:
            parts.append(f"ended early for lack of room: {self.evicted:,} flows")
        return ", ".join([*parts, *([self.damage] if self.damage else [])])


class CaptureMeter:
    """Meters captures one after another: each by itself, or all as the pieces of one."""

    def __init__(self, options: MeterOptions, *, live: bool = False):
        """`live`: packets come as they are captured, so that what they give is not to wait for many more."""
        self.hosts = Hosts()
        self.account = Account()  # of what was metered since `new_account`
        self.total = Account()  # of what was before
        self._options, self._live = options, live
        self._begin()

    def _begin(self) -> None:
        options = self._options
        self._stream = StreamMeter(
            timeout_us=options.timeout_us,
            activity_timeout_us=options.activity_timeout_us,
            most_flows=options.most_flows,
            corrected=options.compat == "corrected",
        )
        self._ordered = Ordered(LIVE if self._live else None)
        self._kept: list[Packets] = []  # of the modes that need all packets at once

    def take(self, source: Source, name: str) -> Iterator[Flows]:
        """The flows that end within a capture.

        Raises:
          InputError: it cannot be read, or is no capture.
        """
        whole = self._options.compat in STREAMED
        reader = CaptureReader(
            name, source.read, hosts=self.hosts, decapsulate=self._options.decapsulate, orphans=not whole
        )
        for packets in reader.pieces():
            if whole:
                for ordered in self._ordered.put(packets):
                    yield from self._counted(self._stream.take(ordered))
            else:
                self._kept.append(packets)
        self.account.frames += reader.frames
        self.account.left_out.update(reader.left_out)
        self.account.damage = self.account.damage or reader.damage or source.damage

    def finish(self) -> Iterator[Flows]:
        """The flows that have not ended yet; what follows is metered by itself."""
        if self._options.compat in STREAMED:
            for ordered in self._ordered.finish():
                yield from self._counted(self._stream.take(ordered))
            yield from self._counted(self._stream.finish())
        else:
            yield from self._all_at_once()
        self.account.out_of_order += self._ordered.out_of_order
        self.account.late += self._ordered.late
        self.account.evicted += self._stream.evicted
        self._begin()

    def new_account(self) -> Account:
        """The account so far; another is begun."""
        done, self.account = self.account, Account()
        self.total.add(done)
        return done

    def _all_at_once(self) -> Iterator[Flows]:
        packets = concatenate(self._kept)
        flows = meter(
            packets,
            timeout_us=self._options.timeout_us,
            activity_timeout_us=self._options.activity_timeout_us,
            compat=self._options.compat,
        )
        dropped = len(packets) - int(flows.packets.sum())
        if dropped:
            self.account.left_out["repeated FIN, or a flow of one packet"] += dropped
        yield from self._counted(iter([flows] if len(flows) else []))

    def _counted(self, pieces: Iterator[Flows]) -> Iterator[Flows]:
        for flows in pieces:
            self.account.flows += len(flows)
            self.account.in_records += int(np.sum(flows.packets))
            yield flows
