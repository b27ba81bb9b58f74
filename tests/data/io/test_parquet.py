"""Parquet files of any types, names and bytes, some of them made to mislead."""

import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax import compressed
from nids_jax.data.io.readers import read_flows
from nids_jax.detection.tables import table_pieces
from nids_jax.errors import InputError

X = np.arange(40.0)
LABELS = pa.array(["a", "b"] * 20)


def read(path: Path, columns: dict[str, object] | pa.Table, **options: object):
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)  # pyright: ignore
    return read_flows(path, progress=False)


def strings(*values: bytes) -> pa.Array:
    """Bytes under the type of text, whatever they are."""
    ends = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(b"".join(values)))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=8, unique=True))
def test_every_number_is_a_class_of_its_own(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]):
    path = tmp_path_factory.getbasetemp() / "labels.parquet"
    table, _ = read(path, {"x": np.arange(2.0 * len(numbers)), "Label": [*numbers, *numbers]})
    assert [float(table.classes[label]) for label in table.y] == [*numbers, *numbers]
    whole = {number for number in numbers if number.is_integer() and abs(number) <= 2**53}
    assert {str(int(number)) for number in whole} <= {*table.classes}


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (pa.array(np.array([1, 2] * 20, np.float16)), ("1", "2")),
        (pa.array([1, 2**64 - 1] * 20, pa.uint64()), ("1", "18446744073709551615")),
        (pa.array([1, 10**30] * 20, pa.decimal128(38, 0)), ("1", "1" + "0" * 30)),
        (pa.array([True, False] * 20), ("false", "true")),
        (pa.array([7, 8] * 20).dictionary_encode(), ("7", "8")),
        (LABELS.cast(pa.string_view()), ("a", "b")),
        (LABELS.cast(pa.binary_view()), ("a", "b")),
        (LABELS.cast(pa.large_string()), ("a", "b")),
        (strings(*[b"a\xff", b"b\x96c"] * 20), ("a\u00ff", "b-c")),
        (strings(*[b"a\xff", b"b\x96c"] * 20).dictionary_encode(), ("a\u00ff", "b-c")),
    ],
)
@pytest.mark.parametrize("dictionary", [False, True])
def test_labels_of_any_type(tmp_path: Path, label: pa.Array, classes: tuple[str, ...], dictionary: bool):
    table, _ = read(tmp_path / "t.parquet", {"x": X, "Label": label}, use_dictionary=dictionary)
    assert table.classes == classes
    assert len(table) == 40


def test_values_that_are_no_utf8(tmp_path: Path):
    names, numbers = strings(*[b"p\xff", b"q\x96"] * 20), strings(*[b"1.5", b"\xff"] * 20)
    table, report = read(tmp_path / "t.parquet", {"x": X, "f": names, "n": numbers, "Label": LABELS})
    assert table.categories == {"f": ("p\u00ff",)}
    assert report.invalid_values == {"n": {"non-numeric": 20}}
    assert table.x[:, 2].tolist() == [1.5] * 20


def test_columns_of_one_name(tmp_path: Path):
    columns = [pa.array(X), LABELS, LABELS, pa.array(-X)]
    table, _ = read(tmp_path / "t.parquet", pa.Table.from_arrays(columns, names=["x", "Label", "p", "x"]))
    assert table.features == ("x", "p", "x_1")
    np.testing.assert_array_equal(table.x[:, 2], -X)
    both, _ = read(tmp_path / "u.parquet", pa.Table.from_arrays(columns, names=["x", "Label", "Label", "x"]))
    assert both.features == ("x", "x_1")


def test_a_column_inside_another_that_shares_a_name(tmp_path: Path):
    inside = pa.array([{"a": 1}] * 40)
    with pytest.raises(InputError, match="columns inside others whose names are also columns'"):
        read(tmp_path / "t.parquet", {"s": inside, "s.a": X, "Label": LABELS})


@pytest.mark.parametrize("schema", [False, True])
def test_names_of_columns_that_are_no_utf8(tmp_path: Path, schema: bool):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"QQQQ": X, "Label": LABELS}), path, store_schema=schema)
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"\xff\xffQQ"))
    with pytest.raises(InputError, match="not a whole Parquet file"):
        read_flows(path, progress=False)


def test_row_groups_with_dictionaries_of_their_own(tmp_path: Path):
    names = [f"{'xy'[i // 20]}{i % 5}" for i in range(40)]
    table, _ = read(tmp_path / "t.parquet", {"p": names, "n": X, "Label": LABELS}, row_group_size=7)
    assert [table.categories["p"][int(code)] for code in table.x[:, 0]] == names
    assert [table.classes[label] for label in table.y] == LABELS.to_pylist()


def test_a_long_value_in_every_row_is_in_memory_once(tmp_path: Path):
    rows = 65_536
    codes = pa.array(np.zeros(rows, np.int32))
    long = pa.DictionaryArray.from_arrays(codes, pa.array(["z" * 100_000]))
    label = pa.DictionaryArray.from_arrays(pa.array(np.arange(rows, dtype=np.int32) % 2), pa.array(["a", "b"]))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": np.arange(rows), "payload": long, "Label": label}), path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table, report = read_flows(path, progress=False)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    assert len(table) == rows
    assert report.dropped_columns == {"payload": "free text"}
    assert grown < 500 << 20  # as text it takes 6.5 GB


def test_a_file_made_to_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compressed, "_ALWAYS", 1 << 20)
    rows = 200_000
    columns = {"x": np.zeros(rows), "Label": LABELS.take(pa.array(np.zeros(rows, int)))}
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        read(path, columns)
    monkeypatch.setenv("NIDS_UNPACK_RATIO", "5000")
    assert len(read_flows(path, progress=False)[0]) == rows


def test_text_with_decimal_commas_is_judged_as_numbers(tmp_path: Path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"Flow Duration": ["1,5", "2,25", "0,5"]}), path)
    (piece,) = table_pieces(path, ["flow_duration"], [])
    np.testing.assert_array_equal(piece.frame["flow_duration"], [1.5, 2.25, 0.5])
