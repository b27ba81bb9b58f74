"""Compressed streams against the libraries that wrote them: whole, strung together, cut, changed, too large."""

import bz2
import gc
import gzip
import io
import lzma
import os
import threading
import weakref
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax import compressed
from nids_jax.compressed import FIRST, DamageError, Unpacked, kind_of
from nids_jax.errors import InputError


def _arrow(codec: str, content: bytes) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, codec) as out:
        out.write(content)
    return stream.getvalue().to_pybytes()


def _zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/inside", content)
    return stream.getvalue()


PACK = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: _arrow("zstd", content),
    "lz4": lambda content: _arrow("lz4", content),
    "zip": _zip,
}
STREAMS = [kind for kind in PACK if kind != "zip"]
NOISE = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


def everything(unpacked: Unpacked, count: int = 1 << 20) -> tuple[bytes, str]:
    """What is read before the end or a damage, and the damage."""
    found = b""
    try:
        while piece := unpacked.read(count):
            found += piece
    except DamageError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("kind", PACK)
def test_kinds_are_told_by_the_first_bytes(kind: str):
    for content in (b"", b"a", NOISE):
        packed = PACK[kind](content)
        assert kind_of(packed[:FIRST]) == kind
        assert everything(Unpacked(io.BytesIO(packed), "x")) == (content, "")
    assert kind_of(b"BZhell of a day") is None
    assert kind_of(b"") is None


@pytest.mark.parametrize("kind", STREAMS)
@settings(deadline=None)
@given(
    contents=st.lists(
        st.binary(max_size=200) | st.integers(0, 70_000).map(lambda n: NOISE[:n]), min_size=1, max_size=4
    ),
    count=st.sampled_from([1000, 4096, 70_000, 1 << 20]),
    first=st.integers(0, FIRST),
)
def test_streams_strung_together_are_read_to_the_last(kind: str, contents: list[bytes], count: int, first: int):
    packed = b"".join(map(PACK[kind], contents))
    unpacked = Unpacked(io.BytesIO(packed[first:]), "x", first=packed[:first])
    assert everything(unpacked, count) == (b"".join(contents), "")
    assert unpacked.taken() == len(packed)
    assert unpacked.taken() == 0


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("zeros", [1, 4, 100, 5000])
def test_zeros_may_fill_up_a_file_but_nothing_else(kind: str, zeros: int):
    packed = PACK[kind](b"abc")
    assert everything(Unpacked(io.BytesIO(packed + bytes(zeros) + packed), "x")) == (b"abcabc", "")
    assert everything(Unpacked(io.BytesIO(packed + bytes(zeros)), "x")) == (b"abc", "")
    found, damage = everything(Unpacked(io.BytesIO(packed + bytes(zeros) + b"junk and more junk"), "x"))
    assert found == b"abc"
    assert f"x is no whole {kind} file" in damage


@pytest.mark.parametrize("kind", PACK)
def test_what_stands_before_a_cut_is_read(kind: str):
    packed = PACK[kind](NOISE)
    cut = packed[: len(packed) * 2 // 3]
    unpacked = Unpacked(io.BytesIO(cut), "day.x")
    found, damage = everything(unpacked)
    assert "day.x is no whole" in damage
    assert "\n" not in damage
    assert NOISE.startswith(found)
    if kind not in ("bzip2", "zip"):  # bzip2 has one block of it, and a zip archive its list at the end
        lost = 140_000 if kind == "zstd" else 70_000  # blocks of 128 and 64 KiB
        assert len(found) > len(NOISE) * 2 // 3 - lost
    with pytest.raises(DamageError):  # and again
        unpacked.read(1)


@pytest.mark.parametrize("kind", PACK)
@given(data=st.data())
def test_mutations_give_content_or_a_sentence(kind: str, data: st.DataObject):
    packed = bytearray(PACK[kind](b"some content " * 50))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    said = ""
    try:
        with_kind = Unpacked(io.BytesIO(packed), "x", kind=kind)
        while with_kind.read(100):
            pass
    except InputError as error:
        said = str(error)
    assert not said or said.startswith("x ")
    assert "\n" not in said


@pytest.mark.parametrize("kind", PACK)
def test_bombs_are_refused_and_what_is_merely_large_is_not(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compressed, "_ALWAYS", 1 << 20)
    zeros = bytes(8 << 20)
    with pytest.raises(InputError, match="x unpacks to more than 10 times its size"):
        everything(Unpacked(io.BytesIO(PACK[kind](zeros)), "x", ratio=10))
    assert len(everything(Unpacked(io.BytesIO(PACK[kind](zeros[: 1 << 20])), "x", ratio=10))[0]) == 1 << 20
    large = np.random.default_rng(0).integers(0, 4, 3 << 20, np.uint8).tobytes()
    assert everything(Unpacked(io.BytesIO(PACK[kind](large)), "x", ratio=10)) == (large, "")
    monkeypatch.setenv("NIDS_UNPACK_RATIO", "1000000")
    assert everything(Unpacked(io.BytesIO(PACK[kind](zeros)), "x")) == (zeros, "")
    monkeypatch.setenv("NIDS_UNPACK_RATIO", "much")
    with pytest.raises(InputError, match="NIDS_UNPACK_RATIO is 'much'"):
        Unpacked(io.BytesIO(b""), "x")


def test_a_bomb_is_never_unpacked_at_once():
    """One piece of input may stand for gigabytes; what is made of it comes in pieces."""
    packed = bz2.compress(bytes(50 << 20))
    assert len(packed) < 4096
    unpacked = Unpacked(io.BytesIO(packed), "x")
    sizes = [len(unpacked.read1(1 << 30)) for _ in range(20)]
    assert 0 < max(sizes) <= 1 << 16


def test_a_stream_gives_what_it_has(tmp_path: Path):
    """A pipe's writer flushes; what it wrote can be read before it writes more."""
    read, write = os.pipe()
    pack = zlib.compressobj(wbits=31)
    seen = threading.Event()

    def writer() -> None:
        with os.fdopen(write, "wb") as file:
            file.write(pack.compress(b"first") + pack.flush(zlib.Z_SYNC_FLUSH))
            file.flush()
            seen.wait(20)
            file.write(pack.compress(b"second") + pack.flush())

    thread = threading.Thread(target=writer)
    thread.start()
    with os.fdopen(read, "rb") as file:
        unpacked = Unpacked(file, "-")
        assert unpacked.read1(100) == b"first"
        seen.set()
        assert unpacked.read(100) == b"second"
        thread.join()


def test_archives_that_are_refused(tmp_path: Path):
    for names, said in ((["a", "b"], "holds 2 files"), ([], "holds 0 files")):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in names:
                archive.writestr(name, b"x")
        with (tmp_path / "a.zip").open("rb") as file, pytest.raises(InputError, match=said):
            Unpacked(file, "a.zip").read(1)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"x")
    with (tmp_path / "b.zip").open("rb") as file, pytest.raises(InputError, match="as few zip archives are"):
        Unpacked(file, "b.zip").read(1)
    with pytest.raises(DamageError, match="plain is not compressed as its name promises"):
        Unpacked(io.BytesIO(b"plain text"), "plain")


def test_an_archive_whose_list_lies_is_damaged():
    """Found by fuzzing: a member without a name is an IndexError of zipfile."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a", b"x")
    damaged = bytearray(archive.getvalue())
    entry = damaged.index(b"PK\1\2")
    damaged[entry + 28], damaged[entry + 30] = 0, 1  # the name's byte belongs to the next field
    with pytest.raises(DamageError, match="x is no whole zip file"):
        Unpacked(io.BytesIO(damaged), "x").read(1)


def test_what_met_a_damage_is_let_go():
    """Found by fuzzing: an error that is kept keeps its traceback, and with it the file and its buffers."""
    unpacked = Unpacked(io.BytesIO(PACK["zstd"](NOISE)[:-9]), "x")
    everything(unpacked)
    gone = weakref.ref(unpacked)
    gc.disable()
    try:
        del unpacked
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("closed", [False, True])
def test_what_was_read_in_part_is_let_go(kind, closed):
    """Found by fuzzing: the collector cannot see a circle through Arrow's objects, so it stayed for ever."""
    unpacked = Unpacked(io.BytesIO(PACK[kind](NOISE)), "x")
    unpacked.read(4)
    gone = weakref.ref(unpacked)
    if closed:
        unpacked.close()
    gc.disable()
    try:
        del unpacked
        if not closed:
            gc.collect()
        assert gone() is None
    finally:
        gc.enable()
