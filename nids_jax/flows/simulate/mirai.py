"""Mirai: scan, guess, load, obey, flood.

Source: Mirai's published code (bot/scanner.c, bot/attack_*.c, bot/main.c, loader/), October 2016; Antonakakis et al.
2017.
"""

from nids_jax.flows.packets import ACK, PSH, SYN, TCP, UDP
from nids_jax.flows.simulate.dos import ANY_START_PAGE
from nids_jax.flows.simulate.floods import ANY_PORT, EPHEMERAL, RATE, SERVICES, one_way, syn_flood, without_connection
from nids_jax.flows.simulate.parts import ANYWHERE, FAR, KILLED, OVERLOADED, STAYS_OPEN, tcp
from nids_jax.flows.simulate.script import About, down, repeat, say, up
from nids_jax.flows.simulate.tool import make

GRE = 47
_FLOOD, _SCANNER = {"mirai_flood": 1.0}, {"mirai_scanner": 1.0}
_BOT, _DEVICE = {"embedded_linux": 0.8, "linux_3": 0.2}, {"embedded_linux": 0.7, "device": 0.3}
_TELNET = (23, 23, 23, 23, 23, 23, 23, 23, 23, 2323)  # scanner.c: 2323 for one in ten

# scanner.c: one SYN from a raw socket; to what answers, a connection of the stack's own, which waits for "login:" (at
# most 30 s), says a name and a password of the table, then enable, system, shell, sh and a query of /bin/busybox
_SCAN = syn_flood(_SCANNER, _TELNET, unanswered=0.8, refused=0.12, half_open=0.08)
_NEGOTIATION = (down(About((12, 15, 24), 0.1), About(0.02, 1.0)), up(About((6, 12, 24), 0.1), About(0.001, 0.8), 0.8))
_LOGIN = (
    down(About((7, 20, 60), 0.3, low=5), About(0.05, 1.0)),
    up(About((6, 7, 9), 0.1, low=3), About(0.01, 0.8)),
    down(About(10, 0.2, low=6), About(0.02, 0.9)),
    up(About((6, 8, 10), 0.15, low=2), About(0.01, 0.8)),
)
_REFUSED = tcp(
    say(*_NEGOTIATION, *_LOGIN),
    say(down(About((19, 27), 0.2), About((1, 2, 3), 0.2))),
    ports=_TELNET,
    clients=_BOT,
    servers=_DEVICE,
    closes={"client": 0.6, "client_reset": 0.2, "server": 0.2},
)
_ENTERED = tcp(
    say(*_NEGOTIATION, *_LOGIN, down(About((40, 200, 500), 0.4), About(0.1, 1.0))),
    repeat(
        About(5),
        up(About((4, 7, 8, 20), 0.1, 0.3, low=4), About(0.01, 0.8)),
        down(About(25, 0.4, 0.5), About(0.03, 0.9)),
    ),
    ports=_TELNET,
    clients=_BOT,
    servers=_DEVICE,
    closes={"client": 0.8, "client_reset": 0.2},
)
# loader/: log in, look for a place to write, fetch the binary (wget, tftp) or echo it line by line in \\x escapes
_LOADED = tcp(
    say(*_NEGOTIATION, *_LOGIN, down(About((40, 200), 0.4), About(0.1, 1.0))),
    repeat(
        About(10, 0.2),
        up(About((30, 60, 90), 0.2, 0.4), About(0.02, 0.8)),
        down(About(80, 0.6, 0.8), About(0.05, 1.0, 0.5)),
    ),
    repeat(
        About((1, 12), 0.3, low=1),
        up(About((110, 420), 0.1, 0.05), About(0.02, 0.8)),
        down(About(30, 0.5), About(0.05, 1.0)),
    ),
    ports=_TELNET,
    clients={"linux_3": 1.0},
    servers=_DEVICE,
    closes={"client": 1.0},
)
_GUESSING = ((0.5, _SCAN), (0.35, _REFUSED), (0.12, _ENTERED), (0.03, _LOADED))

# main.c: 00 00 00 01, an id; then two zero bytes every minute, which the server says back; an order is a few dozen
# bytes
_CONTROL = tcp(
    say(up(About(4), About(0.001, 0.8)), up(About((1, 7)), About(0.001, 0.8))),
    repeat(
        About(3, 0.6, low=1),
        up(About(2), About(60, 0.01, 0.005)),
        down(About(2), About(0.001, 0.9)),
        down(About(30, 0.3), About(10, 1.0), chance=0.15),
    ),
    ports=(23, 23, 48101),
    clients=_BOT,
    servers={"linux_3": 1.0},
    rtt=FAR,
    closes=STAYS_OPEN,
)

_SYN = (
    (0.7, syn_flood(_FLOOD, SERVICES, never_finished=0.4, never_finished_repeated=0.15, unanswered=0.35, refused=0.1)),
    (
        0.3,
        one_way(
            repeat(About((1, 3), 0.4, low=1, high=20), up(About(0), About(0.01, 1.5), flags=SYN)),
            ports=ANY_PORT,
            protocol=TCP,
            clients=_FLOOD,
        ),
    ),
)
_ACK = without_connection(ACK, About(512), _SCANNER)
# attack_tcp_stomp: a true handshake, and then 768 bytes over and over on it from a raw socket
_STOMP = one_way(
    say(
        up(About(0), About(0), flags=SYN),
        down(About(0), About(0.0002), flags=SYN | ACK),
        up(About(0), About(0.0001), flags=ACK),
    ),
    repeat(About((10, 40), 0.5, low=3, high=120), up(About(768), RATE, flags=PSH | ACK)),
    ports=SERVICES,
    protocol=TCP,
    clients=_FLOOD,
)
_UDP = one_way(repeat(About((1, 1, 2)), up(About(512), About(0.5, 1.5))), ports=ANY_PORT)  # both ports drawn each time
_PLAIN = one_way(
    repeat(About((20, 60), 0.5, low=5, high=150), up(About(512), RATE)), ports=ANY_PORT
)  # a connected socket
_VSE = one_way(repeat(About((1, 20), 0.5, low=1, high=80), up(About(25), RATE)), ports=(27015,))
_GRE_IP, _GRE_ETHERNET = (
    one_way(
        repeat(About((15, 50), 0.5, low=3, high=120), up(About(size), RATE)),
        ports=(0,),
        sources=(0,),
        protocol=GRE,
        header=0,
    )
    for size in (4 + 20 + 8 + 512, 4 + 14 + 20 + 8 + 512)  # GRE, (Ethernet,) IP, UDP, data
)
# attack_udp_dns: a name of 12 drawn characters below the victim's domain, asked of the bot's own resolver
_TORTURE = one_way(
    repeat(
        About((1, 2, 6), 0.3, low=1, high=40),
        up(About((40, 46), 0.15), RATE),
        down(About((40, 100, 118), 0.15), About((0.02, 2), 0.8), chance=0.6),
    ),
    ports=(53,),
    sources=EPHEMERAL,
    protocol=UDP,
    clients=_BOT,
)
# attack_app_http: connections kept alive, a request each time the last one is answered
_HTTP = tcp(
    repeat(
        About((2, 8), 0.6, low=1, high=40),
        up(About((190, 260), 0.1), About(0.002, 1.0)),
        down(ANY_START_PAGE, About(0.05, 1.2)),
    ),
    ports=(80,),
    clients=_BOT,
    rtt=ANYWHERE,
    opens=OVERLOADED,
    closes=KILLED | {"server": 0.3},
)
_CODE = "Mirai: bot/{} (Oct 2016)"

TOOLS = (
    make(
        "mirai_scan",
        "SYNs to Telnet's ports, and passwords where it answers",
        "Mirai: bot/scanner.c, loader/ (Oct 2016)",
        _GUESSING,
        ("Mirai-scan", "Mirai-Hostbruteforce", "Mirai-Hostbruteforceg", "mirai.scan", "PartOfAHorizontalPortScan"),
    ),
    make(
        "mirai_cnc",
        "a bot that tells its server every minute that it is there",
        _CODE.format("main.c"),
        _CONTROL,
        ("Mirai-C&C", "C&C-Mirai", "C&C-HeartBeat"),
    ),
    make(
        "mirai_syn",
        "SYN flood with a stack's options",
        _CODE.format("attack_tcp.c"),
        _SYN,
        ("mirai.syn", "Mirai-SYN flooding"),
    ),
    make(
        "mirai_ack",
        "ACK flood of 512 bytes",
        _CODE.format("attack_tcp.c"),
        ((0.8, _ACK[0][1]), *((0.2 * w, t) for w, t in _ACK[1:])),
        ("mirai.ack", "Mirai-Ackflooding", "Mirai-ACK flooding"),
    ),
    make("mirai_stomp", "a handshake, and 768 bytes over and over", _CODE.format("attack_tcp.c"), _STOMP),
    make(
        "mirai_udp",
        "UDP of 512 bytes, both ports drawn for each",
        _CODE.format("attack_udp.c"),
        ((0.85, _UDP), (0.15, _VSE)),
        ("mirai.udp", "Mirai-UDP Flooding"),
    ),
    make(
        "mirai_udpplain",
        "UDP of 512 bytes from a connected socket",
        _CODE.format("attack_udp.c"),
        _PLAIN,
        ("Mirai-udpplain", "mirai.udpplain"),
    ),
    make("mirai_greip", "IP in GRE", _CODE.format("attack_gre.c") + "; RFC 2784", _GRE_IP, ("Mirai-greip_flood",)),
    make(
        "mirai_greeth",
        "Ethernet in GRE",
        _CODE.format("attack_gre.c") + "; RFC 1701",
        _GRE_ETHERNET,
        ("Mirai-greeth_flood",),
    ),
    make("mirai_dns", "drawn names below the victim's domain (water torture)", _CODE.format("attack_udp.c"), _TORTURE),
    make(
        "mirai_http", "GET flood over kept connections", _CODE.format("attack_app.c"), _HTTP, ("Mirai-HTTP Flooding",)
    ),
    make(
        "mirai",
        "all that a bot does: scans, orders, floods",
        "Mirai (Oct 2016); Antonakakis et al. 2017 §6 (which floods how often)",
        (
            *((0.5 * w, t) for w, t in _GUESSING),
            (0.1, _CONTROL),
            *((0.1 * w, t) for w, t in _SYN),
            (0.05, _ACK[0][1]),
            (0.05, _PLAIN),
            (0.05, _UDP),
            (0.05, _HTTP),
            (0.05, _VSE),
            (0.03, _GRE_IP),
            (0.02, _STOMP),
        ),
        ("Mirai", "Mirai-Botnet", "Okiru"),
    ),
)
