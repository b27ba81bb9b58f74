"""The compiled way through plain lines, against Arrow's parser and Python's own numbers."""

import struct
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nids_jax.data.io import delimited, plain_rows
from nids_jax.data.io.columns import Chunk, Layout
from nids_jax.data.io.decimals import nearest_bits
from nids_jax.data.io.delimited import DelimitedFile
from nids_jax.data.io.readers import read_flows

_LAYOUT = Layout(width=5, features=(0, 2, 3), text=(False, True, False), label=4, label_header="Label")
_HEADER = "a,skipped,protocol,b,Label\n"


def read_both_ways(folder: Path, body: str, delimiter: str = ",") -> tuple[list[Chunk], list[Chunk]]:
    path = folder / "flows.csv"
    path.write_bytes((_HEADER.replace(",", delimiter) + body).encode())

    def read(soon: int) -> list[Chunk]:
        with mock.patch.object(delimited, "_SOON", soon):
            file = DelimitedFile(path)
            try:
                return list(file.chunks(_LAYOUT, lambda _: None))
            finally:
                file.close()

    return read(1 << 30), read(0)


def told(chunks: list[Chunk]) -> list[object]:
    """All that a chunk says, names instead of codes and floats by their bits."""
    said: list[object] = []
    for chunk in chunks:
        names = [[None if code < 0 else each.names[code] for code in each.codes] for each in chunk.text.values()]
        labels = [None if code < 0 else chunk.labels.names[code] for code in chunk.labels.codes]
        numbers = np.where(np.isnan(chunk.x), np.nan, chunk.x)[:, [0, 2]]
        garbled = chunk.garbled[:, [0, 2]].tolist() if chunk.garbled is not None else np.zeros(numbers.shape).tolist()
        said.append((numbers.tobytes(), garbled, names, labels, chunk.blank, chunk.headers, chunk.malformed))
    return said


_DIGITS = st.text("0123456789", max_size=21)
_WRITTEN = st.builds(
    "".join, st.tuples(st.sampled_from(["", "-", "+"]), _DIGITS, st.sampled_from(["", "."]), _DIGITS, st.sampled_from(
        ["", "", "", "e5", "E-7", "e+22", "e-300", "e400", "e", "e-", "e00012"]))
)  # fmt: skip
_NUMBERS = (
    st.floats().map(repr)
    | st.integers(-(2**70), 2**70).map(str)
    | _WRITTEN
    | st.sampled_from(["", " 5", "5 ", "\t1", "Infinity", "-inf", "NaN", "?", "N/A", "x", "1_000", "0x1F", "1 2", "٣"])
)
_NAMES = st.sampled_from(["tcp", "TCP", " tcp", "", "nan", "Web Attack – XSS", "BENIGN", "b", "Label", "  ", "a" * 40])
_LINES = st.one_of(
    st.tuples(_NUMBERS, _NAMES, _NAMES, _NUMBERS, _NAMES).map(",".join),
    st.tuples(st.floats().map(repr), st.just("x"), _NAMES, st.integers().map(str), _NAMES).map(",".join),
    st.sampled_from(["", ",,,,", "1,2,3", "1,2,3,4,5,6", '1,"2",3,4,"y"', _HEADER[:-1], "   "]),
)


@settings(deadline=None, max_examples=300)
@given(lines=st.lists(_LINES, min_size=1, max_size=8), ended=st.booleans())
@example(lines=["9007199254740993,,tcp,0.30000000000000004,b"], ended=True)
@example(lines=["-0,,tcp,-0.0,b", "12345678901234567890,,tcp,00000000000000000000001.5,b"], ended=False)
def test_both_ways_agree(tmp_path_factory: pytest.TempPathFactory, lines: list[str], ended: bool) -> None:
    general, compiled = read_both_ways(tmp_path_factory.getbasetemp(), "\n".join(lines) + "\n" * ended)
    assert told(compiled) == told(general)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_plain_lines_take_the_compiled_way(tmp_path: Path, delimiter: str) -> None:
    lines = ["1,x,tcp,2.5e-3,b", "-7.25,y,udp,Infinity,c", ",z,,1,b"] * 40
    body = "".join(f"{line}\n" for line in lines).replace(",", delimiter)
    with mock.patch.object(plain_rows, "read_rows", wraps=plain_rows.read_rows) as way:
        general, compiled = read_both_ways(tmp_path, body, delimiter)
    assert way.call_count == 1
    rows = plain_rows.read_rows(body.encode(), delimiter, _LAYOUT)
    assert rows is not None
    assert len(rows.x) == 120
    assert told(compiled) == told(general)


@pytest.mark.parametrize("line", ['1,2,"tcp",4,b', "1,2,tcp,4", "1,2,tcp,4,b,6", " ", f"1,{'x' * (1 << 20)},tcp,4,b"])
def test_other_lines_do_not(line: str) -> None:
    assert plain_rows.read_rows(f"1,2,tcp,4,b\n{line}\n".encode(), ",", _LAYOUT) is None


def test_a_long_file_is_read_as_its_blocks_one_by_one(tmp_path: Path) -> None:
    """Both ways within a file, several blocks ahead, odd lines in some of them."""
    random = np.random.default_rng(0)
    lines = [f"{a!r},s,{n},{b},{label}" for a, b, n, label in zip(
        random.normal(size=4000).tolist(), random.integers(0, 99, 4000), random.choice(["tcp", "udp"], 4000),
        random.choice(["b", "c – d"], 4000), strict=True)]  # fmt: skip
    lines[1000], lines[2000], lines[3000] = "1,2", '"1",2,tcp,4,b', _HEADER.strip()
    path = tmp_path / "flows.csv"
    path.write_text(_HEADER + "\n".join(lines))
    whole = read_flows(path, progress=False)
    with mock.patch.object(delimited, "_BLOCK", 5000), mock.patch.object(delimited, "_SOON", 3):
        pieces = read_flows(path, progress=False)
    np.testing.assert_array_equal(pieces[0].x, whole[0].x)
    np.testing.assert_array_equal(pieces[0].y, whole[0].y)
    assert pieces[0].classes == whole[0].classes == ("b", "c - d")
    assert pieces[1] == whole[1]
    assert whole[1].malformed == 1
    assert whole[1].headers == 1


@settings(deadline=None, max_examples=500)
@given(digits=st.integers(1, 10**19 - 1), power=st.integers(-320, 320))
@example(digits=2**53 + 1, power=0)
@example(digits=2181710004535667875, power=-3)  # halfway between two floats
@example(digits=17976931348623157, power=292)
def test_the_nearest_float(digits: int, power: int) -> None:
    bits = int(nearest_bits(np.uint64(digits), power))
    expected = float(f"{digits}e{power}")
    assert bits == 0 or struct.unpack("<d", struct.pack("<Q", bits))[0] == expected
    assert bits or abs(power) > 285


@settings(deadline=None, max_examples=300)
@given(mantissa=st.integers(2**52, 2**53 - 1), power=st.integers(0, 4))
def test_halfway_between_two_floats(mantissa: int, power: int) -> None:
    digits = (2 * mantissa + 1) * 5**power
    if digits < 10**19:
        bits = int(nearest_bits(np.uint64(digits), -power))
        assert struct.unpack("<d", struct.pack("<Q", bits))[0] == float(f"{digits}e{-power}")
