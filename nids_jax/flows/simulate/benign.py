"""What an office's hosts do all day: the recipes of BENIGN."""

from nids_jax.flows.simulate.parts import (
    CLIENT_CLOSES,
    EITHER_CLOSES,
    FAR,
    FORM_PAGE,
    HTTP,
    HTTPS,
    IDLE_TIMEOUT,
    PAGE,
    SERVER_CLOSES,
    STAYS_OPEN,
    TLS,
    ssh_keys,
    tcp,
    udp,
)
from nids_jax.flows.simulate.script import About, down, repeat, say, up
from nids_jax.flows.simulate.tool import make

_CLICK = About(1.0, 1.2, 1.0, low=0.01)  # a person or a browser asks for the next thing

# One question, or two at once (IPv4 and IPv6 address); the resolver knows the answer or has to ask around.
_DNS = udp(
    repeat(
        About((1, 1, 1, 2), 0.1, low=1),
        up(About(42, 0.25, 0.02, low=24), About(2.0, 1.5, 0.5)),
        up(About(42, 0.25, 0.02, low=24), About(0.00005, 0.8), chance=0.4),
        down(About(130, 0.5, 0.1), About(0.003, 1.6, 0.5), chance=0.97),
        down(About(160, 0.4, 0.1), About(0.0005, 1.2, 0.5), chance=0.4),
    ),
    ports=(53,),
    rtt=About((0.0005, 0.02), 0.6),
)

_NTP = udp(
    repeat(
        About((1, 1, 2, 4), low=1), up(About(48), About((16, 64), 0.01, 0.01)), down(About(48), About(0.0001, 0.5, 0.3))
    ),
    ports=(123,),
    rtt=FAR,
)

_HTTPS = tcp(
    TLS,
    repeat(About(2.5, 0.8), up(About(520, 0.5, 0.4), _CLICK), down(PAGE, About(0.03, 1.0, 0.7))),
    ports=HTTPS,
    rtt=FAR,
    linger=About((0.01, 5, 30), 1.0, high=100),
)

_HTTP = tcp(
    say(up(About(400, 0.35), About(0.001, 1.0)), down(PAGE, About(0.02, 1.0))),
    repeat(About(1.5, 1.0), up(About(430, 0.35, 0.2), _CLICK), down(PAGE, About(0.02, 1.0, 0.7))),
    ports=HTTP,
    linger=About((0.01, 5, 15), 0.5),
)

# A person fills in the forms of a web application: from outside much like an attack on them
_FORMS = tcp(
    say(up(About(420, 0.25), About(0.001, 1.0)), down(FORM_PAGE, About(0.01, 0.9))),
    repeat(
        About(2.5, 0.8, low=1),
        up(About(560, 0.25, 0.1), About(3, 0.8, 0.8)),
        down(About(420, 0.2, 0.1), About(0.01, 0.9, 0.5), chance=0.6),  # redirected …
        up(About(470, 0.25, 0.05), About(0.005, 0.8, 0.5), chance=0.6),  # … to the next page
        down(FORM_PAGE, About(0.01, 0.9, 0.5)),
    ),
    ports=HTTP,
    closes=SERVER_CLOSES,
    linger=IDLE_TIMEOUT,
)

# Chat, push and update services: an idle connection kept alive by a timer
_PUSH = tcp(
    TLS,
    repeat(
        About(5, 0.7, low=1),
        up(About((1, 31, 60, 190), 0.3, 0.05), About((10, 15, 30, 45), 0.05, 0.03)),
        down(About((31, 60, 128), 0.3, 0.05), About(0.005, 1.0, 0.4)),
    ),
    ports=(443, 5222, 5228, 8080, 80),
    rtt=FAR,
    closes=EITHER_CLOSES | {"left_open": 0.4},
)

# A password, wrong now and then with the delay that follows, then typing and what it prints
_SSH = tcp(
    ssh_keys(About((21, 28, 41), 0.05)),
    repeat(
        About(1.3, 0.4, low=1),
        up(About((84, 148, 372), 0.1), About(2, 0.9)),
        down(About(36, 0.2), About((0.02, 2), 0.3)),
    ),
    repeat(
        About(8, 0.9), up(About(36, 0.2, 0.1), About(0.25, 0.6, 1.0)), down(About(60, 0.4, 0.8), About(0.001, 0.8, 0.5))
    ),
    ports=(22,),
    closes=CLIENT_CLOSES,
)

# Log in, a few commands, QUIT (files travel on connections of their own)
_FTP = tcp(
    say(
        down(About((20, 45), 0.2), About(0.005, 1.0)),
        up(About(13, 0.2), About(0.01, 1.5)),
        down(About(34, 0.1), About(0.001, 0.8)),
        up(About(15, 0.2), About(0.01, 1.5)),
        down(About((23, 22), 0.1), About((0.02, 3), 0.4)),
    ),
    repeat(
        About(5, 0.6),
        up(About(9, 0.4, 0.5, low=6), About(0.05, 1.5, 1.0)),
        down(About(35, 0.3, 0.4), About(0.002, 0.8, 0.8)),
    ),
    say(up(About(6), About(0.2, 1.5)), down(About(14), About(0.0005, 0.5))),
    ports=(21,),
)

# SMTP, POP3 and IMAP: greeting, commands, often one message, goodbye
_MAIL = tcp(
    say(down(About(70, 0.4), About(0.02, 1.0))),
    repeat(
        About(5, 0.4),
        up(About(30, 0.3, 0.4), About(0.002, 1.0, 0.5)),
        down(About(45, 0.5, 0.6), About(0.003, 1.0, 0.7)),
    ),
    say(up(About(3000, 1.3, low=300), About(0.005, 1.0), chance=0.7), down(About(40, 0.2), About(0.02, 1.0))),
    say(up(About(6), About(0.002, 1.0)), down(About(25, 0.2), About(0.0005, 0.5))),
    ports=(25, 587, 143, 110),
)

# Nobody listens there, or a firewall drops the SYN
_FAILED = tcp(
    ports=(80, 443, 445, 139, 8080, 22, 3389, 389, 135),
    opens={"refused": 0.35, "refused_thrice": 0.2, "unanswered": 0.15, "unanswered_often": 0.3},
    closes=STAYS_OPEN,
)

_DOWNLOAD = tcp(
    TLS,
    say(up(About(400, 0.3), About(0.05, 1.0)), down(About(80_000, 0.8, high=1_000_000), About(0.05, 1.0))),
    ports=HTTPS,
    rtt=FAR,
)

BENIGN = (
    (0.36, _DNS),
    (0.03, _NTP),
    (0.24, _HTTPS),
    (0.1, _HTTP),
    (0.04, _FORMS),
    (0.06, _PUSH),
    (0.03, _SSH),
    (0.03, _FTP),
    (0.03, _MAIL),
    (0.06, _FAILED),
    (0.02, _DOWNLOAD),
)

TOOLS = (
    make(
        "benign",
        "an office's mixture: names, web, push, mail, files, shells, failures",
        "RFC 1035, 5905, 8446, 9112, 4253, 959, 5321; weights set by hand",
        BENIGN,
        ("BENIGN", "Benign", "Normal", "BenignTraffic", "Benign_Final", "normal traffic"),
        benign=True,
    ),
)
