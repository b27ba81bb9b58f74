"""What network stacks and the path do to conversations: messages become timed packets.

`simulate` plays all conversations of one recipe (`Traffic`) at once.  It cuts messages into segments of at most one
MSS (several, where the capturing card merged them), pauses for a round trip when the congestion window is used up,
sends delayed acknowledgements unless an answer carries them, repeats lost segments, and fills in options and windows.

Sources: RFC 9293 (TCP), 1122 §4.2.3.2 (delayed acknowledgement), 6928 (initial window of ten segments), 7323
(timestamps).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nids_jax.flows.packets import ACK, PSH, RST, SYN, TCP
from nids_jax.flows.simulate.script import CLOSES, DOWN, OPENS, STACKS, TALKING, UP, Control, Loop, Streams, Traffic

MICROSECONDS = 1e6  # in a second
MSS = 1460  # bytes: Ethernet's 1500 less 20 of IP and 20 of TCP
TIMESTAMPS = 12  # bytes of options
TCP_HEADER, UDP_HEADER = 20, 8  # bytes, without options (8: ICMP's echo too)
LEAST_ANSWER = 4  # bytes of options in a stack's SYN, ACK: it says its MSS even to a SYN without options
INITIAL_WINDOW = 10  # segments sent before the first acknowledgement is awaited; doubles every round trip
RETRANSMISSION_TIMEOUT = 0.2e6  # µs: Linux's least
REPLY_AT_ONCE = 100.0  # µs: an answer this quick carries even an acknowledgement that would not have waited
MERGED = np.array([1, 1, 2, 4, 8])  # segments that a receive offload hands over as one packet
PACE = 25.0  # µs between packets of a burst
LOSSY, LOSS = 0.05, 0.02  # share of conversations that lose segments; share of their segments lost
PATH_JITTER = 0.15  # σ of the logarithm of each turn's travel time
TIMER_LAG = 0.004  # by which share a timer of the stack fires late, in the mean


@dataclass(frozen=True, kw_only=True)
class Conversations:
    """`p` packets of `n` conversations of one recipe; no order among the packets is promised."""

    conversation: np.ndarray  # [p] int64
    time: np.ndarray  # [p] µs since the conversation began
    side: np.ndarray  # [p] UP or DOWN
    payload: np.ndarray  # [p] bytes
    header: np.ndarray  # [p] bytes
    flags: np.ndarray  # [p]
    window: np.ndarray  # [p]
    closing: np.ndarray  # [p] whether the connection's close has begun
    port: np.ndarray  # [n] the server's
    client_port: np.ndarray  # [n] where the recipe says the client's, else -1


@dataclass(frozen=True, kw_only=True)
class _Hosts:
    """Both ends of each of `n` conversations (rows UP: client, DOWN: server) and the path between them."""

    distance: np.ndarray  # [2, n] µs, one way from the capturing point
    ack_delay: np.ndarray  # [2, n] µs
    syn_window: np.ndarray  # [2, n]
    syn_options: np.ndarray  # [2, n] bytes
    window: np.ndarray  # [2, n] of the first segment after SYN
    growth: np.ndarray  # [2, n] per data packet received
    window_high: np.ndarray  # [2, n]
    options: np.ndarray  # [n] bytes on every segment but SYN and RST
    segment: np.ndarray  # [n] bytes of payload at most
    pace: np.ndarray  # [n] µs
    loss: np.ndarray  # [n] chance that a data packet is sent again


@dataclass(frozen=True, kw_only=True)
class _Messages:
    """`m` messages and bare control segments, conversation by conversation, in the order they are said."""

    conversation: np.ndarray  # [m]
    side: np.ndarray  # [m]
    size: np.ndarray  # [m] bytes
    wait: np.ndarray  # [m] µs, apart from what the path takes
    flags: np.ndarray  # [m] of the last segment
    closing: np.ndarray  # [m] whether it belongs to the close


@dataclass(frozen=True, kw_only=True)
class _Segments:
    """`p` packets on the capturing point's clock."""

    conversation: np.ndarray  # [p]
    time: np.ndarray  # [p] µs since the conversation began
    side: np.ndarray  # [p]
    payload: np.ndarray  # [p] bytes
    flags: np.ndarray  # [p]
    heard: np.ndarray  # [p] data packets that the sender has received so far
    said: np.ndarray  # [p] data packets that the sender has sent so far, this one included


def simulate(traffic: Traffic, n: int, streams: Streams) -> Conversations:
    """`n` conversations of one recipe; the first ones are the same for every larger `n`."""
    hosts = _draw_hosts(traffic, n, streams)
    messages = _draw_messages(traffic, n, streams)
    if traffic.mss and _whole(traffic):  # of a larger packet, the fragment that has ports and a header
        messages = replace(messages, size=np.minimum(messages.size, hosts.segment[messages.conversation]))
    sent = _transmit(messages, hosts, streams)
    said = sent.packets

    # Once closed, a connection stays silent: nothing follows its last FIN, RST or ACK.
    closes, silent = np.full(n, np.inf), np.full(n, np.inf)
    at, time = said.conversation[sent.closing], said.time[sent.closing]
    closes[at[::-1]] = time[::-1]  # of several assignments the last one holds
    silent[at] = time

    if traffic.raw and traffic.protocol == TCP:
        packets, flags = said, said.flags
        header, window = _tcp_fields(packets, hosts)
    elif traffic.protocol == TCP:
        extra = _join([_acknowledge(sent, hosts), _retransmit(said, hosts, streams)])
        packets = _join([said, _take(extra, np.flatnonzero(extra.time < silent[extra.conversation]))])
        header, window = _tcp_fields(packets, hosts)
        flags = packets.flags
    else:
        packets = said
        header, window = np.full(len(said.side), UDP_HEADER), np.zeros(len(said.side), np.int64)
        flags = np.zeros_like(said.flags)
    if traffic.header is not None:
        header = np.full_like(header, traffic.header)
    return Conversations(
        conversation=packets.conversation,
        time=packets.time,
        side=packets.side,
        payload=packets.payload,
        header=header,
        flags=flags,
        window=window,
        closing=packets.time >= closes[packets.conversation],
        port=np.asarray(traffic.ports)[streams.pick([1.0] * len(traffic.ports), n)],
        client_port=_one_of(traffic.client_ports, n, streams) if traffic.client_ports else np.full(n, -1),
    )


def _one_of(values: Sequence[float], n: int, streams: Streams) -> np.ndarray:
    """One of `values` for each conversation: [n]."""
    return np.asarray(values)[(streams.next().random(n) * len(values)).astype(np.int64)]


_Table = TypeVar("_Table", _Messages, _Segments)


def _take(table: _Table, rows: np.ndarray) -> _Table:
    return replace(table, **{name: column[rows] for name, column in vars(table).items()})


def _join(tables: Sequence[_Table]) -> _Table:
    return replace(tables[0], **{name: np.concatenate([vars(t)[name] for t in tables]) for name in vars(tables[0])})


def _draw_hosts(traffic: Traffic, n: int, streams: Streams) -> _Hosts:
    """Stacks, distances and habits of both ends."""
    names = tuple(STACKS)
    stacks = tuple(STACKS.values())
    chosen = np.empty((2, n), np.int64)
    for side, weights in ((UP, traffic.clients), (DOWN, traffic.servers)):
        chosen[side] = np.array([names.index(name) for name in weights])[streams.pick(list(weights.values()), n)]

    def of_stack(field: str) -> np.ndarray:
        return np.array([getattr(stack, field) for stack in stacks])[chosen]

    def one_of(field: str) -> np.ndarray:
        """One of the settings that a stack's field lists, drawn for each host."""
        settings = [getattr(stack, field) for stack in stacks]
        width = max(map(len, settings))
        table = np.array([np.resize(values, width) for values in settings])
        count = np.array([len(values) for values in settings])[chosen]
        return table[chosen, (streams.next().random((n, 2)).T * count).astype(np.int64)]

    rtt = traffic.rtt.draw(streams, np.ones(n, np.int64)) * MICROSECONDS
    tap = streams.next().random(n)  # where on the path the capturing point lies: 0 at the client, 1 at the server
    timestamps = of_stack("timestamps").all(axis=0)
    syn_options = of_stack("syn_options")
    # The answer takes up only what was offered, and says the MSS in any case.
    syn_options[DOWN] = np.maximum(syn_options.min(axis=0), LEAST_ANSWER)
    options = np.where(timestamps, TIMESTAMPS, 0)
    window = of_stack("window") * np.exp(0.03 * streams.next().standard_normal((n, 2)).T)  # memory, earlier tuning
    hosts = _Hosts(
        distance=np.stack([tap, 1 - tap]) * rtt / 2,
        ack_delay=one_of("ack_delay") * MICROSECONDS,
        syn_window=one_of("syn_window"),
        syn_options=syn_options,
        window=window,
        growth=of_stack("growth"),
        window_high=of_stack("window_high"),
        options=options,
        segment=(MSS - options) * MERGED[streams.pick([1.0] * len(MERGED), n)],
        pace=PACE * np.exp(streams.next().standard_normal(n)),
        loss=np.where(streams.next().random(n) < LOSSY, LOSS, 0.0),
    )
    if traffic.raw:
        hosts = replace(hosts, window=np.stack([hosts.syn_window[UP], hosts.window[DOWN]]))
    if traffic.losses:
        hosts = replace(hosts, loss=_one_of(traffic.losses, n, streams))
    if traffic.mss:
        mss = _one_of(traffic.mss, n, streams)
        header = traffic.header if traffic.header is not None else TCP_HEADER if traffic.protocol == TCP else UDP_HEADER
        cut = (mss - options) * (hosts.segment // (MSS - options))
        hosts = replace(hosts, segment=mss + TCP_HEADER - header if _whole(traffic) else cut)
    return hosts


def _whole(traffic: Traffic) -> bool:
    """Whether messages leave as they are, and are not cut into segments."""
    return traffic.raw or traffic.protocol != TCP


def _draw_messages(traffic: Traffic, n: int, streams: Streams) -> _Messages:
    """All that is said in `n` conversations."""
    opens, style = _controls(OPENS, traffic.opens, np.ones(n, bool), np.zeros(n), streams)
    talks = np.isin(style, TALKING)
    acts = [_said(act, talks, streams) for act in traffic.acts]
    linger = traffic.linger.draw(streams, np.ones(n, np.int64)) * MICROSECONDS
    closes, _ = _controls(CLOSES, traffic.closes, talks, linger, streams)
    parts = [opens, *acts, replace(closes, closing=np.ones(len(closes.side), bool))]
    # Every part runs from the first conversation to the last, and the parts follow each other within each.
    joined = _join(parts)
    return _take(joined, np.argsort(joined.conversation, kind="stable"))


def _controls(
    styles: Mapping[str, tuple[Control, ...]],
    weights: Mapping[str, float],
    where: np.ndarray,
    delay: np.ndarray,
    streams: Streams,
) -> tuple[_Messages, np.ndarray]:
    """The bare segments that open or close, `delay` [n] µs after what went before, and the style of each: [n] str."""
    chosen = streams.pick(list(weights.values()), len(where))
    scripts = [styles[name] for name in weights]
    length = np.where(where, np.array([len(script) for script in scripts])[chosen], 0)
    conversation = np.repeat(np.arange(len(where)), length)
    index = np.arange(len(conversation)) - np.repeat(np.cumsum(length) - length, length)
    table = np.zeros((len(scripts), max(1, *map(len, scripts)), 3))
    for script, rows in zip(scripts, table, strict=True):
        rows[: len(script)] = np.reshape(script, (-1, 3))
    side, flags, wait = table[chosen[conversation], index].T
    lag = 1 + TIMER_LAG * streams.next().standard_exponential(len(wait))
    messages = _Messages(
        conversation=conversation,
        side=side.astype(np.int64),
        size=np.zeros(len(wait), np.int64),
        wait=wait * lag * MICROSECONDS + np.where(index == 0, delay[conversation], 0.0),
        flags=flags.astype(np.uint8),
        closing=np.zeros(len(wait), bool),
    )
    return messages, np.array(list(weights))[chosen]


def _said(act: Loop, talks: np.ndarray, streams: Streams) -> _Messages:
    """The messages of one act in the conversations that talk."""
    n, width = len(talks), len(act.messages)
    rounds = np.where(talks, np.rint(act.rounds.draw(streams, np.ones(n, np.int64))), 0).astype(np.int64)
    said = np.empty((rounds.sum(), width), bool)
    size = np.empty(said.shape, np.int64)
    wait = np.empty(said.shape)
    for column, message in enumerate(act.messages):
        size[:, column] = np.rint(message.size.draw(streams, rounds))
        wait[:, column] = message.wait.draw(streams, rounds) * MICROSECONDS
        said[:, column] = streams.next().random(len(said)) < message.chance
    said = said.ravel()
    size = size.ravel()[said]
    flags = np.where(size > 0, PSH | ACK, ACK)
    given = np.array([-1 if message.flags is None else message.flags for message in act.messages])
    if (given >= 0).any():
        given = np.tile(given, rounds.sum())[said]
        flags = np.where(given >= 0, given, flags)
    return _Messages(
        conversation=np.repeat(np.repeat(np.arange(n), rounds), width)[said],
        side=np.tile(np.array([message.side for message in act.messages]), rounds.sum())[said],
        size=size,
        wait=wait.ravel()[said],
        flags=flags.astype(np.uint8),
        closing=np.zeros(len(size), bool),
    )


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """The packets that carry what is said, in order, and what an acknowledgement of each depends on."""

    packets: _Segments
    odd: np.ndarray  # [p] whether it is the first, third, … segment of its message
    last: np.ndarray  # [p] whether it is the message's last
    way_back: np.ndarray  # [p] µs from the capturing point to the other side and back
    answered: np.ndarray  # [p] µs that the other side waits until it says something itself; ∞ where it does not
    closing: np.ndarray  # [p] whether it belongs to the close


def _transmit(messages: _Messages, hosts: _Hosts, streams: Streams) -> _Sent:
    """Messages → segments, at least the clock's resolution of 1 µs apart."""
    conversation, side = messages.conversation, messages.side
    # Between two messages lies the sender's wait; where the sides change, also the way to the sender and back.
    begins = np.diff(conversation, prepend=-1) != 0
    turns = ~begins & (np.diff(side, prepend=side[:1]) != 0)
    travel = 2 * hosts.distance[side, conversation] * np.exp(PATH_JITTER * streams.next().standard_normal(len(side)))
    gap = np.where(begins, 0.0, np.maximum(messages.wait + turns * travel, 1.0))

    limit = hosts.segment[conversation]
    segments = np.maximum(1, -(-messages.size // limit))
    begin = np.cumsum(segments) - segments
    row = np.repeat(np.arange(len(side)), segments)
    index = np.arange(len(row)) - begin[row]
    last = np.zeros(len(row), bool)
    last[begin + segments - 1] = True

    # Within a message: a burst, and a round trip's pause each time the congestion window is used up.
    step = hosts.pace[conversation][row] * streams.next().standard_exponential(len(row))
    pauses = np.flatnonzero(np.isin(index, INITIAL_WINDOW * (2 ** np.arange(1, 16) - 1)))
    step[pauses] += 2 * hosts.distance.sum(axis=0)[conversation[row[pauses]]]
    np.maximum(step, 1.0, out=step)
    step[begin] = gap
    clock = np.cumsum(step)

    # The other side next says something at the next turn of the same conversation; an acknowledgement sent before that
    # takes the same time on its way, so that it is not overtaken.
    coming = np.append(np.where(turns, np.arange(len(side)), len(side)), len(side))
    coming = np.minimum.accumulate(coming[::-1])[::-1][1:]
    same = np.append(conversation, -1)[coming] == conversation
    way_back = np.where(same, np.append(travel, 0.0)[coming], 2 * hosts.distance[1 - side, conversation])
    answer = np.where(same, np.append(clock[begin], 0.0)[coming] - way_back, np.inf)

    opening = begin[begins]
    packets = np.diff(opening, append=len(row))
    said_by = []
    for each in (UP, DOWN):
        data = ((messages.size > 0) & (side == each))[row]
        count = np.cumsum(data)
        said_by.append(count - np.repeat(count[opening] - data[opening], packets))
    from_client = side[row] == UP
    payload = limit[row]
    payload[last] = messages.size - (segments - 1) * limit
    flags = messages.flags[row]
    flags[~last] &= 255 - PSH
    return _Sent(
        packets=_Segments(
            conversation=conversation[row],
            time=clock - np.repeat(clock[opening], packets),
            side=side[row],
            payload=payload,
            flags=flags,
            heard=np.where(from_client, said_by[DOWN], said_by[UP]),
            said=np.where(from_client, said_by[UP], said_by[DOWN]),
        ),
        odd=index % 2 == 0,
        last=last,
        way_back=way_back[row],
        answered=answer[row] - clock,
        closing=messages.closing[row],
    )


def _acknowledge(sent: _Sent, hosts: _Hosts) -> _Segments:
    """Bare acknowledgements: of every second segment at once, else after a delay; none where an answer carries it."""
    data = sent.packets
    delay = np.where(sent.odd, hosts.ack_delay[1 - data.side, data.conversation], 0.0)
    bare = (data.payload > 0) & (sent.last | ~sent.odd) & (sent.answered > np.maximum(delay, REPLY_AT_ONCE))
    rows = np.flatnonzero(bare)
    data = _take(data, rows)
    return replace(
        data,
        time=data.time + sent.way_back[rows] + delay[rows],
        side=1 - data.side,
        payload=np.zeros_like(data.payload),
        flags=np.full_like(data.flags, ACK),
        heard=data.said,
        said=data.heard,
    )


def _retransmit(sent: _Segments, hosts: _Hosts, streams: Streams) -> _Segments:
    """The segments sent a second time, after Linux's least timeout or two round trips."""
    lost = streams.next().random(len(sent.time)) < hosts.loss[sent.conversation]
    again = _take(sent, np.flatnonzero(lost & (sent.payload > 0)))
    timeout = np.maximum(RETRANSMISSION_TIMEOUT, 4 * hosts.distance.sum(axis=0)[again.conversation])
    return replace(again, time=again.time + timeout)


def _tcp_fields(packets: _Segments, hosts: _Hosts) -> tuple[np.ndarray, np.ndarray]:
    """Header length and window field of each packet: [p], [p]."""
    end = packets.side * len(hosts.options) + packets.conversation  # position in a flattened [2, n]
    growing = hosts.window.take(end) + hosts.growth.take(end) * packets.heard
    window = np.minimum(growing, hosts.window_high.take(end)).astype(np.int64)
    header = TCP_HEADER + hosts.options[packets.conversation]
    syn = np.flatnonzero(packets.flags & SYN)
    header[syn] = TCP_HEADER + hosts.syn_options.take(end[syn])
    window[syn] = hosts.syn_window.take(end[syn])
    rst = np.flatnonzero(packets.flags & RST)
    header[rst] = TCP_HEADER
    window[rst] = 0
    return header, window
