"""Captures of packet columns: read back, taken apart byte by byte, and judged by Wireshark where it is installed."""

import io
import itertools
import re
import shutil
import struct
import subprocess
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.files import whole_or_absent
from nids_jax.flows.capture import read_capture, wire
from nids_jax.flows.capture.writer import Form, write_capture
from nids_jax.flows.meter import Compat, meter
from nids_jax.flows.packets import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, Packets
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_packets

START = 1_500_000_000_000_000
FORMS: tuple[Form, ...] = ("pcap", "pcapng")


def written(*pieces: Packets, form: Form = "pcap") -> bytes:
    file = io.BytesIO()
    list(write_capture(file, pieces, form))
    return file.getvalue()


def made(*rows: tuple[int, bool, int, int, int], protocol: int = TCP, port: int = 80) -> Packets:
    """Packets of one conversation from (ms, whether the client sends it, payload, header, flags)."""
    time, up, payload, header, flags = (np.array(column) for column in zip(*rows, strict=True))
    up = up.astype(bool)
    ports = (40_000, port) if protocol in (TCP, UDP) else (0, 0)
    return Packets(
        time=START + time.astype(np.int64) * 1000,
        source=np.where(up, 900, 3),
        destination=np.where(up, 3, 900),
        source_port=np.where(up, *ports).astype(np.int32),
        destination_port=np.where(up, *ports[::-1]).astype(np.int32),
        protocol=np.full(len(up), protocol, np.int16),
        payload=payload.astype(np.int32),
        header=header.astype(np.int32),
        flags=flags.astype(np.uint8),
        window=np.full(len(up), 500 * (protocol == TCP), np.int32),
        icmp=np.where(protocol == ICMP, np.where(up, 8 << 8, 0), -1).astype(np.int32),
    )


@pytest.fixture(scope="module")
def simulated() -> Packets:
    return simulate_packets(dict.fromkeys(SIMULATED_CLASSES, 60), seed=5)[0]


# --- Read by the package itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compat", ["none", "corrected", "cicflowmeter"])
def test_a_written_capture_is_metered_like_the_packets(simulated: Packets, form: Form, compat: Compat, tmp_path: Path):
    path = tmp_path / "made.cap"
    path.write_bytes(written(simulated, form=form))
    capture = read_capture(path)
    assert (capture.frames, capture.damage, capture.left_out) == (len(simulated), "", {})
    for name in ("time", "source_port", "destination_port", "protocol", "payload", "header", "flags", "window", "icmp"):
        np.testing.assert_array_equal(getattr(capture.packets, name), getattr(simulated, name))
    direct, read = meter(simulated, compat=compat), meter(capture.packets, compat=compat)
    np.testing.assert_array_equal(direct.x, read.x)
    np.testing.assert_array_equal(direct.start, read.start)
    hosts = capture.hosts.names(np.unique([capture.packets.source, capture.packets.destination]))
    assert all(
        each.startswith("10.")
        for each in capture.hosts.names(np.unique(capture.packets.source[capture.packets.flags == SYN]))
    )
    assert {each.split(".")[0] for each in hosts} == {"10", "198"}


def test_datagrams_echoes_and_unknown_protocols_are_read_back(tmp_path: Path):
    kinds = [made((i, True, 9, 8, 0), (i + 1, False, 30, 8, 0), protocol=kind) for i, kind in ((1, UDP), (3, ICMP))]
    kinds.append(made((9, True, 12, 0, 0), protocol=47))
    path = tmp_path / "made.cap"
    for each in kinds:
        path.write_bytes(written(each))
        found = read_capture(path).packets
        for name in ("time", "source_port", "destination_port", "protocol", "payload", "header"):
            np.testing.assert_array_equal(getattr(found, name), getattr(each, name))


# --- Taken apart byte by byte ----------------------------------------------------------------------------------------


class Frame(NamedTuple):
    time: int
    frame: bytes

    @property
    def ip(self) -> bytes:
        return self.frame[14 : 14 + int.from_bytes(self.frame[16:18])]

    @property
    def transport(self) -> bytes:
        return self.ip[20:]

    @property
    def flags(self) -> int:
        return self.transport[13]

    @property
    def header(self) -> int:
        return (self.transport[12] >> 4) * 4

    @property
    def ends(self) -> tuple[bytes, bytes]:
        """Source and destination: address and port."""
        return self.ip[12:16] + self.transport[:2], self.ip[16:20] + self.transport[2:4]

    @property
    def numbers(self) -> tuple[int, int]:
        return int.from_bytes(self.transport[4:8]), int.from_bytes(self.transport[8:12])

    @property
    def span(self) -> int:
        """How many sequence numbers it takes."""
        return len(self.transport) - self.header + bool(self.flags & SYN) + bool(self.flags & FIN)

    def options(self) -> dict[int, bytes]:
        found, rest = {}, self.transport[20 : self.header]
        while rest and rest[0]:
            if rest[0] == 1:
                rest = rest[1:]
                continue
            assert 2 <= rest[1] <= len(rest)
            found[rest[0]], rest = rest[2 : rest[1]], rest[rest[1] :]
        return found


def frames(content: bytes, form: Form = "pcap") -> list[Frame]:
    found, at = [], 24 if form == "pcap" else 48
    while at < len(content):
        if form == "pcap":
            seconds, micro, captured, sent = struct.unpack_from("<IIII", content, at)
            begin, time = at + 16, seconds * 1_000_000 + micro
            at = begin + captured
        else:
            kind, length, _, high, low, captured, sent = struct.unpack_from("<IIIIIII", content, at)
            begin, time = at + 28, high << 32 | low
            assert (kind, length % 4, struct.unpack_from("<I", content, at + length - 4)) == (6, 0, (length,))
            assert length >= 28 + captured + 4
            at += length
        assert captured == sent
        found.append(Frame(time, content[begin : begin + captured]))
    assert at == len(content)
    return found


def ones_complement(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0")) for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("form", FORMS)
def test_lengths_and_checksums_are_right(form: Form):
    packets = simulate_packets(dict.fromkeys(SIMULATED_CLASSES, 4), seed=1)[0]
    found = frames(written(packets, form=form), form)
    assert [each.time for each in found] == packets.time.tolist()
    for each, payload, header in zip(found, packets.payload.tolist(), packets.header.tolist(), strict=True):
        assert len(each.frame) == max(60, 14 + len(each.ip))
        assert not any(each.frame[14 + len(each.ip) :])
        assert len(each.ip) == 20 + header + payload
        assert each.frame[12:15] == b"\x08\0\x45"
        assert ones_complement(each.ip[:20]) == 0xFFFF
        pseudo = each.ip[12:20] + bytes([0, each.ip[9]]) + len(each.transport).to_bytes(2)
        assert ones_complement(pseudo + each.transport) == 0xFFFF


@pytest.fixture(scope="module")
def talks(simulated: Packets) -> list[list[Frame]]:
    """The frames of each TCP conversation."""
    found: dict[frozenset, list[Frame]] = defaultdict(list)
    for each in frames(written(simulated)):
        if each.ip[9] == TCP:
            found[frozenset(each.ends)].append(each)
    return list(found.values())


def test_sequence_numbers_leave_no_gap_and_acknowledge_nothing_unseen(talks: list[list[Frame]]):
    repeats = 0
    for talk in talks:
        following: dict[bytes, int] = {}
        acknowledged: dict[bytes, int] = {}
        for each in talk:
            source, destination = each.ends
            sequence, acknowledgement = each.numbers
            following.setdefault(source, sequence)
            ahead = (sequence - following[source]) & 0xFFFFFFFF
            if ahead:  # sent before
                repeats += 1
                assert each.span > 0
                assert ((following[source] - sequence - each.span) & 0xFFFFFFFF) < 1 << 24
            else:
                following[source] = (sequence + each.span) & 0xFFFFFFFF
            if not each.flags & ACK:
                assert acknowledgement == 0
            elif destination in following:
                unseen = (following[destination] - acknowledgement) & 0xFFFFFFFF
                assert unseen < 1 << 24
                back = (acknowledgement - acknowledged.get(destination, acknowledgement)) & 0xFFFFFFFF
                assert back < 1 << 24
                acknowledged[destination] = acknowledgement
                if each is talk[-1]:
                    assert unseen == 0
    assert repeats > 20


def test_options_fill_the_header_and_timestamps_rise(talks: list[list[Frame]]):
    kinds = set()
    for talk in talks:
        stamps: dict[bytes, int] = {}
        for each in talk:
            options = each.options()
            kinds.add((bool(each.flags & SYN), *options))
            if each.flags & SYN:
                assert options[2] == (1460).to_bytes(2)
            if 8 in options:
                stamp, echo = struct.unpack(">II", options[8])
                source, destination = each.ends
                assert ((stamp - stamps.get(source, stamp)) & 0xFFFFFFFF) < 1 << 31
                stamps[source] = stamp
                if each.flags & ACK and destination in stamps:
                    assert echo == stamps[destination]
    mss, scale, sack, stamp = 2, 3, 4, 8
    assert kinds >= {(True, mss), (True, mss, scale, sack), (True, mss, sack, stamp, scale), (False, stamp), (False,)}


def relative(content: bytes) -> list[tuple[int, int]]:
    """Sequence and acknowledgement numbers from those of each side's first frame on."""
    found = frames(content)
    first: dict[bytes, int] = {}
    for each in found:
        first.setdefault(each.ends[0], each.numbers[0])
    result = []
    for each in found:
        source, destination = each.ends
        sequence, acknowledgement = each.numbers
        since = (acknowledgement - first[destination]) & 0xFFFFFFFF if each.flags & ACK else 0
        result.append(((sequence - first[source]) & 0xFFFFFFFF, since))
    return result


def test_the_numbers_of_a_conversation_told_by_hand():
    packets = made(
        (0, True, 0, 40, SYN),
        (1, False, 0, 40, SYN | ACK),
        (2, True, 0, 32, ACK),
        (3, True, 100, 32, PSH | ACK),
        (5, False, 1448, 32, ACK),
        (6, False, 1448, 32, ACK),
        (7, False, 10, 32, PSH | ACK),
        (8, True, 0, 32, ACK),  # of two segments
        (9, True, 0, 32, ACK),  # of the last
        (203, True, 100, 32, PSH | ACK),  # the request again
        (206, False, 1448, 32, ACK),  # the second segment again
        (300, False, 0, 32, FIN | ACK),
        (301, True, 0, 32, FIN | ACK),
        (302, False, 0, 32, ACK),
    )
    assert relative(written(packets)) == [
        *((0, 0), (0, 1), (1, 1), (1, 1)),
        *((1, 101), (1449, 101), (2897, 101)),
        *((101, 2897), (101, 2907)),
        *((1, 2907), (1449, 101)),
        *((2907, 101), (101, 2908), (2908, 102)),
    ]


def test_who_listens_to_nobody_answers_with_number_0():
    refused = made(
        (0, True, 0, 24, SYN), (1, False, 0, 20, RST | ACK), (500, True, 0, 24, SYN), (501, False, 0, 20, RST)
    )
    found = frames(written(refused))
    assert found[1].numbers == (0, found[0].numbers[0] + 1)
    assert found[2].numbers == found[0].numbers
    probed = frames(written(made((0, True, 0, 20, ACK), (1, False, 0, 20, RST))))
    assert probed[1].numbers == (probed[0].numbers[1], 0)


# --- What the payloads say -------------------------------------------------------------------------------------------


def payloads(packets: Packets) -> list[bytes]:
    return [each.transport[int(h) :] for each, h in zip(frames(written(packets)), packets.header, strict=True)]


def test_requests_and_answers_say_how_long_they_are():
    rows = [(1, True, 300, 20, PSH | ACK), (2, False, 1460, 20, ACK), (3, False, 700, 20, PSH | ACK)]
    request, head, rest = payloads(made(*rows, (9, True, 2000, 20, PSH | ACK)))[:3]
    assert re.fullmatch(rb"GET / HTTP/1\.1\r\n([\w-]+: [^\r]+\r\n)+\r\n", request)
    top, body = head.split(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 200 OK\r\n")
    length = re.search(rb"Content-Length: (\d+)", top)
    assert length is not None
    assert int(length[1]) == len(body) + len(rest)


def test_a_request_that_never_ends_has_no_blank_line():
    rows = [(i * 15_000, True, 12 if i else 230, 20, PSH | ACK) for i in range(4)]
    head, *lines = payloads(made(*rows))
    assert re.fullmatch(rb"POST / HTTP/1\.1\r\n([\w-]+: [^\r]+\r\n)+", head)
    assert lines == [b"X-a: bbbbb\r\n"] * 3


@pytest.mark.parametrize("answer", [40, 58, 59, 60, 70, 74, 75, 80, 200, 511])
def test_a_name_is_asked_for_and_answered(answer: int):
    question, reply = payloads(made((1, True, 40, 8, 0), (2, False, answer, 8, 0), protocol=UDP, port=53))
    assert question[:2] == reply[:2]
    assert question[2] & 0x80 == 0
    assert reply[2] & 0x80
    counts = struct.unpack(">4H", reply[4:12])
    at = 12
    for section, count in enumerate(counts):
        for _ in range(count):
            while reply[at] not in (0, 0xC0):
                at += reply[at] + 1
            at += 2 if reply[at] else 1
            at += 4
            if section:
                at += 6 + int.from_bytes(reply[at + 4 : at + 6])
    assert at == answer


@pytest.mark.parametrize(
    ("port", "protocol", "starts"), [(22, TCP, b"SSH-2.0-"), (21, TCP, b"220 "), (69, UDP, b"\0\3")]
)
def test_servers_say_who_they_are(port: int, protocol: int, starts: bytes):
    said = payloads(made((1, False, 40, 8 if protocol == UDP else 20, PSH | ACK), protocol=protocol, port=port))
    assert said[0].startswith(starts)


# --- In pieces -------------------------------------------------------------------------------------------------------


def test_pieces_are_merged_in_order_of_time_and_their_clients_differ():
    first, second = (simulate_packets({"BENIGN": 80, "PortScan": 80}, seed=seed)[0] for seed in (1, 2))
    second = replace(second, time=second.time + 5_000_000)
    file = io.BytesIO()
    labelled = list(write_capture(file, [first, second]))
    found = frames(file.getvalue())
    times = [each.time for each in found]
    assert times == sorted([*first.time.tolist(), *second.time.tolist()])
    tuples = {(frozenset(each.ends), each.ip[9]) for each in found}
    assert len(tuples) == 320 == sum(len(each.start) for each in labelled)
    alone = {each.ip for each in frames(written(first))}
    assert alone <= {each.ip for each in found}


def test_nothing_is_written_of_no_packets():
    nothing = simulate_packets({}, seed=0)[0]
    assert frames(written(nothing)) == []
    assert frames(written(form="pcapng"), "pcapng") == []


def test_what_a_capture_cannot_hold_is_refused():
    with pytest.raises(InputError, match="a packet has 65,540 bytes"):
        written(made((0, True, 65_500, 20, ACK)))
    late = made((0, True, 1, 20, ACK))
    with pytest.raises(InputError, match="before 1970 or after 2106"):
        written(replace(late, time=late.time * 10))


def test_hosts_without_an_address_are_refused(monkeypatch: pytest.MonkeyPatch):
    packets = made((0, True, 1, 20, ACK))
    monkeypatch.setattr(wire, "CLIENTS", (10 << 24, 4))
    with pytest.raises(InputError, match="more than 2 hosts begin conversations; write several captures"):
        written(packets, packets, packets)
    monkeypatch.setattr(wire, "SERVERS", (198 << 24, 3))
    assert len(frames(written(packets, packets))) == 2  # the same server
    with pytest.raises(InputError, match="more than 1 hosts answer"):
        written(packets, replace(packets, destination=packets.destination + 1))


def test_a_later_fragment_has_no_header(tmp_path: Path):
    fragment = replace(
        made((0, True, 1480, 0, 0)),
        **{name: np.zeros(1, np.int32) for name in ("source_port", "destination_port", "window")},
    )
    (tmp_path / "made.cap").write_bytes(written(fragment))
    found = read_capture(tmp_path / "made.cap", orphans=True).packets
    for name in ("protocol", "payload", "header", "flags", "source_port"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fragment, name))


def test_a_file_that_fails_is_not_there(tmp_path: Path):
    def fail() -> None:
        with whole_or_absent(tmp_path / "made.pcap", "output") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


# --- Judged by Wireshark ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("form", FORMS)
def test_wireshark_finds_nothing_but_resets(simulated: Packets, form: Form, tmp_path: Path):
    path = tmp_path / "made.cap"
    path.write_bytes(written(simulated, form=form))
    checks = itertools.chain(*(("-o", f"{each}.check_checksum:TRUE") for each in ("ip", "tcp", "udp")))
    done = subprocess.run(
        ["tshark", "-r", path, *checks, "-q", "-z", "expert,warn"], capture_output=True, text=True, check=True
    )
    found = re.findall(r"^ +(\d+) +(\S+) +(\S+) +(.*)$", done.stdout, re.MULTILINE)
    assert [each[1:] for each in found] == [("Sequence", "TCP", "Connection reset (RST)")]
