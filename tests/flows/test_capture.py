"""Captures against a plain reader, against packets written here byte by byte, and damaged in every way."""

import gzip
import ipaddress
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.errors import InputError
from nids_jax.flows.capture import Capture, read_capture
from nids_jax.flows.packets import ACK, ICMP, ICMPV6, SYN, TCP, UDP
from tests.flows.capture_reader import read_packets
from tests.flows.capture_writer import Sent, block, framed, internet, pcap, pcapng, transport

CAPTURES = [
    *("CIC-DDoS-2019-WebDDoS.pcap", "WebattackRCE.pcap", "bot.pcap", "http_ipv6.pcap", "log4j-webapp-exploit.pcap"),
    *("mixed.pcap", "modbus.pcap", "netbios.pcap", "tcp_scan.pcapng", "tftp.pcap"),
]


@pytest.mark.parametrize("name", CAPTURES)
def test_real_captures_are_read_as_the_plain_reader_does(data_dir: Path, name: str) -> None:
    want, numbers = read_packets(data_dir / "pcap" / name)
    got = read_capture(data_dir / "pcap" / name)
    hosts = {number: str(ipaddress.ip_address(address)) for address, number in numbers.items()}
    for column, values in vars(want).items():
        found = getattr(got.packets, column)
        if column in ("source", "destination"):
            assert [hosts[i] for i in values] == [got.hosts[i] for i in found]
        else:
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values, err_msg=column)
    assert not got.damage
    assert got.frames == len(want) + sum(got.left_out.values())


# --- Packets written here --------------------------------------------------------------------------------------------


def check(capture: Capture, packets: list[Sent]) -> None:
    got = capture.packets
    assert [capture.hosts[i] for i in got.source] == [sent.source for sent in packets]
    assert [capture.hosts[i] for i in got.destination] == [sent.destination for sent in packets]
    for i, sent in enumerate(packets):
        tcp, ported = sent.protocol == TCP, sent.protocol in (TCP, UDP)
        want = {
            "time": sent.time,
            "source_port": sent.ports[0] * ported,
            "destination_port": sent.ports[1] * ported,
            "protocol": sent.protocol,
            "header": transport(sent)[1],
            "payload": sent.payload,
            "flags": sent.flags * tcp,
            "window": sent.window * tcp,
        }
        assert {name: int(getattr(got, name)[i]) for name in want} == want


pairs = st.sampled_from([("10.0.0.1", "192.168.255.7"), ("8.8.8.8", "10.0.0.1"), ("2001:db8::1", "fe80::2:3")])
sents = st.builds(
    lambda pair, **rest: Sent(source=pair[0], destination=pair[1], **rest),
    pairs,
    time=st.integers(0, 2**32 * 1_000_000 - 1),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    protocol=st.sampled_from([TCP, UDP, ICMP, ICMPV6]),
    payload=st.integers(0, 1460),
    options=st.integers(0, 10),
    flags=st.integers(0, 255),
    window=st.integers(0, 65535),
    tags=st.integers(0, 2),
    further=st.integers(0, 3),
)
links = st.sampled_from([1, 113, 276, 0, 101])


def written(folder: Path, content: bytes) -> Path:
    path = folder / "made.pcap"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captures")


@settings(deadline=None)
@given(st.lists(sents, max_size=6), links, st.sampled_from("<>"), st.booleans())
def test_what_is_written_is_read(folder: Path, packets: list[Sent], link: int, order: str, nano: bool) -> None:
    capture = read_capture(written(folder, pcap(packets, link, order, nano)))
    check(capture, packets)
    assert not capture.damage
    assert not capture.left_out


@settings(deadline=None)
@given(st.lists(sents, max_size=6), links, st.sampled_from("<>"), st.sampled_from([6, 7, 9]), st.integers(-9, 9))
def test_what_is_written_as_pcapng_is_read(
    folder: Path, packets: list[Sent], link: int, order: str, power: int, offset: int
) -> None:
    packets = [replace(sent, time=sent.time + 9_000_000) for sent in packets]  # ticks count from the offset on
    content = pcapng(packets, link, order, power, offset)
    check(read_capture(written(folder, content * 2)), packets * 2)  # a section may follow a section


@settings(deadline=None)
@given(st.lists(sents, min_size=1, max_size=4), st.booleans(), st.floats(0, 1, exclude_max=True))
def test_of_a_file_cut_short_the_whole_frames_count(folder: Path, packets: list[Sent], ng: bool, where: float) -> None:
    content = pcapng(packets, 1) if ng else pcap(packets, 1)
    empty = len(pcapng([], 1) if ng else pcap([], 1))
    cut = empty + int((len(content) - empty) * where)
    ends = [len(pcapng(packets[:n], 1) if ng else pcap(packets[:n], 1)) for n in range(len(packets) + 1)]
    whole = sum(end <= cut for end in ends) - 1
    capture = read_capture(written(folder, content[:cut]))
    check(capture, packets[:whole])
    assert bool(capture.damage) == (cut not in ends)


@settings(deadline=None)
@given(
    st.sampled_from([pcap([], 1), pcap([], 276, ">"), pcapng([], 1), b"\x1f\x8b\x08\0", b""]), st.binary(max_size=300)
)
def test_no_bytes_do_more_than_be_refused(folder: Path, start: bytes, rest: bytes) -> None:
    path = written(folder, start + rest)
    try:
        capture = read_capture(path)
    except InputError:
        return
    assert len(capture.packets) + sum(capture.left_out.values()) == capture.frames


@settings(deadline=None)
@given(st.binary(max_size=120), st.sampled_from([1, 113, 276, 0, 101, 147]))
def test_no_frame_does_harm(folder: Path, frame: bytes, link: int) -> None:
    content = pcap([], link) + struct.pack("<IIII", 1, 2, len(frame), len(frame)) + frame
    capture = read_capture(written(folder, content))
    assert capture.frames == 1
    assert len(capture.packets) + sum(capture.left_out.values()) == 1
    assert link != 147 or capture.left_out == {"link type 147": 1}


ONE = Sent(1_500_000_000_123_456, "10.0.0.1", "10.0.0.2", (1024, 80), TCP, 1000, 3, SYN | ACK, 512, 0, 0)


def test_a_payload_is_as_long_as_the_header_says(tmp_path: Path) -> None:
    """Captures with a short snapshot length keep the headers alone."""
    frame = framed(ONE, 1)
    content = pcap([], 1) + struct.pack("<IIII", 5, 6, 66, len(frame)) + frame[:66]
    packets = read_capture(written(tmp_path, content)).packets
    assert (packets.payload[0], packets.header[0], packets.source_port[0]) == (1000, 32, 1024)
    content = pcap([], 1) + struct.pack("<IIII", 5, 6, 40, len(frame)) + frame[:40]
    packets = read_capture(written(tmp_path, content)).packets
    assert (packets.payload[0], packets.header[0], packets.source_port[0]) == (1032, 0, 0)  # no whole TCP header


def test_what_a_network_card_will_cut_up_has_no_length(tmp_path: Path) -> None:
    frame = bytearray(framed(ONE, 101))
    frame[2:4] = b"\0\0"
    content = pcap([], 101)
    for kept in (len(frame), 60):
        content += struct.pack("<IIII", 5, 6, kept, len(frame)) + frame[:kept]
    assert read_capture(written(tmp_path, content)).packets.payload.tolist() == [1000, 1000]
    content = pcap([], 101) + struct.pack("<IIII", 5, 6, len(frame), 2**32 - 1) + frame  # no frame is so long
    assert read_capture(written(tmp_path, content)).packets.payload.tolist() == [2**28 - 52]
    nothing = struct.pack(">IHBB", 6 << 28, 0, 59, 64) + bytes(32) + b"padded"
    content = pcap([], 101) + struct.pack("<IIII", 5, 6, len(nothing), len(nothing)) + nothing
    assert read_capture(written(tmp_path, content)).packets.payload.tolist() == [0]


def test_later_fragments_without_a_first_one_have_no_ports(tmp_path: Path) -> None:
    four = bytearray(framed(ONE, 101))
    four[6:8] = struct.pack(">H", 0x2000 | 100)
    plain = Sent(0, "2001:db8::1", "2001:db8::2", (1024, 80), UDP, 100, 0, 0, 0, 0, 0)
    six = framed(plain, 101)
    six = six[:4] + struct.pack(">H", 116) + bytes([44]) + six[7:40] + struct.pack(">BBHI", UDP, 0, 8, 9) + six[40:]
    content = pcap([], 101)
    for frame in (bytes(four), six):
        content += struct.pack("<IIII", 5, 6, len(frame), len(frame)) + frame
    capture = read_capture(written(tmp_path, content))
    assert (capture.frames, capture.left_out) == (2, {"fragment without its first": 2})
    packets = read_capture(tmp_path / "made.pcap", orphans=True).packets
    assert packets.protocol.tolist() == [TCP, UDP]
    assert packets.source_port.tolist() == packets.header.tolist() == [0, 0]
    assert packets.payload.tolist() == [1032, 108]


def one_frame(frame: bytes, link: int) -> bytes:
    return pcap([], link) + struct.pack("<IIII", 1_500_000_000, 123_456, len(frame), len(frame)) + frame


SIX = replace(ONE, source="2001:db8::1", destination="2001:db8::2")


@pytest.mark.parametrize(("sent", "kind"), [(ONE, b"\0\x21"), (SIX, b"\0\x57")])
def test_pppoe(tmp_path: Path, sent: Sent, kind: bytes) -> None:
    inner = internet(sent)
    session = bytes(12) + b"\x88\x64\x11\0\0\1" + struct.pack(">H", len(inner) + 2) + kind + inner
    check(read_capture(written(tmp_path, one_frame(session, 1))), [sent])


@pytest.mark.parametrize("tag", [b"\x88\xa8", b"\x91\0"])
def test_further_tags(tmp_path: Path, tag: bytes) -> None:
    frame = bytes(12) + tag + b"\0\7" + b"\x81\0\0\5" + b"\x08\0" + internet(ONE)
    check(read_capture(written(tmp_path, one_frame(frame, 1))), [ONE])


@pytest.mark.parametrize(("link", "before"), [(12, b""), (14, b""), (228, b""), (229, b""), (108, b"\0\0\0\2")])
def test_bare_ip(tmp_path: Path, link: int, before: bytes) -> None:
    sent = SIX if link == 229 else ONE
    check(read_capture(written(tmp_path, one_frame(before + internet(sent), link))), [sent])


def test_an_authenticated_packet(tmp_path: Path) -> None:
    packet = internet(SIX)
    body = bytes([TCP, 4]) + bytes(22) + packet[40:]  # an authentication header of 6 words
    frame = packet[:4] + struct.pack(">HBB", len(body), 51, 64) + packet[8:40] + body
    check(read_capture(written(tmp_path, one_frame(frame, 101))), [SIX])


def test_what_is_not_ip_is_counted(tmp_path: Path) -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    content = one_frame(arp, 1) + struct.pack("<IIII", 1, 2, 20, 20) + bytes(12) + b"\x08\0\x45" + bytes(5)
    assert read_capture(written(tmp_path, content)).left_out == {"not IP": 1, "IP header cut off or damaged": 1}


@pytest.mark.parametrize(("place", "value"), [(32, b"\0"), (2, b"\0\x18")])
def test_impossible_headers_give_no_ports(tmp_path: Path, place: int, value: bytes) -> None:
    """A TCP header of no words; an IP packet that ends within it."""
    frame = bytearray(framed(ONE, 101))
    frame[place : place + len(value)] = value
    packets = read_capture(written(tmp_path, one_frame(bytes(frame), 101))).packets
    assert (packets.source_port[0], packets.header[0], packets.flags[0]) == (0, 0, 0)


def test_longer_record_headers(tmp_path: Path) -> None:
    frame = framed(ONE, 1)
    content = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    content += struct.pack("<IIII", 1_500_000_000, 123_456, len(frame), len(frame)) + bytes(8) + frame
    check(read_capture(written(tmp_path, content)), [ONE])


def section(packet: bytes, kind: int = 6, options: bytes = b"") -> bytes:
    head = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), "<")
    return head + block(1, struct.pack("<HHI", 101, 0, 0) + options, "<") + block(kind, packet, "<")


def test_old_packet_blocks_and_binary_clocks(tmp_path: Path) -> None:
    frame, seconds = internet(ONE), ONE.time / 1e6
    ticks = round(seconds * 2**20)
    options = struct.pack("<HHIHHBxxxHH", 2, 3, 0x00636261, 9, 1, 0x80 | 20, 0, 0)  # a name first
    body = struct.pack("<HHIIII", 0, 9, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)) + frame
    capture = read_capture(written(tmp_path, section(body, 2, options)))
    assert abs(int(capture.packets.time[0]) - ONE.time) <= 1
    check(capture, [replace(ONE, time=int(capture.packets.time[0]))])


@pytest.mark.parametrize(
    ("ticks", "options"),
    [
        (2**64 - 1, b""),
        (2**53 + 5, b""),
        (10**12, struct.pack("<HHBxxx", 9, 1, 0)),
        (0, struct.pack("<HHq", 14, 8, -10)),
        (0, struct.pack("<HHq", 14, 8, 2**62)),
    ],
)
def test_impossible_times_are_refused(tmp_path: Path, ticks: int, options: bytes) -> None:
    body = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 0, 0)
    with pytest.raises(InputError, match=r"made.pcap: packet 0 is of before 1970 or after 2255"):
        read_capture(written(tmp_path, section(body, 6, options)))


def test_a_damaged_interface_or_section_ends_the_capture(tmp_path: Path) -> None:
    whole = pcapng([ONE], 1)
    short = block(1, bytes(4), "<")
    for further in (short + whole, whole[:8] + b"abcd" + whole[12:]):
        capture = read_capture(written(tmp_path, whole + further))
        check(capture, [ONE])
        assert capture.damage == f"unreadable from byte {len(whole):,} on"


def test_gzipped_captures(tmp_path: Path) -> None:
    content = pcap([ONE] * 9, 1)
    packed = gzip.compress(content)
    check(read_capture(written(tmp_path, packed)), [ONE] * 9)
    strung = packed + gzip.compress(pcap([ONE], 1)[24:]) + bytes(5000)
    capture = read_capture(written(tmp_path, strung))
    check(capture, [ONE] * 10)
    assert not capture.damage


def test_of_a_damaged_gzipped_file_nearly_all_counts(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 1000), np.uint8)
    content = pcap([], 101)
    frame = internet(replace(ONE, payload=1000))
    for each in noise:
        content += struct.pack("<IIII", 5, 6, len(frame), len(frame)) + frame[:-1000] + each.tobytes()
    packed = bytearray(gzip.compress(content))
    packed[-6] ^= 1  # the checksum
    capture = read_capture(written(tmp_path, bytes(packed)))
    assert 290 < capture.frames < 301
    assert capture.damage
    cut = read_capture(written(tmp_path, bytes(packed[: len(packed) // 2])))
    assert 140 < cut.frames < 151
    assert cut.damage


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 bytes, too few"),
        (b"\xd4\xc3\xb2\xa1\2\0", "has 6 bytes, too few"),
        (b"\n\r\r\nhello world this is text", "begins like pcapng"),
        (pcapng([], 1)[:8] + b"abcd" + pcapng([], 1)[12:], "begins like pcapng"),
        (b"Flow ID,Src IP\n1,2\n", "is no capture: it begins with 466c6f77"),
        (pcapng([], 1) + block(3, bytes(4), "<"), "packets without times"),
    ],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_capture(written(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the capture"):
        read_capture(tmp_path / "none.pcap")
    with pytest.raises(InputError, match="cannot read the capture"):
        read_capture(tmp_path)
