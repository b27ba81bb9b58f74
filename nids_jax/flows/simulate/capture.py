"""Conversations of several recipes as one capture, in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from operator import index

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.packets import ICMP, NO_ICMP, TCP, UDP, Packets
from nids_jax.flows.simulate.network import Conversations, simulate
from nids_jax.flows.simulate.script import UP, Streams, Traffic

START = 1_499_058_000_000_000  # µs since the epoch: Monday, 3 July 2017, 05:00 UTC
ARRIVALS = 0.2e6  # µs, mean time between two conversations of a class
EPHEMERAL = (32768, 61000)  # range of the clients' ports
SERVERS = 16  # hosts that the conversations of a class are addressed to: numbers SERVERS · class …
CLIENTS = 1_000_000  # the hosts that begin them: numbers CLIENTS · (1 + class) …
_ECHO, _ECHO_REPLY = 8 << 8, 0  # ICMP's type · 256 + code (RFC 792)


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The conversations of one class or tool, in order of time."""

    packets: Packets
    conversation: np.ndarray  # [p] int64
    closing: np.ndarray  # [p] whether the connection's close has begun


def play(
    recipes: Sequence[tuple[float, Traffic]],
    n: int,
    key: tuple[int, ...],
    number: int,
    *,
    first: int = 1,
    before: int = 0,
) -> Capture:
    """`n` conversations of `recipes`, each a (weight, recipe); the first ones are the same for every larger `n`.

    Args:
      key: of the random numbers; the recipe at position i draws from (*key, first + i).
      number: of the class or tool, from which its hosts' numbers follow.
      before: conversations in captures that come before this one, whose ports and hours it does not use again.
    """
    streams = Streams(*key)
    recipe = streams.pick([weight for weight, _ in recipes], n)
    begin = (
        START + int(before * ARRIVALS) + np.cumsum(ARRIVALS * streams.next().standard_exponential(n)).astype(np.int64)
    )
    server = SERVERS * number + streams.next().integers(SERVERS, size=n)
    port, client_port = np.empty(n, np.int64), np.empty(n, np.int64)
    protocol = np.array([traffic.protocol for _, traffic in recipes])[recipe]

    parts: list[Conversations] = []
    for position in np.unique(recipe) if n else [0]:  # no conversations: columns of no packets
        rows, traffic = np.flatnonzero(recipe == position), recipes[position][1]
        part = simulate(traffic, len(rows), Streams(*key, first + int(position)))
        port[rows], client_port[rows] = part.port, part.client_port
        parts.append(replace(part, conversation=rows[part.conversation]))
    p = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Conversations)}

    conversation = p["conversation"]
    time = begin[conversation] + p["time"].astype(np.int64)
    order = np.argsort(time, kind="stable")
    conversation, time = conversation[order], time[order]
    up = p["side"][order] == UP
    # A client port is used once, so that no two conversations share a 5-tuple; where recipes say it, a host is.
    ports = EPHEMERAL[1] - EPHEMERAL[0]
    each = np.arange(before, before + n)
    own = client_port >= 0
    client = (CLIENTS * (1 + number) + np.where(own, CLIENTS // 2 + each, each // ports))[conversation]
    client_port = np.where(own, client_port, EPHEMERAL[0] + each % ports)
    without = (protocol != TCP) & (protocol != UDP)  # ports
    client_port, port = np.where(without, 0, client_port)[conversation], np.where(without, 0, port)[conversation]
    echo = (protocol[conversation] == ICMP) & (p["header"][order] > 0)
    packets = Packets(
        time=time,
        source=np.where(up, client, server[conversation]),
        destination=np.where(up, server[conversation], client),
        source_port=np.where(up, client_port, port).astype(np.int32),
        destination_port=np.where(up, port, client_port).astype(np.int32),
        protocol=protocol[conversation].astype(np.int16),
        payload=p["payload"][order].astype(np.int32),
        header=p["header"][order].astype(np.int32),
        flags=p["flags"][order].astype(np.uint8),
        window=p["window"][order].astype(np.int32),
        icmp=np.where(echo, np.where(up, _ECHO, _ECHO_REPLY), NO_ICMP).astype(np.int32),
    )
    return Capture(packets=packets, conversation=conversation, closing=p["closing"][order])


def whole(value: int, what: str) -> int:
    """`value` as a Python integer of at least 0.

    Raises:
      InputError: it is something else.
    """
    try:
        number = index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        raise InputError(f"{what} is {value!r}; give a whole number of at least 0")
    return number
