"""The embedded `simulated` dataset: packets per attack tool, and the flow records that our meter makes of them.

No download, no real traffic: the classes are those of CIC-IDS2017, each described by how its tools behave
(`nids_jax.flows.simulate.tools`).
"""

from collections.abc import Mapping

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.meter import meter_mended
from nids_jax.flows.packets import Packets, concatenate
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate.capture import Capture, play, whole
from nids_jax.flows.simulate.tools import TRAFFIC

SIMULATED_CLASSES: tuple[str, ...] = tuple(TRAFFIC)


def simulate_packets(counts: Mapping[str, int], seed: int) -> tuple[Packets, np.ndarray]:
    """A capture of counts[c] conversations of each class c, in order of time.

    Each conversation has a 5-tuple of its own, so the label of a flow is that of its first packet.  A class's
    conversations depend on the seed and the class alone, and the first m of them are the same for every larger count.

    Args:
      counts: class name (see SIMULATED_CLASSES) → conversations; a class left out has none.
      seed: at least 0.

    Returns:
      Packets [p] and the class of each, [p] int32: index into SIMULATED_CLASSES.

    Raises:
      InputError: unknown class; a count or seed that is negative or not a whole number.
    """
    counts, seed = _checked(counts, seed)
    parts = [_capture(name, count, seed).packets for name, count in counts.items()]
    label = _labels({name: len(part) for name, part in zip(counts, parts, strict=True)})
    packets = concatenate(parts)
    order = np.argsort(packets.time, kind="stable")
    return packets.take(order), label[order]


def simulate_flows(counts: Mapping[str, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Exactly counts[c] flow records of each class c, class after class.

    The records are those of `meter_mended`, taken conversation by conversation.  A conversation longer than the meter's
    120 s gives several, each of which counts.  What the meter makes of the packets after the FIN that ends a flow (a
    lone acknowledgement) is left out.  A class's records depend on the seed and the class alone, and the first m of
    them are the same for every larger count.

    Args:
      counts: class name (see SIMULATED_CLASSES) → records; a class left out has none.
      seed: at least 0.

    Returns:
      x [n, 78] float64, raw units, columns in the order of schema.CICIDS2017, all finite; y [n] int32, index into
      SIMULATED_CLASSES.

    Raises:
      InputError: unknown class; a count or seed that is negative or not a whole number.
    """
    counts, seed = _checked(counts, seed)
    parts = []
    for name, count in counts.items():
        capture = _capture(name, count, seed)
        flows = meter_mended(capture.packets)
        whole = np.flatnonzero(~capture.closing[flows.first_packet])
        conversation = capture.conversation[flows.first_packet[whole]]
        chosen = whole[np.argsort(conversation, kind="stable")][:count]
        parts.append(flows.x[chosen][:, [flows.features.index(feature) for feature in CICIDS2017]])
    return np.concatenate(parts), _labels(counts)


def _labels(counts: Mapping[str, int]) -> np.ndarray:
    """Each class's number as often as `counts` says: [sum of counts] int32."""
    return np.repeat([SIMULATED_CLASSES.index(name) for name in counts], list(counts.values())).astype(np.int32)


def _capture(name: str, n: int, seed: int) -> Capture:
    """`n` conversations of the class `name`."""
    number = SIMULATED_CLASSES.index(name)
    return play(TRAFFIC[name], n, (seed, number), number, first=0)


def _checked(counts: Mapping[str, int], seed: int) -> tuple[dict[str, int], int]:
    """Counts for every class, in the order of SIMULATED_CLASSES, and the seed, as Python integers."""
    unknown = [name for name in counts if name not in SIMULATED_CLASSES]
    if unknown:
        raise InputError(f"no simulated class {unknown[0]!r}; choose from {', '.join(SIMULATED_CLASSES)}")
    checked = {name: whole(counts.get(name, 0), f"the count of {name}") for name in SIMULATED_CLASSES}
    return checked, whole(seed, "the seed")
