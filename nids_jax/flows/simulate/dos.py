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
from nids_jax.flows.simulate.tool import Recipes, make

# Of the server under attack: Apache's on Ubuntu (index.html of 11,321 bytes, and a head of 270 or so) …
_START_PAGE = About(11_500, 0.4, 0.03)
# … or any: nginx (612 bytes), IIS (689), CentOS (4,897), Debian (10,701), Ubuntu (11,321), a site's own page of 30 kB
# or so (the HTML of a median page, HTTP Archive's Web Almanac), each with its head
ANY_START_PAGE = About((850, 930, 5_170, 10_970, 11_600, 30_000, 30_000), 0.3, 0.03)
_ERROR_PAGE = About((330, 520), 0.15)  # 400 or 503 from a server at its limit
_ONCE, _SEVERAL = About(1), About(2.2, 0.5, low=1)


def _flood(
    request: About,
    delay: About,
    *,
    rounds: About,
    closes: Mapping[str, float],
    linger: About,
    page: About,
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
_HULK_CLOSES = KILLED | SERVER_CLOSES


def _hulk(page: About) -> Recipes:
    get, slow = _HULK_GET, About((0.05, 5), 0.5)
    once = _flood(get, About(0.1, 1.1), rounds=_ONCE, closes=_HULK_CLOSES, linger=About(0.02, 1.5), page=page)
    several = _flood(get, About(0.2, 1.3, 0.5), rounds=_SEVERAL, closes=SERVER_CLOSES, linger=slow, page=page)
    refused = _flood(
        get, About(0.5, 1.3), rounds=_ONCE, closes=SERVER_CLOSES, linger=About(0.01, 1.5), page=_ERROR_PAGE
    )
    return (0.7, once), (0.2, several), (0.1, refused)


HULK = _hulk(_START_PAGE)

# GoldenEye: several keep-alive sockets a worker, with Keep-Alive, Cache-Control, Accept-Encoding and Cookie headers
# drawn at random; the tool waits for the answers, and the server's timeout closes what the tool does not.
_GOLDENEYE_GET = About(430, 0.2, 0.12)


def _goldeneye(page: About) -> Recipes:
    get, idle = _GOLDENEYE_GET, IDLE_TIMEOUT
    once = _flood(get, About(0.2, 1.3), rounds=_ONCE, closes=SERVER_CLOSES, linger=idle, page=page)
    several = _flood(get, About(1.0, 1.5, 0.5), rounds=_SEVERAL, closes=EITHER_CLOSES, linger=idle, page=page)
    refused = _flood(get, About(2, 1.5), rounds=_ONCE, closes=KILLED, linger=About(5, 1.0), page=_ERROR_PAGE)
    return (0.65, once), (0.25, several), (0.1, refused)


GOLDENEYE = _goldeneye(_START_PAGE)

# LOIC (DDoS) in HTTP mode, on Windows for the most part: a bare request line, or one with a random path and a Host
# header; the tool seldom reads the answer to its end and resets.
_LOIC_GET = About((20, 90, 240), 0.15, 0.02)


def _loic(page: About) -> Recipes:
    get = _LOIC_GET
    reset = _flood(get, About(0.6, 1.1), rounds=_ONCE, closes=KILLED, linger=About(1.5, 1.2), page=page)
    refused = _flood(
        get, About(0.3, 1.3), rounds=_ONCE, closes=SERVER_CLOSES, linger=About(0.02, 1.5), page=_ERROR_PAGE
    )
    return (0.8, replace(reset, clients=WINDOWS)), (0.2, refused)


DDOS = _loic(_START_PAGE)

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
_SLOW_READ = _slow(
    say(up(About((300, 900), 0.2), About(0.0005, 1.0))),
    repeat(About(8, 0.7, low=1), down(About((500, 1000), 0.2, 0.3), About((1, 5), 0.05, 0.05))),
    clients={"slow_reader": 1.0},
)
SLOWHTTPTEST = (
    (0.15, _slow(say(up(About((250, 330), 0.12), About(0.0005, 1.0))), _PIECES)),
    (0.5, _slow(say(up(About((400, 520), 0.12), About(0.0005, 1.0))), _PIECES, _TIMED_OUT)),
    (0.35, _SLOW_READ),
)

# R-U-D-Y: a POST whose Content-Length is 100,000,000, and its body a byte (or so) every 10 s
_RUDY = _slow(
    say(up(About((260, 340), 0.15), About(0.001, 1.0))),
    repeat(About(7, 0.5, low=2), up(About((1, 1, 1, 4)), About((10, 10, 5), 0.02, 0.01))),
)

# HOIC (its source: a window in REALbasic over an HTTPSocket, ordered by "booster" files of headers to draw at
# random): it waits for the answer and closes; over and over on new connections, on Windows
_HOIC_GET = About((210, 330, 420), 0.12, 0.08)


def _hoic(page: About) -> Recipes:
    once = _flood(
        _HOIC_GET,
        About(0.1, 1.1),
        rounds=_ONCE,
        closes=KILLED | SERVER_CLOSES | {"client": 0.4},
        linger=About(0.005, 1.5),
        page=page,
    )
    late = _flood(_HOIC_GET, About(2.0, 1.0), rounds=_ONCE, closes=KILLED, linger=About(1, 1.0), page=_ERROR_PAGE)
    return (0.8, replace(once, clients=WINDOWS)), (0.2, replace(late, clients=WINDOWS))


# golang-httpflood, WebDDoS and such: keep-alive connections that ask as fast as answers come
_FLOOD_GET = About((180, 350, 480), 0.2, 0.1)


def _http_flood(page: About) -> Recipes:
    fast, idle = About((3, 12), 0.6, low=1, high=40), IDLE_TIMEOUT
    many = _flood(_FLOOD_GET, About(0.02, 1.2, 0.8), rounds=fast, closes=EITHER_CLOSES | KILLED, linger=idle, page=page)
    one = _flood(_FLOOD_GET, About(0.1, 1.2), rounds=_ONCE, closes=SERVER_CLOSES, linger=About(0.01, 1.5), page=page)
    lost = _flood(_FLOOD_GET, About(2, 1.0), rounds=_ONCE, closes=KILLED, linger=About(2, 1.0), page=_ERROR_PAGE)
    return (0.5, many), (0.3, one), (0.2, lost)


_HTTP = "; pages: the default pages of nginx, IIS, CentOS, Debian and Ubuntu, HTTP Archive's Web Almanac"

TOOLS = (
    make(
        "hulk",
        "GET flood with a random address, user agent and referer",
        "hulk.py (B. Shteiman 2012)" + _HTTP,
        _hulk(ANY_START_PAGE),
        ("DoS Hulk", "DoS attacks-Hulk"),
    ),
    make(
        "goldeneye",
        "GET flood over keep-alive sockets with random headers",
        "goldeneye.py (J. Seidl 2012)" + _HTTP,
        _goldeneye(ANY_START_PAGE),
        ("DoS GoldenEye", "DoS attacks-GoldenEye"),
    ),
    make(
        "loic_http",
        "LOIC's HTTP mode: bare requests whose answers are reset",
        "LOIC: HTTPFlooder.cs" + _HTTP,
        _loic(ANY_START_PAGE),
        ("DDoS", "DDoS attacks-LOIC-HTTP", "DDOS LOIT", "DDoS-LOIC-HTTP"),
    ),
    make(
        "hoic",
        "GET flood whose headers a booster file draws",
        "HOIC 2.1: its source and booster files" + _HTTP,
        _hoic(ANY_START_PAGE),
        ("DDOS attack-HOIC", "DDoS attacks-HOIC", "DDoS-HOIC"),
    ),
    make(
        "http_flood",
        "GET flood of scripts on keep-alive connections",
        "golang-httpflood; RFC 9112 (keep-alive)" + _HTTP,
        _http_flood(ANY_START_PAGE),
        ("WebDDoS", "DDoS-HTTP_Flood", "DoS-HTTP_Flood", "DDoS-HTTP", "DoS-HTTP"),
    ),
    make(
        "slowloris",
        "request heads that never end, a header line every 15 s or so",
        "slowloris.pl (R. Hansen 2009), slowloris.py (G. Yaltirakli)",
        SLOWLORIS,
        ("DoS slowloris", "DoS attacks-Slowloris", "DDoS-SlowLoris", "DoS-SlowLoris"),
    ),
    make(
        "slowhttptest",
        "slow heads, slow bodies and slow reading",
        "slowhttptest(1), options -H, -B and -X",
        SLOWHTTPTEST,
        ("DoS Slowhttptest", "DoS attacks-SlowHTTPTest"),
    ),
    make("slow_read", "an answer read through a tiny window", "slowhttptest(1), option -X, -w 512 -y 1024", _SLOW_READ),
    make("rudy", "a form post of which a byte comes every 10 s", "R-U-D-Y (H. Shamir 2011): its code", _RUDY),
)
