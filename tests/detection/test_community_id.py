"""Community ids against the reference library and Wireshark."""

import ipaddress
import shutil
import subprocess
from pathlib import Path

import communityid
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.detection.community_id import community_id
from nids_jax.detection.observed import of_flows
from nids_jax.flows.capture import read_capture
from nids_jax.flows.meter import meter

PAIRS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))
)
PORTS = st.integers(0, 65535)


@given(PAIRS, PORTS, PORTS, st.sampled_from([6, 17, 132]))
def test_flows_with_ports(pair: tuple, source: int, destination: int, protocol: int) -> None:
    kind = {6: communityid.FlowTuple.make_tcp, 17: communityid.FlowTuple.make_udp, 132: communityid.FlowTuple.make_sctp}
    want = communityid.CommunityID().calc(kind[protocol](str(pair[0]), str(pair[1]), source, destination))
    one, other = (each.packed for each in pair)
    assert community_id(one, other, source, destination, protocol, (-1, -1)) == want
    assert community_id(other, one, destination, source, protocol, (-1, -1)) == want


@given(PAIRS, st.integers(0, 255), st.integers(0, 255))
def test_icmp(pair: tuple, kind: int, code: int) -> None:
    six = pair[0].version == 6
    make = communityid.FlowTuple.make_icmp6 if six else communityid.FlowTuple.make_icmp
    want = communityid.CommunityID().calc(make(str(pair[0]), str(pair[1]), kind, code))
    found = community_id(pair[0].packed, pair[1].packed, 0, 0, 58 if six else 1, (kind, code))
    assert found == want


@given(PAIRS, st.sampled_from([2, 47, 50, 89]))
def test_other_protocols(pair: tuple, protocol: int) -> None:
    want = communityid.CommunityID().calc(communityid.FlowTuple.make_ip(str(pair[0]), str(pair[1]), protocol))
    assert community_id(pair[0].packed, pair[1].packed, 0, 0, protocol, (-1, -1)) == want


@pytest.mark.skipif(shutil.which("tshark") is None, reason="there is no tshark")
@pytest.mark.parametrize("name", ["bot.pcap", "http_ipv6.pcap", "mixed.pcap", "ssh.pcap"])
def test_wireshark_names_the_same_flows(data_dir: Path, name: str) -> None:
    path = data_dir / "pcap" / name
    options = ["--enable-protocol", "communityid", "-T", "fields", "-e", "communityid"]
    done = subprocess.run(["tshark", "-r", str(path), *options], capture_output=True, text=True, check=True)
    want = {line for line in done.stdout.split() if line.startswith("1:")}
    found = read_capture(path)
    ids = of_flows(meter(found.packets), found.hosts).community_ids
    assert ids is not None
    assert want
    assert set(ids) >= want  # it leaves out flows that are neither TCP, UDP, SCTP nor ICMP
    assert all(ipaddress.ip_address(host) for host in found.hosts.names(found.packets.source[:5]))
