"""What malware says home: beacons, tunnels in DNS, mining pools, worms over SMB, theft and ransom.

A beacon comes every s seconds, less a jitter: Cobalt Strike's `sleep 60 20` waits 48 to 60 s.  Each is a connection
of its own, or several share one.

Sources: the tools' manuals and code, named beside each.
"""

from nids_jax.flows.simulate.parts import (
    ATTACKER,
    EITHER_CLOSES,
    FAR,
    HTTP,
    HTTPS,
    NEAR,
    OFFICE,
    SERVER,
    STAYS_OPEN,
    TLS,
    tcp,
    udp,
)
from nids_jax.flows.simulate.script import About, Loop, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import Recipes, make

_QUICK = About(0.001, 1.0, 0.5)
_SLEEP = About(
    (5, 10, 60), 0.1, 0.15, high=100
)  # s: Sliver's and Empire's 5, PoshC2's 5, Cobalt Strike's 60, a jitter of 20 %
_WINDOWS = {"windows_10": 0.6, "windows_7": 0.4}


def _beacon(hello: tuple[Loop, ...], ports: tuple[int, ...], question: About, nothing: About) -> Recipes:
    order = down(About((2_000, 60_000, 200_000), 0.5), About(0.05, 1.0))
    return (
        (0.6, tcp(*hello, say(up(question, _QUICK), down(nothing, About(0.02, 1.0))), ports=ports, rtt=FAR)),
        (
            0.25,
            tcp(
                *hello,
                repeat(About((3, 8), 0.5, low=2, high=30), up(question, _SLEEP), down(nothing, About(0.02, 1.0, 0.4))),
                ports=ports,
                rtt=FAR,
            ),
        ),
        (0.07, tcp(*hello, say(up(question, _QUICK), order), ports=ports, rtt=FAR)),  # a module to load
        (
            0.08,
            tcp(
                *hello,
                say(up(About((700, 5_000, 60_000), 0.5), _QUICK), down(nothing, About(0.03, 1.0))),
                ports=ports,
                rtt=FAR,
            ),
        ),
    )


_HTTP_BEACON = _beacon((), HTTP, About((180, 320, 480), 0.15, 0.02), About((75, 190, 320), 0.2, 0.05))
_HTTPS_BEACON = _beacon((TLS,), HTTPS, About((230, 380, 540), 0.15, 0.02), About((130, 260, 400), 0.2, 0.05))
_RESOLVER = About((0.0005, 0.005, 0.03), 0.6, low=0.0001)
_SLOW = About((0.02, 0.08), 0.7, 0.4)  # the resolver asks the tunnel's server, far away


def _asked(rounds: About, question: About, answer: About, wait: About) -> Traffic:
    return udp(repeat(rounds, up(question, wait), down(answer, _SLOW, 0.98)), ports=(53,), rtt=_RESOLVER)


# Cobalt Strike's DNS beacon: A records of an id; orders by TXT, some 250 bytes each
_DNS_BEACON = (
    (0.7, _asked(About(1), About((40, 50), 0.08), About((56, 66), 0.08), About(0))),
    (0.2, _asked(About((2, 5), 0.4, low=1, high=20), About((45, 60), 0.08, 0.03), About((61, 76), 0.08, 0.03), _SLEEP)),
    (
        0.1,
        _asked(
            About((5, 30), 0.5, low=2, high=80),
            About((60, 80), 0.08, 0.03),
            About((200, 310), 0.1, 0.05),
            About(0.05, 0.8, 0.5),
        ),
    ),
)
# iodine: names of up to 255 characters upstream (Base32, 64, 128), NULL or TXT downstream, fragments of up to 1,200
# bytes; an empty question every 4 s keeps a question open (-I 4).  One socket: one 5-tuple for as long as it runs.
_IODINE = (
    (
        0.35,
        _asked(
            About((10, 40), 0.5, low=3, high=100),
            About((60, 120), 0.1, 0.3, low=30, high=280),
            About((90, 150), 0.1, 0.3),
            About((1, 4), 0.1, 0.1),
        ),
    ),
    (
        0.35,
        _asked(
            About((20, 60), 0.5, low=5, high=120),
            About((180, 280), 0.1, 0.15, high=290),
            About((210, 310), 0.1, 0.15),
            About(0.002, 1.0, 0.6),
        ),
    ),
    (
        0.3,
        _asked(
            About((20, 60), 0.5, low=5, high=120),
            About((50, 80), 0.1, 0.2),
            About((700, 1_200), 0.1, 0.1, high=1_300),
            About(0.002, 1.0, 0.6),
        ),
    ),
)
# dnscat2: names in hexadecimal of up to 250 characters, TXT, CNAME or MX in turn, a question a second (--delay 1000)
_DNSCAT = (
    (
        0.75,
        _asked(
            About((20, 60), 0.5, low=3, high=100),
            About((62, 80), 0.06, 0.08),
            About((105, 140), 0.06, 0.1),
            About(1.0, 0.02, 0.02),
        ),
    ),
    (
        0.25,
        _asked(
            About((10, 40), 0.5, low=3, high=100),
            About((160, 260), 0.1, 0.2, high=280),
            About((200, 420), 0.1, 0.2, high=512),
            About(0.03, 0.8, 0.5),
        ),
    ),
)
# Stratum v1: subscribe and authorize in JSON, notify of 300 to 1,600 bytes every 30 to 60 s, shares of 120 to 250 now
# and then
_STRATUM = tcp(
    say(
        up(About((75, 110, 240), 0.1), _QUICK),
        down(About((90, 160, 480), 0.15), About(0.03, 0.8)),
        up(About((80, 130), 0.2), _QUICK, 0.7),
        down(About((38, 250), 0.1), About(0.03, 0.8), 0.7),
    ),
    repeat(
        About(5, 0.6, low=1, high=20),
        down(About((310, 700, 1_400), 0.1, 0.05), About((10, 30, 50), 0.4, 0.5, high=110)),
        up(About((125, 190, 240), 0.06, 0.01), About(8, 0.8, 0.9, high=100), 0.6),
        down(About((38, 65), 0.1), About(0.03, 0.8, 0.4), 0.6),
    ),
    ports=(3333, 4444, 5555, 7777, 14444, 45700, 80),
    rtt=FAR,
    closes=STAYS_OPEN,
)
# MS17-010: SMB1 negotiate, session, tree of IPC$, a transaction of some 66 kB in pieces, groomed by connections of
# SMB2's head that stay open; then DoublePulsar's echo, and a payload XORed in pieces of 4 kB
_SMB_SESSION = (
    up(About((51, 137), 0.05), _QUICK),
    down(About((117, 187), 0.1), About(0.002, 0.9)),
    up(About((136, 140), 0.05), _QUICK),
    down(About((200, 250), 0.1), About(0.003, 0.9)),
    up(About((95, 72), 0.05), _QUICK),
    down(About((50, 58)), About(0.002, 0.9)),
)
_ETERNAL = (
    (
        0.3,
        tcp(
            say(*_SMB_SESSION, up(About(1_098, 0.05), _QUICK), down(About(39), About(0.002, 0.9))),
            repeat(About(15, 0.1), up(About(4_207, 0.02), _QUICK)),
            say(down(About(39), About(0.01, 0.8))),
            ports=(445,),
            clients=ATTACKER,
            servers=_WINDOWS,
            closes={"client_reset": 0.4, "client": 0.4, "left_open": 0.2},
        ),
    ),
    (
        0.3,
        tcp(
            say(up(About((136, 4_100)), About(0.005, 0.8))),
            ports=(445,),
            clients=ATTACKER,
            servers=_WINDOWS,
            closes={"client_reset": 0.5, "client": 0.5},
            linger=About((3, 8), 0.4),
        ),
    ),
    (
        0.25,
        tcp(
            say(*_SMB_SESSION, up(About(82), _QUICK), down(About(39), About(0.002, 0.9))),
            ports=(445,),
            clients=ATTACKER,
            servers=_WINDOWS,
        ),
    ),
    (
        0.15,
        tcp(
            say(*_SMB_SESSION),
            repeat(About((2, 12), 0.3, low=1), up(About(4_178, 0.02), _QUICK), down(About(39), About(0.005, 0.8))),
            ports=(445,),
            clients=ATTACKER,
            servers=_WINDOWS,
        ),
    ),
)
# WannaCry asks every address of its network whether 445 is open, and goes in
_WORM = (
    (
        0.8,
        tcp(
            ports=(445,),
            clients=_WINDOWS,
            servers=_WINDOWS,
            rtt=NEAR,
            opens={"unanswered_often": 0.45, "unanswered_twice": 0.2, "refused_thrice": 0.15, "probed": 0.2},
            closes=STAYS_OPEN,
        ),
    ),
    *((0.2 * weight, traffic) for weight, traffic in _ETERNAL),
)
# Files taken: FTP's data, HTTP posts, SMB reads; encrypted in place over SMB: read and written in pieces of up to 64 kB
_THEFT = (
    (
        0.5,
        tcp(
            say(
                up(About((400, 600), 0.1), _QUICK),
                up(About((20_000, 150_000), 0.9, high=600_000), About(0.005, 1.0)),
                down(About((120, 300), 0.3), About(0.05, 1.0)),
            ),
            ports=(80, 443, 8080, 4444),
            rtt=FAR,
        ),
    ),
    (
        0.5,
        tcp(
            TLS,
            repeat(
                About((2, 5), 0.4, low=1, high=10),
                up(About((8_000, 60_000), 0.7, 0.3, high=200_000), About(0.1, 1.0, 0.5)),
                down(About((60, 200), 0.3), About(0.05, 1.0)),
            ),
            ports=HTTPS,
            rtt=FAR,
        ),
    ),
)
_RANSOM = (
    (
        0.6,
        tcp(
            say(*_SMB_SESSION),
            repeat(
                About((3, 10), 0.4, low=1, high=20),
                up(About(117), _QUICK),
                down(About((4_000, 20_000, 65_600), 0.4, 0.2), About(0.002, 0.9)),
                up(About((4_100, 20_100, 65_700), 0.4, 0.2), About(0.005, 0.9)),
                down(About(84), About(0.002, 0.9)),
            ),
            ports=(445,),
            clients=_WINDOWS,
            servers=_WINDOWS,
            rtt=NEAR,
            closes=EITHER_CLOSES | {"left_open": 0.5},
        ),
    ),
    (
        0.4,
        tcp(
            TLS,
            say(up(About((400, 2_000), 0.3), _QUICK), down(About((200, 900), 0.4), About(0.05, 1.0))),
            ports=HTTPS,
            clients=OFFICE,
            servers=SERVER,
            rtt=FAR,
        ),
    ),
)

TOOLS = (
    make(
        "c2_http",
        "HTTP beacons",
        "Cobalt Strike: sleep, Malleable C2 profiles; Empire, PoshC2 (delay 5 s)",
        _HTTP_BEACON,
        ("C&C", "CnC", "C2"),
    ),
    make("c2_https", "HTTPS beacons", "Cobalt Strike, Sliver: sleep and jitter; RFC 8446", _HTTPS_BEACON),
    make("c2_dns", "DNS beacons", "Cobalt Strike: DNS beacon; RFC 1035", _DNS_BEACON),
    make(
        "iodine",
        "IP over DNS",
        "iodine(8): -I, -m, -T NULL; RFC 1035",
        _IODINE,
        ("DNS tunnel", "DNS tunneling", "DNS exfiltration"),
    ),
    make("dnscat2", "a shell over DNS", "dnscat2: protocol.md, --delay 1000", _DNSCAT),
    make(
        "stratum",
        "a miner and its pool",
        "Stratum v1 (slush pool); XMRig: its JSON",
        _STRATUM,
        ("Cryptomining", "Mining", "Coinminer", "cryptojacking"),
    ),
    make(
        "eternalblue",
        "SMB1's transaction overrun, and DoublePulsar",
        "MS17-010; Metasploit: ms17_010_eternalblue; MS-CIFS §2.2.4",
        _ETERNAL,
    ),
    make(
        "smb_worm",
        "SYNs to 445 of every host, and EternalBlue where it is open",
        "WannaCry: published analyses (2017); MS17-010",
        _WORM,
        ("Worms", "WannaCry"),
    ),
    make(
        "exfiltration",
        "files posted to a server abroad",
        "RFC 9112, 8446; MITRE ATT&CK T1041, T1048",
        _THEFT,
        ("Theft", "Data_Exfiltration", "Exfiltration"),
    ),
    make(
        "ransomware",
        "files on a share read and written again",
        "MS-SMB2 §2.2.19 to 2.2.22 (pieces of 64 kB); MITRE ATT&CK T1486",
        _RANSOM,
        ("ransomware",),
    ),
)
