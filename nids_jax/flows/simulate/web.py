"""Attacks on web applications by tools: sqlmap, XSSer, commix, uploads, BeEF, padding of fields.

Sources: the tools' code and manuals, RFC 9112 and 7578, DVWA.
"""

from collections.abc import Mapping, Sequence

from nids_jax.flows.simulate.parts import ATTACKER, EITHER_CLOSES, HTTP, IDLE_TIMEOUT, OFFICE, SERVER_CLOSES, tcp
from nids_jax.flows.simulate.script import About, Loop, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import make

_QUICK = About(0.001, 1.0, 0.5)
_PAGE = About(
    (900, 1_800, 4_600, 11_000), 0.4, 0.05
)  # of an application under test: small, or one of the default sizes


def _web(
    *acts: Loop,
    closes: Mapping[str, float] = EITHER_CLOSES,
    clients: Mapping[str, float] = ATTACKER,
    ports: Sequence[int] = (*HTTP, 443),
) -> Traffic:
    return tcp(*acts, ports=ports, clients=clients, closes=closes, linger=IDLE_TIMEOUT)


def _ask(size: About, page: About = _PAGE, delay: About = About(0.01, 1.0, 0.5), rounds: About = About(1)) -> Loop:  # noqa: B008
    return repeat(rounds, up(size, _QUICK), down(page, delay))


# sqlmap: "Connection: close" unless --keep-alive; boolean and error payloads of 30 to 200 bytes, UNIONs of several
# hundred (all of it percent-encoded); time-based ones wait --time-sec (5 s) where the guess is true
_SQL = About((260, 340, 480, 820), 0.15, 0.15)
_SQLMAP = (
    (0.6, _web(_ask(_SQL), closes=SERVER_CLOSES)),
    (0.2, _web(_ask(_SQL, rounds=About((8, 30), 0.5, low=2, high=80)))),
    (0.12, _web(_ask(_SQL, delay=About((5, 5, 0.01, 10), 0.03)), closes=SERVER_CLOSES)),
    (0.08, _web(_ask(About((520, 900), 0.2), About((6_000, 40_000), 0.6)), closes=SERVER_CLOSES)),  # --dump
)
# XSSer, XSStrike: each vector of the list in its place, percent-encoded or not; the page shows it
_VECTORS = (
    (0.6, _web(_ask(About((240, 330, 460), 0.15, 0.1)), closes=SERVER_CLOSES)),
    (0.4, _web(_ask(About((300, 420), 0.12, 0.1), rounds=About((6, 20), 0.5, low=2, high=60)))),
)
# commix: separators and echo of a token, or sleep; then a shell by requests
_COMMANDS = (
    (0.7, _web(_ask(About((260, 380, 560), 0.15, 0.1), rounds=About((1, 1, 6), 0.4, low=1, high=40)))),
    (0.3, _web(_ask(About((300, 420), 0.12), delay=About((1, 3), 0.05)), closes=SERVER_CLOSES)),
)
# RFC 7578: a head of 500, some 180 bytes around each part, and the file: a web shell of 1 to 30 kB (b374k, c99,
# weevely)
_UPLOADS = (
    (
        0.6,
        _web(
            say(
                up(About((480, 600), 0.1), _QUICK),
                up(About((900, 3_000, 30_000), 0.5, low=200), About(0.002, 1.0)),
                down(_PAGE, About(0.02, 1.0)),
            )
        ),
    ),
    (
        0.4,
        _web(_ask(About((300, 420), 0.15), About((150, 700, 4_000), 0.6), rounds=About((2, 5), 0.5, low=1, high=20))),
    ),
)
# BeEF: hook.js (some 250 to 600 kB), then a question every second (config.yaml: xhr_poll_timeout 1000)
_HOOKED = (
    (
        0.15,
        _web(
            say(up(About(380, 0.1), _QUICK), down(About(120_000, 0.5, high=600_000), About(0.02, 1.0))),
            clients=OFFICE,
            ports=(3000, 80),
        ),
    ),
    (
        0.85,
        _web(
            repeat(
                About((5, 20, 40), 0.5, low=1, high=60),
                up(About((420, 520), 0.08, 0.01), About(1.0, 0.02, 0.01)),
                down(About((180, 290), 0.15, 0.02), About(0.01, 1.0, 0.4)),
            ),
            clients=OFFICE,
            ports=(3000, 80),
        ),
    ),
)
# wfuzz, boofuzz and such: fields filled to their limits
_FILLED = (
    (
        0.7,
        _web(
            _ask(
                About((300, 900, 5_000), 0.7, 0.4, high=65_000),
                About((330, 520, 1_800), 0.3),
                rounds=About((1, 6), 0.6, low=1, high=40),
            )
        ),
    ),
    (
        0.3,
        tcp(
            repeat(
                About((1, 3), 0.4, low=1, high=10),
                up(About((40, 500, 5_000), 1.0, 0.5, low=1, high=65_000), _QUICK),
                down(About(50, 0.6), About(0.01, 1.0), 0.5),
            ),
            ports=(21, 25, 110, 143, 502, 1883),
            clients=ATTACKER,
            closes=EITHER_CLOSES | {"server_reset": 0.5},
        ),
    ),
)

TOOLS = (
    make(
        "sqlmap",
        "SQL injection by program: boolean, error, UNION, time",
        "sqlmap: lib/core/option.py, data/xml/payloads; its manual",
        _SQLMAP,
        ("SqlInjection", "injection", "SQL_injection attack"),
    ),
    make(
        "xsser",
        "a list of scripts in every field",
        "XSSer, XSStrike: their vectors",
        _VECTORS,
        ("XSS attack", "Cross-site scripting"),
    ),
    make(
        "commix",
        "commands in a field",
        "commix: its manual and payloads",
        _COMMANDS,
        ("CommandInjection", "Command Injection"),
    ),
    make(
        "web_upload",
        "a web shell uploaded and used",
        "RFC 7578; weevely, b374k, c99",
        _UPLOADS,
        ("Uploading_Attack", "Uploading"),
    ),
    make(
        "beef",
        "a hooked browser that asks its master every second",
        "BeEF: config.yaml, hook.js",
        _HOOKED,
        ("BrowserHijacking", "Browser_Hijacking"),
    ),
    make(
        "fuzzer",
        "fields filled to their limits",
        "wfuzz, boofuzz: their default mutations",
        _FILLED,
        ("Fuzzers", "Fuzzing"),
    ),
)
