"""Password guessing: hydra, medusa and ncrack against SSH, FTP, Telnet, RDP, SMB, web forms, databases, mail and VNC.

A tool opens a few connections at once (hydra -t 16, 4 for SSH and RDP) and tries on each until the server has had
enough. The server waits before it says no: 1 to 3 s (pam_faildelay, vsftpd's delay_failed_login), or not at all.

Sources: hydra(1), medusa(1), ncrack(1) and their code; each protocol's RFC or specification, named beside it.
"""

from nids_jax.flows.simulate.dos import ANY_START_PAGE
from nids_jax.flows.simulate.parts import ATTACKER, EITHER_CLOSES, HTTP, SERVER_CLOSES, ssh_keys, tcp
from nids_jax.flows.simulate.script import About, Loop, Message, down, repeat, say, up
from nids_jax.flows.simulate.tool import Recipes, make

_QUICK = About(0.001, 1.0, 0.5)
_LET_DOWN = EITHER_CLOSES | {"client_reset": 0.1, "server_reset": 0.05}
_WINDOWS = {"windows_10": 0.6, "windows_7": 0.4}


def _tries(*messages: Message, most: tuple[float, ...] = (1, 3, 6)) -> Loop:
    return repeat(About(most, 0.15, low=1, high=10), *messages)


def _ssh(banner: tuple[float, ...], most: tuple[float, ...]) -> Recipes:
    """RFC 4252 §8; MaxAuthTries is 6, pam_faildelay about 2 s; the request is padded to the cipher's blocks."""
    guess = (
        up(About((84, 100, 148), 0.06, 0.04), _QUICK),
        down(About((36, 52, 68, 84), 0.03), About((0.05, 2, 2), 0.3, 0.2)),
    )
    tried = tcp(
        ssh_keys(About(banner, 0.02)),
        _tries(*guess, most=most),
        ports=(22, 22, 22, 22, 2222),
        clients=ATTACKER,
        closes=_LET_DOWN,
    )
    # sshd's MaxStartups (10:30:100) drops connections before a word, or fail2ban has closed the port
    dropped = tcp(
        ports=(22, 2222),
        clients=ATTACKER,
        opens={"refused": 0.4, "unanswered_often": 0.3, "accepted": 0.3},
        closes={"server": 0.6, "server_reset": 0.4},
    )
    return (0.93, tried), (0.07, dropped)


def _ftp(most: tuple[float, ...], quits: float) -> Recipes:
    """RFC 959: 220, USER, 331, PASS, 530; vsftpd hangs up after three."""
    return (
        (
            1.0,
            tcp(
                say(down(About((20, 45, 70, 320), 0.15), About(0.005, 1.0))),
                _tries(
                    up(About((11, 13), 0.12, low=7), _QUICK),
                    down(About((34, 38), 0.08), _QUICK),
                    up(About(15, 0.1, 0.2, low=7), _QUICK),
                    down(About((22, 26, 32), 0.03), About((0.02, 1, 3), 0.3, 0.1)),
                    most=most,
                ),
                say(up(About(6), _QUICK, quits), down(About(14, 0.2), About(0.0005, 0.5), quits)),
                ports=(21, 21, 21, 21, 2121),
                clients=ATTACKER,
                closes=_LET_DOWN,
            ),
        ),
    )


# RFC 854 and 855: options, then login: and Password:, three times; the name is echoed
_TELNET = tcp(
    say(down(About((12, 15, 24), 0.1), About(0.02, 1.0)), up(About((3, 12, 24), 0.1), _QUICK)),
    say(down(About((30, 60, 150), 0.3), About(0.03, 1.0))),
    _tries(
        up(About((6, 7, 9), 0.15, low=3), _QUICK),
        down(About((16, 19), 0.15), About(0.01, 0.9)),
        up(About((8, 10), 0.2, 0.2, low=3), _QUICK),
        down(About((27, 36), 0.1), About((2, 3), 0.2, 0.1)),
        most=(1, 3),
    ),
    ports=(23, 23, 23, 2323),
    clients=ATTACKER,
    servers={"embedded_linux": 0.5, "linux_3": 0.3, "device": 0.2},
    closes=_LET_DOWN,
)

# MS-RDPBCGR §1.3.1.1: X.224 request with a cookie (19 and the name), confirmation (19), TLS; MS-CSSP: NTLM within TLS
_RDP = tcp(
    say(
        up(About((19, 42, 47), 0.06, low=19), _QUICK),
        down(About(19), About(0.01, 0.9)),
        up(About((190, 230, 330), 0.15), _QUICK),
        down(About((820, 1_250), 0.1), About(0.01, 0.9)),
        up(About((93, 158, 330), 0.1), About(0.003, 0.8)),
        down(About((51, 59, 91), 0.05), About(0.005, 0.9)),
    ),
    say(
        up(About((85, 140), 0.1), _QUICK),
        down(About((290, 360), 0.12), About(0.005, 0.9)),
        up(About((560, 700), 0.12), _QUICK),
        down(About((37, 69, 85), 0.05), About((0.01, 0.05), 0.8), chance=0.7),
    ),
    ports=(3389,),
    clients=ATTACKER,
    servers=_WINDOWS,
    closes=_LET_DOWN | {"server_reset": 0.3},
)

# MS-SMB2 §2.2: 4 bytes of length and 64 of head before each; NTLM's three messages; the refusal is 77 bytes
_SMB = tcp(
    say(up(About((110, 178, 240), 0.06), _QUICK), down(About((240, 278, 340), 0.06), About(0.003, 0.9))),
    _tries(
        up(About((162, 170, 220), 0.04), _QUICK),
        down(About((290, 330), 0.1), About(0.003, 0.9)),
        up(About((430, 540, 640), 0.08), _QUICK),
        down(About(77), About((0.005, 0.02), 0.8)),
        most=(1, 1, 3),
    ),
    ports=(445, 445, 445, 139),
    clients=ATTACKER,
    servers=_WINDOWS | {"linux_5": 0.2},
    closes=_LET_DOWN | {"client_reset": 0.3},
)

# hydra http-post-form: HTTP/1.0, "User-Agent: Mozilla/5.0 (Hydra)", a connection for each request; it fetches the
# form for its cookie first, posts, and follows the redirection
_FORM_POST, _FORM_GET = About((230, 290, 360), 0.1, 0.02), About((120, 180, 240), 0.1)
_FORM = About((1_300, 2_500, 5_500), 0.4, 0.02)
_FORMS = (
    (
        0.3,
        tcp(
            say(up(_FORM_GET, _QUICK), down(_FORM, About(0.01, 1.0))),
            ports=HTTP,
            clients=ATTACKER,
            closes=SERVER_CLOSES,
        ),
    ),
    (
        0.5,
        tcp(
            say(up(_FORM_POST, _QUICK), down(About((350, 480, 3_000), 0.3), About((0.01, 0.2), 1.0))),
            ports=HTTP,
            clients=ATTACKER,
            closes=SERVER_CLOSES,
        ),
    ),
    (
        0.2,
        tcp(
            repeat(About((4, 12, 30), 0.4, low=1, high=60), up(_FORM_POST, _QUICK), down(_FORM, About(0.02, 1.0, 0.5))),
            ports=HTTP,
            clients=ATTACKER,
            closes=_LET_DOWN,
        ),
    ),  # medusa and ncrack keep the connection
)
# RFC 7617: the header Authorization, 401 with the server's page of it, now and then the page behind it
_BASIC = (
    (
        0.5,
        tcp(
            say(up(About((130, 180, 230), 0.08), _QUICK), down(About((390, 460, 720), 0.1), About(0.005, 1.0))),
            ports=HTTP,
            clients=ATTACKER,
            closes=SERVER_CLOSES,
        ),
    ),
    (
        0.48,
        tcp(
            repeat(
                About((10, 40), 0.5, low=2, high=100),
                up(About((130, 180, 230), 0.08, 0.02), _QUICK),
                down(About((390, 460, 720), 0.1), About(0.005, 1.0, 0.5)),
            ),
            ports=HTTP,
            clients=ATTACKER,
            closes=_LET_DOWN,
        ),
    ),
    (0.02, tcp(say(up(About(180, 0.1), _QUICK), down(ANY_START_PAGE, About(0.01, 1.0))), ports=HTTP, clients=ATTACKER)),
)

# MySQL's handshake v10 (78 bytes and the version), the answer (180 to 220), the error 1045; PostgreSQL: startup,
# SCRAM, error; TDS 7 (MS-TDS): pre-login, login (300 or so), error and done
_DATABASES = (
    (
        0.4,
        tcp(
            say(
                down(About((78, 91, 110), 0.05), About(0.005, 1.0)),
                up(About((84, 190, 220), 0.08), _QUICK),
                down(About((80, 94), 0.06), About(0.005, 1.0)),
            ),
            ports=(3306,),
            clients=ATTACKER,
            closes=SERVER_CLOSES,
        ),
    ),
    (
        0.2,
        tcp(
            say(
                up(About((8, 84), 0.05), _QUICK),
                down(About((1, 24)), About(0.002, 1.0)),
                up(About((41, 84, 110), 0.05), _QUICK),
                down(About((93, 103), 0.05), About(0.005, 1.0)),
                up(About(109, 0.04), _QUICK),
                down(About(105, 0.05), About(0.01, 0.8)),
            ),
            ports=(5432,),
            clients=ATTACKER,
            closes=SERVER_CLOSES,
        ),
    ),
    (
        0.4,
        tcp(
            say(
                up(About((47, 58, 94), 0.03), _QUICK),
                down(About((43, 48), 0.03), About(0.003, 1.0)),
                up(About((220, 310), 0.1), _QUICK),
                down(About((120, 180), 0.1), About(0.01, 0.9)),
            ),
            ports=(1433,),
            clients=ATTACKER,
            servers=_WINDOWS,
            closes=EITHER_CLOSES,
        ),
    ),
)
# RFC 1939 (POP3), 3501 (IMAP), 4954 (SMTP AUTH): a greeting, name and password, -ERR, NO or 535 after the server's
# delay
_MAIL = tcp(
    say(
        down(About((20, 50, 110), 0.2), About(0.01, 1.0)),
        up(About((14, 22), 0.2), _QUICK, 0.6),
        down(About((60, 150, 210), 0.2), _QUICK, 0.6),
    ),
    _tries(
        up(About((11, 12, 30), 0.15), _QUICK),
        down(About((5, 18), 0.1), _QUICK),
        up(About((15, 26), 0.15, 0.1), _QUICK),
        down(About((27, 44, 60), 0.1), About((0.05, 2, 3), 0.3, 0.1)),
        most=(1, 3, 3),
    ),
    ports=(25, 110, 143, 587),
    clients=ATTACKER,
    closes=_LET_DOWN,
)
# RFC 6143 §7.1 and 7.2.2: versions of 12 bytes, the kinds of security, a challenge of 16 and its answer, failed
_VNC = tcp(
    say(
        down(About(12), About(0.005, 1.0)),
        up(About(12), _QUICK),
        down(About((2, 3)), _QUICK),
        up(About(1), _QUICK),
        down(About(16), _QUICK),
        up(About(16), _QUICK),
        down(About((4, 30), 0.05), About((0.01, 2), 0.5)),
    ),
    ports=(5900, 5901),
    clients=ATTACKER,
    closes=SERVER_CLOSES,
)

_HYDRA_SSH, _HYDRA_FTP = _ssh((22, 23, 24), (1, 3, 4, 6)), _ftp((1, 3, 4), 0.3)


def _mixed(*parts: tuple[float, Recipes]) -> Recipes:
    return tuple((share * weight, traffic) for share, recipes in parts for weight, traffic in recipes)


TOOLS = (
    make(
        "hydra_ssh",
        "SSH passwords, up to the server's limit on each connection",
        "hydra(1): ssh (libssh banner, -t 4); RFC 4252; sshd_config(5)",
        _HYDRA_SSH,
        ("SSH brute force", "BruteForce-SSH"),
    ),
    make("medusa_ssh", "SSH passwords", "medusa(1): mod_ssh (libssh2); RFC 4252", _ssh((20, 24, 25), (1, 3))),
    make("ncrack_ssh", "SSH passwords", "ncrack(1): opensshlib; RFC 4252", _ssh((21, 41), (3, 6))),
    make(
        "hydra_ftp",
        "FTP passwords",
        "hydra(1): ftp; RFC 959; vsftpd.conf(5)",
        _HYDRA_FTP,
        ("FTP brute force", "BruteForce-FTP"),
    ),
    make("medusa_ftp", "FTP passwords", "medusa(1): mod_ftp; RFC 959", _ftp((1, 1, 3), 0.9)),
    make(
        "hydra_telnet",
        "Telnet passwords",
        "hydra(1): telnet; RFC 854, 855; login(1): three tries",
        _TELNET,
        ("Telnet brute force",),
    ),
    make(
        "ncrack_rdp",
        "remote desktop passwords",
        "ncrack(1), hydra(1): rdp; MS-RDPBCGR §1.3.1.1, MS-CSSP §3.1.5",
        _RDP,
        ("RDP brute force",),
    ),
    make(
        "hydra_smb", "file server passwords", "hydra(1): smb2; MS-SMB2 §2.2, MS-NLMP §2.2.1", _SMB, ("SMB brute force",)
    ),
    make(
        "hydra_http_form",
        "passwords in a web form",
        "hydra(1): http-post-form; RFC 9112",
        _FORMS,
        ("HTTP brute force",),
    ),
    make("hydra_http_basic", "passwords in the header Authorization", "hydra(1), medusa(1): http; RFC 7617", _BASIC),
    make(
        "hydra_database",
        "passwords of MySQL, PostgreSQL and SQL Server",
        "hydra(1): mysql, postgres, mssql; their protocols' manuals, MS-TDS",
        _DATABASES,
    ),
    make("hydra_mail", "passwords of POP3, IMAP and SMTP", "hydra(1): pop3, imap, smtp; RFC 1939, 3501, 4954", _MAIL),
    make("hydra_vnc", "VNC passwords", "hydra(1): vnc; RFC 6143", _VNC),
    make(
        "hydra",
        "passwords of any service",
        "hydra(1)",
        _mixed(
            (0.35, _HYDRA_SSH),
            (0.15, _HYDRA_FTP),
            (0.15, ((1.0, _TELNET),)),
            (0.15, _FORMS),
            (0.05, _BASIC),
            (0.05, ((1.0, _RDP),)),
            (0.05, ((1.0, _SMB),)),
            (0.05, _DATABASES),
        ),
        (
            "DictionaryBruteForce",
            "Dictionary_BruteForce",
            "password",
            "Brute Force",
            "BruteForce",
            "Password Attack",
            "bruteforce",
            "Password",
        ),
    ),
)
