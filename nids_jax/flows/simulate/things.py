"""Benign programs, continued: calls, films, QUIC, the things of a house, databases, pings.

Sources: the RFC or specification named beside each.
"""

from nids_jax.flows.packets import UDP
from nids_jax.flows.simulate.parts import (
    EITHER_CLOSES,
    FAR,
    HTTPS,
    NEAR,
    OFFICE,
    SERVER,
    STAYS_OPEN,
    TLS,
    tcp,
    udp,
)
from nids_jax.flows.simulate.script import About, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import make

_QUICK = About(0.001, 1.0, 0.5)
_CLICK = About((0.05, 1.0), 1.2, 1.0, low=0.005)
_KEPT = EITHER_CLOSES | {"left_open": 0.3}


def _call(codec: About, period: float, rounds: About, *, ports: range) -> Traffic:
    """RFC 3550: a datagram each way every 20 ms; G.711 172 bytes, G.729 32, Opus 60 to 120 with 12 of head."""
    return Traffic(
        ports=ports,
        clients=OFFICE,
        servers=OFFICE,
        rtt=About((0.002, 0.03), 0.6),
        opens={"at_once": 1.0},
        acts=(repeat(rounds, up(codec, About(period / 2, 0.0, 0.2)), down(codec, About(period / 2, 0.0, 0.2), 0.97)),),
        closes=STAYS_OPEN,
        protocol=UDP,
    )


_RTP = range(10_000, 20_000)  # Asterisk's rtp.conf
_VOIP = (
    (0.35, _call(About(172), 0.02, About((50, 90), 0.3, low=10, high=120), ports=_RTP)),
    (0.2, _call(About(32), 0.02, About((50, 90), 0.3, low=10, high=120), ports=_RTP)),
    (0.2, _call(About((70, 95), 0.1, 0.15), 0.02, About((50, 90), 0.3, low=10, high=120), ports=_RTP)),
    # SIP (RFC 3261): REGISTER, 401, REGISTER, 200; INVITE, 100, 180, 200, ACK, BYE
    (
        0.25,
        udp(
            say(
                up(About((420, 560), 0.15), About(0)),
                down(About((380, 480), 0.15), About(0.01, 0.9)),
                up(About((640, 780), 0.15), About(0.01, 0.9)),
                down(About((400, 520), 0.15), About(0.02, 0.9)),
            ),
            repeat(
                About(1, 0.5),
                up(About(950, 0.2), About(5, 1.0)),
                down(About(340, 0.15), About(0.02, 0.8)),
                down(About(450, 0.15), About(0.3, 0.8)),
                down(About(850, 0.2), About(4, 0.7)),
                up(About(420, 0.15), About(0.02, 0.8)),
            ),
            ports=(5060,),
            rtt=About((0.002, 0.03), 0.6),
        ),
    ),
)
# RFC 9000: the first datagrams are 1,200 bytes at least; a handshake, then streams in datagrams of 1,200 to 1,350
# (Chrome)
_QUIC = udp(
    say(
        up(About((1_200, 1_250, 1_350)), About(0)),
        down(About((1_200, 1_250)), About(0.002, 0.8)),
        down(About((1_200, 900), 0.1), About(0.0001, 1.0)),
        down(About(400, 0.5), About(0.0001, 1.0)),
        up(About((75, 120), 0.2), About(0.002, 0.8)),
        up(About((90, 400), 0.4), About(0.001, 0.8)),
    ),
    repeat(
        About((3, 12, 40), 0.6, low=1, high=80),
        down(About((1_200, 1_250, 1_350)), About((0.0002, 0.003), 0.8, 0.8)),
        down(About((1_200, 1_250, 1_350)), About(0.00003, 0.8, 0.5)),
        up(About((31, 35, 42), 0.1), About(0.0005, 0.8, 0.5), 0.7),
    ),
    repeat(
        About((1, 4), 0.6),
        up(About((60, 300), 0.5, 0.4), _CLICK),
        down(About((300, 1_100), 0.5, high=1_350), About(0.02, 1.0)),
    ),
    ports=(443,),
    rtt=FAR,
)
# RFC 8216: a segment of 2 to 6 s of picture for each question, in a steady beat
_STREAMING = tcp(
    TLS,
    repeat(
        About((2, 5), 0.4, low=1, high=12),
        up(About((350, 600), 0.2, 0.05), About((2, 4, 6), 0.1, 0.2)),
        down(About((40_000, 150_000), 0.4, 0.3, high=400_000), About(0.03, 1.0)),
    ),
    ports=HTTPS,
    rtt=FAR,
    closes=_KEPT,
)
# MQTT 3.1.1: CONNECT 20 to 70, CONNACK 4, PUBLISH of 20 to 150, PINGREQ and PINGRESP 2 each every keep alive of 60 s
_THING = {"device": 0.5, "embedded_linux": 0.4, "linux_5": 0.1}
_MQTT = (
    (
        0.5,
        tcp(
            say(up(About((26, 45, 70), 0.2), _QUICK), down(About(4), About(0.002, 0.9))),
            repeat(
                About((3, 10, 30), 0.5, low=1, high=60),
                up(About((22, 60, 140), 0.2, 0.1), About((1, 5, 10), 0.1, 0.1)),
                down(About(4), About(0.002, 0.9), 0.5),
            ),
            ports=(1883,),
            clients=_THING,
            closes=_KEPT,
        ),
    ),
    (
        0.3,
        tcp(
            say(up(About((26, 45, 70), 0.2), _QUICK), down(About(4), About(0.002, 0.9))),
            repeat(About((1, 2), 0.4), up(About(2), About((20, 60), 0.03, 0.02)), down(About(2), About(0.002, 0.9))),
            ports=(1883,),
            clients=_THING,
            closes=_KEPT,
        ),
    ),
    (
        0.2,
        tcp(
            TLS,
            repeat(
                About((2, 8), 0.5, low=1, high=30),
                up(About((70, 140), 0.2, 0.1), About((5, 30), 0.1, 0.1)),
                down(About((33, 80), 0.1), About(0.02, 0.9), 0.6),
            ),
            ports=(8883,),
            clients=_THING,
            rtt=FAR,
            closes=_KEPT,
        ),
    ),
)
# RFC 7252: a head of 4, a token of up to 8, options, a payload; retransmitted after 2 to 3 s
_COAP = (
    (
        0.8,
        udp(
            repeat(
                About((1, 1, 4), 0.3, low=1),
                up(About((14, 24, 40), 0.15), About((0.01, 10), 0.3)),
                down(About((12, 40, 120), 0.3), About(0.02, 0.8), 0.95),
            ),
            ports=(5683,),
            rtt=NEAR,
        ),
    ),
    (0.2, udp(repeat(About((2, 3)), up(About((14, 30), 0.15), About(2.5, 0.1))), ports=(5683,), rtt=NEAR)),
)
_DATABASE = tcp(
    say(down(About((78, 95), 0.05), _QUICK), up(About((180, 220), 0.1), _QUICK), down(About(11), _QUICK)),
    repeat(
        About((3, 12), 0.6, low=1, high=60),
        up(About((40, 150, 600), 0.4, 0.5), About((0.001, 0.1), 1.0, 0.8)),
        down(About((11, 200, 3_000), 0.7, 0.9, high=100_000), About(0.001, 1.2, 0.8)),
    ),
    ports=(3306, 5432, 1433),
    clients=SERVER,
    rtt=NEAR,
    closes=_KEPT,
)
_PINGS = Traffic(
    ports=(0,),
    clients=OFFICE,
    servers=SERVER,
    rtt=About((0.001, 0.03), 0.6),
    opens={"at_once": 1.0},
    acts=(
        repeat(
            About((4, 4, 20), 0.2, low=1, high=60),
            up(About(56), About(1.0, 0.0, 0.002)),
            down(About(56), About(0.0001, 0.8), 0.98),
        ),
    ),
    closes=STAYS_OPEN,
    protocol=1,
    client_ports=(0,),
)

TOOLS = (
    make("voip", "calls: SIP, and RTP every 20 ms", "RFC 3261, 3550, 3551; G.711, G.729, RFC 7587", _VOIP, benign=True),
    make("quic", "HTTP/3", "RFC 9000 §14.1, 9114", _QUIC, benign=True),
    make("streaming", "film in segments of some seconds", "RFC 8216, DASH", _STREAMING, benign=True),
    make("mqtt", "things that publish", "MQTT 3.1.1 §2 and 3", _MQTT, benign=True),
    make("coap", "things that are asked", "RFC 7252", _COAP, benign=True),
    make(
        "database",
        "an application and its database",
        "MySQL's and PostgreSQL's protocols, MS-TDS",
        _DATABASE,
        benign=True,
    ),
    make("ping", "echo requests once a second", "ping(8); RFC 792", _PINGS, benign=True),
)
