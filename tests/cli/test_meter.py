"""`nids_jax meter`: captures to files of flow records, which the readers take as a dataset."""

import gzip
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax.data.loading import load
from nids_jax.flows.packets import ACK, PSH, SYN, TCP
from nids_jax.flows.schema import FEATURES
from tests.flows.capture_writer import Sent, pcap, pcapng

START = 1_500_000_000_000_000  # 2017-07-14 02:40:00 UTC, µs
SYNS = [
    Sent(START + 1_000_000 * i, "10.0.0.9", "10.0.0.1", (2000 + i, 80), TCP, 0, 0, SYN, 512, 0, 0) for i in range(3)
]
TALK = [
    replace(SYNS[0], source="2001:db8::1", destination="2001:db8::2", payload=100 * i, flags=ACK | PSH, time=START + i)
    for i in range(4)
]


def meter(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nids_jax", "meter", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.pcap").write_bytes(pcap(SYNS, 1)[:-1])
    (folder / "deeper" / "b.PCAPNG").write_bytes(pcapng(TALK, 101))
    (folder / "notes.txt").write_text("none")
    return folder


def test_a_folder_of_captures_becomes_a_dataset(captures: Path, tmp_path: Path):
    done = meter(f"--captures={captures}", "--output=flows.csv", "--label=Scan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second, last = done.stdout.splitlines()
    assert first.endswith("a.pcap: packets: 2, in flows: 2, flows: 2, unreadable from byte 176 on")
    assert second.endswith("b.PCAPNG: packets: 4, in flows: 4, flows: 1")
    assert last == "flows in all: 3, in flows.csv"
    table = pd.read_csv(tmp_path / "flows.csv")
    assert list(table.columns[4:-1]) == [feature.name for feature in FEATURES]
    assert table["source_ip"].tolist() == ["10.0.0.9", "10.0.0.9", "2001:db8::1"]
    assert table["source_port"].tolist() == [2000, 2001, 2000]
    assert table["timestamp"].tolist()[1] == "2017-07-14 02:40:01.000000Z"
    assert table["total_length_of_fwd_packets"].tolist() == [0, 0, 600]
    assert table["flow_duration"].tolist() == [0, 0, 3]
    flows, _ = load(None, data=[str(tmp_path / "flows.csv")], on_invalid="impute")
    assert flows.classes == ("Scan",)
    assert not {"source_ip", "source_port", "destination_ip", "timestamp", "destination_port"} & set(flows.features)
    assert flows.x[:, flows.features.index("flow_duration")].tolist() == [0, 0, 3]


def test_cicflowmeters_view_of_a_flow_of_one_packet(captures: Path, tmp_path: Path):
    arguments = ["--captures=captures", "--output=flows.csv", "--compat=cicflowmeter"]
    assert meter(*arguments, cwd=tmp_path).returncode == 0
    table = pd.read_csv(tmp_path / "flows.csv")
    assert table["source_ip"].tolist() == ["2001:db8::1"]  # it drops such flows


def test_parquet_holds_the_same_and_no_file_counts_twice(captures: Path, tmp_path: Path):
    (captures / "a.pcap").unlink()
    (captures / "c.pcap.gz").write_bytes(gzip.compress(pcap(SYNS[:1], 1)))  # a flow of one packet: no rates
    for name, named in (("flows.csv", captures), ("flows.parquet", f"{captures},{captures}/deeper/b.PCAPNG")):
        done = meter(f"--captures={named}", f"--output={name}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    csv, parquet = pd.read_csv(tmp_path / "flows.csv"), pd.read_parquet(tmp_path / "flows.parquet")
    assert "Label" not in csv
    assert len(csv) == len(parquet) == 2
    names = [feature.name for feature in FEATURES]
    np.testing.assert_allclose(csv[names].to_numpy(float), parquet[names].to_numpy(float))
    assert parquet["timestamp"].dt.tz is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output=flows.csv"], "--captures has ''; name pcap"),
        (["--captures=captures,", "--output=flows.csv"], "--captures has ''"),
        (["--captures=captures", "--output=flows.csv", "--label= "], "--label is ' '"),
        (["--captures=captures", "--output=captures.csv"], "'captures.csv', which is a folder"),
        (["--captures=arp.pcap", "--output=flows.csv"], "there are no flows in these captures"),
        (["--captures=none.pcap", "--output=flows.csv"], "cannot read the capture none.pcap: No such file"),
        (["--captures=captures/notes.txt", "--output=flows.csv"], "captures/notes.txt is no capture"),
        (["--captures=captures", f"--output={'a' * 250}.csv"], "File name too long; choose another --output\n"),
        (["--captures=captures", "--output=flows.txt"], "'flows.txt'; name a file that ends in .csv or .parquet"),
    ],
)
def test_bad_flags_end_with_one_sentence(captures: Path, tmp_path: Path, arguments: list[str], said: str):
    (tmp_path / "captures.csv").mkdir()
    (tmp_path / "arp.pcap").write_bytes(pcap([], 1))
    done = meter(*arguments, cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("files passed over")]
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert said in lines[0] + "\n"
    assert not list(tmp_path.glob("flows.*"))
