"""Later fragments of IP packets go with the first one, which alone has the ports (RFC 791 and 8200)."""

import numpy as np

from nids_jax.flows.capture.hosts import FIRST
from nids_jax.flows.packets import Packets, concatenate

LASTING = 30_000_000  # µs between fragments of one packet at most: as long as Linux waits (net.ipv4.ipfrag_time)
_MOST = 1 << 16  # first fragments that are remembered, and later ones that wait, at most
_TOLD = ("source_port", "destination_port", "protocol")  # what a first fragment says of the others

Key = tuple[int, ...]


class Fragments:
    """The fragments of a capture that is read piece by piece."""

    def __init__(self) -> None:
        self._firsts: dict[Key, tuple[int, tuple[int, ...]]] = {}  # of a packet: its time and `_TOLD`
        self._waiting: dict[Key, list[Packets]] = {}  # later fragments that came before their first
        self._count = 0  # of those

    def resolve(self, packets: Packets, fragment: np.ndarray) -> tuple[Packets, int]:
        """The packets with the ports of later fragments filled in, and how many are left out for lack of a first one.

        A later fragment whose first is not in this piece or before is kept back until it comes, and then goes first.

        Args:
          packets: [p]
          fragment: [p], see `decode.Decoded`.
        """
        rows = np.flatnonzero(fragment >= 0)
        if not len(rows) and not self._count:
            return packets, 0
        told = {name: getattr(packets, name).copy() for name in _TOLD}
        some, later = packets.take(rows), (fragment[rows] & 1 == 1).tolist()
        said = list(zip(*(getattr(some, name).tolist() for name in _TOLD), strict=True))
        here: dict[Key, list[int]] = {}  # rows of this piece that wait
        released: list[Packets] = []

        def fill(row: int, values: tuple[int, ...]) -> None:
            for name, value in zip(_TOLD, values, strict=True):
                told[name][row] = value

        for row, key, time, values, is_later in zip(
            rows.tolist(), _keys(some, fragment[rows] >> 1), some.time.tolist(), said, later, strict=True
        ):
            if is_later:
                first = self._firsts.get(key)
                if first and abs(time - first[0]) <= LASTING:
                    fill(row, first[1])
                else:
                    here.setdefault(key, []).append(row)
                continue
            self._firsts.pop(key, None)  # to the end of the dictionary, whose oldest entries are forgotten first
            self._firsts[key] = time, values
            for other in here.pop(key, ()):
                fill(other, values)
            for other in self._waiting.pop(key, ()):
                self._count -= 1
                released.append(_with(other, values))
        for key in list(self._firsts)[: max(len(self._firsts) - _MOST, 0)]:
            del self._firsts[key]
        kept = np.ones(len(packets), bool)
        for key, others in here.items():
            kept[others] = False
            self._waiting.setdefault(key, []).extend(packets.take(np.array([row])) for row in others)
            self._count += len(others)
        lost = self._give_up(int(packets.time.max(initial=0)))
        whole = Packets(**vars(packets) | told).take(kept)
        return concatenate([*released, whole]) if released else whole, lost

    def finish(self) -> int:
        """How many later fragments still wait; they are left out."""
        count, self._count = self._count, 0
        self._waiting.clear()
        return count

    def _give_up(self, now: int) -> int:
        """Forget those that have waited too long, or are too many; how many that were."""
        before = self._count
        while self._waiting:
            key, oldest = next(iter(self._waiting.items()))  # in order of their first fragments
            if self._count <= _MOST and now - int(oldest[0].time[0]) <= LASTING:
                break
            del self._waiting[key]
            self._count -= len(oldest)
        return before - self._count


def _with(packet: Packets, values: tuple[int, ...]) -> Packets:
    columns = {name: np.array([value], getattr(packet, name).dtype) for name, value in zip(_TOLD, values, strict=True)}
    return Packets(**vars(packet) | columns)


def _keys(packets: Packets, identification: np.ndarray) -> list[Key]:
    """What tells a fragmented packet from others, of each fragment: IPv6 counts without the protocol."""
    protocol = np.where(packets.source < FIRST, packets.protocol, -1)
    columns = (packets.source, packets.destination, protocol, identification)
    return list(zip(*(column.tolist() for column in columns), strict=True))
