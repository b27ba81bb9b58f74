"""Capture files to packet columns: pcap (µs and ns, either byte order) and pcapng, plain or compressed.

`walk` finds the frames, `decode` takes them apart, `fragments` puts ports to later fragments.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.capture.decode import DAMAGED, NOT_IP, UNKNOWN_LINK, decode
from nids_jax.flows.capture.fragments import Fragments
from nids_jax.flows.capture.hosts import Hosts
from nids_jax.flows.capture.source import Source
from nids_jax.flows.capture.walk import Piece, Walk
from nids_jax.flows.packets import Packets, concatenate


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The IP packets of a capture file."""

    packets: Packets
    hosts: Hosts  # address of each host number, IPv4 or IPv6
    frames: int  # packets of any kind in the file
    left_out: Mapping[str, int]  # why → frames that `packets` leaves out
    damage: str  # why the file was not read to its end; empty where it was


class CaptureReader:
    """The IP packets of a capture, piece by piece, in its order.

    Of a capture that is damaged or cut short, everything before that counts.
    """

    def __init__(
        self,
        name: str | os.PathLike[str],
        read: Callable[[int], bytes],
        *,
        hosts: Hosts | None = None,
        decapsulate: bool = False,
        orphans: bool = False,
    ):
        """
        Args:
          name: what errors call the capture.
          read: gives up to so many further bytes, none at the end.
          hosts: those of captures read before, which keep their numbers.
          decapsulate: read the packets inside tunnels (GRE, IP in IP, VXLAN, Geneve, GTP-U), not those outside.
          orphans: keep later fragments whose first one is missing, with ports of 0, as CICFlowMeter does with all
            later fragments, instead of filling in ports and leaving out the others.
        """
        self.hosts = hosts or Hosts()
        self.left_out: Counter[str] = Counter()
        self._walk = Walk(str(name), read)
        self._fragments = None if orphans else Fragments()
        self._decapsulate = decapsulate

    @property
    def frames(self) -> int:
        """Packets of any kind so far."""
        return self._walk.frames

    @property
    def damage(self) -> str:
        """Why the capture was not read to its end; empty where it was."""
        return self._walk.damage

    def pieces(self) -> Iterator[Packets]:
        """The packets, at most some ten thousand at a time.

        Raises:
          InputError: this is no capture, or one without times, or with impossible ones.
        """
        for piece in self._walk.pieces():
            yield self._packets(piece)
        if self._fragments:
            self._leave_out(_ORPHAN, self._fragments.finish())

    def _packets(self, piece: Piece) -> Packets:
        found = decode(piece.data, piece.frames, self.hosts, decapsulate=self._decapsulate)
        if len(found.packets) < len(found.kind):
            self._leave_out("not IP", np.count_nonzero(found.kind == NOT_IP))
            self._leave_out("IP header cut off or damaged", np.count_nonzero(found.kind == DAMAGED))
            links, counts = np.unique(piece.frames.link[found.kind == UNKNOWN_LINK], return_counts=True)
            for link, count in zip(links, counts, strict=True):
                self._leave_out(f"link type {link}", count)
        packets, lost = found.packets, 0
        if self._fragments:
            packets, lost = self._fragments.resolve(packets, found.fragment)
        self._leave_out(_ORPHAN, lost)
        return packets

    def _leave_out(self, why: str, count: int | np.integer) -> None:
        if count:
            self.left_out[why] += int(count)


_ORPHAN = "fragment without its first"


def read_capture(path: str | os.PathLike[str], *, decapsulate: bool = False, orphans: bool = False) -> Capture:
    """The IP packets of a pcap or pcapng file, in its order.

    Args:
      path: of the file, which may be compressed (gzip, bzip2, xz, Zstandard, LZ4).
      decapsulate, orphans: see `CaptureReader`.

    Raises:
      InputError: the file cannot be read, does not fit into memory, is no capture, or has no times, or impossible ones.
    """
    with Source.open(path) as file:
        reader = CaptureReader(path, file.read, decapsulate=decapsulate, orphans=orphans)
        try:
            packets = concatenate(list(reader.pieces()))
        except MemoryError:
            raise InputError(f"{path} does not fit into memory; split it into smaller captures") from None
        damage = reader.damage or file.damage
    return Capture(
        packets=packets, hosts=reader.hosts, frames=reader.frames, left_out=dict(reader.left_out), damage=damage
    )
