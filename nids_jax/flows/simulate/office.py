"""Benign programs one by one, beside the office's mixture (`benign`): web, mail, names, files, desktops, calls, things.

Sources: the RFC or specification named beside each; sizes of pages and objects from HTTP Archive's Web Almanac.
"""

from nids_jax.flows.simulate.parts import (
    CLIENT_CLOSES,
    EITHER_CLOSES,
    FAR,
    HTTP,
    HTTPS,
    NEAR,
    TLS,
    ssh_keys,
    tcp,
    udp,
)
from nids_jax.flows.simulate.script import About, down, repeat, say, up
from nids_jax.flows.simulate.tool import make

_QUICK = About(0.001, 1.0, 0.5)
_CLICK = About((0.05, 1.0), 1.2, 1.0, low=0.005)
_OBJECT = About((600, 3_000, 12_000, 30_000), 0.9, 0.9, low=120, high=600_000)  # HTML, scripts, style sheets, images
_WINDOWS = {"windows_10": 0.7, "windows_7": 0.3}
_KEPT = EITHER_CLOSES | {"left_open": 0.3}

_WEB = (
    (
        0.75,
        tcp(
            TLS,
            repeat(
                About((1, 3, 8), 0.6, low=1, high=40),
                up(About((90, 350, 600), 0.4, 0.4), _CLICK),
                down(_OBJECT, About(0.03, 1.0, 0.7)),
            ),
            ports=HTTPS,
            rtt=FAR,
            closes=_KEPT,
            linger=About((0.01, 5, 60), 0.8, high=110),
        ),
    ),
    (
        0.25,
        tcp(
            repeat(
                About((1, 2, 5), 0.6, low=1, high=30),
                up(About((280, 450, 700), 0.3, 0.2), _CLICK),
                down(_OBJECT, About(0.03, 1.0, 0.7)),
            ),
            ports=HTTP,
            closes=_KEPT,
            linger=About((0.01, 5, 15), 0.8, high=110),
        ),
    ),
)
# RFC 5321 over TLS or not: EHLO, AUTH, MAIL, RCPT, DATA; RFC 9051: IDLE, renewed within 29 minutes; fetches
_MAIL = (
    (
        0.4,
        tcp(
            say(down(About(60, 0.4), About(0.02, 1.0))),
            repeat(About(5, 0.3, low=2), up(About(30, 0.3, 0.4), _QUICK), down(About(45, 0.5, 0.6), About(0.005, 1.0))),
            say(
                up(About((2_500, 20_000), 1.2, high=500_000), About(0.01, 1.0)),
                down(About(50, 0.2), About(0.05, 1.0)),
                up(About(6), _QUICK),
                down(About(30, 0.2), _QUICK),
            ),
            ports=(25, 587),
            rtt=FAR,
        ),
    ),
    (
        0.6,
        tcp(
            TLS,
            repeat(
                About((3, 8), 0.5, low=1, high=30),
                up(About((40, 70), 0.3, 0.4), About((0.01, 30), 1.0, 0.6, high=100)),
                down(About((80, 900), 0.6, 1.0, high=200_000), About(0.02, 1.0, 0.5)),
            ),
            ports=(993, 993, 995, 465),
            rtt=FAR,
            closes=_KEPT,
        ),
    ),
)
_DNS = (
    (
        0.6,
        udp(
            say(
                up(About((28, 36, 50), 0.2, low=19), About(0)),
                down(About((60, 120, 200, 420), 0.3), About((0.0005, 0.03), 1.0), 0.98),
            ),
            ports=(53,),
            rtt=NEAR,
        ),
    ),
    (
        0.3,
        udp(
            say(
                up(About((36, 48), 0.2, low=19), About(0)),
                up(About((36, 48), 0.2, low=19), About(0.00005, 0.8)),
                down(About((90, 160), 0.4), About((0.001, 0.03), 1.0)),
                down(About((90, 200), 0.4), About(0.001, 1.0)),
            ),
            ports=(53,),
            rtt=NEAR,
        ),
    ),
    (
        0.1,
        udp(
            repeat(
                About((2, 6), 0.5, low=1),
                up(About((40, 60), 0.3, 0.3), About((0.5, 5), 0.5)),
                down(About((60, 180), 0.3, 0.3), About(0.02, 1.0)),
            ),
            ports=(53, 5353),
            rtt=NEAR,
        ),
    ),
)
# RFC 5905: 48 bytes each way (68 with a key), polled every 64 to 1,024 s, iburst 2 s apart
_NTP = udp(
    repeat(
        About((1, 1, 4, 6), low=1),
        up(About((48, 48, 48, 68)), About((2, 64, 64), 0.02, 0.02)),
        down(About(48), About(0.0001, 0.5, 0.3), 0.97),
    ),
    ports=(123,),
    rtt=FAR,
)
# MS-SMB2: negotiate, session, tree, create, read or write in pieces of up to 64 kB, close
_SMB = tcp(
    say(
        up(About((110, 240), 0.1), _QUICK),
        down(About((250, 340), 0.1), About(0.002, 0.9)),
        up(About((170, 1_800), 0.15), _QUICK),
        down(About((260, 330), 0.1), About(0.003, 0.9)),
        up(About((430, 600), 0.15), _QUICK),
        down(About((77, 105)), About(0.003, 0.9)),
        up(About(120, 0.1), _QUICK),
        down(About(84), About(0.001, 0.9)),
    ),
    repeat(
        About((3, 8, 15), 0.6, low=1, high=40),
        up(About((116, 200, 360), 0.2, 0.3), About((0.001, 0.5), 1.2, 1.0)),
        down(About((84, 156, 600, 20_000), 0.5, 0.8, high=65_700), About(0.001, 1.0, 0.6)),
    ),
    ports=(445, 445, 445, 139),
    clients=_WINDOWS | {"macos": 0.1},
    servers=_WINDOWS | {"linux_5": 0.4},
    rtt=NEAR,
    closes=_KEPT,
)
# MS-RDPBCGR: X.224, TLS, CredSSP, capabilities, then input of 40 to 100 bytes and updates of the screen
_RDP = tcp(
    say(
        up(About((19, 42), 0.05, low=19), _QUICK),
        down(About(19), About(0.01, 0.9)),
        up(About((230, 330), 0.15), _QUICK),
        down(About((820, 1_250), 0.1), About(0.01, 0.9)),
        up(About((158, 330), 0.1), _QUICK),
        down(About((59, 91), 0.05), _QUICK),
        up(About(140, 0.1), _QUICK),
        down(About(320, 0.12), _QUICK),
        up(About(700, 0.1), _QUICK),
        down(About(120, 0.2), About(0.05, 0.9)),
        up(About(560, 0.1), _QUICK),
        down(About(200, 0.3), About(0.02, 0.9)),
    ),
    repeat(
        About((10, 30), 0.5, low=3, high=60),
        up(About((45, 70, 100), 0.1, 0.2), About((0.05, 0.4), 0.6, 1.0)),
        down(About((90, 700, 3_000), 0.5, 1.0, high=60_000), About(0.02, 0.8, 0.7)),
    ),
    ports=(3389,),
    clients=_WINDOWS,
    servers=_WINDOWS,
    closes=CLIENT_CLOSES,
)
_SSH = (
    (
        0.7,
        tcp(
            ssh_keys(About((21, 28, 41), 0.05)),
            repeat(
                About(1.2, 0.3, low=1),
                up(About((84, 148, 372, 500), 0.1), About((0.01, 2), 0.7)),
                down(About((28, 36, 52), 0.1), About((0.02, 0.1), 0.3)),
            ),
            repeat(
                About((8, 25), 0.6, low=1, high=80),
                up(About(36, 0.1, 0.1), About(0.25, 0.6, 1.0)),
                down(About((36, 60, 300), 0.2, 0.8), About(0.002, 0.8, 0.5)),
            ),
            ports=(22,),
            closes=CLIENT_CLOSES,
        ),
    ),
    (
        0.3,
        tcp(
            ssh_keys(About((21, 28, 41), 0.05)),
            say(up(About((372, 500), 0.1), _QUICK), down(About(36, 0.1), About(0.02, 0.5))),  # scp, git, rsync
            say(up(About((80, 150), 0.2), _QUICK), down(About((2_000, 60_000), 1.0, high=500_000), About(0.02, 1.0))),
            ports=(22,),
            closes=CLIENT_CLOSES,
        ),
    ),
)
_FILES = tcp(
    TLS,
    say(up(About((350, 500), 0.2), _QUICK), down(About((60_000, 200_000), 0.7, high=1_000_000), About(0.05, 1.0))),
    ports=HTTPS,
    rtt=FAR,
)

TOOLS = (
    make("web", "pages and what they draw in", "RFC 9112, 9113, 8446; Web Almanac", _WEB, benign=True),
    make("mail", "mail sent and fetched", "RFC 5321, 9051, 1939", _MAIL, benign=True),
    make("names", "questions to a resolver", "RFC 1035, 6762, 6891", _DNS, benign=True),
    make("time", "clocks set", "RFC 5905", _NTP, benign=True),
    make("smb", "files of a share", "MS-SMB2 §2.2", _SMB, benign=True),
    make("rdp", "a remote desktop", "MS-RDPBCGR §1.3", _RDP, benign=True),
    make("ssh", "a shell, or files over it", "RFC 4253, 4254", _SSH, benign=True),
    make("download", "a file over HTTPS", "RFC 9112, 8446", _FILES, benign=True),
)
