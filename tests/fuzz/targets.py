"""What is fuzzed: a function of bytes that raises nothing but InputError, and valid inputs to begin with."""

import bz2
import gzip
import io
import lzma
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nids_jax import compressed
from nids_jax.compressed import Unpacked
from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError
from nids_jax.flows.capture import read_capture
from nids_jax.flows.meter import meter
from tests.fuzz import command_lines
from tests.fuzz.folders import BUNDLE, CHECKPOINT
from tests.fuzz.mutations import check_sentence

_CONTENT = 1 << 24  # bytes that a compressed input may unpack to here: more only takes time


class Target(NamedTuple):
    """A reader under test."""

    read: Callable[[bytes, Path], None]  # (input, folder for its file)
    seeds: Callable[[], list[bytes]]


def _table(name: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        path = folder / f"{os.getpid()}{name}"
        path.write_bytes(data)
        try:
            table, report = read_flows(path, progress=False)
        except InputError as error:
            check_sentence(error)
            return
        assert len(table) == report.kept > 0
        assert np.isfinite(table.x).all()
        assert table.x.shape[1] == len(table.features)
        str(report)

    return read


def _unpack(data: bytes, folder: Path) -> None:
    compressed._ALWAYS = _CONTENT
    try:
        unpacked = Unpacked(io.BytesIO(data), "input", ratio=1)
        while unpacked.read(1 << 20):
            pass
    except InputError as error:
        check_sentence(error)


def _capture(data: bytes, folder: Path) -> None:
    path = folder / f"{os.getpid()}.pcap"
    path.write_bytes(data)
    for decapsulate in (False, True):
        try:
            found = read_capture(path, decapsulate=decapsulate)
        except InputError as error:
            check_sentence(error)
            return
        assert found.frames == sum(found.left_out.values()) + len(found.packets)
        assert meter(found.packets).packets.sum() == len(found.packets)


def _csv_seeds() -> list[bytes]:
    rows = "".join(f"{i},{i / 7:.3f},{['tcp', 'udp'][i % 2]},{'ab'[i % 2]}\n" for i in range(30))
    commas = "".join(f"{i},5;1.{i:03d},25;{'ab'[i % 2]}\n" for i in range(30))
    return [
        f"flow_duration,rate,proto,Label\n{rows}".encode(),
        f"x;y;label\n{commas}".encode(),
        b'a,b,Label\r\n"1,000",2.5,x\r\n"2,000",Infinity,y\r\n,,\r\na,b,Label\r\n3,4,x,\r\n',
        "\ufeffa\tb\tlabel\n1\t\tNeedManualLabel\n2\t3\tWeb Attack \x96 XSS\n".encode(),
        b"a,a,attack,category\n1,2,x,y\n",
    ]


def _arff_seeds() -> list[bytes]:
    return [
        b"@relation r\n@attribute 'dur x' numeric\n@attribute p {tcp,'u d'}\n@attribute Label {x,y}\n@data\n"
        b"1,tcp,x\n% a comment\n2,'u d',y\n?,tcp,x\n",
        b'@RELATION r\n\n@ATTRIBUTE a REAL\n@ATTRIBUTE s STRING\n@ATTRIBUTE class {"0","1"}\n@DATA\n1.5,"q\\"q",0\n',
    ]


def _parquet_seeds() -> list[bytes]:
    seeds = []
    for codec in ("none", "snappy"):
        out = io.BytesIO()
        columns = {"dur": [1.0, 2.0, None], "p": ["tcp", "udp", "tcp"], "n": [1, 2, 3], "Label": ["x", "y", "x"]}
        pq.write_table(pa.table(columns), out, compression=codec)
        seeds.append(out.getvalue())
    return seeds


def _compressed_seeds() -> list[bytes]:
    content = b"some content, " * 40
    seeds = [gzip.compress(content), bz2.compress(content), lzma.compress(content)]
    for codec in ("zstd", "lz4"):
        out = pa.BufferOutputStream()
        with pa.CompressedOutputStream(out, codec) as stream:
            stream.write(content)
        seeds.append(out.getvalue().to_pybytes())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inside", content)
    return [*seeds, archive.getvalue(), seeds[0] * 2 + bytes(7)]


def _frame(version: int) -> bytes:
    udp = struct.pack(">HHHH", 5353, 53, 12, 0) + b"abcd"
    if version == 4:
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\n\0\0\1", b"\n\0\0\2")
        return bytes(12) + b"\x08\x00" + head + udp
    head = struct.pack(">IHBB16s16s", 6 << 28, len(udp), 17, 64, bytes(15) + b"\1", bytes(15) + b"\2")
    return bytes(12) + b"\x86\xdd" + head + udp


def _capture_seeds() -> list[bytes]:
    frames = [_frame(4), _frame(6)]
    records = b"".join(struct.pack("<IIII", 5, 6, len(f), len(f)) + f for f in frames)
    pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + size + body + size

    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = struct.pack("<HHBxxxHHqHH", 9, 1, 9, 14, 8, 0, 0, 0)
    pcapng = section + block(1, struct.pack("<HHI", 1, 0, 0) + options)
    for frame in frames:
        pcapng += block(6, struct.pack("<IIIII", 0, 0, 9, len(frame), len(frame)) + frame)
    inside = struct.pack(">HHHH", 9, 4789, 16 + len(frames[0]), 0) + b"\x08" + bytes(7) + frames[0]  # VXLAN
    outside = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(inside), 1, 0, 64, 17, 0, b"\n\0\0\1", b"\n\0\0\2")
    ppp = b"\xff\x03\0\x21" + outside + inside
    tunnel = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 9)
    tunnel += struct.pack("<IIII", 5, 6, len(ppp), len(ppp)) + ppp
    return [pcap, pcapng, gzip.compress(pcap), tunnel]


TARGETS = {
    "csv": Target(_table(".csv"), _csv_seeds),
    "arff": Target(_table(".arff"), _arff_seeds),
    "parquet": Target(_table(".parquet"), _parquet_seeds),
    "compressed": Target(_unpack, _compressed_seeds),
    "capture": Target(_capture, _capture_seeds),
    "bundle": Target(BUNDLE.read, BUNDLE.seeds),
    "checkpoint": Target(CHECKPOINT.read, CHECKPOINT.seeds),
    "flags": Target(command_lines.read, command_lines.seeds),
}
