"""Finding a way in and using it: port scans, password guessing, Heartbleed, web attacks, botnet and infiltration.

Sources: the code and manuals of nmap, Patator, Ares, Metasploit and DVWA; vsftpd and OpenSSH with their default
settings; CVE-2014-0160.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nids_jax.flows.simulate.parts import (
    ATTACKER,
    CLIENT_CLOSES,
    EITHER_CLOSES,
    FAR,
    FORM_PAGE,
    HTTP,
    HTTPS,
    IDLE_TIMEOUT,
    NEAR,
    OFFICE,
    SERVER_CLOSES,
    STAYS_OPEN,
    TLS,
    ssh_keys,
    tcp,
)
from nids_jax.flows.simulate.script import About, Loop, Traffic, down, repeat, say, up
from nids_jax.flows.simulate.tool import Recipes, make

# ---------------------------------------------------------------------------------------------------------- scans


def _scan(clients: Mapping[str, float], **opens: float) -> Traffic:
    """One probe of one port; what comes back depends on the port, not on the scanner."""
    return tcp(ports=range(1, 65536), clients=clients, opens=opens, closes=STAYS_OPEN)


_NMAP = {"nmap": 1.0}
_SYN_SCAN = _scan(_NMAP, refused=0.6, half_open=0.12, unanswered_twice=0.18, unanswered=0.1)
_STEALTH_SCANS = _scan(_NMAP, fin_probe=0.25, null_probe=0.2, xmas_probe=0.2, ack_probe=0.25, fin_probe_unanswered=0.1)
_CONNECT_SCAN = _scan(ATTACKER, refused=0.7, probed=0.15, unanswered_often=0.1, unanswered=0.05)

# nmap -sV: reads a banner if there is one, sends a probe if there is none
_VERSION_SCAN = tcp(
    say(down(About(40, 0.6), About(0.01, 1.0), chance=0.4)),
    say(up(About(18, 0.3), About((0.001, 6), 0.2), chance=0.7), down(About(420, 1.0), About(0.005, 1.2), chance=0.5)),
    ports=(21, 22, 25, 80, 110, 139, 443, 445, 3306, 8080),
    clients=ATTACKER,
    opens={"accepted": 1.0},
    closes=CLIENT_CLOSES,
)

PORTSCAN = ((0.5, _SYN_SCAN), (0.28, _CONNECT_SCAN), (0.14, _STEALTH_SCANS), (0.08, _VERSION_SCAN))

# ------------------------------------------------------------------------------------------------ password guessing

# Patator ftp_login: user, password, "530 Login incorrect" after the server's delay, and again until the server has had
# enough (vsftpd: three times)
_FTP_PATATOR = tcp(
    say(down(About((20, 45, 30), 0.1), About(0.005, 1.0))),
    repeat(
        About((1, 3, 3), 0.2, low=1, high=6),
        up(About(12, 0.12), About(0.001, 1.0, 0.5)),
        down(About(34, 0.05), About(0.001, 0.8, 0.4)),
        up(About(16, 0.1, 0.2, low=8), About(0.001, 1.0, 0.5)),
        down(About((22, 22, 26), 0.02), About((1, 3), 0.3, 0.15)),
    ),
    say(up(About(6), About(0.001, 1.0), chance=0.4), down(About(14), About(0.0005, 0.5), chance=0.4)),
    ports=(21, 21, 21, 2121),
    clients=ATTACKER,
)

# Patator ssh_login (paramiko): a key exchange for each connection, then passwords, each refused after about 2 s
_SSH_PATATOR = tcp(
    ssh_keys(About((22, 24), 0.02)),
    repeat(
        About((1, 3, 5), 0.2, low=1, high=6),
        up(About((84, 148), 0.08, 0.04), About(0.005, 1.0, 0.5)),
        down(About((36, 52, 68), 0.03), About(2.0, 0.3, 0.2)),
    ),
    ports=(22, 22, 22, 2222),
    clients=ATTACKER,
)

FTP_PATATOR, SSH_PATATOR = ((1.0, _FTP_PATATOR),), ((1.0, _SSH_PATATOR),)

# ------------------------------------------------------------------------------------- intrusion and its aftermath

# A TLS handshake left half done, then heartbeats that claim up to 64 kB, each answered with as much of the memory
_HEARTBLEED = tcp(
    say(up(About((220, 310, 517), 0.1), About(0.001, 0.8)), down(About(2200, 0.4), About(0.005, 0.9))),
    repeat(
        About((1, 6), 0.6, low=1, high=40),
        up(About((8, 66), 0.1), About((0.2, 1), 0.3, 0.1)),
        down(About((16_400, 32_800, 65_550), 0.05), About(0.003, 0.9, 0.4)),
    ),
    ports=(443, 444, 8443),
    clients=ATTACKER,
    servers={"linux_3": 1.0},
    closes=EITHER_CLOSES | {"client_reset": 0.3},
)
HEARTBLEED = ((1.0, _HEARTBLEED),)

# Ares: the agent on the victim asks its server for commands on a timer, a small form post each, over a new connection
# or a kept one; now and then it uploads a screenshot or what a command printed
_C2_PORTS = (8080, 8080, 80, 443)
_POLL, _NO_COMMAND = About(195, 0.15, 0.02), About(128, 0.15, 0.05)
BOT = (
    (0.6, tcp(say(up(_POLL, About(0.001, 0.8)), down(_NO_COMMAND, About(0.01, 1.0))), ports=_C2_PORTS)),
    (
        0.25,
        tcp(
            repeat(
                About(5, 0.6, low=2),
                up(_POLL, About((2, 5, 10), 0.1, 0.05)),
                down(_NO_COMMAND, About(0.01, 1.0, 0.4)),
            ),
            ports=_C2_PORTS,
        ),
    ),
    (
        0.15,
        tcp(
            say(up(_POLL, About(0.001, 0.8)), up(About(30_000, 0.8), About(0.002, 0.8))),
            say(down(_NO_COMMAND, About(0.02, 1.0))),
            ports=_C2_PORTS,
        ),
    ),
)

# The victim opens an infected file, which calls the attacker back (Metasploit): a second stage comes, then commands
# and what they print, then files; from the victim its own network is scanned.
_BACK_PORTS = (444, 4444, 443, 8080)
_MOSTLY_OPEN = EITHER_CLOSES | {"left_open": 0.5}
_INFECTED_FILE = tcp(
    TLS,
    say(up(About(600, 0.3), About(0.05, 1.0)), down(About(150_000, 0.6, high=1_000_000), About(0.1, 1.0))),
    ports=HTTPS,
    rtt=FAR,
)
_BACKDOOR = tcp(
    say(down(About((40_000, 120_000), 0.25), About(0.05, 1.0), chance=0.5)),
    repeat(
        About(8, 0.6, low=1),
        down(About((110, 180), 0.2, 0.3), About(4, 0.8, 1.0)),
        up(About(600, 0.4, 0.8), About(0.05, 1.0, 0.8)),
    ),
    ports=_BACK_PORTS,
    servers=ATTACKER,
    closes=_MOSTLY_OPEN,
)
_STOLEN_FILES = tcp(
    repeat(
        About(4, 0.6, low=1),
        down(About(150, 0.3, 0.3), About(3, 1.0, 0.7)),
        up(About(20_000, 1.0, 0.8), About(0.1, 1.0, 0.6)),
    ),
    ports=_BACK_PORTS,
    servers=ATTACKER,
    closes=_MOSTLY_OPEN,
)
_INNER_SCAN = replace(_CONNECT_SCAN, clients=OFFICE, rtt=NEAR)
INFILTRATION = ((0.76, _BACKDOOR), (0.1, _INFECTED_FILE), (0.1, _STOLEN_FILES), (0.04, _INNER_SCAN))

# ----------------------------------------------------------------------------------------------------- web attacks


def _web_attack(act: Loop, closes: Mapping[str, float] = EITHER_CLOSES) -> Traffic:
    """Requests to one web application, by hand or by a script that drives a browser, on a keep-alive connection."""
    return tcp(act, ports=HTTP, clients=ATTACKER, closes=closes, linger=IDLE_TIMEOUT)


# Brute force: the login form is posted and leads back to itself; or the password stands in the address
def _forms_guessed(page: About) -> Recipes:
    posted = _web_attack(
        repeat(
            About(9, 0.5, low=1, high=40),
            up(About(600, 0.06, 0.02), About(0.2, 0.6, 0.5)),
            down(About(420, 0.15, 0.01), About(0.01, 0.9, 0.4)),
            up(About(470, 0.1, 0.01), About(0.005, 0.8, 0.4)),
            down(page, About(0.01, 0.9, 0.4)),
        )
    )
    in_address = _web_attack(
        repeat(
            About(9, 0.5, low=1, high=40),
            up(About(480, 0.1, 0.02), About(0.2, 0.6, 0.5)),
            down(page, About(0.01, 0.9, 0.4)),
        )
    )
    return (0.75, posted), (0.25, in_address)


# SQL injection: long addresses that hold the query, and an answer that lists the table; or blind, where the answer
# comes late or not by the truth of a guess
def _queries(listed: About, blind: About) -> Recipes:
    seen = _web_attack(
        repeat(
            About(1.3, 0.5, low=1, high=10),
            up(About(640, 0.15, 0.1), About(0.5, 1.0, 1.0)),
            down(listed, About(0.02, 0.9, 0.6)),
        ),
        closes=SERVER_CLOSES,
    )
    unseen = _web_attack(
        repeat(
            About(6, 0.6, low=1, high=40),
            up(About(700, 0.15, 0.05), About(0.05, 1.0, 0.5)),
            down(blind, About(0.3, 1.0, 1.2)),
        )
    )
    return (0.75, seen), (0.25, unseen)


# Cross-site scripting: a script in a form's field, posted again and again; the page that comes back shows it
def _scripts(page: About) -> Recipes:
    posted = _web_attack(
        repeat(
            About(8, 0.6, low=1, high=40),
            up(About(585, 0.08, 0.04), About(0.7, 0.6, 0.6)),
            down(About(350, 0.15, 0.01), About(0.01, 0.9, 0.4), chance=0.5),
            up(About(480, 0.12, 0.02), About(0.005, 0.8, 0.4), chance=0.5),
            down(page, About(0.01, 0.9, 0.4)),
        )
    )
    return ((1.0, posted),)


# The embedded dataset's application is a small one, with pages like DVWA's …
BRUTE_FORCE = _forms_guessed(About(1250, 0.3, 0.03))
SQL_INJECTION = _queries(About(2800, 0.45, 0.4), FORM_PAGE)
XSS = _scripts(About(3200, 0.25, 0.1))
# … the tools meet any: compressed pages of a form alone to a shop's (HTTP Archive's Web Almanac: 30 kB in the median)
_ANY_FORM = About((700, 1_300, 2_600, 5_500, 12_000, 30_000), 0.3, 0.03)
_ANY_LIST = About((1_200, 2_800, 6_000, 14_000, 30_000), 0.4, 0.4)

# ---------------------------------------------------------------------------------------------------------- tools

# CIC-IDS2017's testbed had Heartbleed and its backdoor listen on 444, which its description says; elsewhere, ports of
# TLS, and those that Metasploit's handlers (4444) and manuals propose
_TLS_PORTS = (443, 443, 443, 8443, 993, 995, 465)
_ANY_BACK_PORTS = (4444, 4444, 443, 8080, 8443, 80, 53, 5555, 1234)


def _on(ports: Sequence[int], recipes: Recipes, instead: Sequence[int]) -> Recipes:
    """The same recipes, with `ports` where they had `instead`."""
    return tuple((w, replace(traffic, ports=ports) if traffic.ports == instead else traffic) for w, traffic in recipes)


TOOLS = (
    make(
        "nmap",
        "port scans of every kind: SYN, connect, FIN, null, Xmas, ACK, versions",
        "nmap(1)",
        PORTSCAN,
        (
            *("PortScan", "Portscan", "Recon-PortScan", "scanning", "Reconnaissance", "Port Scanning", "Port_Scanning"),
            # Its victim runs nmap too (Sharafaldin et al. 2018), with whatever scans it asks for.
            *("Infiltration - Portscan", "Infiltration - NMAP Portscan"),
        ),
    ),
    make(
        "patator_ftp",
        "FTP passwords",
        "Patator: ftp_login; vsftpd.conf(5): max_login_fails, delay_failed_login",
        FTP_PATATOR,
        ("FTP-Patator", "FTP-BruteForce"),
    ),
    make(
        "patator_ssh",
        "SSH passwords",
        "Patator: ssh_login (paramiko); RFC 4252, 4253; sshd_config(5)",
        SSH_PATATOR,
        ("SSH-Patator", "SSH-Bruteforce"),
    ),
    make(
        "heartbleed",
        "heartbeats that claim more than they send, answered from memory",
        "CVE-2014-0160; RFC 6520; ssltest.py (J. Stafford)",
        _on(_TLS_PORTS, HEARTBLEED, _HEARTBLEED.ports),
        ("Heartbleed",),
    ),
    make(
        "ares",
        "an agent that polls its HTTP server, and uploads now and then",
        "Ares: agent.py (sweetsoftware)",
        BOT,
        ("Bot", "Botnet", "Botnet ARES", "Bot ARES"),
    ),
    make(
        "metasploit_backdoor",
        "a victim that calls back: second stage, commands, files, inner scans",
        "Metasploit: meterpreter reverse_tcp and its stagers",
        _on(_ANY_BACK_PORTS, INFILTRATION, _BACK_PORTS),
        (
            "Infiltration",
            "Infilteration",
            "Backdoor",
            "Backdoors",
            "Backdoor_Malware",
            "Infiltration - Communication Victim Attacker",
        ),
    ),
    make(
        "nmap_inner",
        "connect scan from a victim of its own network",
        "nmap(1), option -sT",
        _INNER_SCAN,
        (),
    ),
    make(
        "infected_file",
        "the victim downloads what will call back",
        "RFC 9112, 8446; Metasploit: its payloads' sizes",
        _INFECTED_FILE,
        ("Infiltration - Dropbox Download", "Infiltration - Dropbox", "C&C-FileDownload"),
    ),
    make(
        "web_brute_force",
        "a login form posted again and again",
        "DVWA: brute force page; hydra(1), Selenium",
        _forms_guessed(_ANY_FORM),
        ("Web Attack - Brute Force", "Brute Force -Web", "Web Brute Force"),
    ),
    make(
        "sql_injection",
        "queries in a form's field by hand, listed or blind",
        "DVWA: SQL injection pages",
        _queries(_ANY_LIST, _ANY_FORM),
        ("Web Attack - Sql Injection", "SQL Injection", "Web Attack - SQL"),
    ),
    make(
        "xss",
        "scripts in a form's field, which the page shows",
        "DVWA: XSS pages; Selenium",
        _scripts(_ANY_FORM),
        ("Web Attack - XSS", "Brute Force -XSS"),
    ),
)
