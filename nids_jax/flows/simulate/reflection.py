"""Reflected floods as their victim sees them: answers to questions that it never asked.

The reflector sends first and from its protocol's port, so the meter takes it for the initiator, and the victim's
port, which the attacker drew or fixed when it wrote the victim's address into the questions, is the destination port.
Nothing goes back but ICMP, which is another flow.  Of an answer larger than a packet the first fragment is counted:
the others have no ports.

Sources: US-CERT TA14-017A (UDP-based amplification attacks: protocols and factors), C. Rossow, "Amplification Hell"
(NDSS 2014), and the format of each answer, named beside it.
"""

from collections.abc import Sequence

from nids_jax.flows.packets import UDP
from nids_jax.flows.simulate.parts import SERVER, STAYS_OPEN
from nids_jax.flows.simulate.script import About, Loop, Traffic, repeat, up
from nids_jax.flows.simulate.tool import Recipes, make

ANY_PORT = range(1, 65536)
# Where the attacker does not draw the victim's port anew: the port of the service that it means to stop
_FIXED = (80, 80, 443, 443, 53, 22, 25565, 3074, 27015)
_WAY = About((0.01, 0.05, 0.15), 0.6, low=0.001)
_BURST = About(0.00003, 1.0, 0.7)  # s, from datagram to datagram of one answer: 1,500 bytes take 12 µs at 1 Gb/s
# s, until a question reaches the same reflector again: a list of thousands, walked at 10,000 a second or faster
_LAP = About((0.002, 0.05, 0.3, 1.0), 1.0, 0.4, high=30)


def _answers(act: Loop, ports: Sequence[int], sources: Sequence[int]) -> Traffic:
    """Datagrams from one reflector to one port of the victim."""
    return Traffic(
        ports=ports,
        clients=SERVER,
        servers=SERVER,
        rtt=_WAY,
        opens={"at_once": 1.0},
        acts=(act,),
        closes=STAYS_OPEN,
        protocol=UDP,
        client_ports=sources,
    )


def _reflected(size: About, port: int | Sequence[int], *, datagrams: About | None = None) -> Recipes:
    """Answers of `size` bytes, each of so many datagrams, to a port drawn for each question or the same for all."""
    sources = (port,) if isinstance(port, int) else port
    laps = About((2, 4, 12), 0.7, low=1, high=80)
    again = repeat(laps, up(size, _LAP))
    if datagrams is None:
        return (0.4, _answers(repeat(About((1, 1, 2)), up(size, _LAP)), ANY_PORT, sources)), (
            0.6,
            _answers(again, _FIXED, sources),
        )
    burst = repeat(datagrams, up(size, _BURST))
    twice = repeat(About(datagrams.median, datagrams.between, low=2, high=120), up(size, _BURST), up(size, _LAP, 0.05))
    return (0.6, _answers(burst, ANY_PORT, sources)), (0.4, _answers(twice, _FIXED, sources))


_EPHEMERAL = range(1024, 65536)

TOOLS = (
    make(
        "dns_reflection",
        "answers of open resolvers to questions of type ANY or TXT",
        "TA14-017A (factor 28 to 54); RFC 1035 §4.2.1 (512 bytes), RFC 6891 (EDNS, 4,096), DNS flag day 2020 (1,232)",
        _reflected(About((490, 1_180, 1_225, 2_100, 3_200, 4_050), 0.15, 0.02, low=60), 53),
        ("DrDoS_DNS", "DDoS_DNS", "DNS", "DDoS-DNS", "DNS amplification"),
    ),
    make(
        "ldap_reflection",
        "rootDSE of directory servers over CLDAP",
        "TA14-017A (56 to 70 times 52 bytes); RFC 1798; MS-ADTS §3.1.1.3.2 (rootDSE attributes)",
        _reflected(About((1_450, 2_400, 2_900, 3_050), 0.12, 0.01, low=200), 389),
        ("DrDoS_LDAP", "DDoS_LDAP", "LDAP", "DDoS-LDAP"),
    ),
    make(
        "mssql_reflection",
        "instance lists of SQL Server Browser (MC-SQLR)",
        "MC-SQLR §2.2.5 (SVR_RESP: 3 bytes and some 90 to 130 per instance); TA14-017A (factor 25)",
        _reflected(About((95, 127, 220, 350, 620), 0.12, 0.01, low=40), 1434),
        ("DrDoS_MSSQL", "DDoS_MSSQL", "MSSQL", "DDoS-MSSQL"),
    ),
    make(
        "netbios_reflection",
        "node status answers of the NetBIOS name service",
        "RFC 1002 §4.2.18: 103 bytes and 18 per name; TA14-017A (factor 3.8)",
        _reflected(About((157, 175, 193, 211, 229, 265)), 137),
        ("DrDoS_NetBIOS", "DDoS_NetBIOS", "NetBIOS", "DDoS-NetBIOS"),
    ),
    make(
        "ntp_reflection",
        "monlist: up to 100 datagrams of six hosts each",
        "ntpd: ntp_request.c, REQ_MON_GETLIST_1 (8 bytes and 6 · 72); TA14-017A (factor 556.9)",
        _reflected(About(440), 123, datagrams=About((1, 2, 10, 40, 100), 0.3, low=1, high=100)),
        ("DrDoS_NTP", "DDoS_NTP", "NTP", "DDoS-NTP"),
    ),
    make(
        "snmp_reflection",
        "GetBulk answers of devices with the community public",
        "RFC 3416 §4.2.3; RFC 3417 (484 bytes at least, 1,472 recommended); TA14-017A (factor 6.3)",
        _reflected(About((480, 900, 1_400, 1_472, 6_000), 0.12, 0.03, low=90), 161),
        ("DrDoS_SNMP", "DDoS_SNMP", "SNMP", "DDoS-SNMP"),
    ),
    make(
        "ssdp_reflection",
        "answers of UPnP devices to ssdp:all, one per service",
        "UPnP Device Architecture 1.1 §1.3.3 (3 + 2d + k answers); TA14-017A (factor 30.8)",
        _reflected(
            About((270, 310, 370), 0.1, 0.1, low=120), 1900, datagrams=About((2, 6, 10, 17), 0.3, low=1, high=40)
        ),
        ("DrDoS_SSDP", "DDoS_SSDP", "SSDP", "DDoS-SSDP"),
    ),
    make(
        "portmap_reflection",
        "lists of the programs that rpcbind knows",
        "RFC 1833 §3 (PMAPPROC_DUMP: 28 bytes and 20 per program); Level 3, Aug 2015 (68 bytes give 486 to 1,930)",
        _reflected(About((148, 488, 628, 1_348, 1_930), 0.15, low=48), 111),
        ("DrDoS_Portmap", "DDoS_Portmap", "Portmap", "DDoS-Portmap"),
    ),
    make(
        "tftp_reflection",
        "first blocks of files, repeated as nobody acknowledges them, each from a port of its own",
        "RFC 1350 §2 and §4 (4 + 512 bytes; a new port per transfer); tftpd(8) --retransmit 1 s; Akamai, June 2016",
        (
            (
                0.75,
                _answers(
                    repeat(About((2, 5, 6), 0.1, low=1, high=12), up(About(516), About((1, 1, 5), 0.05, 0.01))),
                    ANY_PORT,
                    _EPHEMERAL,
                ),
            ),
            (
                0.15,
                _answers(
                    repeat(About((1, 6), 0.2, low=1), up(About((120, 516, 1_432), 0.3, low=5), _LAP)),
                    _FIXED,
                    _EPHEMERAL,
                ),
            ),
            (0.1, _answers(repeat(About((1, 2)), up(About((19, 24), 0.1, low=5), _LAP)), ANY_PORT, _EPHEMERAL)),
        ),
        ("DrDoS_TFTP", "DDoS_TFTP", "TFTP", "DDoS-TFTP"),
    ),
    make(
        "chargen_reflection",
        "lines of the character generator",
        "RFC 864 (up to 512 bytes); TA14-017A (factor 358.8)",
        _reflected(About((74, 256, 512, 1_022), 0.1, 0.3, low=1, high=6_000), 19),
        ("DrDoS_Chargen",),
    ),
    make(
        "memcached_reflection",
        "stored values in datagrams of 1,400 bytes",
        "memcached: UDP_MAX_PAYLOAD_SIZE 1,400, protocol.txt (frame of 8 bytes); TA14-017A (factor 10,000 and more)",
        _reflected(About(1_400), 11211, datagrams=About((1, 12, 60, 100), 0.4, low=1, high=120)),
        ("DrDoS_Memcached",),
    ),
    make(
        "wsd_reflection",
        "probe matches of WS-Discovery devices",
        "OASIS WS-Discovery 1.1 §5.3 (SOAP over UDP); Akamai, Sept 2019 (up to 153 times 18 to 29 bytes)",
        _reflected(About((690, 1_450, 2_800), 0.2, 0.02, low=300), 3702),
        ("DrDoS_WSD",),
    ),
)
