"""Packet columns → what else stands in IPv4 packets: addresses, sequence numbers, timestamps, text.

`Packets` says what a flow meter asks for.  The rest follows from it, conversation by conversation (a conversation is a
two-way 5-tuple, and its first packet is its client's):

- Sequence numbers count payload, SYN and FIN from a random number on.  A SYN or bare FIN that its side has sent before
  is the same again, and so is a segment with payload that equals one which its side sent 200 ms before (Linux's least
  timeout, to 1 µs).  `Packets` does not say which segments are repeated: on paths of more than 100 ms, where the
  simulator waits longer, a repeated segment is written as new bytes.
- A bare acknowledgement is of every second segment of a message, or of its last, in turn; any other packet, and the
  last of a side, acknowledges all that was captured.
- Timestamps (RFC 7323) count the capture's milliseconds from a random number on, and echo the other side's last.

Sources: RFC 791, 9293, 7323.
"""

from dataclasses import dataclass, replace

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.capture.text import write_text
from nids_jax.flows.packets import ACK, FIN, PSH, RST, SYN, TCP, Packets

CLIENTS, SERVERS = (10 << 24, 1 << 24), (198 << 24 | 18 << 16, 1 << 17)  # 10.0.0.0/8, 198.18.0.0/15: first, how many
_TIMEOUT = 200_000  # µs after which a segment is sent again
_SACK = 32  # bytes of a SYN's header where Windows sent it
_HOPS = 16  # routers at most between a host and the capturing point
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True, kw_only=True)
class Datagrams:
    """`p` IPv4 packets, in order of time."""

    time: np.ndarray  # [p] int64, µs since the epoch
    source: np.ndarray  # [p] uint32, address
    destination: np.ndarray  # [p] uint32
    source_port: np.ndarray  # [p]
    destination_port: np.ndarray  # [p]
    protocol: np.ndarray  # [p]
    payload: np.ndarray  # [p] bytes
    header: np.ndarray  # [p] bytes
    flags: np.ndarray  # [p]
    window: np.ndarray  # [p]
    up: np.ndarray  # [p] whether its client sent it
    lifetime: np.ndarray  # [p] uint8, IP's TTL
    identification: np.ndarray  # [p] uint16
    sequence: np.ndarray  # [p] uint32
    acknowledgement: np.ndarray  # [p] uint32, 0 without ACK
    stamp: np.ndarray  # [p] uint32, TCP's timestamp
    echo: np.ndarray  # [p] uint32, and the one that it echoes
    text_begin: np.ndarray  # [p] int64, where in `text` its payload begins
    text_length: np.ndarray  # [p] int64, bytes of payload that stand there; the others are 0
    text: np.ndarray  # [t] uint8

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> "Datagrams":
        """The packets at `rows`, and all the text."""
        return Datagrams(**{name: column if name == "text" else column[rows] for name, column in vars(self).items()})

    def shed(self) -> "Datagrams":
        """The same packets, and no more text than they need."""
        text = self.text[spans(self.text_begin, self.text_length)]
        return replace(self, text=text, text_begin=np.cumsum(self.text_length) - self.text_length)


def merge(first: Datagrams, second: Datagrams) -> Datagrams:
    """The packets of both, in order of time."""
    second = replace(second, text_begin=second.text_begin + len(first.text))
    both = {name: np.concatenate([column, vars(second)[name]]) for name, column in vars(first).items()}
    return Datagrams(**both).take(np.argsort(both["time"], kind="stable"))


def spans(begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """begin[i], begin[i] + 1 … begin[i] + length[i] − 1 of each i, one after another."""
    ends = np.cumsum(length)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begin - (ends - length), length)


@dataclass(frozen=True, kw_only=True)
class Conversations:
    """`c` conversations, in order of their first packets."""

    first: np.ndarray  # [c] row of the first packet


class Addresses:
    """The IPv4 addresses of hosts, given out in order of their numbers as they come up.

    A server keeps its address; hosts that begin conversations get new ones at each call.
    """

    def __init__(self) -> None:
        self._clients = 0
        self._servers: dict[int, int] = {}

    def of(self, clients: np.ndarray, servers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The addresses of hosts by number, [c] each.

        Raises:
          InputError: more hosts than addresses.
        """
        hosts, client = np.unique(clients, return_inverse=True)
        client = client + CLIENTS[0] + 1 + self._clients
        self._clients += len(hosts)
        hosts, server = np.unique(servers, return_inverse=True)
        known = [self._servers.setdefault(host, SERVERS[0] + 1 + len(self._servers)) for host in hosts.tolist()]
        for count, (_, most), do in (
            (self._clients, CLIENTS, "begin conversations"),
            (len(self._servers), SERVERS, "answer"),
        ):
            if count > most - 2:
                raise InputError(f"more than {most - 2:,} hosts {do}; write several captures")
        return client, np.array(known, np.int64)[server]


def datagrams(packets: Packets, addresses: Addresses) -> tuple[Datagrams, Conversations]:
    """What goes over the wire, and the conversations, of packets in order of time.

    Raises:
      InputError: more hosts than addresses.
    """
    order, conversation, first = _conversations(packets)
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.arange(len(order))
    p = packets.take(order)
    lead = p.take(first)
    up = (p.source == lead.source[conversation]) & (p.source_port == lead.source_port[conversation])
    side = (~up).astype(np.int64)
    ports = lead.source_port.astype(np.int64) << 16 | lead.destination_port
    # [side, conversation] uint64
    random = np.stack([_mixed(lead.source, lead.destination, ports, lead.protocol, s) for s in (0, 1)])
    client, server = (each[conversation] for each in addresses.of(lead.source, lead.destination))

    mine = random[side, conversation]
    stamp = (p.time // 1000 + (mine >> np.uint64(33)).astype(np.int64)) & 0xFFFFFFFF
    (of_client, spoke), (of_server, answered) = (_last(side == s, first) for s in (0, 1))
    heard, there = np.where(up, of_server, of_client), np.where(up, answered, spoke)
    echo = np.where(there & (p.flags & ACK != 0), stamp[heard], 0)
    windows = np.zeros((2, len(first)), bool)
    hello = np.flatnonzero((p.flags & SYN != 0) & (p.header == _SACK))
    windows[side[hello], conversation[hello]] = True
    hops = (_mixed(p.source, side) % np.uint64(_HOPS)).astype(np.int64) + 1
    count = np.stack([np.cumsum(side == s) for s in (0, 1)])
    sequence, acknowledgement, original = _numbers(p, side, conversation, first, random)
    text = write_text(p, side, conversation, first, original, (random[0] & np.uint64(0x7FFF)).astype(np.int64))
    columns = {
        **{name: getattr(p, name) for name in ("time", "source_port", "destination_port", "protocol", "payload")},
        **{name: getattr(p, name) for name in ("header", "flags", "window")},
        "source": np.where(up, client, server),
        "destination": np.where(up, server, client),
        "up": up,
        "lifetime": np.where(windows[side, conversation], 128, 64) - hops,
        "identification": (count[side, np.arange(len(side))] + (mine >> np.uint64(20)).astype(np.int64)) & 0xFFFF,
        "sequence": sequence,
        "acknowledgement": acknowledgement,
        "stamp": stamp,
        "echo": echo,
        "text_begin": text.begin,
        "text_length": text.length,
    }
    found = Datagrams(**{name: column[inverse] for name, column in columns.items()}, text=text.pool)
    return found, Conversations(first=np.sort(order[first]))


def _conversations(packets: Packets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The packets' order by conversation [p]; in this order each one's conversation [p], and where each begins [c]."""
    p = len(packets)
    ends = np.concatenate([packets.source, packets.destination]) * 65536
    ends += np.concatenate([packets.source_port, packets.destination_port])
    ends = np.unique(ends, return_inverse=True)[1]
    low, high = np.minimum(ends[:p], ends[p:]), np.maximum(ends[:p], ends[p:])
    key = (low * (ends.max(initial=0) + 1) + high) * 256 + packets.protocol
    order = np.argsort(key, kind="stable")
    begins = np.diff(key[order], prepend=-1) != 0
    return order, np.cumsum(begins) - 1, np.flatnonzero(begins)


def _mixed(*numbers: np.ndarray | int) -> np.ndarray:
    """Numbers without a pattern that follow from the given ones: uint64 (splitmix64)."""
    value = np.uint64(0)
    for each in numbers:
        value = (value + np.asarray(each).astype(np.uint64)) * _MIX[0] + _MIX[2]
        value = (value ^ (value >> np.uint64(30))) * _MIX[1]
        value = (value ^ (value >> np.uint64(27))) * _MIX[2]
        value = value ^ (value >> np.uint64(31))
    return np.asarray(value)


def _last(mark: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last marked row of the conversation up to each row, and whether there is one."""
    last = np.maximum.accumulate(np.where(mark, np.arange(len(mark)), -1))
    return last, last >= np.repeat(first, np.diff(first, append=len(mark)))


def _within(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Running totals [p] of `values` within each conversation."""
    total = np.cumsum(values)
    sizes = np.diff(first, append=len(values))
    return total - np.repeat(total[first] - values[first], sizes)


def _numbers(
    p: Packets, side: np.ndarray, conversation: np.ndarray, first: np.ndarray, random: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequence and acknowledgement numbers, and the row whose bytes each packet carries (its own, or that repeated)."""
    tcp = p.protocol == TCP
    syn, fin = tcp & (p.flags & SYN != 0), tcp & (p.flags & FIN != 0)
    own = np.arange(len(side))
    original = _repeated(p, side, conversation, tcp)
    again = original != own
    for mark in (syn, fin & (p.payload == 0)):
        for s in (0, 1):
            again |= mark & (side == s) & (_within(mark & (side == s), first) > 1)
    size = np.where(tcp & ~again, p.payload + syn + fin, 0).astype(np.int64)
    sent = np.stack([_within(np.where(side == s, size, 0), first) for s in (0, 1)])  # [side, p] by now
    relative = sent[side, own] - size
    relative[syn & again] = 0
    relative[fin & again & (p.payload == 0)] -= 1
    relative = relative[original]

    base = (random & np.uint64(0xFFFFFFFF)).astype(np.int64)
    replies = np.full((2, len(first)), len(side))
    for s in (0, 1):  # the first packet of each side
        rows = np.flatnonzero(side == s)[::-1]
        replies[s, conversation[rows]] = rows
    opening = np.append(p.flags, 0)[replies[1]]
    base[1, (opening & (RST | ACK)) == RST | ACK] = 0  # nobody listens: RFC 9293, 3.10.7.1
    heard = np.where(side == 0, _acknowledged(p, side, conversation, first, sent, size, 0), 0)
    heard += np.where(side == 1, _acknowledged(p, side, conversation, first, sent, size, 1), 0)
    sequence = (base[side, conversation] + relative) & 0xFFFFFFFF
    acknowledgement = np.where(tcp & (p.flags & ACK != 0), (base[1 - side, conversation] + heard) & 0xFFFFFFFF, 0)
    return sequence, acknowledgement, original


def _acknowledged(
    p: Packets,
    side: np.ndarray,
    conversation: np.ndarray,
    first: np.ndarray,
    sent: np.ndarray,
    size: np.ndarray,
    s: int,
) -> np.ndarray:
    """How many of the other side's numbers each packet of side `s` acknowledges: [p]."""
    all_heard = sent[1 - s]
    theirs = (side == 1 - s) & (size > 0)
    rows = np.flatnonzero(theirs)
    if not len(rows):
        return all_heard
    ends = p.flags[rows] & (PSH | SYN | FIN) != 0
    ends |= np.diff(conversation[rows], append=-1) != 0
    place = np.arange(len(rows))
    begin = np.maximum.accumulate(np.where(np.append(True, ends[:-1]), place, 0))
    point = ends | ((place - begin) % 2 == 1)  # segments that an acknowledgement is of
    points = sent[1 - s][rows[point]]
    full = np.zeros(len(side), np.int64)
    full[rows] = point
    captured = _within(full, first)  # [p] points of the conversation by now

    mine = side == s
    bare = mine & (p.flags == ACK) & (p.payload == 0)
    last, there = _last(mine & ~bare, first)  # when it acknowledged all
    count = _within(bare, first)
    number = count + np.where(there, captured[last] - count[last], 0)
    final = np.zeros(len(side), bool)
    spoken = np.flatnonzero(mine)
    final[spoken[np.diff(conversation[spoken], append=-1) != 0]] = True
    known = bare & ~final & (number <= captured)
    before = np.cumsum(full) - captured
    return np.where(known, points[np.where(known, before + number - 1, 0)], all_heard)


def _repeated(p: Packets, side: np.ndarray, conversation: np.ndarray, tcp: np.ndarray) -> np.ndarray:
    """For each packet the row of the segment that it repeats, or its own."""
    original = np.arange(len(side))
    rows = np.flatnonzero(tcp & (p.payload > 0))
    if not len(rows):
        return original
    shape = _mixed(conversation[rows] * 2 + side[rows], p.payload[rows], p.window[rows] * 256 + p.flags[rows])
    kind = np.unique(shape, return_inverse=True)[1]
    time = p.time[rows] - p.time[rows].min()
    moment = kind * (time.max() + 2 * _TIMEOUT) + time
    order = np.argsort(moment, kind="stable")
    ordered = moment[order]
    found = np.searchsorted(ordered, moment - _TIMEOUT - 1)
    matches = np.abs(ordered[np.minimum(found, len(rows) - 1)] + _TIMEOUT - moment) <= 1
    original[rows[matches]] = rows[order[found[matches]]]
    return original[original]  # of what is repeated twice, the first
