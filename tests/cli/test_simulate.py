"""`nids_jax simulate`: captures with labels, the same for the same flags."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax.__main__ import main
from nids_jax.cli import simulate
from nids_jax.data.loading import load
from nids_jax.flows.capture import read_capture
from nids_jax.flows.meter import meter
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate import tools as library
from nids_jax.flows.simulate.tools import TOOLS, tool_flows, tool_packets

END_POINTS = ["source_ip", "source_port", "destination_ip", "destination_port", "protocol"]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nids_jax", "simulate", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_two_tools_become_a_capture_with_labels(tmp_path: Path):
    # A tool goes by its name or by a label that it answers.
    done = run("--tools=benign,DoS Hulk", "--conversations=30", "--seed=4", "--output=new/lab.pcap", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in (tmp_path / "new").iterdir()) == ["lab.labels.csv", "lab.pcap"]
    packets = sum(len(tool_packets(TOOLS[name], 30, 4).packets) for name in ("benign", "hulk"))
    said = f"packets: {packets:,}, conversations: 60, in new/lab.pcap\nlabels: new/lab.labels.csv\n"
    assert done.stdout == said

    labels = pd.read_csv(tmp_path / "new/lab.labels.csv", parse_dates=["timestamp"])
    assert labels["Label"].value_counts().to_dict() == {"benign": 30, "DoS Hulk": 30}
    assert labels["timestamp"].is_monotonic_increasing
    capture = read_capture(tmp_path / "new/lab.pcap")
    flows = meter(capture.packets)
    names = capture.hosts.names
    columns = (names(flows.source), flows.source_port, names(flows.destination), flows.destination_port, flows.protocol)
    found = pd.DataFrame(dict(zip(END_POINTS, columns, strict=True)))
    found["timestamp"] = pd.to_datetime(flows.start, unit="us", utc=True)
    begun = found.sort_values("timestamp", kind="stable").merge(labels, on=[*END_POINTS, "timestamp"])
    assert len(begun) == 60


def test_the_same_flags_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path):
    written = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        flags = ["--tools=nmap_syn", "--conversations=20", f"--output={tmp_path}/{name}.pcapng", f"--seed={seed}"]
        assert main(["simulate", *flags, f"--labels={tmp_path}/{name}.csv"]) == 0
        written.append((tmp_path / f"{name}.pcapng").read_bytes() + (tmp_path / f"{name}.csv").read_bytes())
    assert written[0] == written[1] != written[2]


def test_many_conversations_are_written_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulate, "PIECE", 50)
    monkeypatch.setattr(simulate, "SPAN", 10_000_000)
    path = tmp_path / "lab.pcap"
    assert main(["simulate", "--tools=benign,patator_ssh", "--conversations=170", f"--output={path}"]) == 0
    labels = pd.read_csv(tmp_path / "lab.labels.csv")
    assert labels["Label"].value_counts().to_dict() == {"benign": 170, "patator_ssh": 170}
    assert not labels.duplicated(END_POINTS).any()
    capture = read_capture(path)
    assert (np.diff(capture.packets.time) >= 0).all()
    # The first piece is what the simulator gives for its conversations.
    packets = tool_packets(TOOLS["benign"], 50, 0).packets
    assert set(packets.time.tolist()) <= set(capture.packets.time.tolist())
    # Every packet is of a conversation that the labels name, in one direction or the other.
    p, names = capture.packets, capture.hosts.names
    ends = [
        [f"{host}:{port}" for host, port in zip(names(of).tolist(), ports.tolist(), strict=True)]
        for of, ports in ((p.source, p.source_port), (p.destination, p.destination_port))
    ]
    pairs = {frozenset(each) for each in zip(*ends, strict=True)}
    sources, targets = (
        labels[f"{each}_ip"] + ":" + labels[f"{each}_port"].astype(str) for each in ("source", "destination")
    )
    assert pairs == {frozenset(each) for each in zip(sources, targets, strict=True)}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_counts_the_conversations_of_every_tool(tmp_path: Path):
    path = tmp_path / "lab.pcapng"
    assert main(["simulate", "--conversations=5", f"--output={path}"]) == 0
    labels = pd.read_csv(tmp_path / "lab.labels.csv")
    assert labels["Label"].value_counts().to_dict() == dict.fromkeys(TOOLS, 5)
    whole = labels[~labels["Label"].str.contains("fragments")]  # of a datagram in pieces Wireshark knows no ports
    fragments = "ip.frag_offset == 0 && ip.flags.mf == 0"
    for kind, protocol in (("tcp", 6), ("udp", 17)):
        done = subprocess.run(
            ["tshark", "-r", path, "-q", "-z", f"conv,{kind},{fragments}"], capture_output=True, text=True
        )
        counted = len(re.findall(r"<->", done.stdout.split("Total", 1)[-1]))
        assert counted == (whole["protocol"] == protocol).sum()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--output=lab.pcap", "--tools=Nmap_sin"],
            "--tools names 'Nmap_sin', which is neither a tool nor a label that one answers; did you mean 'nmap_syn'",
        ),
        (["--output=lab.pcap", "--own_tools=none.toml"], "none.toml"),
        (["--output=lab.pcap", "--tools=hulk,DoS Hulk"], "--tools names 'hulk' and 'DoS Hulk', which are one tool"),
        (["--output=lab.pcap", "--tools="], "--tools is empty; give one name or more"),
        (["--output=lab.pcap", "--conversations=0"], "--conversations is 0; it must be at least 1"),
        (["--output=lab.pcap", "--seed=-1"], "--seed is -1; it must be at least 0"),
        ([], "--output is None; name a file that ends in .pcap or .pcapng"),
        (
            ["--output=lab.arff"],
            "--output is 'lab.arff'; name a file that ends in .pcap or .pcapng or .csv or .parquet",
        ),
        (["--output=folder.pcap"], "--output is 'folder.pcap', which is a folder; name a file"),
        (["--output=lab.pcap", "--labels=lab.txt"], "--labels is 'lab.txt'; name a file that ends in .csv"),
        (
            ["--output=file/lab.pcap", "--labels=l.csv"],
            "cannot make the folder file: File exists; name another --output",
        ),
        (
            ["--output=lab.pcap", "--labels=file/l.csv"],
            "cannot make the folder file: File exists; name another --labels",
        ),
        ([f"--output={'a' * 250}.pcap", "--labels=l.csv"], "File name too long; choose another --output\n"),
        (["--output=/proc/lab.pcap", "--labels=l.csv"], "choose another --output"),
    ],
)
def test_bad_flags_end_with_one_sentence(tmp_path: Path, arguments: list[str], said: str):
    (tmp_path / "folder.pcap").mkdir()
    (tmp_path / "file").write_text("")
    done = run("--tools=nmap_syn", "--conversations=3", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 0), done.stderr
    assert said in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.pcap"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_flow_records_go_straight_to_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str):
    monkeypatch.setattr(library, "BATCH", 16)  # several pieces
    path = tmp_path / f"new/lab.{ending}"
    flags = ["--tools=benign,DoS Hulk", "--flows=50", "--seed=3", "--compat=cicflowmeter", f"--output={path}"]
    assert main(["simulate", *flags]) == 0
    frame = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(frame.columns) == [*(feature.name for feature in FEATURES), "Label"]
    assert list(frame["Label"]) == ["benign"] * 50 + ["DoS Hulk"] * 50
    for name, tool in (("benign", "benign"), ("DoS Hulk", "hulk")):
        wanted, _ = tool_flows(TOOLS[tool], 50, 3, compat="cicflowmeter")
        rows = frame[frame["Label"] == name].drop(columns="Label")
        np.testing.assert_array_equal(rows.to_numpy(np.float64), wanted)
    table, _ = load(data=path, progress=False)
    assert table.counts == {"benign": 50, "DoS Hulk": 50}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--output=lab.pcap", "--flows=5"], "--flows is about a table"),
        (["--output=lab.pcap", "--compat=corrected"], "--compat is about a table"),
        (["--output=lab.csv", "--conversations=5"], "--conversations is about a capture"),
        (["--output=lab.csv", "--labels=x.csv"], "--labels is about a capture"),
        (["--output=lab.csv", "--flows=0"], "--flows"),
    ],
)
def test_a_flag_of_the_other_kind_of_file_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
