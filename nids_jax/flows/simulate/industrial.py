"""Industrial networks: Modbus, S7, DNP3 and IEC 104, polled as every day, scanned, written to and flooded.

Sources: Modbus Messaging on TCP/IP v1.0b (7 bytes of head; reads ask with 12 bytes and are answered with 9 + 2n), RFC
1006 and Wireshark's S7comm dissector (TPKT 4, COTP 3), IEEE 1815 (DNP3: 10 bytes of link head, 2 of CRC for each 16),
IEC 60870-5-104 (6 bytes of APCI).
"""

from collections.abc import Mapping

from nids_jax.flows.simulate.parts import ATTACKER, CLIENT_CLOSES, NEAR, STAYS_OPEN, tcp
from nids_jax.flows.simulate.script import About, Loop, Message, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import make

_DEVICE = {"device": 0.8, "embedded_linux": 0.2}
_STATION = {"windows_10": 0.5, "windows_7": 0.3, "linux_5": 0.2}
_CYCLE = About((0.1, 0.5, 1.0, 2.0), 0.05, 0.02)  # s: what a SCADA server polls at
_DEVICE_TIME = About((0.002, 0.01, 0.03), 0.5, 0.3)  # until a controller's next scan cycle has answered
_QUICK = About(0.001, 1.0, 0.5)
_ALWAYS = STAYS_OPEN | {"left_open": 0.8, "client": 0.15, "server_reset": 0.05}


def _to_device(*acts: Loop, port: int, clients: Mapping[str, float], closes: Mapping[str, float]) -> Traffic:
    return tcp(*acts, ports=(port,), clients=clients, servers=_DEVICE, rtt=NEAR, closes=closes)


# function codes 1 to 4: 10 registers are 29 bytes, 125 are 259; writes (5, 6, 16): 12 bytes, or 13 + 2n answered with
# 12
_READ = (up(About(12), _CYCLE), down(About((11, 29, 59, 109, 259)), _DEVICE_TIME))
_WRITE = (up(About((12, 12, 15, 33)), About((0.001, 0.1, 1.0), 0.5, 0.3)), down(About(12), _DEVICE_TIME))
_EXCEPTION = down(About(9), _DEVICE_TIME)
_MODBUS_POLL = _to_device(
    repeat(About((10, 30, 60), 0.4, low=2, high=100), *_READ), port=502, clients=_STATION, closes=_ALWAYS
)
_MODBUS_SCAN = (
    (
        0.4,
        _to_device(
            say(up(About((8, 11, 12)), _QUICK), down(About((9, 40, 60), 0.2), _DEVICE_TIME)),
            port=502,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # nmap modbus-discover: slave id (17), identification (43)
    (
        0.4,
        _to_device(
            repeat(About((20, 60), 0.4, low=3, high=120), up(About(12), About((0.005, 0.1), 0.5)), _EXCEPTION),
            port=502,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # units 1 to 247, functions 1 to 127, addresses: Metasploit modbus_findunitid, smod
    (
        0.2,
        tcp(
            ports=(502,),
            clients=ATTACKER,
            servers=_DEVICE,
            rtt=NEAR,
            opens={"refused": 0.5, "unanswered_twice": 0.3, "probed": 0.2},
            closes=STAYS_OPEN,
        ),
    ),
)
_MODBUS_WRITE = (
    (0.5, _to_device(say(*_WRITE), port=502, clients=ATTACKER, closes=CLIENT_CLOSES)),
    (
        0.5,
        _to_device(
            repeat(About((5, 30), 0.5, low=2, high=100), *_WRITE), port=502, clients=ATTACKER, closes=CLIENT_CLOSES
        ),
    ),
)
_MODBUS_FLOOD = _to_device(
    repeat(
        About((40, 90), 0.3, low=10, high=150),
        up(About(12), About(0.0005, 0.8, 0.5)),
        down(About((9, 29, 259)), _DEVICE_TIME, 0.8),
    ),
    port=502,
    clients=ATTACKER,
    closes=CLIENT_CLOSES | {"server_reset": 0.3},
)

# S7comm: COTP connection 22 and 22, setup communication 25 and 27, read 31 answered with 25 + n, write 36 + n with 22
_S7_HELLO: tuple[Message, ...] = (
    up(About(22), _QUICK),
    down(About(22), _DEVICE_TIME),
    up(About(25), _QUICK),
    down(About(27), _DEVICE_TIME),
)
_S7_POLL = _to_device(
    say(*_S7_HELLO),
    repeat(
        About((10, 40), 0.4, low=2, high=80),
        up(About((31, 43, 67)), _CYCLE),
        down(About((26, 45, 120, 225), 0.1), _DEVICE_TIME),
    ),
    port=102,
    clients=_STATION,
    closes=_ALWAYS,
)
_S7_SCAN = (
    (
        0.5,
        _to_device(
            say(
                *_S7_HELLO,
                up(About(33), _QUICK),
                down(About((125, 220), 0.05), _DEVICE_TIME),
                up(About(33), _QUICK),
                down(About((180, 230), 0.05), _DEVICE_TIME),
            ),
            port=102,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # nmap s7-info: SZL 0x0011 and 0x001C
    (
        0.3,
        _to_device(
            say(up(About(22), _QUICK), down(About((22, 11)), _DEVICE_TIME, 0.6)),
            port=102,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # TSAPs in turn
    (
        0.2,
        tcp(
            ports=(102,),
            clients=ATTACKER,
            servers=_DEVICE,
            rtt=NEAR,
            opens={"refused": 0.6, "unanswered_twice": 0.4},
            closes=STAYS_OPEN,
        ),
    ),
)
_S7_WRITE = (
    (
        0.6,
        _to_device(
            say(*_S7_HELLO),
            repeat(
                About((1, 8), 0.5, low=1, high=40),
                up(About((37, 40, 60)), About(0.01, 1.0)),
                down(About(22), _DEVICE_TIME),
            ),
            port=102,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),
    (
        0.4,
        _to_device(
            say(*_S7_HELLO, up(About((33, 37)), _QUICK), down(About((20, 22)), _DEVICE_TIME)),
            port=102,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # PLC stop, start
)

# DNP3: class polls of 18 to 27 bytes, answers of 17 to 292 (a link frame's most), confirmations of 15; unsolicited
# ones too
_DNP3_POLL = _to_device(
    repeat(
        About((4, 12, 30), 0.4, low=1, high=60),
        up(About((18, 24, 27)), About((1, 5, 10), 0.05, 0.02)),
        down(About((17, 60, 150, 292), 0.15, 0.3, high=292), _DEVICE_TIME),
        up(About(15), _QUICK, 0.5),
    ),
    port=20000,
    clients=_STATION,
    closes=_ALWAYS,
)
_DNP3_ATTACK = (
    (
        0.4,
        _to_device(
            repeat(
                About((3, 30), 0.5, low=1, high=100),
                up(About((10, 15)), About(0.05, 0.8)),
                down(About((10, 17)), _DEVICE_TIME, 0.4),
            ),
            port=20000,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # nmap dnp3-info: link status of the addresses in turn
    (
        0.3,
        _to_device(
            say(up(About((15, 18)), _QUICK), down(About((17, 23)), _DEVICE_TIME)),
            port=20000,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # cold restart (13), stop (18)
    (
        0.3,
        _to_device(
            repeat(About((1, 6), 0.5, low=1, high=30), up(About(35), _QUICK), down(About(37), _DEVICE_TIME)),
            port=20000,
            clients=ATTACKER,
            closes=CLIENT_CLOSES,
        ),
    ),  # direct operate of an output (5)
)
# IEC 104: STARTDT 6, TESTFR 6 every 20 s, measured values of 16 to 250, acknowledged by S frames of 6; commands of 16
_IEC_POLL = _to_device(
    say(up(About(6), _QUICK), down(About(6), _DEVICE_TIME), up(About(16), _QUICK), down(About(16), _DEVICE_TIME)),
    repeat(
        About((5, 15, 30), 0.4, low=1, high=50),
        down(About((16, 22, 60, 180), 0.1, 0.4, low=16, high=255), About((1, 3, 10), 0.3, 0.5)),
        up(About(6), _QUICK, 0.4),
    ),
    port=2404,
    clients=_STATION,
    closes=_ALWAYS,
)
_IEC_ATTACK = _to_device(
    say(up(About(6), _QUICK), down(About(6), _DEVICE_TIME)),
    repeat(
        About((5, 30), 0.5, low=1, high=100),
        up(About((16, 17)), About((0.01, 0.1), 0.5, 0.2)),
        down(About((16, 32)), _DEVICE_TIME),
    ),
    port=2404,
    clients=ATTACKER,
    closes=CLIENT_CLOSES,
)

_MODBUS = "Modbus Messaging on TCP/IP v1.0b, Modbus Application Protocol v1.1b3"
_S7 = "RFC 1006; Wireshark: packet-s7comm.c; "

TOOLS = (
    make("modbus_poll", "a station that reads a controller's registers in a cycle", _MODBUS, _MODBUS_POLL, benign=True),
    make("s7_poll", "a station that reads a Siemens controller in a cycle", _S7 + "Snap7", _S7_POLL, benign=True),
    make("dnp3_poll", "a master that polls an outstation's classes", "IEEE 1815", _DNP3_POLL, benign=True),
    make("iec104_poll", "values that a substation sends of its own accord", "IEC 60870-5-104", _IEC_POLL, benign=True),
    make(
        "modbus_scan",
        "units, functions and registers in turn",
        _MODBUS + "; nmap: modbus-discover; Metasploit: modbus_findunitid",
        _MODBUS_SCAN,
    ),
    make(
        "modbus_write",
        "coils and registers written by a stranger",
        _MODBUS + "; Metasploit: modbusclient; smod",
        _MODBUS_WRITE,
    ),
    make("modbus_flood", "reads faster than a controller answers", _MODBUS, _MODBUS_FLOOD),
    make("s7_scan", "which module it is, and where it lets in", _S7 + "nmap: s7-info", _S7_SCAN),
    make("s7_write", "data blocks written, the controller stopped", _S7 + "ISF, Metasploit: s7 modules", _S7_WRITE),
    make("dnp3_attack", "addresses in turn, restarts, outputs operated", "IEEE 1815; nmap: dnp3-info", _DNP3_ATTACK),
    make(
        "iec104_attack",
        "commands to a substation's points in turn",
        "IEC 60870-5-104; Industroyer: published analyses (ESET 2017)",
        _IEC_ATTACK,
    ),
)
