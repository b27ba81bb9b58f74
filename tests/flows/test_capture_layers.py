"""Link types, tunnels and fragments: packets wrapped here by hand, layer by layer, and read back."""

import bz2
import gzip
import ipaddress
import lzma
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.errors import InputError
from nids_jax.flows.capture import Capture, read_capture
from nids_jax.flows.capture.fragments import LASTING
from nids_jax.flows.meter import meter
from nids_jax.flows.packets import ICMP, ICMPV6, UDP
from tests.flows.capture_writer import Sent, internet, pcap, transport
from tests.flows.test_capture import ONE, SIX, check, one_frame, written

DATAGRAM = Sent(ONE.time, "10.0.0.1", "10.0.0.2", (5000, 53), UDP, 44, 0, 0, 0, 0, 0)
FOUR_KIND, SIX_KIND = b"\x08\x00", b"\x86\xdd"


def kind(sent: Sent) -> bytes:
    return FOUR_KIND if ipaddress.ip_address(sent.source).version == 4 else SIX_KIND


def ethernet(inner: bytes, ethertype: bytes) -> bytes:
    return b"\2" * 12 + ethertype + inner


# --- Link types ------------------------------------------------------------------------------------------------------

PPP = {FOUR_KIND: 0x21, SIX_KIND: 0x57}
SNAP = b"\xaa\xaa\x03\0\0\0"
LINKS: list[tuple[int, Callable[[Sent], bytes]]] = [
    (9, lambda s: b"\xff\x03\0" + bytes([PPP[kind(s)]]) + internet(s)),
    (9, lambda s: bytes([PPP[kind(s)]]) + internet(s)),
    (50, lambda s: b"\xff\x03\0" + bytes([PPP[kind(s)]]) + internet(s)),
    (51, lambda s: b"\x11\0\0\1\0\0\0" + bytes([PPP[kind(s)]]) + internet(s)),
    (104, lambda s: b"\x0f\0" + kind(s) + internet(s)),
    (109, lambda s: bytes(12) + internet(s)),
    (117, lambda s: bytes([61]) + bytes(63) + internet(s)),
    (228, internet),
    (229, internet),
    (12, internet),
    (14, internet),
    (108, lambda s: bytes(4) + internet(s)),
    (239, lambda s: b"\2\0\0\0\x05\0\1\0x\0\0\0" + struct.pack("<HH", 4 + len(internet(s)), 9) + internet(s)),
    (105, lambda s: b"\x08\1" + bytes(22) + SNAP + kind(s) + internet(s)),
    (105, lambda s: b"\x88\3" + bytes(30) + SNAP + kind(s) + internet(s)),
    (127, lambda s: b"\0\0\x0a\0" + bytes(6) + b"\x08\2" + bytes(22) + SNAP + kind(s) + internet(s)),
    (192, lambda s: b"\0\0\x08\0\x01\0\0\0" + ethernet(internet(s), kind(s))),
    (1, lambda s: ethernet(SNAP + kind(s) + internet(s), struct.pack(">H", 8 + len(internet(s))))),
    (1, lambda s: ethernet(b"\0\x01\0\x40\0\x02\1\x40" + internet(s), b"\x88\x47")),  # two MPLS labels
]


@pytest.mark.parametrize("sent", [ONE, SIX])
@pytest.mark.parametrize(("link", "frame"), LINKS)
def test_link_types(tmp_path: Path, link: int, frame: Callable[[Sent], bytes], sent: Sent) -> None:
    capture = read_capture(written(tmp_path, one_frame(frame(sent), link)))
    check(capture, [replace(sent)])
    assert not capture.left_out


def test_an_encrypted_wireless_frame_is_left_out(tmp_path: Path) -> None:
    frame = b"\x08\x41" + bytes(22) + SNAP + FOUR_KIND + internet(ONE)
    assert read_capture(written(tmp_path, one_frame(frame, 105))).left_out == {"not IP": 1}


# --- Transports ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "header"), [(132, 12), (136, 8), (33, 16)])
def test_other_transports_have_ports(tmp_path: Path, protocol: int, header: int) -> None:
    body = struct.pack(">HHB", 1000, 2000, 4) + bytes(30)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, protocol, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2])
    packets = read_capture(written(tmp_path, one_frame(head + body, 101))).packets
    assert (packets.source_port[0], packets.destination_port[0]) == (1000, 2000)
    assert (packets.header[0], packets.payload[0]) == (header, len(body) - header)


@pytest.mark.parametrize(("protocol", "source"), [(ICMP, "10.0.0.1"), (ICMPV6, "2001:db8::1")])
def test_icmp_has_a_type_and_a_code(tmp_path: Path, protocol: int, source: str) -> None:
    packet = bytearray(internet(replace(DATAGRAM, source=source, destination=source, protocol=protocol)))
    packet[len(packet) - 52 : len(packet) - 50] = b"\x03\x01"
    capture = read_capture(written(tmp_path, one_frame(bytes(packet), 101)))
    assert capture.packets.icmp.tolist() == [0x0301]
    flows = meter(capture.packets)
    assert [flows.x[0, flows.features.index(f"icmp_{name}")] for name in ("type", "code")] == [3, 1]


# --- Tunnels ---------------------------------------------------------------------------------------------------------


def outer(body: bytes, protocol: int) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, protocol, 0)
    return head + bytes([192, 168, 0, 1, 192, 168, 0, 2]) + body


def in_udp(body: bytes, port: int) -> bytes:
    return outer(struct.pack(">HHHH", 40_000, port, 8 + len(body), 0) + body, 17)


TUNNELS: list[Callable[[bytes, bytes], bytes]] = [
    lambda packet, kind: outer(b"\0\0" + kind + packet, 47),
    lambda packet, kind: outer(b"\xb0\0" + kind + bytes(12) + packet, 47),  # checksum, key, sequence number
    lambda packet, kind: outer(b"\0\0\x65\x58" + ethernet(packet, kind), 47),
    lambda packet, kind: outer(b"\x10\0\x88\xbe" + bytes(12) + ethernet(packet, kind), 47),
    lambda packet, kind: outer(packet, 4 if kind == FOUR_KIND else 41),
    lambda packet, kind: in_udp(b"\x08\0\0\0\0\0\x09\0" + ethernet(packet, kind), 4789),
    lambda packet, kind: in_udp(b"\x02\0\x65\x58" + bytes(12) + ethernet(packet, kind), 6081),  # an option of 8 bytes
    lambda packet, kind: in_udp(b"\x30\xff" + struct.pack(">H", len(packet)) + bytes(4) + packet, 2152),
    lambda packet, kind: in_udp(
        b"\x34\xff" + struct.pack(">H", len(packet) + 8) + bytes(4) + b"\0\0\0\x85\1\0\0\0" + packet, 2152
    ),
]


@pytest.mark.parametrize(
    "sent",
    [replace(DATAGRAM, source=s, destination=d) for s, d in [("1.1.1.1", "2.2.2.2"), ("2001:db8::1", "2001:db8::2")]],
)
@pytest.mark.parametrize("tunnel", TUNNELS)
def test_tunnels_are_unpacked_on_request(tmp_path: Path, tunnel: Callable[[bytes, bytes], bytes], sent: Sent) -> None:
    path = written(tmp_path, one_frame(tunnel(internet(sent), kind(sent)), 101))
    check(read_capture(path, decapsulate=True), [sent])
    packed = read_capture(path)
    assert packed.hosts[packed.packets.source[0]] == "192.168.0.1"
    twice = written(tmp_path, one_frame(tunnel(tunnel(internet(sent), kind(sent)), FOUR_KIND), 101))
    check(read_capture(twice, decapsulate=True), [sent])


@settings(deadline=None)
@given(st.sampled_from([1, 9, 50, 51, 104, 105, 117, 127, 192, 239, 101]), st.integers(0, 8), st.binary(max_size=60))
def test_no_frame_does_harm_inside_a_tunnel(
    tmp_path_factory: pytest.TempPathFactory, link: int, which: int, junk: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.pcap"
    tunnelled = TUNNELS[which](junk, FOUR_KIND)
    for frame, of in ((junk, link), (tunnelled, 101), (tunnelled[: 20 + len(junk)], 101)):
        path.write_bytes(one_frame(frame, of))
        capture = read_capture(path, decapsulate=True)
        assert len(capture.packets) + sum(capture.left_out.values()) == 1


# --- Fragments -------------------------------------------------------------------------------------------------------


def cut(sent: Sent, size: int, identification: int) -> list[bytes]:
    """The packet in fragments of so many bytes, a multiple of 8."""
    body, _ = transport(sent)
    source, destination = (ipaddress.ip_address(each) for each in (sent.source, sent.destination))
    parts = []
    for at in range(0, len(body), size):
        piece, more = body[at : at + size], at + size < len(body)
        if source.version == 4:
            head = struct.pack(
                ">BBHHHBBH", 0x45, 0, 20 + len(piece), identification, more << 13 | at // 8, 64, sent.protocol, 0
            )
            parts.append(head + source.packed + destination.packed + piece)
        else:
            head = struct.pack(">IHBB", 6 << 28, 8 + len(piece), 44, 64) + source.packed + destination.packed
            parts.append(head + struct.pack(">BBHI", sent.protocol, 0, at | more, identification) + piece)
    return parts


def capture_of(frames: list[tuple[int, bytes]]) -> bytes:
    content = pcap([], 101)
    for time, frame in frames:
        content += struct.pack("<IIII", time // 1_000_000, time % 1_000_000, len(frame), len(frame)) + frame
    return content


def of_ports(capture: Capture) -> set[tuple[int, int]]:
    return set(zip(capture.packets.source_port.tolist(), capture.packets.destination_port.tolist(), strict=True))


@settings(deadline=None)
@given(st.permutations(range(8)), st.booleans())
def test_fragments_in_any_order_are_one_flow(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], six: bool
) -> None:
    sent = replace(DATAGRAM, payload=1000, **({"source": "2001:db8::1", "destination": "2001:db8::2"} if six else {}))
    parts = [*cut(sent, 256, 5), *cut(replace(sent, ports=(6000, 53)), 256, 6)]
    path = tmp_path_factory.getbasetemp() / "cut.pcap"
    path.write_bytes(capture_of([(1000 + i, parts[k]) for i, k in enumerate(order)]))
    capture = read_capture(path)
    assert (len(capture.packets), capture.left_out) == (8, {})
    flows = meter(capture.packets)
    assert sorted(flows.packets.tolist()) == [4, 4]
    assert {tuple(pair) for pair in zip(flows.source_port.tolist(), flows.destination_port.tolist(), strict=True)} <= {
        (5000, 53),
        (6000, 53),
    }
    payload = flows.x[:, flows.features.index("total_length_of_fwd_packets")]
    assert payload.tolist() == [1000, 1000]


def test_fragments_without_a_first_one_are_counted(tmp_path: Path) -> None:
    parts = cut(replace(DATAGRAM, payload=600), 256, 9)
    capture = read_capture(written(tmp_path, capture_of([(1, parts[1]), (2, parts[2])])))
    assert (len(capture.packets), capture.left_out) == (0, {"fragment without its first": 2})
    late = read_capture(written(tmp_path, capture_of([(1, parts[0]), (2 + LASTING, parts[1])])))
    assert late.left_out == {"fragment without its first": 1}
    again = cut(replace(DATAGRAM, payload=600, ports=(7, 8)), 256, 9)  # the identification is used again
    both = read_capture(written(tmp_path, capture_of([(i, part) for i, part in enumerate([*parts, *again])])))
    assert of_ports(both) == {(5000, 53), (7, 8)}
    assert both.packets.source_port.tolist() == [5000] * 3 + [7] * 3


# --- Compression -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda content: pa.compress(content, codec="zstd", asbytes=True),
        lambda content: pa.compress(content, codec="lz4", asbytes=True),
    ],
)
def test_compressed_captures_whatever_their_names(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(pcap([ONE] * 50, 1))
    check(read_capture(written(tmp_path, packed)), [ONE] * 50)
    try:
        half = read_capture(written(tmp_path, packed[: len(packed) // 2]))
    except InputError:  # of a format with large blocks nothing is left
        with pytest.raises(InputError, match=r"made.pcap is damaged from its beginning on"):
            read_capture(tmp_path / "made.pcap")
        return
    assert half.damage
    check(half, [ONE] * len(half.packets))


def test_addresses_have_the_same_numbers_however_many_there_are(tmp_path: Path) -> None:
    addresses = [str(ipaddress.IPv6Address((0x2001 << 112) + 7919 * i)) for i in range(3000)]
    sents = [replace(SIX, source=a, destination=b) for a, b in zip(addresses, addresses[::-1], strict=True)]
    capture = read_capture(written(tmp_path, pcap(sents * 2, 101)))
    names = capture.hosts.names(capture.packets.source)
    assert names.tolist() == [sent.source for sent in sents * 2]
    assert len(np.unique(capture.packets.source)) == 3000
