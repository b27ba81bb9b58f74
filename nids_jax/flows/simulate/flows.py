"""The embedded `simulated` dataset: packets per attack tool, and the flow records that our meter makes of them.

No download, no real traffic: the classes are those of CIC-IDS2017, each described by how its tools behave
(`nids_jax.flows.traffic`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from operator import index

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.meter import meter
from nids_jax.flows.packets import Packets, concatenate
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate.network import Conversations, simulate
from nids_jax.flows.simulate.script import UP, Streams
from nids_jax.flows.simulate.tools import TRAFFIC

SIMULATED_CLASSES: tuple[str, ...] = tuple(TRAFFIC)

START = 1_499_058_000_000_000  # µs since the epoch: Monday, 3 July 2017, 05:00 UTC
ARRIVALS = 0.2e6  # µs, mean time between two conversations of a class
EPHEMERAL = (32768, 61000)  # range of the clients' ports
SERVERS = 16  # hosts that the conversations of a class are addressed to: numbers SERVERS · class …
CLIENTS = 1_000_000  # the hosts that begin them: numbers CLIENTS · (1 + class) …


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

    The records are those of `meter`, taken conversation by conversation.  A conversation longer than the meter's 120 s
    gives several, each of which counts.  What the meter makes of the packets after the FIN that ends a flow (a lone
    acknowledgement) is left out, as in the corrected CIC-IDS2017 (Engelen et al. 2021).  A class's records depend on
    the seed and the class alone, and the first m of them are the same for every larger count.

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
        flows = meter(capture.packets)
        whole = np.flatnonzero(~capture.closing[flows.first_packet])
        conversation = capture.conversation[flows.first_packet[whole]]
        chosen = whole[np.argsort(conversation, kind="stable")][:count]
        parts.append(flows.x[chosen][:, [flows.features.index(feature) for feature in CICIDS2017]])
    return np.concatenate(parts), _labels(counts)


def _labels(counts: Mapping[str, int]) -> np.ndarray:
    """Each class's number as often as `counts` says: [sum of counts] int32."""
    return np.repeat([SIMULATED_CLASSES.index(name) for name in counts], list(counts.values())).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class _Capture:
    """The conversations of one class, in order of time."""

    packets: Packets
    conversation: np.ndarray  # [p]
    closing: np.ndarray  # [p] whether the connection's close has begun


def _capture(name: str, n: int, seed: int) -> _Capture:
    """`n` conversations of the class `name`."""
    number = SIMULATED_CLASSES.index(name)
    recipes = TRAFFIC[name]
    streams = Streams(seed, number)
    recipe = streams.pick([weight for weight, _ in recipes], n)
    begin = START + np.cumsum(ARRIVALS * streams.next().standard_exponential(n)).astype(np.int64)
    server = SERVERS * number + streams.next().integers(SERVERS, size=n)
    port = np.empty(n, np.int64)
    protocol = np.array([traffic.protocol for _, traffic in recipes])[recipe]

    parts: list[Conversations] = []
    for position in np.unique(recipe) if n else [0]:  # no conversations: columns of no packets
        rows, traffic = np.flatnonzero(recipe == position), recipes[position][1]
        part = simulate(traffic, len(rows), Streams(seed, number, position))
        port[rows] = part.port
        parts.append(replace(part, conversation=rows[part.conversation]))
    p = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Conversations)}

    conversation = p["conversation"]
    time = begin[conversation] + p["time"].astype(np.int64)
    order = np.argsort(time, kind="stable")
    conversation, time = conversation[order], time[order]
    up = p["side"][order] == UP
    # A client port is used once, so that no two conversations share a 5-tuple.
    ports = EPHEMERAL[1] - EPHEMERAL[0]
    client = CLIENTS * (1 + number) + conversation // ports
    client_port = EPHEMERAL[0] + conversation % ports
    packets = Packets(
        time=time,
        source=np.where(up, client, server[conversation]),
        destination=np.where(up, server[conversation], client),
        source_port=np.where(up, client_port, port[conversation]).astype(np.int32),
        destination_port=np.where(up, port[conversation], client_port).astype(np.int32),
        protocol=protocol[conversation].astype(np.int16),
        payload=p["payload"][order].astype(np.int32),
        header=p["header"][order].astype(np.int32),
        flags=p["flags"][order].astype(np.uint8),
        window=p["window"][order].astype(np.int32),
    )
    return _Capture(packets=packets, conversation=conversation, closing=p["closing"][order])


def _checked(counts: Mapping[str, int], seed: int) -> tuple[dict[str, int], int]:
    """Counts for every class, in the order of SIMULATED_CLASSES, and the seed, as Python integers."""
    unknown = [name for name in counts if name not in SIMULATED_CLASSES]
    if unknown:
        raise InputError(f"no simulated class {unknown[0]!r}; choose from {', '.join(SIMULATED_CLASSES)}")
    checked = {name: _whole(counts.get(name, 0), f"the count of {name}") for name in SIMULATED_CLASSES}
    return checked, _whole(seed, "the seed")


def _whole(value: int, what: str) -> int:
    try:
        number = index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        raise InputError(f"{what} is {value!r}; give a whole number of at least 0")
    return number
