"""Packet augmentation: the few captured flows with their packets varied, metered again."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.flows.packets import Packets
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.variation import Variation, meter_separately, vary
from nids_jax.generators.base import Generator
from nids_jax.generators.resampling import Copies
from nids_jax.generators.spec import GeneratorSpec, Request

VARIATIONS = {"packets": Variation(), "packets_resent": Variation(resent=0.02)}


class PacketAugmentation:
    """A captured flow of the class, drawn with replacement, varied (`flows.variation`) and metered again."""

    losses_ = None  # nothing is learnt

    def __init__(self, flows: Sequence[Packets], labels: np.ndarray, features: Sequence[str], variation: Variation):
        """`flows`: the packets of n flows with their labels [n]; `features`: the columns to give, canonical names.

        Raises:
          InputError: not a label for each flow, or a feature that the meter does not give.
        """
        if len(flows) != len(labels):
            raise InputError(f"{len(flows)} flows have {len(labels)} labels; give each its own")
        known = [feature.name for feature in FEATURES]
        unknown = [name for name in features if name not in known]
        if unknown:
            raise InputError(f"the flow meter gives no feature {unknown[0]!r}; choose from {', '.join(known)}")
        self.flows, self.variation = flows, variation
        self._columns = [known.index(name) for name in features]
        self._numbers = Copies().fit(np.arange(len(flows))[:, None], labels, jax.random.key(0))

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] float64 in raw units; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label that no flow has.
        """
        drawn = self._numbers.sample(labels, key)[:, 0].astype(int)
        seed = np.asarray(jax.random.key_data(random.stream(key, "packets"))).tolist()
        varied = [
            vary(self.flows[number], self.variation, np.random.default_rng([*seed, row]))
            for row, number in enumerate(drawn)
        ]
        return meter_separately(varied)[:, self._columns]


def _refusing(name: str) -> Callable[[Request], Generator]:
    def make(_: Request) -> Generator:
        raise InputError(
            f"{name} varies the packets of the training flows, and flow records do not hold them; run the packet"
            " augmentation experiment, which has captures"
        )

    return make


def _spec(name: str, summary: str) -> GeneratorSpec:
    return GeneratorSpec(name=name, make=_refusing(name), summary=summary, learns=False, needs="packets")


SPECS = (
    _spec("packets", "The flows' packets with other gaps, metered again."),
    _spec("packets_resent", "The same, a few packets sent again."),
)
