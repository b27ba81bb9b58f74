"""Inferred conversations on networks and hosts that vary, metered again.

Of a gap between two packets the path takes what the quickest answer of the conversation took, where the sides change;
the rest is the host's.  Round trips, hosts' speeds, jitter and losses vary as in `network`, the number of rounds and
the sizes of messages as `Spread` says.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nids_jax.flows.compat import STREAMED, Compat
from nids_jax.flows.meter import TIMEOUT, Flows, meter
from nids_jax.flows.meter.cicflowmeter import EARLY, cicflowmeter
from nids_jax.flows.meter.modes import checked
from nids_jax.flows.meter.stream import ACTIVITY_TIMEOUT
from nids_jax.flows.packets import FIN, RST, SYN, TCP, UDP, Packets, concatenate
from nids_jax.flows.simulate.capture import EPHEMERAL, START
from nids_jax.flows.simulate.inverse.conversation import Conversation
from nids_jax.flows.simulate.network import LOSS, LOSSY, PATH_JITTER, RETRANSMISSION_TIMEOUT
from nids_jax.flows.simulate.script import DOWN, UP

_AT_ONCE, _MOST = 2_000_000, 100_000  # packets and conversations that are metered at once
_PAUSE = 1_000_000  # µs between two conversations
_FULL = 1_200  # bytes; a larger segment is a part of something larger, whose size the network sets


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How much a conversation varies, as standard deviations of logarithms."""

    path: float = 0.5  # of the round trip
    host: float = 0.3  # of the waits, all together
    wait: float = 0.1  # of each wait
    size: float = 0.05  # of each size of message
    rounds: float = 0.2  # of the number of rounds
    window: float = 0.03  # of windows that a stack has tuned
    network: bool = True  # jitter of the path, and losses


NONE = Spread(path=0, host=0, wait=0, size=0, rounds=0, window=0, network=False)


def vary(talk: Conversation, spread: Spread, rng: np.random.Generator) -> Conversation:
    """The same conversation between other hosts, on another path."""
    if spread.rounds:
        talk = _other_rounds(talk, spread.rounds, rng)
    payload = talk.payload
    if spread.size:
        values, which = np.unique(payload, return_inverse=True)
        changed = np.rint(values * np.exp(spread.size * rng.standard_normal(len(values))))
        spoken = (values > talk.empty) & (values < _FULL)
        payload = np.where(spoken, np.maximum(changed, talk.empty + 1), values)[which].astype(np.int64)
    travel = _travel(talk)
    path = np.exp(spread.path * rng.standard_normal())
    if spread.network:
        path = path * np.exp(PATH_JITTER * rng.standard_normal(len(talk)))
    host = np.exp(spread.host * rng.standard_normal() + spread.wait * rng.standard_normal(len(talk)))
    gap = np.rint(travel * path + (talk.gap - travel) * host).astype(np.int64)
    tuned = talk.flags & SYN == 0
    factor = np.exp(spread.window * rng.standard_normal(2))[talk.side]
    window = np.where(tuned & (talk.window < 65535), np.rint(talk.window * factor), talk.window).astype(np.int64)
    talk = replace(talk, payload=payload, gap=gap, window=np.minimum(window, 2**31 - 1))
    if spread.network and talk.protocol == TCP and rng.random() < LOSSY:
        talk = _sent_again(talk, 2 * float(travel.max(initial=0)), rng)
    return talk


def _travel(talk: Conversation) -> np.ndarray:
    """µs of each gap that the path takes: at most the least gap after which the sides changed in that direction."""
    travel = np.zeros(len(talk))
    turned = np.append(False, np.diff(talk.side) != 0)
    for side in (UP, DOWN):
        answers = turned & (talk.side == side)
        if answers.any():
            travel[answers] = talk.gap[answers].min()
    return travel


def _other_rounds(talk: Conversation, spread: float, rng: np.random.Generator) -> Conversation:
    """With more or fewer rounds: whole ones said again or left out.

    A round begins where the initiator speaks after the other side, or, where that is silent, with each packet.
    """
    n = len(talk)
    closing = talk.flags & (FIN | RST) > 0
    end = int(np.argmax(closing)) if closing.any() else n
    after = np.append(True, talk.side[:-1] == DOWN) if (talk.side == DOWN).any() else np.ones(n, bool)
    begins = 1 + np.flatnonzero((after & (talk.side == UP) & (talk.payload > talk.empty))[1:end])
    count = len(begins)
    if count < 2:
        return talk
    wanted = max(int(np.rint(count * np.exp(spread * rng.standard_normal()))), 1)
    times = np.ones(count, np.int64)
    if wanted < count:
        times[rng.choice(count, count - wanted, replace=False)] = 0
    else:
        times += np.bincount(rng.integers(count, size=min(wanted, 4 * count) - count), minlength=count)
    length = np.diff(begins, append=end)
    chosen = np.repeat(np.arange(count), times)
    size = length[chosen]
    inside = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    rows = np.concatenate([np.arange(begins[0]), np.repeat(begins[chosen], size) + inside, np.arange(end, n)])
    columns = ("side", "gap", "payload", "header", "flags", "window")
    return replace(talk, **{name: getattr(talk, name)[rows] for name in columns})


def _sent_again(talk: Conversation, rtt: float, rng: np.random.Generator) -> Conversation:
    """With some segments sent a second time, before the last packet."""
    lost = (talk.payload > talk.empty) & (rng.random(len(talk)) < LOSS)
    time = np.cumsum(talk.gap)
    late = time + int(max(RETRANSMISSION_TIMEOUT, 2 * rtt))
    again = np.flatnonzero(lost & (late < time[-1]))
    if not len(again):
        return talk
    rows = np.concatenate([np.arange(len(talk)), again])
    when = np.concatenate([time, late[again]])
    order = np.argsort(when, kind="stable")
    columns = ("side", "payload", "header", "flags", "window")
    changed = {name: getattr(talk, name)[rows][order] for name in columns}
    return replace(talk, gap=np.diff(when[order], prepend=0), **changed)


def metered(talks: Iterable[Conversation], compat: Compat, timeout: int = TIMEOUT) -> tuple[np.ndarray, np.ndarray]:
    """The first record that a meter makes of each conversation, as if nothing else had been captured.

    Args:
      timeout: µs; a conversation that takes longer is hurried until it does not.

    Returns:
      x [n, d], columns as `meter`'s; [n] bool, whether there is a record (some modes write none of a single packet).
    """
    parts = [_metered(some, compat, timeout) for some in _pieces(talks)]
    return np.concatenate([x for x, _ in parts]), np.concatenate([found for _, found in parts])


def _pieces(talks: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """The conversations, some at a time, of not too many packets together; of none, one piece without any."""
    piece: list[Conversation] = []
    packets = 0
    for talk in talks:
        if piece and (packets + len(talk) > _AT_ONCE or len(piece) == _MOST):
            yield piece
            piece, packets = [], 0
        piece.append(talk)
        packets += len(talk)
    yield piece


def _metered(talks: Sequence[Conversation], compat: Compat, timeout: int) -> tuple[np.ndarray, np.ndarray]:
    shortest = 0 if compat in STREAMED else 1  # µs: rates over no time are infinite there
    parts, now = [], START
    for number, talk in enumerate(talks):
        gap = talk.gap
        total = int(gap.sum())
        if total > timeout:
            gap = (gap * (timeout / total)).astype(np.int64)
        elif total < shortest:
            gap = np.append(gap[:-1], shortest)
        time = now + np.cumsum(gap)
        now = int(time[-1]) + _PAUSE
        parts.append(_packets(talk, time, number))
    packets = concatenate(parts)
    flows = _flows(packets, compat, timeout)
    begin = np.cumsum([len(part) for part in parts]) - [len(part) for part in parts]
    owner = np.searchsorted(begin, flows.first_packet, side="right") - 1
    owners, first = np.unique(owner, return_index=True)
    x = np.zeros((len(talks), len(flows.features)))
    x[owners] = flows.x[first]
    found = np.zeros(len(talks), bool)
    found[owners] = True
    return x, found


def _flows(packets: Packets, compat: Compat, timeout: int) -> Flows:
    """Padding is in the payload already: a record tells whether its frames had any, and not all had."""
    if compat not in EARLY:
        return meter(packets, compat=compat, timeout_us=timeout)
    early = replace(EARLY[compat], padded=False)
    return cicflowmeter(checked(packets), timeout_us=timeout, activity_timeout_us=ACTIVITY_TIMEOUT, early=early)


def _packets(talk: Conversation, time: np.ndarray, number: int) -> Packets:
    up = talk.side == UP
    client, server = 2 * number, 2 * number + 1
    ports = talk.protocol in (TCP, UDP)
    mine, other = (EPHEMERAL[0] + 1, talk.port) if ports else (0, 0)
    n = len(talk)
    return Packets(
        time=time,
        source=np.where(up, client, server),
        destination=np.where(up, server, client),
        source_port=np.where(up, mine, other).astype(np.int32),
        destination_port=np.where(up, other, mine).astype(np.int32),
        protocol=np.full(n, talk.protocol, np.int16),
        payload=talk.payload.astype(np.int32),
        header=talk.header.astype(np.int32),
        flags=talk.flags.astype(np.uint8),
        window=talk.window.astype(np.int32),
        icmp=np.full(n, talk.icmp, np.int32),
    )
