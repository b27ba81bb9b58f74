"""Does it help to vary the packets of the few captured flows, and to meter them again?

A capture is simulated and metered, so that the packets of every flow are at hand, or `captures=CLASS:FILE,CLASS:FILE`
names captures of one class each.  `packets` adds flows whose gaps between packets are stretched and shrunk,
`packets_resent` also sends a few packets again; both are set beside the controls and beside generators that see the
flow records alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from nids_jax.classifiers.registry import compared_in
from nids_jax.data.duplicates import repeats
from nids_jax.data.split import Split
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.capture import read_capture
from nids_jax.flows.meter import meter_mended
from nids_jax.flows.packets import Packets
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_packets
from nids_jax.flows.variation import Variation, first_flows, packets_of
from nids_jax.generators.packet_augmentation import VARIATIONS, PacketAugmentation
from nids_jax.pipeline.training_sets import Source
from nids_jax.protocols.few_shot import FewShot
from nids_jax.settings import setting

CONVERSATIONS = 900


@dataclass(frozen=True, kw_only=True)
class PacketComparison(FewShot):
    """Few-shot detection on captures, whose flows can be varied packet by packet."""

    name: ClassVar[str] = "packet_augmentation"

    dataset: str = ""  # found from `captures`
    captures: tuple[str, ...] = setting(
        (), "Captures instead of a simulated one, as CLASS:FILE,CLASS:FILE,…; a class may have several."
    )
    conversations: int | None = setting(
        None,
        f"Conversations to simulate of each class; default: {CONVERSATIONS}.",
        least=20,
        most=1_000_000,
    )
    seeds: int = setting(10, "Number of split seeds, from 0.", least=1)
    generators: tuple[str, ...] = setting(
        ("real", "copies", "jitter", "smote", "packets", "packets_resent", "real_all"),
        "Training sets to compare: packets, packets_resent, generators that see flow records alone, and real ones.",
    )
    classifiers: tuple[str, ...] = setting(compared_in("packet_augmentation"), "Detectors to train.")
    test_rows: int | None = setting(300, "Test rows per class at most.", least=1)
    explain: bool = setting(False, "Explain the first neural detector on synthetic rows with SHAP.")
    auxiliary: None = None  # these rows are taken away before the splits, which number the packets' flows

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.captures and self.conversations is not None:
            raise InputError("`conversations` is of a simulated capture, and `captures` names others; leave one out")
        object.__setattr__(self, "dataset", "captures" if self.captures else "simulated capture")

    @property
    def sources(self) -> Mapping[str, Source]:
        return {name: self._source(variation) for name, variation in VARIATIONS.items()}

    def read(self) -> FlowTable:
        """The first flow of each conversation of the captures, without repetitions.

        Raises:
          InputError: a capture that cannot be read, or what is no CLASS:FILE.
        """
        return self._captured[0]

    def _source(self, variation: Variation) -> Source:
        def source(split: Split) -> PacketAugmentation:
            table, packets = self._captured
            own = [packets[row] for row in split.train_rows]
            return PacketAugmentation(own, split.train.y, table.features, variation)

        return source

    @cached_property
    def _captured(self) -> tuple[FlowTable, list[Packets]]:
        """The table, and the packets of each of its flows."""
        if not self.captures:
            counts = dict.fromkeys(SIMULATED_CLASSES, self.conversations or CONVERSATIONS)
            packets, label = simulate_packets(counts, seed=0)
            return _flows([(packets, label)], SIMULATED_CLASSES)
        named = [entry.partition(":") for entry in self.captures]
        wrong = [start for start, _, file in named if not start or not file]
        if wrong:
            raise InputError(f"`captures` has {wrong[0]!r}, which names no class and file; write CLASS:FILE,CLASS:FILE")
        classes = tuple(sorted({name for name, _, _ in named}))
        if len(classes) == 1:
            raise InputError(f"`captures` names one class, {classes[0]!r}; a detector needs captures of at least two")
        read = [(read_capture(file).packets, classes.index(name)) for name, _, file in named]
        found = _flows([(packets, np.full(len(packets), label, np.int32)) for packets, label in read], classes)
        empty = [name for name, count in found[0].counts.items() if not count]
        if empty:
            raise InputError(f"the captures of class {empty[0]!r} hold no flows; leave it out of `captures`")
        return found


def _flows(captures: Iterable[tuple[Packets, np.ndarray]], classes: tuple[str, ...]) -> tuple[FlowTable, list[Packets]]:
    """The table and each flow's packets, of captures with the class of each of their packets."""
    features = tuple(name for name in CICIDS2017 if name != "destination_port")
    x, y, parts = [], [], []
    for packets, label in captures:
        flows = meter_mended(packets)
        first = first_flows(flows)
        x.append(flows.x[first][:, [flows.features.index(name) for name in features]])
        y.append(label[flows.first_packet[first]])
        parts += packets_of(packets, flows, first)
    table = FlowTable(x=np.concatenate(x), y=np.concatenate(y), features=features, classes=classes)
    kept = ~repeats(table.x, table.y) & np.isfinite(table.x).all(axis=1)
    return table.take(kept), [parts[row] for row in np.flatnonzero(kept)]
