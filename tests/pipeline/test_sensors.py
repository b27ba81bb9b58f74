"""Metering by sensor in this process: what is whole stays, what fails is named, and rotation changes no record."""

import json
import os
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from nids_jax.__main__ import main
from nids_jax.flows.packets import ACK, FIN, PSH, SYN, TCP
from tests.flows.capture_writer import Sent, pcap, pcapng

START = 1_700_000_000_000_000  # µs


def talk(port: int, begin: int) -> list[Sent]:
    """A connection of eight packets, one in every second, that both sides close."""
    first = Sent(begin, "10.0.0.9", "10.0.0.1", (port, 80), TCP, 0, 0, SYN, 512, 0, 0)
    back = replace(first, source=first.destination, destination=first.source, ports=first.ports[::-1])
    sent = [
        first,
        replace(back, flags=SYN | ACK),
        replace(first, flags=ACK),
        replace(first, flags=PSH | ACK, payload=90),
    ]
    sent += [replace(back, flags=PSH | ACK, payload=700), replace(first, flags=FIN | ACK)]
    sent += [replace(back, flags=FIN | ACK), replace(first, flags=ACK)]
    return [replace(each, time=begin + 1_000_000 * number) for number, each in enumerate(sent)]


def rotated(folder: Path, sensors: int = 3, talks: int = 6, pieces: int = 4) -> dict[str, list[Sent]]:
    """Captures of sensors, each in files that cut connections; the packets of each."""
    folder.mkdir()
    packets = {}
    for sensor in range(sensors):
        sent = [each for n in range(talks + sensor) for each in talk(3000 + n, START + 1_500_000 * n)]
        packets[f"eth{sensor}"] = sent = sorted(sent, key=lambda each: each.time)
        edges = [len(sent) * n // pieces for n in range(pieces + 1)]
        for n in range(pieces):
            # A ring buffer: the numbers begin again, and the times tell the order.
            name = folder / f"eth{sensor}.pcap{(n + 2) % pieces}"
            name.write_bytes((pcapng if sensor else pcap)(sent[edges[n] : edges[n + 1]], 1))
    return packets


@pytest.fixture
def site(tmp_path: Path) -> Path:
    rotated(tmp_path / "site")
    return tmp_path / "site"


def meter(site: Path, out: Path, *flags: str) -> int:
    return main(["meter", f"--captures={site}", f"--output_dir={out}", *flags])


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_records_are_those_of_the_capture_before_it_was_rotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    packets = rotated(tmp_path / "site")
    assert meter(tmp_path / "site", tmp_path / "out", "--label=Web", "--format=csv") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "eth0: captures: 4, packets: 48, in flows: 48, flows: 6"
    assert said[3] == f"sensors metered: 3, in {tmp_path / 'out'}"
    for sensor, sent in packets.items():
        whole = tmp_path / f"{sensor}.pcap"
        whole.write_bytes(pcap(sent, 1))
        assert main(["meter", f"--captures={whole}", f"--output={tmp_path / 'whole.csv'}", "--label=Web"]) == 0
        written = tmp_path / "out" / f"{sensor}.csv"
        assert written.read_bytes() == (tmp_path / "whole.csv").read_bytes()
        account = json.loads((tmp_path / "out" / "_accounts" / f"{sensor}.json").read_text())
        assert account["sha256"] == sha256(written.read_bytes()).hexdigest()
        assert account["frames"] == account["in_records"] == len(sent)
        assert account["flows"] == len(pd.read_csv(written)) == len(sent) // 8
        assert list(account["captures"]) == [f"{sensor}.pcap{n}" for n in (2, 3, 0, 1)]


def test_a_rerun_meters_what_changed(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert meter(site, out) == 0
    first, before = contents(out), {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    assert len(pd.read_parquet(out)) == 6 + 7 + 8  # the folder is a table, accounts notwithstanding
    assert meter(site, out) == 0
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")} == before
    assert "sensors metered: 3 (3 of them before)" in capsys.readouterr().out
    os.utime(site / "eth1.pcap0", ns=(1, 1))  # a ring buffer may write a file of the same size
    (out / "eth2.parquet").write_bytes(b"PAR1")
    capsys.readouterr()
    assert meter(site, out) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["eth1", "eth2", "sensors metered"]
    again = contents(out)
    assert again.keys() == first.keys()
    assert [name for name in first if first[name] != again[name]] == ["_accounts/eth1.json"]


def test_shards_make_the_same_files(site: Path, tmp_path: Path):
    assert meter(site, tmp_path / "one") == 0
    for shard in ("1/2", "0/2"):
        assert meter(site, tmp_path / "two", f"--shard={shard}") == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert not list((tmp_path / "two").glob(".*"))


def test_a_sensor_that_fails_is_named_and_the_others_are_kept(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    genuine = (site / "eth1.pcap3").read_bytes()
    (site / "eth1.pcap3").write_bytes(b"no capture at all")
    (site / "eth9.pcap").write_bytes(pcap([], 1))  # without a packet: a file of no records
    assert meter(site, tmp_path / "out") == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: eth1: {site}/eth1.pcap3 is no capture: it begins with 6e6f2063")
    assert said.err.endswith("; the other sensors are metered, and the same command tries these again\n")
    assert "eth1 failed: " in said.out
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.parquet")) == ["eth0", "eth2", "eth9"]
    assert not list((tmp_path / "out").glob("*.tmp"))
    (site / "eth1.pcap3").write_bytes(genuine)
    assert meter(site, tmp_path / "out") == 0
    assert "sensors metered: 4 (3 of them before)" in capsys.readouterr().out


def test_a_capture_that_was_cut_off_counts_up_to_there(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    last = site / "eth0.pcap1"
    last.write_bytes(last.read_bytes()[:-5])
    assert meter(site, tmp_path / "out") == 0
    assert "eth0: captures: 4, packets: 47, in flows: 47, flows: 6, unreadable from byte" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--captures=site"], "--output is None; name a file that ends in .csv or .parquet"),
        (
            ["--captures=site", "--output=a.csv", "--cluster=auto"],
            "--cluster is about metering by sensor; name a folder",
        ),
        (["--captures=site", "--output=a.csv", "--shard=0/2"], "--shard is about metering by sensor; name a folder"),
        (
            ["--captures=site", "--output_dir=out", "--output=a.csv"],
            "--output is about one file of records, and --output",
        ),
        (
            ["--captures=site", "--output_dir=out", "--joined"],
            "--joined is about one file of records, and --output_dir",
        ),
        (
            ["--captures=site,more", "--output_dir=out"],
            "--captures is 'site,more', and --output_dir asks for records by",
        ),
        (["--captures=site/eth0.pcap0", "--output_dir=out"], "asks for records by sensor; name one folder"),
        (["--captures=empty", "--output_dir=out"], "no file in it is named like a capture"),
        (["--captures=site", "--output_dir=out", "--shard=2/2"], "--shard is 2/2; shards are numbered from 0 to 1"),
        (["--captures=site", "--output_dir=out", "--shard=half"], "--shard is 'half'; write K/N"),
        (["--captures=site", "--output_dir=out", "--cluster=10.0.0.1"], "--cluster is '10.0.0.1'; give auto, or ray"),
        (["--captures=site", "--output_dir=out", "--format=xml"], "--format"),
    ],
)
def test_bad_flags_end_with_one_sentence(
    site: Path,
    tmp_path: Path,
    flags: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["meter", *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not list(tmp_path.glob("out/*.parquet"))


def test_records_metered_otherwise_are_not_mixed_in(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert meter(site, out) == 0
    before = contents(out)
    for flags, name in ((["--flow_timeout=60"], "timeout_us"), (["--label=Web"], "label")):
        assert meter(site, out, *flags) == 2
        assert f"holds records metered otherwise (different {name}); choose another" in capsys.readouterr().err
    assert contents(out) == before


def test_a_folder_that_moved_is_known_by_what_is_in_it(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert meter(site, tmp_path / "out") == 0
    moved = Path(shutil.copytree(site, tmp_path / "moved"))  # with the files' times
    assert meter(moved, tmp_path / "out") == 0
    assert "(3 of them before)" in capsys.readouterr().out
