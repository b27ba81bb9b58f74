"""Floods sent straight at the victim: SYN, ACK, RST, FIN, UDP and ICMP, fragments, LOIC, and UDP-Lag.

A tool that draws a source (or a port) for each packet gives flows of a packet or two; one that keeps its socket gives
one long flow.  The victim answers a SYN that it can afford, resets what belongs to no connection, or is past
answering.

Sources: hping3(8) and its code, LOIC's XXPFlooder.cs, RFC 9293 §3.5.2 (resets), tcp(7) (tcp_synack_retries).
"""

from collections.abc import Mapping, Sequence

from nids_jax.flows.packets import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, URG
from nids_jax.flows.simulate.parts import (
    ATTACKER,
    CONNECTED,
    HTTP,
    KILLED,
    OVERLOADED,
    SERVER,
    STAYS_OPEN,
    WINDOWS,
    tcp,
)
from nids_jax.flows.simulate.script import About, Loop, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import Recipes, make

ANY_PORT = range(1, 65536)
EPHEMERAL = range(1024, 65536)
SERVICES = (80, 80, 80, 443, 443, 53, 22, 8080, 25565)  # what a flood is aimed at, where it is aimed at a service
_WAY = About((0.0005, 0.01, 0.05), 0.6, low=0.0001)
HPING = {"hping3": 1.0}

# s from packet to packet of one 5-tuple: as fast as the machine writes (--flood), -i u100 and the like, --faster (10
# ms)
RATE = About((0.00002, 0.0002, 0.001, 0.01), 0.7, 0.8)
# s until a tool that counts its ports up (hping3 does, one a packet) is back at the same one; 64,512 ports at 10⁵ a
# second
_AGAIN = About((0.05, 0.6, 3.0), 0.7, 0.3, high=60)
_LONG, _SHORT = About((12, 40), 0.6, low=4, high=120), About((1, 2, 2, 4), 0.3, low=1, high=12)


def one_way(
    *acts: Loop,
    ports: Sequence[int] = ANY_PORT,
    sources: Sequence[int] = EPHEMERAL,
    protocol: int = UDP,
    clients: Mapping[str, float] = HPING,
    header: int | None = None,
) -> Traffic:
    """Packets that no stack looks after, from a source (`sources`: its ports) of their own."""
    return Traffic(
        ports=ports,
        clients=clients,
        servers=SERVER,
        rtt=_WAY,
        opens={"at_once": 1.0},
        acts=acts,
        closes=STAYS_OPEN,
        protocol=protocol,
        client_ports=sources,
        raw=True,
        header=header,
    )


def syn_flood(clients: Mapping[str, float], ports: Sequence[int], **opens: float) -> Traffic:
    """SYNs, and what the victim makes of them."""
    return Traffic(
        ports=ports,
        clients=clients,
        servers=SERVER,
        rtt=_WAY,
        opens=opens,
        acts=(),
        closes=STAYS_OPEN,
        client_ports=EPHEMERAL,
        raw=True,
    )


def without_connection(
    flags: int, size: About, clients: Mapping[str, float] = HPING, *, ports: Sequence[int] = SERVICES
) -> Recipes:
    """Segments with `flags` that belong to no connection; the victim resets each, or is past it."""
    reset = RST if flags & ACK else RST | ACK  # RFC 9293 §3.5.2
    answers = 0.0 if flags & RST else 0.9  # a RST is never answered
    said = (up(size, _AGAIN, flags=flags), down(About(0), About(0.00005, 0.8), answers, flags=reset))
    silent = up(size, _AGAIN, flags=flags)
    return (
        (0.35, one_way(repeat(_SHORT, *said), ports=ports, protocol=TCP, clients=clients)),
        (0.35, one_way(repeat(_SHORT, silent), ports=ports, protocol=TCP, clients=clients)),
        (0.15, one_way(repeat(_LONG, up(size, RATE, flags=flags)), ports=ports, protocol=TCP, clients=clients)),
        (0.15, one_way(repeat(_SHORT, silent), ports=ANY_PORT, protocol=TCP, clients=clients)),
    )


def datagrams(size: About, *, ports: Sequence[int] = SERVICES) -> Recipes:
    """UDP of `size` bytes: to the ports in turn, from ports in turn, or from one socket to one port."""
    return (
        (0.35, one_way(repeat(_SHORT, up(size, _AGAIN)), ports=ANY_PORT)),
        (0.35, one_way(repeat(_SHORT, up(size, _AGAIN)), ports=ports)),
        (0.3, one_way(repeat(_LONG, up(size, RATE)), ports=ports)),
    )


def headless(protocol: int) -> Traffic:
    """Fragments after the first, which have neither ports nor a header: 1,480 bytes of an IP packet each."""
    return one_way(
        repeat(_LONG, up(About((512, 1_480, 1_480)), RATE, flags=0)),
        ports=(0,),
        sources=(0,),
        protocol=protocol,
        header=0,
    )


_NOTHING, _ECHO = About(0), About((0, 56, 120, 1_000, 1_472), 0.0)  # hping3 -1: no data; ping(8): 56 bytes

# LOIC: "delay" by a slider (0 is as fast as it goes), the text of its field, "U dun goofed" or longer, and if ordered
# some random characters behind it; one socket a thread, to one port
_TEXT = About((12, 32, 18, 24), 0.05, 0.02, low=4)


def _loic(protocol: int) -> Recipes:
    if protocol == UDP:
        return (
            (
                0.8,
                Traffic(
                    ports=(80, 80, 443, 53, 8080),
                    clients=WINDOWS,
                    servers=SERVER,
                    rtt=_WAY,
                    opens={"at_once": 1.0},
                    acts=(repeat(About((20, 60), 0.6, low=5, high=150), up(_TEXT, RATE)),),
                    closes=STAYS_OPEN,
                    protocol=UDP,
                ),
            ),
            (
                0.2,
                Traffic(
                    ports=ANY_PORT,
                    clients=WINDOWS,
                    servers=SERVER,
                    rtt=_WAY,
                    opens={"at_once": 1.0},
                    acts=(repeat(About((2, 6), 0.6, low=1, high=30), up(_TEXT, About(0.2, 1.0, 0.3))),),
                    closes=STAYS_OPEN,
                    protocol=UDP,
                ),
            ),
        )
    sent = repeat(About((10, 30), 0.7, low=2, high=80), up(_TEXT, RATE))
    return (
        (0.75, tcp(sent, ports=HTTP, clients=WINDOWS, opens=CONNECTED, closes=KILLED | {"server_reset": 0.3})),
        (
            0.25,
            tcp(
                sent,
                say(down(About((310, 480), 0.1), About(0.02, 1.0))),  # the web server's 400
                ports=HTTP,
                clients=WINDOWS,
                opens=OVERLOADED,
                closes={"server": 0.5, "server_reset": 0.5},
            ),
        ),
    )


# A lag switch or a program that holds the line: bursts that fill it, and pauses in which the game goes on
_LAG = (
    (
        0.6,
        one_way(
            repeat(
                About((3, 8), 0.5, low=1, high=25),
                up(About((18, 128, 512), 0.4, 0.2, low=1), About((0.5, 2, 6), 0.4, 0.3)),
                *(up(About((18, 128, 512), 0.4, 0.2, low=1), RATE) for _ in range(3)),
            ),
            ports=ANY_PORT,
            clients=ATTACKER,
        ),
    ),
    (
        0.4,
        one_way(
            repeat(_SHORT, up(About((0, 18, 400), 0.5), About((0.0002, 1, 4), 0.6, 0.5)), up(About(18), RATE)),
            ports=(*SERVICES, 7777, 27015),
            clients=ATTACKER,
        ),
    ),
)

_BACKLOG = "hping3(8): -S --flood --rand-source, window 512 or 64, no options; tcp(7): tcp_synack_retries; RFC 4987"

TOOLS = (
    make(
        "syn_flood",
        "SYNs from drawn sources, never finished",
        _BACKLOG,
        (
            (
                0.6,
                syn_flood(
                    HPING,
                    SERVICES,
                    never_finished=0.25,
                    never_finished_repeated=0.25,
                    unanswered=0.3,
                    unanswered_twice=0.1,
                    half_open=0.1,
                ),
            ),
            (0.2, syn_flood(HPING, ANY_PORT, refused=0.6, unanswered=0.2, syn_again_and_again=0.2)),
            (0.2, one_way(repeat(_SHORT, up(_NOTHING, _AGAIN, flags=SYN)), ports=SERVICES, protocol=TCP)),
        ),
        (
            "Syn",
            "DrDoS_SYN",
            "DDoS-SYN_Flood",
            "DoS-SYN_Flood",
            "DDoS-SynonymousIP_Flood",
            "DDoS_SYN",
            "SYN Flood",
            "DDoS-TCP_SYN",
            "TCP_SYN Flood",
            "DDoS-SYN",
            "DoS-SYN",
        ),
    ),
    make(
        "udp_flood",
        "UDP to ports and from ports in turn, or all from one socket",
        "hping3(8): --udp --flood -d; RFC 768; CERT CA-1996-01",
        datagrams(About((0, 64, 370, 512, 1_024, 1_400, 1_472), 0.05)),
        ("UDP", "DrDoS_UDP", "DDoS_UDP", "DDoS-UDP_Flood", "DoS-UDP_Flood", "UDP Flood", "DDoS-UDP", "DoS-UDP"),
    ),
    make(
        "udp_lag",
        "UDP in bursts with pauses between, that slow a game down",
        "Sharafaldin et al. 2019 (CIC-DDoS2019), §III: UDP-Lag; lag switches",
        _LAG,
        ("UDP-lag", "UDPLag", "DrDoS_UDPLag"),
    ),
    make(
        "loic_udp",
        "LOIC's UDP mode: a text over and over from one socket",
        "LOIC: XXPFlooder.cs",
        _loic(UDP),
        ("DDOS attack-LOIC-UDP", "DDoS attacks-LOIC-UDP", "DDoS-LOIC-UDP"),
    ),
    make("loic_tcp", "LOIC's TCP mode: a text over and over on a connection", "LOIC: XXPFlooder.cs", _loic(TCP)),
    make(
        "hping3_ack",
        "ACKs of no connection",
        "hping3(8): -A --flood; RFC 9293 §3.5.2",
        without_connection(ACK, _NOTHING),
        ("DDoS-ACK_Flood",),
    ),
    make(
        "hping3_push_ack",
        "segments with data of no connection",
        "hping3(8): -P -A -d 120",
        without_connection(PSH | ACK, About((0, 120, 512, 1_400))),
        ("DDoS-PSHACK_Flood",),
    ),
    make(
        "hping3_rst_fin",
        "RST and FIN of no connection",
        "hping3(8): -R -F",
        without_connection(RST | FIN, _NOTHING),
        ("DDoS-RSTFINFlood", "DDoS-RSTFIN_Flood"),
    ),
    make(
        "hping3_null",
        "segments without a flag: what hping3 sends unless told otherwise",
        "hping3(8): default mode",
        without_connection(0, About((0, 0, 120, 1_400))),
        ("DDoS-TCP_Flood", "DoS-TCP_Flood", "DDoS-TCP", "DoS-TCP", "TCP Flood"),
    ),
    make(
        "hping3_xmas",
        "segments with FIN, PSH and URG",
        "hping3(8): -F -P -U",
        without_connection(FIN | PSH | URG, _NOTHING),
    ),
    make(
        "icmp_flood",
        "echo requests, answered or not",
        "hping3(8): --icmp --flood; ping(8): -f -s; RFC 792",
        (
            (0.5, one_way(repeat(_LONG, up(_ECHO, RATE)), ports=(0,), sources=(0,), protocol=ICMP)),
            (
                0.3,
                one_way(
                    repeat(
                        About((3, 20), 0.6, low=2, high=60), up(About(56), RATE), down(About(56), About(0.0001, 0.8))
                    ),
                    ports=(0,),
                    sources=(0,),
                    protocol=ICMP,
                ),
            ),
            (0.2, one_way(repeat(_SHORT, up(_ECHO, _AGAIN)), ports=(0,), sources=(0,), protocol=ICMP)),
        ),
        ("DDoS-ICMP_Flood", "DoS-ICMP_Flood", "DDoS-ICMP", "DoS-ICMP", "ICMP Flood"),
    ),
    make(
        "icmp_fragments",
        "echo requests in fragments, of which the later ones have no header",
        "hping3(8): --icmp -d 5000; RFC 791 §3.2",
        headless(ICMP),
        ("DDoS-ICMP_Fragmentation",),
    ),
    make(
        "udp_fragments",
        "UDP in fragments, of which the later ones have no ports",
        "hping3(8): --udp -d 5000; RFC 791",
        headless(UDP),
        ("DDoS-UDP_Fragmentation",),
    ),
    make(
        "ack_fragments",
        "ACKs in fragments, of which the later ones have no ports",
        "hping3(8): -A -f -d 5000; RFC 791",
        headless(TCP),
        ("DDoS-ACK_Fragmentation",),
    ),
)
