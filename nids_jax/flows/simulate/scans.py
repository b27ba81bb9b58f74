"""Scans: nmap kind by kind, masscan, zmap, ping sweeps, and probes for versions, systems and weaknesses.

What comes back depends on the port, not on the scanner: most are closed or behind a firewall that drops.

Sources: nmap(1) and its book (G. Lyon 2009), nmap-payloads and nmap-service-probes, masscan(8), zmap(1), RFC 9293.
"""

from collections.abc import Mapping, Sequence

from nids_jax.flows.packets import ACK, ICMP, RST, SYN, TCP
from nids_jax.flows.simulate.floods import one_way
from nids_jax.flows.simulate.parts import (
    ATTACKER,
    CLIENT_CLOSES,
    EITHER_CLOSES,
    HTTP,
    SERVER,
    SERVER_CLOSES,
    STAYS_OPEN,
    tcp,
    udp,
)
from nids_jax.flows.simulate.script import About, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import Recipes, make

_ANY = range(1, 65536)
# nmap-services' first: the thousand that nmap asks by default begin with these
_COMMON = (
    80,
    23,
    443,
    21,
    22,
    25,
    3389,
    110,
    445,
    139,
    143,
    53,
    135,
    3306,
    8080,
    1723,
    111,
    995,
    993,
    5900,
    1025,
    587,
    8888,
    199,
    1720,
)
_NMAP = {"nmap": 1.0}
_MASSCAN = {"masscan": 0.6, "masscan_2021": 0.4}
_WAY = About((0.0005, 0.005, 0.03, 0.12), 0.6, low=0.0001)


def _probe(clients: Mapping[str, float], ports: Sequence[int] = _ANY, **opens: float) -> Traffic:
    return tcp(ports=ports, clients=clients, rtt=_WAY, opens=opens, closes=STAYS_OPEN)


def _syn(clients: Mapping[str, float], again: str) -> Recipes:
    """Closed, open, and dropped by a firewall, as often as at a host within and at one behind a firewall."""
    return (
        (0.5, _probe(clients, refused=0.85, half_open=0.1, unanswered=0.05)),
        (0.3, _probe(clients, _COMMON, refused=0.55, half_open=0.3, **{again: 0.15})),
        (0.2, _probe(clients, _ANY, refused=0.05, half_open=0.05, **{again: 0.9})),
    )


_CONNECT = (
    (0.5, _probe(ATTACKER, refused=0.85, probed=0.1, unanswered=0.05)),
    (0.3, _probe(ATTACKER, _COMMON, refused=0.5, probed=0.35, unanswered_twice=0.15)),
    (0.2, _probe(ATTACKER, unanswered_often=0.4, unanswered_twice=0.4, refused=0.2)),
)
# nmap -sU: the payload that nmap-payloads has for the port, or nothing; a closed port answers by ICMP, another flow
_UDP_PROBE = (
    (0.55, one_way(repeat(About((1, 2)), up(About(0), About(1.0, 0.1))), ports=_ANY, clients=_NMAP)),
    (
        0.3,
        one_way(
            repeat(About((1, 2)), up(About((12, 30, 40, 48, 60), 0.05), About(1.0, 0.1))),
            ports=(53, 67, 69, 111, 123, 137, 161, 389, 500, 1434, 1900, 5060, 5353),
            clients=_NMAP,
        ),
    ),
    (
        0.15,
        udp(
            say(up(About((12, 40, 48, 60), 0.05), About(0)), down(About((12, 48, 90, 250), 0.3), About(0.001, 1.0))),
            ports=(53, 111, 123, 137, 161, 1434, 1900, 5353),
            rtt=_WAY,
        ),
    ),
)
# nmap -sV (nmap-service-probes): waits 6 s for a banner, else probes one by one; NULL, GetRequest (18 bytes), and more
_VERSIONS = (
    (
        0.4,
        tcp(
            say(down(About((20, 41, 80), 0.4), About(0.01, 1.0))),
            ports=(21, 22, 25, 110, 143, 587, 3306, 5900),
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),
    (
        0.4,
        tcp(
            say(
                up(About((18, 22, 44), 0.05), About((0.001, 6), 0.1)),
                down(About((190, 450, 3_000, 12_000), 0.6), About(0.01, 1.2)),
            ),
            ports=(*HTTP, 443, 8443),
            clients=ATTACKER,
            closes=EITHER_CLOSES,
        ),
    ),
    (
        0.2,
        tcp(
            say(up(About((18, 42, 53, 168), 0.05), About(6, 0.05)), down(About(60, 1.0), About(0.01, 1.0), 0.4)),
            ports=(135, 139, 445, 3389, *range(1024, 49152, 97)),
            clients=ATTACKER,
            closes=CLIENT_CLOSES | {"client_reset": 0.4},
        ),
    ),
)
# nmap -O: six SYNs 100 ms apart with options of up to 20 bytes, ECN, null, SYN FIN URG PSH, ACK …, and UDP of 300
# times "C"
_SYSTEM = (
    (0.55, _probe({"linux_3": 1.0}, _COMMON, half_open=1.0)),
    (0.2, _probe(_NMAP, null_probe=0.15, null_probe_unanswered=0.3, xmas_probe=0.25, ack_probe=0.3)),
    (0.15, one_way(say(up(About(300), About(0))), ports=range(30_000, 45_000), clients=_NMAP)),
    (
        0.1,
        one_way(
            say(up(About((120, 150)), About(0)), down(About((120, 150)), About(0.0002, 0.8), 0.8)),
            ports=(0,),
            sources=(0,),
            protocol=ICMP,
        ),
    ),
)
# nmap -sn: echo, SYN to 443, ACK to 80, a timestamp request (RFC 792: 12 bytes)
_SWEEP_ECHO = one_way(
    repeat(About((1, 1, 2)), up(About((0, 56)), About(1, 0.05)), down(About(56), About(0.0005, 1.0), 0.4)),
    ports=(0,),
    sources=(0,),
    protocol=ICMP,
)
_STAMP = one_way(
    say(up(About(12), About(0)), down(About(12), About(0.0005, 1.0), 0.3)), ports=(0,), sources=(0,), protocol=ICMP
)
_DISCOVERY = (
    (0.35, _SWEEP_ECHO),
    (0.25, _probe(_NMAP, (443,), refused=0.4, half_open=0.3, unanswered_twice=0.3)),
    (0.25, _probe(_NMAP, (80,), ack_probe=0.6, ack_probe_unanswered=0.4)),
    (0.15, _STAMP),
)
_MASS = (
    (
        0.8,
        one_way(
            say(up(About(0), About(0), flags=SYN), down(About(0), About(0.0002, 0.8), 0.15, flags=RST | ACK)),
            ports=_COMMON,
            protocol=TCP,
            clients=_MASSCAN,
        ),
    ),
    (0.2, _probe(_MASSCAN, half_open=0.3, refused=0.5, unanswered=0.2)),
)
_ZMAP = (
    (0.8, _probe({"zmap": 1.0}, (80, 443, 22, 23, 8080, 3389), unanswered=0.7, refused=0.15, half_open=0.15)),
    # zgrab: a banner, or a page
    (
        0.2,
        tcp(
            say(
                up(About((90, 130, 220), 0.1), About(0.001, 1.0)),
                down(About((300, 2_500, 9_000), 0.7), About(0.02, 1.0)),
            ),
            ports=(80, 443, 8080),
            clients={"linux_5": 1.0},
            rtt=_WAY,
            closes=EITHER_CLOSES,
        ),
    ),
)
_STEALTH = (
    (0.25, _probe(_NMAP, fin_probe=0.6, fin_probe_unanswered=0.4)),
    (0.25, _probe(_NMAP, null_probe=0.6, null_probe_unanswered=0.4)),
    (0.25, _probe(_NMAP, xmas_probe=0.6, xmas_probe_unanswered=0.4)),
    (0.25, _probe(_NMAP, ack_probe=0.6, ack_probe_unanswered=0.4)),
)
# nikto asks for some 6,700 paths on kept connections, dirb and gobuster for 4,614 (common.txt), each 404 but a few
_PATHS = repeat(
    About((10, 40, 80), 0.4, low=2, high=100),
    up(About((130, 190, 240), 0.1, 0.1), About((0.0005, 0.005), 1.0, 0.5)),
    down(About((210, 440, 1_200), 0.15, 0.05), About(0.002, 1.0, 0.5)),
)
_WEAKNESSES = (
    (0.5, tcp(_PATHS, ports=(*HTTP, 443), clients=ATTACKER, servers=SERVER, closes=EITHER_CLOSES)),
    (
        0.3,
        tcp(
            say(
                up(About((160, 230, 420), 0.3), About(0.001, 1.0)),
                down(About((300, 520, 6_000), 0.7), About(0.01, 1.0)),
            ),
            ports=HTTP,
            clients=ATTACKER,
            closes=SERVER_CLOSES,
        ),
    ),
    (0.2, _VERSIONS[2][1]),
)

TOOLS = (
    make(
        "nmap_syn",
        "SYN scan",
        "nmap(1): -sS; its raw SYN of 24 bytes, windows 1024 to 4096",
        _syn(_NMAP, "unanswered_twice"),
        ("SYN scan", "Infiltration - SYN Scan"),
    ),
    make("nmap_connect", "connect scan", "nmap(1): -sT; tcp(7): tcp_syn_retries", _CONNECT),
    make("nmap_stealth", "FIN, null, Xmas and ACK scans", "nmap(1): -sF -sN -sX -sA; RFC 9293 §3.5.2", _STEALTH),
    make("nmap_udp", "UDP scan", "nmap(1): -sU; nmap-payloads", _UDP_PROBE),
    make("nmap_version", "probes for versions", "nmap(1): -sV; nmap-service-probes", _VERSIONS),
    make(
        "nmap_os",
        "probes that tell the system",
        "nmap(1): -O; its book, chapter 8",
        _SYSTEM,
        ("Recon-OSScan", "Fingerprinting", "OS Scan", "OS_Scan"),
    ),
    make("nmap_discovery", "which hosts are there", "nmap(1): -sn", _DISCOVERY, ("Recon-HostDiscovery",)),
    make(
        "ping_sweep",
        "echo requests to each address",
        "fping(8); RFC 792",
        _SWEEP_ECHO,
        ("Recon-PingSweep", "Ping_Sweep"),
    ),
    make("masscan", "SYNs to the whole Internet, of its own stack", "masscan(8): templ-pkt.c", _MASS),
    make("zmap", "SYNs to one port of every host, then its banner", "zmap(1), zgrab2; Durumeric et al. 2013", _ZMAP),
    make(
        "nikto",
        "paths and weaknesses of a web server, one after the other",
        "nikto(1): db_tests; dirb: common.txt; gobuster",
        _WEAKNESSES,
        ("VulnerabilityScan", "Vulnerability_scanner", "Vulnerability Scanner"),
    ),
)
