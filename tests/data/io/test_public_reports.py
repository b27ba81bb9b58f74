"""What users of public flow tables met: each case in small, with made-up values, and what is right."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nids_jax.data.io.labels import UNLABELLED
from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError


def read(path: Path | list[Path], **options: object):
    return read_flows(path, progress=False, **options)  # type: ignore[arg-type]


def table_of(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_decimal_commas_in_a_meters_own_columns(tmp_path: Path):
    rows = [f"{i},0;{i}666,6667;{'ab'[i % 2]}" for i in range(1, 60)]
    table, report = read(table_of(tmp_path / "a.csv", "Flow Duration;Flow Bytes/s;Label", rows))
    np.testing.assert_array_equal(table.x, [[i, float(f"{i}666.6667")] for i in range(1, 60)])
    assert "read with decimal commas ('1,0' in 'Flow Duration')" in str(report)


def test_thousands_in_quotation_marks(tmp_path: Path):
    rows = [f'{i}.5,"{1000 + i:,}",{i},{"ab"[i % 2]}' for i in range(60)]
    table, report = read(table_of(tmp_path / "a.csv", "pkt rate,bytes,n,label", rows))
    np.testing.assert_array_equal(table.x, [[i + 0.5, 1000 + i, i] for i in range(60)])
    assert "thousands marked by ',' ('1,000' in 'bytes')" in str(report)


def test_several_columns_that_may_be_the_label_are_asked_about(tmp_path: Path):
    rows = [f"{i},,{i % 2},{'DDoS' if i % 2 else 'Normal'},UDP" for i in range(40)]
    path = table_of(tmp_path / "a.csv", "dur,smac,attack,category,subcategory", rows)
    with pytest.raises(InputError, match=r"label: attack, category, subcategory; pass `label_column`"):
        read(path)
    table, report = read(path, label_column="category")
    assert table.counts == {"DDoS": 20, "Normal": 20}
    assert table.features == ("dur",)
    assert report.dropped_columns["attack"] == "another label"
    # A name that says enough does not ask, unless it may only say whether there is an attack.
    rows = ["1,x,0", "2,y,1", "3,z,2"]
    assert read(table_of(tmp_path / "b.csv", "dur,attack_cat,label", rows))[0].classes == ("0", "1", "2")
    with pytest.raises(InputError, match="'label', which holds only '0' and '1', and 'attack_cat' beside it"):
        read(table_of(tmp_path / "c.csv", "dur,attack_cat,label", rows[:2]))


def test_one_name_twice_in_parquet(tmp_path: Path):
    n = 60
    arrays = [pa.array(np.arange(n, dtype=float)), pa.array(np.arange(n, dtype=float) ** 2), pa.array(["a", "b"] * 30)]
    pq.write_table(pa.Table.from_arrays(arrays, names=["x", "x", "Label"]), tmp_path / "a.parquet")
    table, _ = read(tmp_path / "a.parquet")
    assert table.features == ("x", "x_1")
    np.testing.assert_array_equal(table.x[:, 1], table.x[:, 0] ** 2)


def test_text_of_parquet_that_is_not_utf8(tmp_path: Path):
    """Found by fuzzing; the published labels of 2017 have such bytes."""
    labels = pa.array([b"Web Attack \x96 XSS", b"BENIGN"] * 20).cast(pa.string(), safe=False)
    protocols = pa.array([b"t\xe9", b"u"] * 20).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"dur": range(40), "proto": protocols, "Label": labels}), tmp_path / "a.parquet")
    table, _ = read(tmp_path / "a.parquet")
    assert table.classes == ("BENIGN", "Web Attack - XSS")
    assert table.categories == {"proto": ("té", "u")}


def test_columns_of_parquet_without_a_value_are_left_out_too(tmp_path: Path):
    n = 60
    columns = {
        "dur": np.arange(n, dtype=float),
        "none": np.full(n, np.nan),
        "null": pa.nulls(n),
        "Label": ["a", "b"] * 30,
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    table, report = read(tmp_path / "a.parquet")
    assert (len(table), table.features) == (n, ("dur",))
    assert report.dropped_columns == {"none": "no values", "null": "no values"}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_nearly_empty_column_costs_itself_and_not_the_rows(tmp_path: Path, ending: str):
    n = 200
    ftp = [1.0 if i % 50 == 0 else None for i in range(n)]
    columns = pa.table({"dur": range(n), "ftp": ftp, "Label": ["a", "b"] * (n // 2)})
    path = tmp_path / f"a{ending}"
    if ending == ".csv":
        columns.to_pandas().to_csv(path, index=False)
    else:
        pq.write_table(columns, path)
    table, report = read(path)
    assert (len(table), table.features) == (n, ("dur",))
    assert report.dropped_columns == {"ftp": "hardly any values"}
    filled, _ = read(path, on_invalid="impute")
    assert filled.features == ("dur", "ftp")
    with pytest.raises(InputError, match="column 'ftp' has 196 missing values"):
        read(path, on_invalid="error")


def test_a_column_that_costs_most_rows_is_named(tmp_path: Path):
    rows = [f"{i},{i if i % 4 == 0 else ''},{'ab'[i % 8 == 0]}" for i in range(100)]
    table, report = read(table_of(tmp_path / "a.csv", "dur,ftp,Label", rows))
    assert len(table) == 25
    assert "column 'ftp' has no value in 75 of 100 rows, which are dropped for that" in report.remarks


@pytest.mark.parametrize("label", ["NeedManualLabel", "No Label", "unlabelled", "need manual label"])
def test_tables_that_nobody_has_labelled(tmp_path: Path, label: str):
    path = table_of(tmp_path / "a.csv", "dur,Label", [f"{i},{label}" for i in range(30)])
    with pytest.raises(InputError, match=f"no row of .* has a label: column 'Label' holds only '{label}'"):
        read(path)
    rows = [f"{i},{label if i % 3 else 'a'}" for i in range(30)]
    table, report = read(table_of(tmp_path / "b.csv", "dur,Label", rows))
    assert table.counts == {"a": 10}
    assert report.invalid_values == {"Label": {"missing": 20}}


@pytest.mark.parametrize("label", ["", "NaN", "NeedManualLabel", "(no label)", None])
def test_rows_without_a_label_are_kept_where_they_are_asked_for(tmp_path: Path, label: str | None):
    numbers = [f"{i}" if i != 7 else "" for i in range(12)]  # row 7 is incomplete, and has no label
    labels = ["a" if i < 3 else "b" if i < 5 else label for i in range(12)]
    if label is None:
        path = tmp_path / "a.parquet"
        pd.DataFrame({"dur": pd.to_numeric(pd.Series(numbers)), "n": 1, "Label": labels}).to_parquet(path)
    else:
        lines = [f"{x},1,{y}" for x, y in zip(numbers, labels, strict=True)]
        path = table_of(tmp_path / "a.csv", "dur,n,Label", lines)
    table, report = read(path, keep_unlabelled=True)
    assert table.counts == {"a": 3, "b": 2, UNLABELLED: 6}
    assert table.x[table.y == table.classes.index(UNLABELLED), 0].tolist() == [5, 6, 8, 9, 10, 11]
    assert report.invalid_values == {"dur": {"missing": 1}}
    assert (report.read, report.kept, report.invalid) == (12, 11, 1)
    assert read(path)[0].counts == {"a": 3, "b": 2}
    assert read(path, keep_unlabelled=True, cap=2)[0].counts == {"a": 2, "b": 2, UNLABELLED: 2}


@pytest.mark.parametrize("keep", [False, True])
def test_no_row_has_both_a_label_and_all_values(tmp_path: Path, keep: bool):
    path = table_of(tmp_path / "a.csv", "dur,n,Label", ["1,1,", "2,1,", ",1,a"])
    with pytest.raises(InputError, match=r"no row of .* can be used: of 3 rows .*invalid"):
        read(path, keep_unlabelled=keep)
    with pytest.raises(InputError, match=r"no row of .* has a label: column 'Label' is empty"):
        read(table_of(tmp_path / "b.csv", "dur,Label", ["1,", "2,"]), keep_unlabelled=keep)


@pytest.mark.parametrize("label", ["", "?", "NaN"])
@pytest.mark.parametrize("rows", [2, 300])
def test_tables_with_an_empty_label_column(tmp_path: Path, label: str, rows: int):
    path = table_of(tmp_path / "a.csv", "dur,Label", [f"{i},{label}" for i in range(rows)])
    with pytest.raises(InputError, match=r"no row of .* has a label: column 'Label' is empty"):
        read(path)


def test_an_empty_file_among_others_is_said_and_passed_over(tmp_path: Path):
    table_of(tmp_path / "b.csv", "dur,Label", ["1,x", "2,y"])
    for name in ("a.csv", "c.parquet", "d.arff"):
        (tmp_path / name).write_bytes(b"")
    table, report = read(tmp_path)
    assert len(table) == 2
    for name in ("a.csv", "c.parquet", "d.arff"):
        assert f"{tmp_path / name} is empty, and passed over" in report.remarks
    assert len(read([tmp_path / "a.csv", tmp_path / "b.csv"])[0]) == 2
    with pytest.raises(InputError, match=r"a\.csv is empty"):
        read([tmp_path / "a.csv", tmp_path / "c.parquet"])


def test_what_a_folder_holds_besides_tables_is_named(tmp_path: Path):
    table_of(tmp_path / "a.csv", "dur,Label", ["1,x", "2,y"])
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"dur,Label\n3,x\n"))
    assert read(tmp_path)[1].remarks == ()
    (tmp_path / "sub").mkdir()
    for name in ("day.pcap1", "c.parquet.gz", "sub/day.pcap.zst", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    table, report = read(tmp_path)
    assert len(table) == 3
    names = ", ".join(str(tmp_path / name) for name in ("c.parquet.gz", "day.pcap1", "sub/day.pcap.zst"))
    assert report.remarks == (f"files passed over, by their extension or content: {names}",)
    for number in range(10):
        (tmp_path / f"note{number}.txt").write_bytes(b"")
    assert "and 8 more" in str(read(tmp_path)[1])
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "day.pcap").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no \.csv, \.parquet or \.arff file, and no log of flows, but 1 other"):
        read(tmp_path / "only")
