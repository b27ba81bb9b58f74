"""Sensors by the names of their captures, as programs that rotate write them."""

import re
from pathlib import Path, PurePosixPath

import pytest

from nids_jax.errors import InputError
from nids_jax.flows.rotated import is_capture, sensor_of, sensors


@pytest.mark.parametrize(
    ("path", "sensor"),
    [
        ("eth0_00001_20240131235959.pcapng", "eth0"),  # dumpcap
        ("eth0_123456_20240131235959.pcapng", "eth0"),
        ("eth0_20240131235959_00001.pcapng", "eth0"),  # dumpcap, the time first
        ("out_00000_20240131235959.123456.pcap", "out"),  # editcap
        ("trace.pcap", "trace"),  # tcpdump -C
        ("trace.pcap1", "trace"),
        ("trace.pcap0012.gz", "trace"),
        ("eth0-2024-01-31T23:59:59.pcap", "eth0"),  # tcpdump -G
        ("eth0-2024-01-31_23.59.pcap3.zst", "eth0"),
        ("eth0-2024-01-31T23:59:59Z.pcap", "eth0"),
        ("eth0-2024-01-31T23:59:59+0100.cap", "eth0"),
        ("eth0-1706745599.pcap", "eth0"),
        ("log.pcap.1706745599.lz4", "log"),  # Suricata
        ("20240131_eth0.pcap", "eth0"),
        ("north_20240131_eth0.pcap", "north_eth0"),
        ("eth0_00001.PCAP", "eth0"),
        ("berlin/20240131.pcap", "berlin"),
        ("berlin/2024/01/31/235959.pcap", "berlin"),
        ("2024-01-31/berlin/eth0.pcap", "berlin/eth0"),
        ("berlin/20240131/eth1_00001_20240131235959.pcap", "berlin/eth1"),
        ("20240131.pcap", ""),
        ("2024/01/31/23.pcap", ""),
        # What is no rotation stays: two sensors must not be taken for one.
        ("eth1.pcap", "eth1"),
        ("probe-1.pcap", "probe-1"),
        ("host_01.pcap", "host_01"),
        ("vlan_100_20240131.pcap", "vlan_100"),
        ("10.0.0.12_20240131235959.pcap", "10.0.0.12"),
        ("2024-01-31/10.0.0.12.pcap", "10.0.0.12"),
        ("port_50051.pcap", "port_50051"),
        ("20241331.pcap", "20241331"),  # no month
        ("berlin-2.pcap", "berlin-2"),
        ("7/12/eth0.pcap", "7/12/eth0"),
    ],
)
def test_what_rotation_wrote_is_taken_out_of_a_name(path: str, sensor: str):
    assert is_capture(PurePosixPath(path).name)
    assert sensor_of(PurePosixPath(path)) == sensor


@pytest.mark.parametrize("name", ["pcap", "notes.txt", "trace.pcap.txt", "trace.pcapx", "log.1706745599", "a.csv.gz"])
def test_other_files_are_no_captures(name: str):
    assert not is_capture(name)


def test_a_folders_captures_by_sensor():
    folder = Path("/captures/site")
    names = ["eth0.pcap", "eth0.pcap1.gz", "eth1.pcap", "20240131.pcap", "20240201.pcap"]
    found = sensors(folder, [folder / name for name in names])
    assert {sensor: [path.name for path in paths] for sensor, paths in found.items()} == {
        "eth0": ["eth0.pcap", "eth0.pcap1.gz"],
        "eth1": ["eth1.pcap"],
        "site": ["20240131.pcap", "20240201.pcap"],
    }
    assert list(found) == sorted(found)
    with pytest.raises(InputError, match=re.escape("eth0.pcap and /captures/site/eth0.pcap.gz are the same capture")):
        sensors(folder, [folder / "eth0.pcap", folder / "eth0.pcap.gz"])
