"""Flow records of packets as they arrive, with memory for the flows at work only."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.hashing import salt
from nids_jax.flows.meter import connections as table
from nids_jax.flows.meter import record as rec
from nids_jax.flows.meter.flows import Flows, join
from nids_jax.flows.packets import TYPES, Packets, concatenate
from nids_jax.flows.schema import FEATURES

TIMEOUT = 120_000_000  # µs
ACTIVITY_TIMEOUT = 5_000_000  # µs
MOST_FLOWS = 1 << 18
WINDOW = 1 << 17  # packets among which those of a file are put in order of time
_MOST_CONNECTIONS = 1 << 20
_OUT = 1 << 12  # records that end at a time


class StreamMeter:
    """Meters packets piece by piece; the records are the same however the packets are cut into pieces."""

    def __init__(
        self,
        *,
        timeout_us: int = TIMEOUT,
        activity_timeout_us: int = ACTIVITY_TIMEOUT,
        most_flows: int = MOST_FLOWS,
        corrected: bool = False,
    ):
        """
        Args:
          timeout_us, activity_timeout_us: see `meter`.
          corrected: whether features mean what they do in the corrected CIC-IDS2017 (see `record`).
          most_flows: where more are at work, the one that began first ends, which `evicted` counts.

        Raises:
          InputError: a timeout or number that is not positive.
        """
        positive(timeout_us=timeout_us, activity_timeout_us=activity_timeout_us, most_flows=most_flows)
        self._timeout, self._activity_timeout, self._most = timeout_us, activity_timeout_us, most_flows
        self._corrected = corrected
        self._salt = salt()
        self._connections = np.zeros((1 << 12, table.CONNECTION), np.int64)
        self._buckets = np.full(1 << 13, -1, np.int64)
        self._counters = np.zeros(table.COUNTERS, np.int64)
        self._records = np.zeros((0, rec.NUMBERS), np.int64)
        self._sums = np.zeros((0, rec.SUMS))
        for each in (table.FREE, table.OLDEST, table.NEWEST, table.CLOSING_OLDEST, table.CLOSING_NEWEST):
            self._counters[each] = -1
        self._more_records()

    @property
    def evicted(self) -> int:
        """Records that ended for lack of room."""
        return int(self._counters[table.EVICTED])

    def take(self, packets: Packets) -> Iterator[Flows]:
        """Meter further packets; the flows that have ended by the last of them, in the order in which they end.

        A packet whose time is before that of the one before it counts as of that one's time (see `Ordered`).  Packets
        that are all longer ago than a flow lasts are of another capture: the flows at work end before them.
        """
        if len(packets) and packets.time.max() + self._timeout < self._counters[table.CLOCK]:
            yield from self.finish()
        columns = tuple(np.ascontiguousarray(getattr(packets, name), TYPES[name]) for name in vars(packets))
        at = 0
        while True:
            out, named = np.empty((_OUT, len(FEATURES))), np.empty((_OUT, rec.NAMED), np.int64)
            at, count, why = table.take(
                columns,
                at,
                self._connections,
                self._buckets,
                self._records,
                self._sums,
                self._counters,
                self._salt,
                self._timeout,
                self._activity_timeout,
                self._most,
                self._corrected,
                out,
                named,
            )
            if count:
                yield _flows(out[:count], named[:count])
            if why == table.DONE:
                return
            if why == table.NO_ROOM_CONNECTIONS:
                self._more_connections()
            elif why == table.NO_ROOM_RECORDS:
                self._more_records()

    def finish(self) -> Iterator[Flows]:
        """The flows that are still at work, in order of their beginning; the meter can be used on for other packets."""
        while True:
            out, named = np.empty((_OUT, len(FEATURES))), np.empty((_OUT, rec.NAMED), np.int64)
            count = table.finish(
                self._connections, self._records, self._sums, self._counters, self._corrected, out, named
            )
            if not count:
                break
            yield _flows(out[:count], named[:count])
        self._buckets[:] = -1
        self._counters[table.CONNECTIONS] = self._counters[table.CLOCK] = 0

    def _more_records(self) -> None:
        before = len(self._records)
        size = min(max(2 * before, 1 << 10), self._most)
        records, sums = np.zeros((size, rec.NUMBERS), np.int64), np.zeros((size, rec.SUMS))
        records[:before], sums[:before] = self._records, self._sums
        records[before:, rec.AFTER] = np.append(np.arange(before + 1, size), self._counters[table.FREE])
        self._counters[table.FREE] = before
        self._records, self._sums = records, sums

    def _more_connections(self) -> None:
        """Drop connections that are over; where most are not, make room for twice as many, up to a limit."""
        size = len(self._connections)
        self._sweep(all_idle=False)
        if self._counters[table.CONNECTIONS] <= size // 2:
            return
        if size >= max(_MOST_CONNECTIONS, 2 * self._most):
            self._sweep(all_idle=True)  # later packets of these begin anew
            return
        connections = np.zeros((2 * size, table.CONNECTION), np.int64)
        connections[:size] = self._connections
        self._connections, self._buckets = connections, np.full(4 * size, -1, np.int64)
        self._sweep(all_idle=False)

    def _sweep(self, *, all_idle: bool) -> None:
        table.sweep(self._connections, self._buckets, self._counters, self._salt, self._records, all_idle)


class Ordered:
    """Packets in order of time, as far as a window of them allows.

    Pieces of at least `WINDOW` packets are sorted, and the last `WINDOW` of each are held back for the next; on a live
    stream those are held back that are at most `live_us` older than the newest.  What comes later than that counts as
    late: it goes first among the packets that follow.
    """

    def __init__(self, live_us: int | None = None):
        self._live = live_us
        self._held: list[Packets] = []
        self._count = 0
        self._newest = self._released = 0
        self.out_of_order = 0  # packets before which one of a later time was captured
        self.late = 0  # of those, the ones that came too late to be put in their place

    def put(self, packets: Packets) -> Iterator[Packets]:
        """Further packets; those whose turn has come."""
        if not len(packets):
            return
        latest = np.maximum.accumulate(np.maximum(packets.time, self._newest))
        self.out_of_order += int(np.count_nonzero(packets.time < latest))
        self._newest = int(latest[-1])
        self._held.append(packets)
        self._count += len(packets)
        if self._live is not None or self._count >= 2 * WINDOW:
            yield from self._release(final=False)

    def finish(self) -> Iterator[Packets]:
        """The packets that were held back."""
        if self._count:
            yield from self._release(final=True)

    def _release(self, *, final: bool) -> Iterator[Packets]:
        whole = self._held[0] if len(self._held) == 1 else concatenate(self._held)
        if (np.diff(whole.time) < 0).any():
            whole = whole.take(np.argsort(whole.time, kind="stable"))
        count = len(whole)
        if not final and self._live is None:
            count = len(whole) - WINDOW
        elif not final:
            count = int(np.searchsorted(whole.time, self._newest - (self._live or 0)))
        self._held = [whole.take(np.arange(count, len(whole)))] if count < len(whole) else []
        self._count = len(whole) - count
        if count:
            ready = whole.take(np.arange(count))
            self.late += int(np.count_nonzero(ready.time < self._released))
            self._released = max(self._released, int(ready.time[-1]))
            yield ready


def positive(**values: int) -> None:
    """Raises: InputError: one of the values is not positive."""
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name} is {value}; give a number above 0")


def _flows(out: np.ndarray, named: np.ndarray) -> Flows:
    return Flows(
        x=out,
        features=tuple(feature.name for feature in FEATURES),
        source=named[:, rec.OUT_SOURCE],
        destination=named[:, rec.OUT_DESTINATION],
        source_port=named[:, rec.OUT_SOURCE_PORT].astype(np.int32),
        destination_port=named[:, rec.OUT_DESTINATION_PORT].astype(np.int32),
        protocol=named[:, rec.OUT_PROTOCOL].astype(np.int16),
        start=named[:, rec.OUT_START],
        packets=named[:, rec.OUT_PACKETS],
        first_packet=named[:, rec.OUT_FIRST],
        end=named[:, rec.OUT_WHY].astype(np.int8),
    )


def meter_stream(packets: Packets, *, timeout_us: int, activity_timeout_us: int, corrected: bool) -> Flows:
    """The flows of `packets`, which need not be in order of time, in order of their first packets."""
    order = np.argsort(packets.time, kind="stable")
    moved = (np.diff(packets.time) < 0).any()
    work = StreamMeter(
        timeout_us=timeout_us,
        activity_timeout_us=activity_timeout_us,
        most_flows=len(packets) + 1,
        corrected=corrected,
    )
    parts = [*work.take(packets.take(order) if moved else packets), *work.finish()]
    flows = join(parts)
    flows = flows.take(np.argsort(flows.first_packet, kind="stable"))
    return replace(flows, first_packet=order[flows.first_packet]) if moved else flows
