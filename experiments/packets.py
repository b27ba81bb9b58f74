"""Does it help to vary the packets of the few captured flows, and to meter them again?

    python -m experiments.packets --seeds=10 --output_dir=out/packets

A capture is simulated and metered, so that the packets of every flow are at hand, or `--captures=CLASS:FILE,CLASS:FILE`
names captures of one class each.  `packets` adds flows whose gaps between packets are stretched and shrunk,
`packets_resent` also sends a few packets again; both are set beside the controls and beside generators that see the
flow records alone (`--generators`).
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from absl import flags

from experiments import common, generating
from nids_jax.cli import frame
from nids_jax.data.duplicates import repeats
from nids_jax.data.split import Split
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.capture import read_capture
from nids_jax.flows.meter import meter
from nids_jax.flows.packets import Packets
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_packets
from nids_jax.flows.variation import Variation, first_flows, packets_of
from nids_jax.generators.packet_augmentation import Remetered
from nids_jax.protocols import few_shot

_CONVERSATIONS = flags.DEFINE_integer("conversations", 900, "Conversations to simulate of each class.", lower_bound=20)
_CAPTURES = flags.DEFINE_list(
    "captures", [], "Captures instead of a simulated one, as CLASS:FILE,CLASS:FILE,…; a class may have several."
)
_SHARED = [
    flag.name
    for flag in (common.SHOTS, common.SEEDS, common.CLASSIFIERS, common.PRESET, common.TEST_ROWS, common.OUTPUT_DIR)
]
for name in _SHARED:
    flags.declare_key_flag(name)
flags.adopt_module_key_flags(generating)
flags.set_default(common.SEEDS, 10)
flags.set_default(common.TEST_ROWS, 300)
flags.set_default(common.CLASSIFIERS, ["random_forest", "extra_trees"])
flags.set_default(generating.GENERATORS, ["real", "copies", "jitter", "smote", "packets", "packets_resent", "real_all"])

VARIATIONS = {"packets": Variation(), "packets_resent": Variation(resent=0.02)}


@cache
def captured() -> tuple[FlowTable, list[Packets]]:
    """The first flow of each conversation, without repetitions, and its packets.

    Raises:
      InputError: a capture that cannot be read, or what is no CLASS:FILE.
    """
    if not _CAPTURES.value:
        packets, label = simulate_packets(dict.fromkeys(SIMULATED_CLASSES, _CONVERSATIONS.value), seed=0)
        return _flows([(packets, label)], SIMULATED_CLASSES)
    named = [entry.partition(":") for entry in _CAPTURES.value]
    wrong = [start for start, _, file in named if not start or not file]
    if wrong:
        raise InputError(f"--captures has {wrong[0]!r}, which names no class and file; write CLASS:FILE,CLASS:FILE")
    classes = tuple(sorted({name for name, _, _ in named}))
    if len(classes) == 1:
        raise InputError(f"--captures names one class, {classes[0]!r}; a detector needs captures of at least two")
    read = [(read_capture(file).packets, classes.index(name)) for name, _, file in named]
    found = _flows([(packets, np.full(len(packets), label, np.int32)) for packets, label in read], classes)
    empty = [name for name, count in found[0].counts.items() if not count]
    if empty:
        raise InputError(f"the captures of class {empty[0]!r} hold no flows; leave it out of --captures")
    return found


def _flows(captures: Iterable[tuple[Packets, np.ndarray]], classes: tuple[str, ...]) -> tuple[FlowTable, list[Packets]]:
    """As `captured`, of captures with the class of each of their packets."""
    features = tuple(name for name in CICIDS2017 if name != "destination_port")
    x, y, parts = [], [], []
    for packets, label in captures:
        flows = meter(packets)
        first = first_flows(flows)
        x.append(flows.x[first][:, [flows.features.index(name) for name in features]])
        y.append(label[flows.first_packet[first]])
        parts += packets_of(packets, flows, first)
    table = FlowTable(x=np.concatenate(x), y=np.concatenate(y), features=features, classes=classes)
    kept = ~repeats(table.x, table.y) & np.isfinite(table.x).all(axis=1)
    return table.take(kept), [parts[row] for row in np.flatnonzero(kept)]


def _source(variation: Variation) -> few_shot.Source:
    def source(split: Split) -> Remetered:
        table, packets = captured()
        return Remetered([packets[row] for row in split.train_rows], split.train.y, table.features, variation)

    return source


def _read(output_dir: Path) -> tuple[FlowTable, dict]:
    table, _ = captured()
    return table, {"fingerprint": common.same_rows(output_dir, table)}


def main(argv: list[str]) -> None:
    given = [name for name in common.key_flags([common], without=_SHARED) if flags.FLAGS[name].present]
    if given:
        raise InputError(
            f"--{given[0]} is about flow records to read, and here they are made from captures; leave it out"
        )
    if _CAPTURES.present and not _CAPTURES.value:
        raise InputError("--captures is empty; name CLASS:FILE,CLASS:FILE, or leave it out")
    if _CAPTURES.value and _CONVERSATIONS.present:
        raise InputError("--conversations is of a simulated capture, and --captures names others; leave one out")
    if _CAPTURES.value:
        captured()  # here, so that what cannot be read leaves no folder behind
    generating.run(
        argv,
        "packets",
        read=_read,
        constants=VARIATIONS,
        dataset="captures" if _CAPTURES.value else "simulated capture",
        experiment="generation",
        arms=tuple(generating.GENERATORS.value),
        sources={name: _source(variation) for name, variation in VARIATIONS.items()},
        explain=False,
    )


if __name__ == "__main__":
    frame.run(main)
