"""The vocabulary in which traffic is described: what two programs say, how their connection opens and closes.

`tools` lists recipes (`Traffic`), one per way in which a tool behaves; `network.simulate` plays them.
Seconds and bytes throughout.

Sources: RFC 9293 (TCP), the default settings of the Linux, Windows and macOS stacks, and the manual of nmap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nids_jax.flows.packets import ACK, FIN, PSH, RST, SYN, TCP, URG

UP, DOWN = 0, 1  # client → server, server → client


class Streams:
    """Random generators in a fixed order, one per quantity.

    Each is drawn from conversation by conversation, so asking for more conversations leaves the first as they were.
    """

    def __init__(self, *key: int) -> None:
        self._sequence = np.random.SeedSequence(key)

    def next(self) -> np.random.Generator:
        """A generator that nothing has drawn from."""
        return np.random.Generator(np.random.PCG64(self._sequence.spawn(1)[0]))

    def pick(self, weights: Sequence[float], n: int) -> np.ndarray:
        """[n] positions in `weights`, drawn in proportion to them."""
        edges = np.cumsum(weights)
        return np.searchsorted(edges[:-1] / edges[-1], self.next().random(n), side="right")


@dataclass(frozen=True)
class About:
    """Log-normal quantity: median · exp(between · z_conversation + within · z_draw), kept in [low, high].

    `median` may list the settings a program is found with; each conversation follows one of them, drawn uniformly.
    """

    median: float | tuple[float, ...]
    between: float = 0.0
    within: float = 0.0
    low: float = 0.0
    high: float = np.inf

    def draw(self, streams: Streams, repeats: np.ndarray) -> np.ndarray:
        """`repeats` [n] values for each of n conversations, one after another: [sum of repeats] float64."""
        settings = np.atleast_1d(np.asarray(self.median, float))
        base = settings[streams.pick([1.0] * len(settings), len(repeats))]
        base = base * np.exp(self.between * streams.next().standard_normal(len(repeats)))
        value = np.repeat(base, repeats)
        if self.within:
            value *= np.exp(self.within * streams.next().standard_normal(len(value)))
        return np.clip(value, self.low, self.high)


@dataclass(frozen=True)
class Message:
    """What one side says at once: `size` bytes (0: a bare acknowledgement), `wait` seconds after what went before."""

    side: int
    size: About
    wait: About
    chance: float = 1.0  # of being said at all
    flags: int | None = None  # TCP flags of its last segment; None: PSH and ACK, or ACK alone where it has no bytes


def up(size: About, wait: About, chance: float = 1.0, flags: int | None = None) -> Message:
    """The client says `size` bytes after `wait` seconds."""
    return Message(UP, size, wait, chance, flags)


def down(size: About, wait: About, chance: float = 1.0, flags: int | None = None) -> Message:
    """The server says `size` bytes after `wait` seconds."""
    return Message(DOWN, size, wait, chance, flags)


@dataclass(frozen=True)
class Loop:
    """`messages` in this order, `rounds` times over (rounded to a whole number)."""

    messages: tuple[Message, ...]
    rounds: About = About(1)


def say(*messages: Message) -> Loop:
    """`messages` once."""
    return Loop(messages)


def repeat(rounds: About, *messages: Message) -> Loop:
    """`messages`, `rounds` times over."""
    return Loop(messages, rounds)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """One way in which a class of traffic looks: two programs, their hosts, and the path between them."""

    ports: Sequence[int]  # of the server, one of these
    clients: Mapping[str, float]  # name in STACKS → weight
    servers: Mapping[str, float]
    rtt: About  # s, round trip
    opens: Mapping[str, float]  # name in OPENS → weight
    acts: tuple[Loop, ...]
    closes: Mapping[str, float]  # name in CLOSES → weight
    linger: About = About(0)  # s from the last message to the close
    protocol: int = TCP
    # The client's: one of these, and a host of its own for every conversation (spoofed, or a reflector's fixed port);
    # none: a few hosts that use each ephemeral port once.
    client_ports: Sequence[int] = ()
    mss: tuple[int, ...] = ()  # bytes of payload in a segment at most, one of these a conversation; none: Ethernet's
    losses: tuple[float, ...] = ()  # share of the data segments that get lost, one of these a conversation; none: few
    raw: bool = False  # written past the stack: nothing is acknowledged or sent again
    header: int | None = None  # bytes of the transport header; None: what the protocol and its options take


@dataclass(frozen=True, kw_only=True)
class Stack:
    """How an operating system (or a tool with raw sockets) fills the TCP header."""

    syn_window: tuple[int, ...]  # window of its SYN, one of these
    syn_options: int  # bytes of options on its SYN
    timestamps: bool  # 12 bytes of options on every later segment, if both sides have them
    window: int  # window field of its first segment after SYN (scaled)
    growth: int  # what the field gains with each data packet received …
    window_high: int  # … up to this
    ack_delay: tuple[float, ...]  # s, one of these per conversation


def _raw(options: int, windows: tuple[int, ...], *, timestamps: bool = False) -> Stack:
    """What a tool writes by itself."""
    return Stack(
        syn_window=windows,
        syn_options=options,
        timestamps=timestamps,
        window=windows[0],
        growth=0,
        window_high=65535,
        ack_delay=(0.04,),
    )


STACKS: dict[str, Stack] = {
    # MSS, SACK, timestamps, NOP, window scale 7; acknowledges at once early in a connection, later after 40 ms
    "linux_3": Stack(
        syn_window=(29200, 14600),
        syn_options=20,
        timestamps=True,
        window=229,
        growth=11,
        window_high=1400,
        ack_delay=(0.0005, 0.04),
    ),
    "linux_5": Stack(
        syn_window=(64240,),
        syn_options=20,
        timestamps=True,
        window=501,
        growth=8,
        window_high=3000,
        ack_delay=(0.0005, 0.04),
    ),
    # MSS, NOP, window scale, NOP, NOP, SACK: no timestamps unless the other side begins with them
    "windows_7": Stack(
        syn_window=(8192,),
        syn_options=12,
        timestamps=False,
        window=256,
        growth=1,
        window_high=512,
        ack_delay=(0.2, 0.05),
    ),
    "windows_10": Stack(
        syn_window=(64240, 65535),
        syn_options=12,
        timestamps=False,
        window=513,
        growth=0,
        window_high=1026,
        ack_delay=(0.04,),
    ),
    "macos": Stack(
        syn_window=(65535,),
        syn_options=24,
        timestamps=True,
        window=2058,
        growth=0,
        window_high=4117,
        ack_delay=(0.04, 0.1),
    ),
    # nmap's own SYN: MSS alone, a window drawn from four
    "nmap": Stack(
        syn_window=(1024, 2048, 3072, 4096),
        syn_options=4,
        timestamps=False,
        window=1024,
        growth=0,
        window_high=1024,
        ack_delay=(0.04,),
    ),
    # slowhttptest -X asks for a receive buffer of a few hundred bytes (-w 512 -y 1024)
    "slow_reader": Stack(
        syn_window=(512, 768, 1024, 1152, 2304),
        syn_options=20,
        timestamps=True,
        window=18,
        growth=0,
        window_high=36,
        ack_delay=(0.0005, 0.04),
    ),
    # What raw sockets write without asking a stack, the same window in every segment.  hping3 (hping2.h): no options,
    # DEFAULT_SRCWINSIZE 512, and the 64 of its manual; masscan (templ-pkt.c): 1024, with MSS since 2021; zmap: MSS
    "hping3": _raw(0, (512, 512, 64)),
    "masscan": _raw(0, (1024,)),
    "masscan_2021": _raw(4, (1024,)),
    "zmap": _raw(4, (65535,)),
    # Mirai's scanner and its ACK flood (scanner.c, attack_tcp_ack): no options, a window drawn once for each attack;
    # its SYN flood (attack_tcp_syn): MSS, SACK, timestamps, window scale, and no window
    "mirai_scanner": _raw(0, tuple(range(1_500, 65_536, 4_000))),
    "mirai_flood": _raw(20, (0,), timestamps=True),
    # Small devices (lwIP 2.1, opt.h: TCP_MSS 536 or 1460, TCP_WND 4 · MSS; VxWorks; Siemens S7: 8192): MSS alone
    "device": Stack(
        syn_window=(2144, 5840, 8192, 4096),
        syn_options=4,
        timestamps=False,
        window=5840,
        growth=0,
        window_high=8192,
        ack_delay=(0.2, 0.0005),
    ),
    # A Linux board in a camera or router (BusyBox, Linux 2.6: tcp_rmem, window scale of 2 or so)
    "embedded_linux": Stack(
        syn_window=(5840, 14600),
        syn_options=20,
        timestamps=True,
        window=1460,
        growth=40,
        window_high=5000,
        ack_delay=(0.0005, 0.04),
    ),
}

# A bare segment: side, flags, seconds after what went before (apart from the path).
Control = tuple[int, int, float]

_SYN, _SYN_ACK = (UP, SYN, 0.0), (DOWN, SYN | ACK, 0.0)
_REFUSED, _ACCEPTED = (DOWN, RST | ACK, 0.0), (UP, ACK, 0.0)


def _syn_again(seconds: float) -> Control:
    return (UP, SYN, seconds)


# How a connection begins.  Only the styles in TALKING go on to the recipe's acts and close.
OPENS: dict[str, tuple[Control, ...]] = {
    "at_once": (),  # no connections in this protocol, or the capture begins in the middle of one
    "accepted": (_SYN, _SYN_ACK, _ACCEPTED),
    "accepted_late": (_SYN, _syn_again(1.0), _SYN_ACK, _ACCEPTED),  # the first SYN met a full backlog
    "refused": (_SYN, _REFUSED),
    "refused_thrice": (_SYN, _REFUSED, _syn_again(0.5), _REFUSED, _syn_again(0.5), _REFUSED),  # Windows tries thrice
    "unanswered": (_SYN,),
    "unanswered_twice": (_SYN, _syn_again(1.0)),  # nmap repeats a probe once
    "unanswered_often": (_SYN, *(_syn_again(wait) for wait in (1.0, 2.0, 4.0, 8.0))),
    "half_open": (_SYN, _SYN_ACK, (UP, RST, 0.0)),  # a SYN scan meets an open port
    "probed": (_SYN, _SYN_ACK, _ACCEPTED, (UP, RST | ACK, 0.0)),  # a connect scan meets an open port
    # FIN, null and Xmas scans: a closed port answers RST, an open one keeps silent; an ACK scan is always answered
    "fin_probe": ((UP, FIN, 0.0), _REFUSED),
    "null_probe": ((UP, 0, 0.0), _REFUSED),
    "xmas_probe": ((UP, FIN | PSH | URG, 0.0), _REFUSED),
    "ack_probe": ((UP, ACK, 0.0), (DOWN, RST, 0.0)),
    "fin_probe_unanswered": ((UP, FIN, 0.0), (UP, FIN, 1.0)),
    "null_probe_unanswered": ((UP, 0, 0.0), (UP, 0, 1.0)),
    "xmas_probe_unanswered": ((UP, FIN | PSH | URG, 0.0), (UP, FIN | PSH | URG, 1.0)),
    "ack_probe_unanswered": ((UP, ACK, 0.0), (UP, ACK, 1.0)),
    # Spoofed: nobody acknowledges.  Linux repeats its SYN, ACK 1, 3, 7, 15 and 31 s later (tcp_synack_retries = 5)
    "never_finished": (_SYN, _SYN_ACK),
    "never_finished_repeated": (_SYN, _SYN_ACK, *((DOWN, SYN | ACK, wait) for wait in (1.0, 2.0, 4.0, 8.0, 16.0))),
    "syn_again_and_again": (_SYN, *(_syn_again(0.001) for _ in range(5))),  # a flood that uses its port again
}
TALKING = ("at_once", "accepted", "accepted_late")

CLOSES: dict[str, tuple[Control, ...]] = {
    "left_open": (),
    "client": ((UP, FIN | ACK, 0.0), (DOWN, FIN | ACK, 0.0), (UP, ACK, 0.0)),
    "client_slow": ((UP, FIN | ACK, 0.0), (DOWN, ACK, 0.0), (DOWN, FIN | ACK, 0.01), (UP, ACK, 0.0)),
    "server": ((DOWN, FIN | ACK, 0.0), (UP, FIN | ACK, 0.0), (DOWN, ACK, 0.0)),
    "server_slow": ((DOWN, FIN | ACK, 0.0), (UP, ACK, 0.0), (UP, FIN | ACK, 0.05), (DOWN, ACK, 0.0)),
    "client_reset": ((UP, RST | ACK, 0.0),),
    "server_reset": ((DOWN, RST | ACK, 0.0),),
    "client_fin_reset": ((UP, FIN | ACK, 0.0), (DOWN, ACK, 0.0), (UP, RST, 0.002)),  # closed with bytes unread
    "server_fin_reset": ((DOWN, FIN | ACK, 0.0), (UP, RST | ACK, 0.001)),
    "server_fin_only": ((DOWN, FIN | ACK, 0.0), (UP, ACK, 0.04)),  # the client never closes its half
}
