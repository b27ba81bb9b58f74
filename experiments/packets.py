"""Does it help to vary the packets of the few captured flows, and to meter them again?

    python -m experiments.packets --seeds=10 --output_dir=out/packets

A capture is simulated and metered, so that the packets of every flow are at hand.  `packets` adds flows whose gaps
between packets are stretched and shrunk, `packets_resent` also sends a few packets again; both are set beside the
controls and beside generators that see the flow records alone (`--generators`).
"""

from functools import cache

import numpy as np
from absl import flags

from experiments import common, generating
from nids_jax import fewshot
from nids_jax.commands import frame
from nids_jax.data.duplicates import repeats
from nids_jax.data.split import Split
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.meter import meter
from nids_jax.flows.packets import Packets
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_packets
from nids_jax.flows.variation import Variation, first_flows, packets_of
from nids_jax.generators.remetered import Remetered

_CONVERSATIONS = flags.DEFINE_integer("conversations", 900, "Conversations to simulate of each class.", lower_bound=20)
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
def captured(conversations: int) -> tuple[FlowTable, list[Packets]]:
    """The first flow of each simulated conversation, without repetitions, and its packets."""
    packets, label = simulate_packets(dict.fromkeys(SIMULATED_CLASSES, conversations), seed=0)
    flows = meter(packets)
    features = tuple(name for name in CICIDS2017 if name != "destination_port")
    x, y = flows.x[:, [flows.features.index(name) for name in features]], label[flows.first_packet]
    kept = first_flows(flows)
    kept = kept[~repeats(x[kept], y[kept]) & np.isfinite(x[kept]).all(axis=1)]
    table = FlowTable(x=x[kept], y=y[kept], features=features, classes=SIMULATED_CLASSES)
    return table, packets_of(packets, flows, kept)


def _source(variation: Variation) -> fewshot.Source:
    def source(split: Split) -> Remetered:
        table, packets = captured(_CONVERSATIONS.value)
        return Remetered([packets[row] for row in split.train_rows], split.train.y, table.features, variation)

    return source


def main(argv: list[str]) -> None:
    given = [name for name in common.key_flags([common], without=_SHARED) if flags.FLAGS[name].present]
    if given:
        raise InputError(f"--{given[0]} is about files to read, and this capture is simulated; leave it out")
    generating.run(
        argv,
        "packets",
        read=lambda _: (captured(_CONVERSATIONS.value)[0], {}),
        constants=VARIATIONS,
        dataset="simulated capture",
        experiment="generation",
        arms=tuple(generating.GENERATORS.value),
        sources={name: _source(variation) for name, variation in VARIATIONS.items()},
        explain=False,
    )


if __name__ == "__main__":
    frame.run(main)
