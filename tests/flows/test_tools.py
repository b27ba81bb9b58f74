"""The traffic tools: what every one promises, what their protocols fix, labels, and tools of one's own."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.flows.meter import STREAMED, Compat
from nids_jax.flows.packets import ACK, ICMP, PSH, RST, SYN, TCP, UDP
from nids_jax.flows.schema import FEATURES, normalise
from nids_jax.flows.simulate import tools as module
from nids_jax.flows.simulate.network import simulate
from nids_jax.flows.simulate.parts import tcp, udp
from nids_jax.flows.simulate.script import CLOSES, OPENS, STACKS, TALKING, About, Streams, down, repeat, say, up
from nids_jax.flows.simulate.tools import (
    TOOLS,
    TRAFFIC,
    Tool,
    ToolCapture,
    read_tools,
    tool_flows,
    tool_of,
    tool_packets,
)

NAMES = [feature.name for feature in FEATURES]
DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "tools.md"
MODES: tuple[Compat, ...] = ("none", "corrected", "cicflowmeter")
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def column(x: np.ndarray, name: str) -> np.ndarray:
    return x[:, NAMES.index(name)]


def sent_first(capture: ToolCapture) -> np.ndarray:
    """Rows of each conversation's first packet."""
    return np.unique(capture.conversation, return_index=True)[1]


# ---------------------------------------------------------------------------------------------------- every tool


@pytest.mark.parametrize("name", TOOLS)
def test_a_tools_conversations_have_its_ports_protocol_and_order(name: str) -> None:
    tool = TOOLS[name]
    capture = tool_packets(tool, 50, seed=1)
    packets = capture.packets
    assert len(packets) == len(capture.conversation) == len(capture.closing)
    assert set(capture.conversation) == set(range(50))
    assert (np.diff(packets.time) >= 0).all()
    assert set(packets.protocol) <= set(tool.protocols)
    first = sent_first(capture)
    assert set(packets.destination_port[first]) <= set(tool.ports)
    fixed = {port for _, traffic in tool.recipes for port in traffic.client_ports}
    if all(traffic.client_ports for _, traffic in tool.recipes):
        assert set(packets.source_port[first]) <= fixed
    sender = packets.source * 65536 + packets.source_port
    receiver = packets.destination * 65536 + packets.destination_port
    ends = np.stack([sender, receiver])
    low, high = ends.min(axis=0), ends.max(axis=0)
    tuples = {*zip(low.tolist(), high.tolist(), packets.protocol.tolist(), capture.conversation.tolist(), strict=True)}
    assert len({each[:3] for each in tuples}) == len(tuples) == 50  # a 5-tuple for each conversation
    datagram = packets.protocol != TCP
    assert (packets.payload[datagram] <= 1480).all()
    assert not packets.flags[datagram].any()


@pytest.mark.parametrize("name", TOOLS)
def test_a_tools_records_are_finite_repeatable_and_nested(name: str) -> None:
    tool = TOOLS[name]
    x = np.empty(0)
    for compat in MODES:
        x, features = tool_flows(tool, 50, 1, compat=compat)
        assert x.shape == (50, len(FEATURES))
        assert features == tuple(NAMES)
        assert np.isfinite(x).all()
        again, _ = tool_flows(tool, 50, 1, compat=compat)
        few, _ = tool_flows(tool, 7, 1, compat=compat)
        assert np.array_equal(x, again)
        assert np.array_equal(x[:7], few)
        if compat in STREAMED:
            assert set(column(x, "destination_port")) <= set(tool.ports)
            assert set(column(x, "protocol")) <= set(tool.protocols)
        if compat != "none":
            assert (column(x, "total_fwd_packets") + column(x, "total_bwd_packets") > 1).all()
    assert not np.array_equal(x, tool_flows(tool, 50, 2, compat="cicflowmeter")[0])


def test_no_two_tools_share_random_numbers_or_hosts() -> None:
    assert len({tool.number % module.NETWORKS for tool in TOOLS.values()}) == len(TOOLS)


def test_tools_are_made_of_known_parts() -> None:
    for name, tool in TOOLS.items():
        assert tool.name == name == normalise(name)
        assert tool.summary
        assert tool.source
        assert name in tool.labels
        for weight, traffic in tool.recipes:
            assert weight > 0
            assert set(traffic.clients) | set(traffic.servers) <= set(STACKS)
            assert set(traffic.opens) <= set(OPENS)
            assert set(traffic.closes) <= set(CLOSES)
            assert traffic.mss
            assert traffic.losses
            if "at_once" in traffic.opens:  # without a handshake, something must be said
                act = traffic.acts[0]
                assert act.rounds.low >= 1 or (min(np.atleast_1d(act.rounds.median)) >= 1 and not act.rounds.between)
                assert act.messages[0].chance == 1
            assert set(traffic.opens) & set(TALKING) or not traffic.acts


def test_the_embedded_dataset_has_no_part_of_what_came_later() -> None:
    """Its rows are fixed: its recipes draw from no stream that the tools brought."""
    for recipes in TRAFFIC.values():
        for _, traffic in recipes:
            assert (traffic.client_ports, traffic.mss, traffic.losses, traffic.raw, traffic.header) == (
                (),
                (),
                (),
                0,
                None,
            )
            assert all(message.flags is None for act in traffic.acts for message in act.messages)


def test_batches_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 16)
    tool = TOOLS["patator_ssh"]
    for compat in MODES:
        x, _ = tool_flows(tool, 70, 3, compat=compat)
        assert len(np.unique(x, axis=0)) == 70
        assert all(np.array_equal(x[:n], tool_flows(tool, n, 3, compat=compat)[0]) for n in (0, 1, 15, 16, 17, 40, 69))
    capture = tool_packets(tool, 40, 3)
    assert set(capture.conversation) == set(range(40))
    first = sent_first(capture)
    assert len(np.unique(capture.packets.source_port[first])) == 40
    few = tool_packets(tool, 20, 3)
    assert [int((few.conversation == i).sum()) for i in range(20)] == [
        int((capture.conversation == i).sum()) for i in range(20)
    ]


def test_no_rows() -> None:
    assert tool_flows(TOOLS["hulk"], 0, 0)[0].shape == (0, len(FEATURES))
    assert len(tool_packets(TOOLS["hulk"], 0, 0).packets) == 0


def test_left_overs_of_a_close_stay_with_cicflowmeter() -> None:
    counts = [len(np.unique(column(tool_flows(TOOLS["hulk"], 200, 0, compat=c)[0], "destination_port"))) for c in MODES]
    assert counts[0] == counts[1] <= 3  # the server's ports
    assert counts[2] >= counts[0]


@pytest.mark.parametrize("compat", MODES)
def test_left_overs_of_a_close_can_be_left_out(compat: Compat) -> None:
    """A connection of Hulk begins with a SYN and lasts less than the meter's timeout: what has none is left over."""
    every, whole = (tool_flows(TOOLS["hulk"], 200, 0, compat=compat, left_over=each)[0] for each in (True, False))
    assert len(whole) == 200
    if compat in STREAMED:
        assert np.array_equal(every, whole)
        return
    # Which flag stands in which column differs between versions of CICFlowMeter.
    name = {"cicids2017": "psh", "cicids2018": "psh", "cicddos2019": "ack"}.get(compat, "syn")
    begun = column(every, f"{name}_flag_count") > 0
    assert 50 < begun.sum() < 150
    assert np.array_equal(every[begun], whole[: begun.sum()])
    assert (column(whole, f"{name}_flag_count") > 0).all()


@pytest.mark.parametrize(
    ("count", "seed", "compat", "words"),
    [
        (-1, 0, "corrected", "`count` is -1"),
        (True, 0, "corrected", "`count` is True"),
        (1, 0.5, "corrected", "`seed` is 0.5"),
        (1, 0, "java", "`compat` is 'java'; choose from none, corrected, cicflowmeter, cicids2017"),
    ],
)
def test_bad_input(count: int, seed: int, compat: Compat, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        tool_flows(TOOLS["hulk"], count, seed, compat=compat)
    if compat == "corrected":
        with pytest.raises(InputError, match=re.escape(words)):
            tool_packets(TOOLS["hulk"], count, seed)


def test_a_tool_of_single_packets_has_nothing_for_cicflowmeter() -> None:
    single = udp(say(up(About(10), About(0))), ports=(9,), rtt=About(0.01))
    tool = Tool(name="single", summary="", source="", labels=(), recipes=((1.0, single),))
    assert len(tool_flows(tool, 9, 0, compat="none")[0]) == 9
    with pytest.raises(InputError, match="`compat` is 'cicflowmeter', which leaves out all that single gives"):
        tool_flows(tool, 9, 0, compat="cicflowmeter")


# ------------------------------------------------------------------------------------------- what protocols fix


@pytest.mark.parametrize(
    ("name", "port", "sizes"),
    [
        ("ntp_reflection", 123, {440}),
        ("netbios_reflection", 137, {103 + 18 * n for n in range(1, 20)}),
        ("dns_reflection", 53, set(range(60, 1473))),
        ("ldap_reflection", 389, set(range(200, 1473))),
        ("mssql_reflection", 1434, set(range(40, 1473))),
        ("snmp_reflection", 161, set(range(90, 1473))),
        ("ssdp_reflection", 1900, set(range(120, 1473))),
        ("portmap_reflection", 111, set(range(48, 1473))),
        ("memcached_reflection", 11211, {1400, 1392, 1372}),
    ],
)
def test_reflections_are_answers_without_questions(name: str, port: int, sizes: set[int]) -> None:
    packets = tool_packets(TOOLS[name], 200, seed=0).packets
    assert set(packets.source_port) == {port}
    assert set(packets.payload) <= sizes
    x, _ = tool_flows(TOOLS[name], 200, 0)
    assert not column(x, "total_bwd_packets").any()
    assert len(np.unique(column(x, "destination_port"))) > 40
    assert set(column(x, "protocol")) == {UDP}


def test_tftp_repeats_its_block_from_a_port_of_its_own() -> None:
    x, _ = tool_flows(TOOLS["tftp_reflection"], 300, 0)
    assert np.mean(column(x, "fwd_packet_length_max") == 516) > 0.6
    again = column(x, "total_fwd_packets") > 2
    assert np.median(column(x, "flow_iat_mean")[again]) > 0.9e6


def test_floods_by_the_book() -> None:
    syn = tool_packets(TOOLS["syn_flood"], 300, 0).packets
    asked = syn.flags == SYN
    assert set(syn.header[asked]) == {20}
    assert set(syn.window[asked]) == {64, 512}
    assert not syn.payload.any()
    answered = syn.flags == SYN | ACK
    assert set(syn.header[answered]) == {24}  # a stack says its MSS even to a SYN without options
    mirai = tool_packets(TOOLS["mirai_syn"], 300, 0).packets
    asked = mirai.flags == SYN
    assert set(mirai.header[asked]) == {40}
    assert not mirai.window[asked].any()
    ack = tool_packets(TOOLS["mirai_ack"], 300, 0).packets
    assert set(ack.payload) == {0, 512}
    assert set(ack.flags) == {ACK, RST}
    assert set(ack.header) == {20}
    stomp = tool_packets(TOOLS["mirai_stomp"], 300, 0).packets
    assert set(stomp.payload) == {0, 768}
    assert set(stomp.header[stomp.payload > 0]) <= {20, 32}
    assert set(tool_packets(TOOLS["mirai_udpplain"], 50, 0).packets.payload) == {512}
    gre = tool_packets(TOOLS["mirai_greip"], 50, 0).packets
    assert set(gre.protocol) == {47}
    assert set(gre.payload) == {544}
    assert not gre.header.any()
    assert not gre.source_port.any()
    assert set(tool_packets(TOOLS["icmp_flood"], 50, 0).packets.protocol) == {ICMP}
    fragments = tool_packets(TOOLS["udp_fragments"], 50, 0).packets
    assert not fragments.header.any()
    assert not fragments.destination_port.any()


def test_slow_tools_are_slow_and_polls_are_steady() -> None:
    assert np.median(column(tool_flows(TOOLS["rudy"], 200, 0)[0], "flow_iat_max")) > 4e6
    assert column(tool_flows(TOOLS["slow_read"], 200, 0)[0], "fwd_init_win_bytes").max() < 3000
    x, _ = tool_flows(TOOLS["modbus_poll"], 200, 0)
    assert (column(x, "fwd_packet_length_max") == 12).all()
    x, _ = tool_flows(TOOLS["voip"], 200, 0)
    rtp = column(x, "destination_port") >= 10_000
    assert abs(np.median(column(x, "fwd_iat_mean")[rtp]) - 20_000) < 6_000  # µs, and what the path adds


# ------------------------------------------------------------------------------------------- what recipes can say


def test_raw_segments_are_neither_acknowledged_nor_repeated() -> None:
    act = repeat(About(5), up(About(512), About(0.1), flags=ACK))
    base = tcp(act, ports=(80,), clients={"hping3": 1.0}, opens={"at_once": 1.0}, closes={"left_open": 1.0})
    raw = simulate(replace(base, raw=True, losses=(0.5,)), 40, Streams(1))
    assert len(raw.time) == 200
    assert set(raw.flags) == {ACK}
    assert set(raw.header) == {20}
    windows = [set(raw.window[raw.conversation == i]) for i in range(40)]
    assert all(len(each) == 1 for each in windows)
    assert set.union(*windows) == {64, 512}
    assert len(simulate(base, 40, Streams(1)).time) > 200


def test_segments_losses_and_client_ports() -> None:
    base = tcp(say(up(About(100), About(0)), down(About(50_000), About(0.01))), ports=(80,))
    small = simulate(replace(base, mss=(500,), losses=(0.0,), client_ports=(7,)), 60, Streams(2))
    pushed = small.flags & PSH != 0  # the last segment of a message; the others are full, or several merged
    assert {size % 500 and size % 488 for size in small.payload[~pushed].tolist()} == {0}
    assert small.payload.max() <= 8 * 500
    assert set(small.client_port) == {7}
    assert set(simulate(base, 5, Streams(2)).client_port) == {-1}
    lost = simulate(replace(base, losses=(0.5,), closes={"left_open": 1.0}), 60, Streams(2))
    assert lost.payload.sum() > 1.3 * small.payload.sum()
    whole = simulate(
        replace(udp(say(up(About(4000), About(0))), ports=(53,), rtt=About(0.01)), mss=(1460,)), 9, Streams(3)
    )
    assert set(whole.payload) == {1472}  # the first fragment, which has ports


# ------------------------------------------------------------------------------------------------------- labels


def test_a_label_belongs_to_one_tool() -> None:
    labels = [normalise(label) for tool in TOOLS.values() for label in tool.labels]
    assert len(labels) == len(set(labels))
    assert all(tool_of(label) is tool for tool in TOOLS.values() for label in tool.labels)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        *((label, None) for label in ("", "Hulk Hogan", "DoS Hulk - Attempted", "MITM-ArpSpoofing", "Exploits")),
        *((label, "benign") for label in ("BENIGN", "Benign", "normal")),
        *((label, "hulk") for label in ("DoS Hulk", "DoS attacks-Hulk", "dos_hulk", " HULK ")),
        *(
            (label, "slowloris")
            for label in ("DoS slowloris", "DoS Slowloris", "DoS attacks-Slowloris", "DDoS-SlowLoris")
        ),
        *((label, "slowhttptest") for label in ("DoS Slowhttptest", "DoS attacks-SlowHTTPTest")),
        *((label, "goldeneye") for label in ("DoS GoldenEye", "DoS attacks-GoldenEye")),
        *((label, "loic_http") for label in ("DDoS", "DDoS attacks-LOIC-HTTP")),
        *((label, "nmap") for label in ("PortScan", "Portscan", "Recon-PortScan", "scanning")),
        *((label, "ares") for label in ("Bot", "Botnet")),
        *((label, "metasploit_backdoor") for label in ("Infiltration", "Infilteration", "backdoor")),
        *((label, "xss") for label in ("Web Attack – XSS", "Web Attack \x96 XSS", "Brute Force -XSS", "XSS")),
        *((label, "web_brute_force") for label in ("Web Attack - Brute Force", "Brute Force -Web")),
        *((label, "sql_injection") for label in ("Web Attack - Sql Injection", "SQL Injection")),
        *((label, "udp_lag") for label in ("UDP-lag", "UDPLag")),
        *((label, "hydra") for label in ("DictionaryBruteForce", "password")),
        *(
            (f"DrDoS_{kind}", f"{kind.lower()}_reflection")
            for kind in ("DNS", "LDAP", "MSSQL", "NetBIOS", "NTP", "SNMP")
        ),
        *(
            (kind, f"{kind.lower()}_reflection")
            for kind in ("SSDP", "Portmap", "TFTP", "DNS", "LDAP", "MSSQL", "NetBIOS")
        ),
        ("Infiltration - Portscan", "nmap"),
        ("FTP-Patator", "patator_ftp"),
        ("FTP-BruteForce", "patator_ftp"),
        ("SSH-Bruteforce", "patator_ssh"),
        ("DDOS attack-HOIC", "hoic"),
        ("DDOS attack-LOIC-UDP", "loic_udp"),
        ("DrDoS_UDP", "udp_flood"),
        ("UDP", "udp_flood"),
        ("DDoS-UDP_Flood", "udp_flood"),
        ("Syn", "syn_flood"),
        ("DDoS-SYN_Flood", "syn_flood"),
        ("WebDDoS", "http_flood"),
        ("Heartbleed", "heartbleed"),
        ("Mirai-greip_flood", "mirai_greip"),
        ("Mirai-udpplain", "mirai_udpplain"),
        ("SqlInjection", "sqlmap"),
        ("injection", "sqlmap"),
    ],
)
def test_labels_of_public_datasets(label: str, name: str | None) -> None:
    assert tool_of(label) is (TOOLS[name] if name else None)


# -------------------------------------------------------------------------------------------- tools of one's own


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_examples_of_the_documentation_run(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 2
    own = read_tools(written(tmp_path, "\n".join(EXAMPLES)))
    assert list(own) == ["slow_upload", "camera_scan"]
    for tool in own.values():
        for compat in MODES:
            x, _ = tool_flows(tool, 60, 0, compat=compat)
            assert len(x) == 60
            assert np.isfinite(x).all()
    x, _ = tool_flows(own["slow_upload"], 100, 0)
    assert np.median(column(x, "flow_iat_max")) > 9e6
    assert own["slow_upload"].ports == (80, 8080)
    assert own["camera_scan"].protocols == (TCP, UDP)
    assert own["camera_scan"].source.endswith("my.toml")
    assert tool_of("dos slow upload", own) is own["slow_upload"]
    assert tool_of("dos slow upload") is None
    assert tool_of("DoS Hulk", own) is TOOLS["hulk"]


SMALL = """
[[tool]]
name = "small"
summary = "a small one"
[[tool.recipe]]
ports = 80
[[tool.recipe.acts]]
messages = [{ side = "up", size = 10 }]
"""


def test_defaults_and_flags(tmp_path: Path) -> None:
    tool = read_tools(written(tmp_path, SMALL))["small"]
    assert tool.labels == ("small",)
    assert not tool.benign
    assert np.isfinite(tool_flows(tool, 20, 0)[0]).all()
    raw = SMALL.replace(
        "ports = 80", 'ports = "80-81"\nraw = true\nopens = "at_once"\ncloses = "left_open"\nlosses = [0.0]'
    )
    raw = raw.replace("size = 10", 'size = 0, flags = ["SYN"]').replace('"small"', '"small"\nbenign = true', 1)
    tool = read_tools(written(tmp_path, raw))["small"]
    assert tool.benign
    assert tool.ports == (80, 81)
    assert set(tool_packets(tool, 20, 0).packets.flags) == {SYN}
    icmp = SMALL.replace("ports = 80", 'protocol = "icmp"')
    assert set(tool_packets(read_tools(written(tmp_path, icmp))["small"], 20, 0).packets.protocol) == {ICMP}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[tool]]", "[[tool", "which is not TOML"),
        ("[[tool]]", "x = 1\n[[tool]]", "the file has the unknown key 'x'; choose from tool"),
        (SMALL, "", "tool of the file is missing; write [[tool]]"),
        ("ports = 80", "", "ports of recipe 1 of tool 1 is None; give ports from 0 to 65535"),
        ("ports = 80", "ports = 80000", "ports of recipe 1 of tool 1 is 80000"),
        ("ports = 80", "ports = true", "ports of recipe 1 of tool 1 is True"),
        ("ports = 80", 'ports = "9-1"', "ports of recipe 1 of tool 1 is '9-1'"),
        ("ports = 80", "ports = 80\nport = 3", "recipe 1 of tool 1 has the unknown key 'port'; choose from weight, "),
        (
            "ports = 80",
            'ports = 80\nclients = "beos"',
            "clients of recipe 1 of tool 1 names 'beos'; choose from linux_3, ",
        ),
        (
            "ports = 80",
            'ports = 80\nopens = ["ajar"]',
            "opens of recipe 1 of tool 1 names 'ajar'; choose from at_once, ",
        ),
        ("ports = 80", "ports = 80\ncloses = { shut = 1 }", "closes of recipe 1 of tool 1 names 'shut'; choose from "),
        (
            "ports = 80",
            "ports = 80\ncloses = { client = 0 }",
            "client of closes of recipe 1 of tool 1 is 0; give a weight",
        ),
        ("ports = 80", "ports = 80\ncloses = []", "closes of recipe 1 of tool 1 is {}; give a name"),
        (
            "ports = 80",
            'ports = 80\nprotocol = "sctp"',
            "protocol of recipe 1 of tool 1 is 'sctp'; choose from tcp, udp, icmp",
        ),
        (
            "ports = 80",
            'ports = 80\nprotocol = "udp"\nopens = "refused"',
            "opens or closes a connection, which udp has not",
        ),
        ("ports = 80", "ports = 80\nweight = -1", "weight of recipe 1 of tool 1 is -1; give a number above 0"),
        ("ports = 80", "ports = 80\nraw = 1", "raw of recipe 1 of tool 1 is 1; write true or false"),
        ("ports = 80", "ports = 80\nlosses = [2]", "losses of recipe 1 of tool 1 is [2]; give a list of shares"),
        (
            "ports = 80",
            "ports = 80\nrtt = { between = 1 }",
            "rtt of recipe 1 of tool 1 is {'between': 1}; give numbers",
        ),
        (
            "ports = 80",
            "ports = 80\nrtt = { median = 1, mean = 1 }",
            "rtt of recipe 1 of tool 1 has the unknown key 'mean'",
        ),
        (
            "ports = 80",
            "ports = 80\nrtt = { median = 1, within = 9 }",
            "within of rtt of recipe 1 of tool 1 is 9; give 0 to 5",
        ),
        (
            "ports = 80",
            "ports = 80\nrtt = { median = 1, low = 2, high = 1 }",
            "rtt of recipe 1 of tool 1 has a low of 2",
        ),
        ("size = 10", "size = -10", "size of message 1 of act 1 of recipe 1 of tool 1 is -10; give numbers from 0 to"),
        ("size = 10", "size = nan", "size of message 1 of act 1 of recipe 1 of tool 1 is nan"),
        (", size = 10", "", "size of message 1 of act 1 of recipe 1 of tool 1 is missing"),
        ("size = 10", "size = 10, wait = -1", "wait of message 1 of act 1 of recipe 1 of tool 1 is -1"),
        (
            "size = 10",
            "size = 10, chance = 2",
            "chance of message 1 of act 1 of recipe 1 of tool 1 is 2; give a number",
        ),
        (
            "size = 10",
            'size = 10, flags = ["SIN"]',
            "flags of message 1 of act 1 of recipe 1 of tool 1 is ['SIN']; give",
        ),
        ('"up"', '"left"', "side of message 1 of act 1 of recipe 1 of tool 1 is 'left'; choose from up"),
        (
            '[{ side = "up", size = 10 }]',
            "[]",
            "messages of act 1 of recipe 1 of tool 1 is []; give one message or more",
        ),
        (
            '[[tool.recipe.acts]]\nmessages = [{ side = "up", size = 10 }]',
            "acts = []",
            "acts of recipe 1 of tool 1 is []; say",
        ),
        (
            '[[tool.recipe.acts]]\nmessages = [{ side = "up", size = 10 }]',
            "",
            "acts of recipe 1 of tool 1 is missing; say",
        ),
        ('"small"', '"hulk"', "name of tool 1 is 'hulk', which another tool has; choose another name"),
        ('"small"', '"Sm all"', "name of tool 1 is 'Sm all'; use small letters"),
        ('name = "small"', "", "name of tool 1 is missing; give a line of text"),
        ('"small"', '"small"\nlabels = "x"', "labels of tool 1 is 'x'; give a list of labels"),
        (SMALL, SMALL + SMALL, "name of tool 2 is 'small', which another tool has"),
        (
            SMALL,
            SMALL + SMALL.replace('"small"', '"other"\nlabels = ["SMALL"]'),
            "labels of tool 2 has 'SMALL', to which small",
        ),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SMALL
    path = written(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(InputError, match=re.escape(words)) as raised:
        read_tools(path)
    assert str(raised.value).startswith(f"`tools` names {path}, ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which cannot be read"):
        read_tools(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="which is not TOML"):
        read_tools(tmp_path / "binary.toml")
