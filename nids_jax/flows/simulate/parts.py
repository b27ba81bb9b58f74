"""What many kinds of traffic share: hosts, paths, ways to open and close, pages, and the openings of TLS and SSH.

Weights and medians were set by hand so that classes overlap as they do in published captures; seconds and bytes.
"""

from collections.abc import Mapping, Sequence

from nids_jax.flows.packets import UDP
from nids_jax.flows.simulate.script import About, Loop, Traffic, down, say, up

# Attack tools run on Linux for the most part, but any of them runs elsewhere too.
OFFICE = {"windows_10": 0.35, "windows_7": 0.2, "linux_3": 0.2, "linux_5": 0.1, "macos": 0.15}
ATTACKER = {"linux_3": 0.55, "linux_5": 0.25, "windows_10": 0.1, "macos": 0.1}
WINDOWS = {"windows_7": 0.5, "windows_10": 0.3, "linux_3": 0.2}
SERVER = {"linux_3": 0.6, "linux_5": 0.25, "windows_7": 0.05, "windows_10": 0.1}

# Round trips: within a building, across the Internet, or either.
NEAR = About(0.0006, 0.6, low=0.0001)
FAR = About(0.03, 0.7, low=0.002)
ANYWHERE = About((0.0008, 0.02), 0.6, low=0.0002)

CONNECTED = {"accepted": 0.98, "accepted_late": 0.02}
OVERLOADED = {"accepted": 0.8, "accepted_late": 0.2}  # the victim's backlog is full

STAYS_OPEN = {"left_open": 1.0}
CLIENT_CLOSES = {"client": 0.6, "client_slow": 0.3, "client_reset": 0.05, "left_open": 0.05}
SERVER_CLOSES = {"server": 0.5, "server_slow": 0.3, "server_fin_reset": 0.1, "server_fin_only": 0.1}
EITHER_CLOSES = CLIENT_CLOSES | SERVER_CLOSES
KILLED = {"client_reset": 0.4, "client_fin_reset": 0.3, "server_fin_reset": 0.15, "left_open": 0.15}

SOON = About(0.001, 1.0)
IDLE_TIMEOUT = About((5, 5, 15, 65), 0.01)  # after which Apache and nginx close an idle connection

HTTP = (80, 80, 80, 80, 8080, 8000)
HTTPS = (443, 443, 443, 443, 8443)
PAGE = About(2800, 1.1, 0.6, low=120)  # what a web server answers
FORM_PAGE = About(1900, 0.45, 0.15, low=300)  # a page of a web application with forms to fill in


def tcp(
    *acts: Loop,
    ports: Sequence[int],
    clients: Mapping[str, float] = OFFICE,
    servers: Mapping[str, float] = SERVER,
    rtt: About = ANYWHERE,
    opens: Mapping[str, float] = CONNECTED,
    closes: Mapping[str, float] = EITHER_CLOSES,
    linger: About = SOON,
) -> Traffic:
    """TCP connections in which `acts` follow one another."""
    return Traffic(
        ports=ports, clients=clients, servers=servers, rtt=rtt, opens=opens, acts=acts, closes=closes, linger=linger
    )


def udp(*acts: Loop, ports: Sequence[int], rtt: About) -> Traffic:
    """Datagrams between an office and a server."""
    return Traffic(
        ports=ports,
        clients=OFFICE,
        servers=SERVER,
        rtt=rtt,
        opens={"at_once": 1.0},
        acts=acts,
        closes=STAYS_OPEN,
        protocol=UDP,
    )


TLS = say(  # hello, certificates, key exchange, finished
    up(About((210, 300, 517), 0.12), About(0.0006, 0.8)),
    down(About(3200, 0.45), About(0.002, 0.9)),
    up(About((93, 126, 140), 0.1), About(0.003, 0.9)),
    down(About((51, 226, 258), 0.05), About(0.001, 0.9)),
)


def ssh_keys(banner: About) -> Loop:
    """Banners (`banner`: the client's), key exchange and the request to authenticate."""
    return say(
        down(About(41, 0.1), About(0.01, 0.7)),
        up(banner, About(0.001, 0.8)),
        down(About((976, 1080), 0.03), About(0.003, 0.7)),
        up(About((640, 1300), 0.05), About(0.002, 0.9)),
        up(About((24, 48, 144), 0.02), About(0.01, 0.8)),
        down(About((272, 364, 720), 0.03), About(0.01, 0.7)),
        up(About(16), About(0.01, 0.8)),
        up(About(48, 0.1), About(0.002, 0.8)),
        down(About(48, 0.1), About(0.0005, 0.7)),
    )
