"""Numbers in other notations than plain ones, against Python's own parsing of the same text."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError

SPACES = [" ", "\u00a0", "\u202f"]


def read(path: Path, **options: object):
    return read_flows(path, progress=False, **options)  # type: ignore[arg-type]


def written(path: Path, header: list[str], rows: list[list[str]], separator: str) -> Path:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerows([header, *rows])
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def grouped(whole: str, mark: str) -> str:
    """1234567 → 1.234.567, by a plain loop."""
    parts = []
    while len(whole) > 3:
        whole, last = whole[:-3], whole[-3:]
        parts.insert(0, last)
    return mark.join([whole, *parts])


numbers = st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 999_999))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(numbers, numbers, st.integers(0, 10**6)), min_size=1, max_size=20),
    decimal=st.sampled_from([".", ","]),
    mark=st.sampled_from(["", ".", ",", "'", "\u2019", *SPACES]),
    separator=st.sampled_from([";", "\t", ",", "|"]),
    asked=st.booleans(),
)
def test_numbers_in_any_notation_are_read_as_python_reads_them(
    tmp_path: Path, cells: list, decimal: str, mark: str, separator: str, asked: bool
):
    """Files that show their notation (or whose reader is told it) give exact numbers; no others give wrong ones."""
    if mark == decimal:
        mark = ""

    def spell(number: tuple[int, int]) -> tuple[str, float]:
        whole, fraction = number
        sign = "-" if whole < 0 else ""
        digits = str(abs(whole))
        return f"{sign}{grouped(digits, mark)}{decimal}{fraction:06d}", float(f"{sign}{digits}.{fraction:06d}")

    rows, expected = [], []
    for index, (a, b, n) in enumerate(cells):
        (left, x), (right, y) = spell(a), spell(b)
        rows.append([left, right, grouped(str(n), mark), f"c{index % 2}"])
        expected.append([x, y, float(n)])
    path = written(tmp_path / "a.csv", ["a", "b", "n", "label"], rows, separator)
    table, report = read(path, decimal=decimal if asked else None)
    assert table.features == ("a", "b", "n")
    np.testing.assert_array_equal(table.x, np.array(expected))
    assert any("decimal commas" in remark for remark in report.remarks) == (decimal == ",")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.lists(
        st.lists(
            st.sampled_from(
                ["0", "7", "40", "999", "1500", "1,5", "1.5", "1,234", "1.234", "64,128", "0,25", "1 234", "1,234.5"]
            ),
            min_size=6,
            max_size=6,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_not_shown_is_asked_or_counted_and_never_guessed(tmp_path: Path, columns: list[list[str]]):
    """Whatever is kept has one meaning for the whole file: all by points, or all by commas."""
    header = [f"x{number}" for number in range(len(columns))]
    rows = [[*cells, "b"] for cells in zip(*columns, strict=True)]
    path = written(tmp_path / "a.csv", [*header, "label"], [list(row) for row in rows], ";")
    try:
        table, report = read(path)
    except InputError as error:
        said = str(error)
        assert "`decimal`" in said or "no row" in said or "free text" in said
        return

    def meant(cell: str, decimal: str) -> float:
        other = "," if decimal == "." else "."
        return float(cell.replace(other, "").replace(" ", "").replace(decimal, "."))

    read_by = "," if any("decimal commas" in remark for remark in report.remarks) else "."
    names = [name for name in table.features if name not in table.categories]
    possible = [[meant(row[header.index(name)], read_by) for name in names] for row in rows]
    for row in table.select(tuple(names)).x.tolist() if names else []:
        assert row in possible
    for name in table.categories:
        assert any(repr(name) in remark for remark in report.remarks)
    for name in set(header) - set(table.features):
        assert name in report.dropped_columns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a;label\n1,234;x\n5,678;y\n", "column 'a' of .* holds '1,234', whose comma"),
        ('a,label\n"1,234",x\n"5,678",y\n', "column 'a' of .* holds '1,234', whose comma"),
        ("a;label\n1;x\n17;y\n6;y\n1,17;x\n", "column 'a' of .* holds '1,17', whose comma"),
        ("a;b;label\n1,5;2.5;x\n3,5;4.5;y\n", "writes decimals in two ways, '1,5' in column 'a' and '2.5' in 'b'"),
    ],
)
def test_files_that_may_mean_either_are_asked_about(tmp_path: Path, text: str, said: str):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=said) as raised:
        read(tmp_path / "a.csv")
    assert "pass `decimal`" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_asked_for_decides(tmp_path: Path):
    path = written(tmp_path / "a.csv", ["a", "label"], [["1,234", "x"], ["5,678", "y"]], ";")
    assert read(path, decimal=",")[0].x.tolist() == [[1.234], [5.678]]
    assert read(path, decimal=".")[0].x.tolist() == [[1234], [5678]]
    with pytest.raises(InputError, match="decimal is ';'"):
        read(path, decimal=";")
    plain = written(tmp_path / "b.csv", ["a", "label"], [["1.5", "x"], ["2.25", "y"]], ";")
    table, report = read(plain, decimal=",")
    assert table.categories == {"a": ("1.5", "2.25")}
    assert report.remarks == ("column 'a' is read as names, though its values, such as '1.5', hold digits",)


def test_lists_are_not_read_as_thousands_beside_plain_thousands(tmp_path: Path):
    rows = [["1500", "0.5", "x"], ["40", "1.5", "y"], ["156,128", "2.5", "y"], ["9", "2.5", "y"]]
    table, report = read(written(tmp_path / "a.csv", ["len", "t", "label"], rows, "\t"))
    assert table.x.tolist() == [[1500, 0.5], [40, 1.5], [9, 2.5]]
    assert report.invalid_values == {"len": {"non-numeric": 1}}


def test_later_files_follow_the_earlier_ones_where_they_leave_it_open(tmp_path: Path):
    written(tmp_path / "a.csv", ["a", "label"], [["1,5", "x"], ["2,25", "y"]], ";")
    open_ = written(tmp_path / "b.csv", ["a", "label"], [["1,234", "x"], ["5,678", "y"]], ";")
    written(tmp_path / "c.csv", ["a", "label"], [["1.5", "x"], ["2.25", "y"]], ",")
    table, report = read(tmp_path)
    assert table.x[:, 0].tolist() == [1.5, 2.25, 1.234, 5.678, 1.5, 2.25]
    assert any(remark.startswith(f"numbers of {tmp_path / 'a.csv'}") for remark in report.remarks)
    with pytest.raises(InputError, match="whose comma"):
        read(open_)


def test_text_columns_of_parquet_are_read_alike(tmp_path: Path):
    values = {"a": ["1.234,5", "7,25", None], "n": [1, 2, 3], "label": ["x", "y", "y"]}
    pq.write_table(pa.table(values), tmp_path / "a.parquet")
    table, _ = read(tmp_path / "a.parquet")
    assert table.x.tolist() == [[1234.5, 1], [7.25, 2]]


def test_columns_of_digits_that_are_no_numbers_are_named(tmp_path: Path):
    rows = [[str(i), ["12%", "3%", "40%"][i % 3], ["1,23,456", "2,34,567"][i % 2], "xy"[i % 2]] for i in range(30)]
    table, report = read(written(tmp_path / "a.csv", ["n", "share", "lakh", "label"], rows, ";"))
    assert set(table.categories) == {"share", "lakh"}
    assert "column 'share' is read as names, though its values, such as '12%', hold digits" in report.remarks
    assert "column 'lakh' is read as names, though its values, such as '1,23,456', hold digits" in report.remarks
    names = [[str(i), ["tcp", "udp", "6in4"][i % 3], "xy"[i % 2]] for i in range(30)]
    assert read(written(tmp_path / "b.csv", ["n", "proto", "label"], names, ";"))[1].remarks == ()
