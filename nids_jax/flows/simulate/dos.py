"""Denial of service against a web server: floods (Hulk, GoldenEye, LOIC), slow connections (slowloris, slowhttptest).

Sources: the tools' own code and manuals.
"""

from collections.abc import Mapping
from dataclasses import replace

from nids_jax.flows.simulate.parts import (
    ATTACKER,
    EITHER_CLOSES,
    HTTP,
    IDLE_TIMEOUT,
    KILLED,
    OVERLOADED,
    SERVER_CLOSES,
    WINDOWS,
    tcp,
)
from nids_jax.flows.simulate.script import About, Loop, Traffic, down, repeat, say, up

_START_PAGE = About(11_500, 0.4, 0.03)  # of the server under attack
_ERROR_PAGE = About((330, 520), 0.15)  # 400 or 503 from a server at its limit
_ONCE, _SEVERAL = About(1), About(2.2, 0.5, low=1)


def _flood(
    request: About,
    delay: About,
    *,
    rounds: About,
    closes: Mapping[str, float],
    linger: About,
    page: About = _START_PAGE,
) -> Traffic:
    """GET requests, which the server answers with more and more `delay`."""
    return tcp(
        repeat(rounds, up(request, About(0.002, 1.2, 0.8)), down(page, delay)),
        ports=HTTP,
        clients=ATTACKER,
        opens=OVERLOADED,
        closes=closes,
        linger=linger,
    )


# Hulk: urllib in a loop asks for /?RANDOM=RANDOM with a random user agent and referer; the server closes after each
# answer, or the tool's threads are killed with the answer unread.
_HULK_GET = About(350, 0.12, 0.08)
HULK = (
    (0.7, _flood(_HULK_GET, About(0.1, 1.1), rounds=_ONCE, closes=KILLED | SERVER_CLOSES, linger=About(0.02, 1.5))),
    (0.2, _flood(_HULK_GET, About(0.2, 1.3, 0.5), rounds=_SEVERAL, closes=SERVER_CLOSES, linger=About((0.05, 5), 0.5))),
    (
        0.1,
        _flood(
            _HULK_GET, About(0.5, 1.3), rounds=_ONCE, closes=SERVER_CLOSES, linger=About(0.01, 1.5), page=_ERROR_PAGE
        ),
    ),
)

# GoldenEye: several keep-alive sockets a worker, with Keep-Alive, Cache-Control, Accept-Encoding and Cookie headers
# drawn at random; the tool waits for the answers, and the server's timeout closes what the tool does not.
_GOLDENEYE_GET = About(430, 0.2, 0.12)
GOLDENEYE = (
    (0.65, _flood(_GOLDENEYE_GET, About(0.2, 1.3), rounds=_ONCE, closes=SERVER_CLOSES, linger=IDLE_TIMEOUT)),
    (0.25, _flood(_GOLDENEYE_GET, About(1.0, 1.5, 0.5), rounds=_SEVERAL, closes=EITHER_CLOSES, linger=IDLE_TIMEOUT)),
    (0.1, _flood(_GOLDENEYE_GET, About(2, 1.5), rounds=_ONCE, closes=KILLED, linger=About(5, 1.0), page=_ERROR_PAGE)),
)

# LOIC (DDoS) in HTTP mode, on Windows for the most part: a bare request line, or one with a random path and a Host
# header; the tool seldom reads the answer to its end and resets.
_LOIC_GET = About((20, 90, 240), 0.15, 0.02)
DDOS = (
    (
        0.8,
        replace(
            _flood(_LOIC_GET, About(0.6, 1.1), rounds=_ONCE, closes=KILLED, linger=About(1.5, 1.2)), clients=WINDOWS
        ),
    ),
    (
        0.2,
        _flood(
            _LOIC_GET, About(0.3, 1.3), rounds=_ONCE, closes=SERVER_CLOSES, linger=About(0.02, 1.5), page=_ERROR_PAGE
        ),
    ),
)

_SERVER_BEARS_IT = {"left_open": 0.4, "client_reset": 0.2, "server_fin_reset": 0.2, "server": 0.1, "server_reset": 0.1}


def _slow(
    *acts: Loop, clients: Mapping[str, float] = ATTACKER, closes: Mapping[str, float] = _SERVER_BEARS_IT
) -> Traffic:
    """A connection held open for as long as the web server bears it."""
    return tcp(
        *acts,
        ports=HTTP,
        clients=clients,
        opens=OVERLOADED,
        closes=closes,
        linger=About((5, 20, 40), 0.4, high=100),
    )


_TIMED_OUT = say(down(About((310, 480), 0.05), About(20, 0.4), chance=0.5))  # 408, or not a word

# slowloris: the head of a request, then a header line "X-a: b" each time the timer fires; the blank line that would end
# it never comes.  slowloris.pl waits 100 s, its Python successor 15 s.  Some servers give up first.
_LORIS_HEAD = say(up(About((170, 231, 245), 0.06), About(0.0005, 1.0)))
_LORIS_LINE = About((8, 12), 0.08, 0.12, low=6)
SLOWLORIS = (
    (0.8, _slow(_LORIS_HEAD, repeat(About(6, 0.6), up(_LORIS_LINE, About((15, 15, 15, 100), 0.02, 0.01))))),
    (
        0.2,
        _slow(
            _LORIS_HEAD,
            repeat(About(1.5, 0.5, low=1), up(_LORIS_LINE, About(15, 0.02, 0.01))),
            _TIMED_OUT,
            closes=SERVER_CLOSES,
        ),
    ),
)

# slowhttptest: -H header lines like slowloris, -B a POST body piece by piece (at most -x bytes every -i seconds), -X an
# answer read through a tiny window.
_PIECES = repeat(About(7, 0.6), up(About((24, 32, 64), 0.2, 0.4, low=5), About((5, 10, 10), 0.02, 0.01)))
SLOWHTTPTEST = (
    (0.15, _slow(say(up(About((250, 330), 0.12), About(0.0005, 1.0))), _PIECES)),
    (0.5, _slow(say(up(About((400, 520), 0.12), About(0.0005, 1.0))), _PIECES, _TIMED_OUT)),
    (
        0.35,
        _slow(
            say(up(About((300, 900), 0.2), About(0.0005, 1.0))),
            repeat(About(8, 0.7, low=1), down(About((500, 1000), 0.2, 0.3), About((1, 5), 0.05, 0.05))),
            clients={"slow_reader": 1.0},
        ),
    ),
)
