"""ARFF against scipy's reader, and Parquet."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import arff

from nids_jax.data.io import parquet
from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError

ARFF = """% a comment
@RELATION 'gas pipeline'

@ATTRIBUTE 'command address' NUMERIC
@attribute scheme  {off, 'duty cycle' , "a,b"}
@attribute rate real
@attribute\tresult {'0','1','10'}

@DATA
% another
4, off, 1.5, '0'
5,'duty cycle',2e3,1
   % indented
6,"a,b",-0.25,'10'
"""


def read(path: Path, **options: object):
    return read_flows(path, progress=False, **options)  # type: ignore[arg-type]


def test_arff_as_scipy_reads_it(tmp_path: Path) -> None:
    text = ARFF.replace('"a,b"', "duty").replace(" ,", ",")  # scipy reads neither quoted commas nor blanks before one
    path = tmp_path / "a.arff"
    path.write_text(text)
    table, report = read(path)
    reference, _ = arff.loadarff(io.StringIO(text.replace("   %", "%")))
    np.testing.assert_array_equal(table.x[:, 0], reference["command address"])
    np.testing.assert_array_equal(table.x[:, 2], reference["rate"])
    names = [table.categories["scheme"][int(code)] for code in table.x[:, 1]]
    assert names == [name.decode() for name in reference["scheme"]]
    assert [table.classes[label] for label in table.y] == ["0", "1", "10"]
    assert report.read == 3


def test_arff_nominal_values_keep_their_declared_order(tmp_path: Path) -> None:
    path = tmp_path / "a.arff"
    path.write_text(ARFF)
    table, _ = read(path)
    assert table.features == ("command_address", "scheme", "rate")
    assert table.categories == {"scheme": ("off", "duty cycle", "a,b")}
    assert table.x[:, 1].tolist() == [0, 1, 2]
    assert read(path, label_column="scheme")[0].classes == ("a,b", "duty cycle", "off")


def test_arff_label_is_the_last_nominal_attribute(tmp_path: Path) -> None:
    path = tmp_path / "a.arff"
    path.write_text("@relation r\n@attribute c {x,y}\n@attribute n real\n@attribute kind {p,q}\n@data\nx,1,p\ny,2,q\n")
    assert read(path)[0].classes == ("p", "q")
    path.write_text("@relation r\n@attribute a real\n@attribute n real\n@data\n1,1\n")
    with pytest.raises(InputError, match=r"no label column.*a, n"):
        read(path)


def test_later_gas_release_with_missing_values_and_three_results(tmp_path: Path) -> None:
    """Every row lacks some value, and three columns hold the answer."""
    path = tmp_path / "a.arff"
    path.write_text(
        "@relation gas\n@attribute address real\n@attribute setpoint real\n@attribute pressure real\n"
        "@attribute 'binary result' {'0','1'}\n@attribute 'categorized result' {'0','1','2'}\n"
        "@attribute 'specific result' {'0','3','7'}\n@data\n4,?,0.5,0,0,0\n4,10,?,1,1,3\n4,20,?,1,2,7\n"
    )
    table, report = read(path, on_invalid="impute")
    assert table.features == ("address", "setpoint", "pressure")
    assert table.classes == ("0", "1", "2")
    assert table.x.tolist() == [[4, 15, 0.5], [4, 10, 0.5], [4, 20, 0.5]]
    assert report.imputed == {"setpoint": 1, "pressure": 2}
    with pytest.raises(InputError, match=r"column 'pressure' has 2 missing values.*on_invalid=impute"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@relation r\n@attribute a real\n", "no @data"),
        ("@relation r\n@data\n1\n", "no @attribute"),
        ("@relation r\n@attribute a\n@data\n1\n", "without a type"),
        ("@relation r\n@attribute a {x,y\n@data\n1\n", "closing brace"),
        ("@relation r\n@attribute a relational\n@data\n1\n", "'relational', which is not read"),
        ("@relation r\n@attribute a real\n@attribute c {x,y}\n@data\n{0 1, 1 x}\n", "sparse"),
        ("@relation r\n@attribute a real\n@attribute c {x,y}\n@data\n1,z\n", "does not declare the value 'z' of 'c'"),
        ("@relation r\n@attribute a {p}\n@attribute c {x,y}\n@data\nq,x\n", "does not declare the value 'q' of 'a'"),
        ("@relation r\n@attribute a real\n@attribute c {x,y}\n@data\n", "no data row"),
        ("hello\n@data\n", "not ARFF: 'hello'"),
    ],
)
def test_broken_arff(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.arff"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(path)


def test_parquet_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 2)
    table = pa.table(
        {
            " Flow Duration": pa.array([1, None, 3, 4, 5], pa.int32()),
            "rate": pa.array([0.1, 2.0, float("inf"), float("nan"), 1e300]),
            "flag": [True, False, True, False, True],
            "as text": ["1", "2", " 3", "x", "1e3"],
            "proto": pa.array(["tcp", "udp", "tcp", "tcp", "udp"]).dictionary_encode(),
            "when": pa.array([0, 1, 2, 3, 4], pa.timestamp("s")),
            "list": [[1], [2], [3], [4], [5]],
            "Fwd Header Length.1": pa.array([1, 2, 3, 4, 5], pa.uint64()),
            "Label": [0.0, 1.0, 1.0, 0.0, 1.0],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    read_table, report = read(tmp_path / "a.parquet")
    assert read_table.features == ("flow_duration", "rate", "flag", "as_text", "proto", "fwd_header_length_1")
    assert read_table.x.tolist() == [[1, 0.1, 1, 1, 0, 1], [5, 1e300, 1, 1000, 1, 5]]
    assert read_table.categories == {"proto": ("tcp", "udp")}
    assert read_table.classes == ("0", "1")
    assert report.dropped_columns == {"when": "neither number nor text", "list": "neither number nor text"}
    assert report.invalid_values == {
        "flow_duration": {"missing": 1},
        "rate": {"infinite": 1, "missing": 1},
        "as_text": {"non-numeric": 1},
    }


def test_parquet_and_csv_of_one_table_agree(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((500, 3)) * 1e5
    labels = random.choice(["BENIGN", "Web Attack – XSS"], 500)
    pq.write_table(
        pa.table({"a": values[:, 0], "b": values[:, 1], "c": values[:, 2], "Label": labels}), tmp_path / "a.parquet"
    )
    lines = [f"{a!r},{b!r},{c!r},{label}\n" for (a, b, c), label in zip(values.tolist(), labels, strict=True)]
    (tmp_path / "a.csv").write_text("a,b,c,Label\n" + "".join(lines), encoding="utf-8")
    one, two = read(tmp_path / "a.parquet")[0], read(tmp_path / "a.csv")[0]
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.y, two.y)
    assert one.classes == two.classes == ("BENIGN", "Web Attack - XSS")
    both, report = read(tmp_path)
    assert len(both) == 1000
    assert report.duplicate == 500


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(1000)), "Label": ["x", "y"] * 500}), path, compression="none")
    whole = path.read_bytes()
    for part in (whole[:-20], whole[: len(whole) // 2], whole[:4], b"\x00" * 100):
        path.write_bytes(part)
        with pytest.raises(InputError, match="not a whole Parquet file"):
            read(path)
    path.write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    with pytest.raises(InputError, match="not a whole Parquet file"):
        read(path)
    pq.write_table(pa.table({"a": [1], "Label": [[1]]}), path)
    with pytest.raises(InputError, match="neither numbers nor text, so it is no label"):
        read(path)


def test_parquet_with_cp1252_bytes_as_labels(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "Label": [b"Web \x96 XSS", "Web – XSS".encode()]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0].classes == ("Web - XSS",)


def test_parquet_with_columns_of_one_name(tmp_path: Path) -> None:
    """As in CSV: equal copies count once, others stay as two columns."""
    columns = [pa.array(values) for values in ([1.0, 2.0], [5.0, 6.0], [1.0, 2.0], [7.0, 8.0], ["x", "y"])]
    names = ["dur", "len", "dur", "len", "Label"]
    pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "a.parquet")
    rows = "\n".join(
        ",".join(str(value) for value in row) for row in zip(*(c.to_pylist() for c in columns), strict=True)
    )
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + rows + "\n")
    one, two = read(tmp_path / "a.parquet")[0], read(tmp_path / "a.csv")[0]
    assert one.features == two.features
    np.testing.assert_array_equal(one.x, two.x)
    assert {5.0, 7.0} <= set(one.x[0])
    assert one.classes == ("x", "y")
