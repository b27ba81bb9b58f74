"""CSV files as people publish them: quirks, damage, layouts, caps."""

import contextlib
import csv
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nids_jax.data.io import delimited
from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: Path, **options: object):
    return read_flows(path, progress=False, **options)  # type: ignore[arg-type]


# --- free-form files against a model ------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["+1.5", " 2 ", "1.", ".5", "7.66E8", "1e-400", "00012", "\t3"]),
)
MISSING = st.sampled_from(["", "NaN", "nan", "?", " ", "-nan", "null"])
INFINITE = st.sampled_from(["Infinity", "-Infinity", "inf", "+INF", " infinity ", "1e999"])
WORDS = st.sampled_from(["abc", "0x10", "1_000", "1;5", "12-3", "١", "--1", "1e", "True"])
LABELS = {
    "BENIGN": ["BENIGN", " BENIGN", "BENIGN  "],
    "Web Attack - XSS": ["Web Attack \x96 XSS", "Web Attack – XSS", "Web Attack \ufffd XSS", "Web  Attack - XSS"],
    "DDoS": ["DDoS"],
}
HEADER = [" Flow Duration", "Src Port", " Flow Bytes/s", "Label", "Fwd IAT Mean"]
row = st.tuples(
    st.sampled_from(["data", "data", "data", "blank", "header", "short"]),
    st.tuples(*[st.one_of(NUMBERS, NUMBERS, NUMBERS, MISSING, INFINITE, WORDS)] * 3),
    st.one_of(WORDS, MISSING),  # the port is dropped before validity is judged, so it may hold anything
    st.sampled_from([(name, spelling) for name, spellings in LABELS.items() for spelling in spellings]),
    st.integers(0, 3),
)


def kind_of(cell: str) -> str:
    text = cell.strip()
    if text in ("", "?", "null") or text.lower() in ("nan", "-nan"):
        return "missing"
    try:
        if not text.isascii() or "_" in text:
            raise ValueError
        return "infinite" if np.isinf(float(text)) else "number"
    except ValueError:
        return "non-numeric"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(row, max_size=25), end=st.sampled_from(["\n", "\r\n", "\r"]), bom=st.booleans(), block=st.booleans()
)
def test_any_mixture_of_quirks(
    rows: list, end: str, bom: bool, block: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK", 40 if block else 1 << 20)  # lines across, and several in, a block
    rows = [("data", ("1", "2", "3"), "80", ("BENIGN", "BENIGN"), 0), *rows]  # the columns' kinds are clear
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(HEADER)
    blank = headers = malformed = 0
    expected, labels, invalid = [], [], {}
    for what, numbers, port, (name, spelling), variant in rows:
        if what == "blank":
            out.write(["", ",,,,", "  ", ' , ,"",,'][variant] + end)
            blank += 1
        elif what == "header":
            writer.writerow([cell.upper() if variant == 1 else cell.strip() for cell in HEADER] if variant else HEADER)
            headers += 1
        elif what == "short":
            writer.writerow(["1", "2", "3", "BENIGN", "5", "6"] if variant % 2 else ["1", "2"])
            malformed += 1
        else:
            writer.writerow([numbers[0], port, numbers[1], spelling, numbers[2]])
            kinds = [kind_of(cell) for cell in numbers]
            for feature, kind in zip(("flow_duration", "flow_bytes_s", "fwd_iat_mean"), kinds, strict=True):
                if kind != "number":
                    invalid.setdefault(feature, {}).setdefault(kind, 0)
                    invalid[feature][kind] += 1
            if set(kinds) == {"number"}:
                expected.append([float(cell) for cell in numbers])
                labels.append(name)
    text = out.getvalue().encode("utf-8", "surrogatepass").replace("\x96".encode(), b"\x96")
    path = write(tmp_path, "flows.csv", b"\xef\xbb\xbf" * bom + text)
    table, report = read(path)
    assert table.features == ("flow_duration", "flow_bytes_s", "fwd_iat_mean")
    np.testing.assert_array_equal(table.x, np.array(expected))  # exact float64
    assert [table.classes[label] for label in table.y] == labels
    assert (report.blank, report.headers, report.malformed) == (blank, headers, malformed)
    assert report.kept == len(expected)
    assert report.read == len(rows) - blank - headers
    assert report.read == report.kept + report.invalid
    assert report.invalid_values == invalid
    if invalid or malformed:
        with pytest.raises(InputError, match="pass `on_invalid=drop"):
            read(path, on_invalid="error")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_an_input_error(junk: bytes, tmp_path: Path) -> None:
    for name, start in (("a.csv", b""), ("b.csv", b"a,b,label\n1,2,x\n"), ("c.arff", b""), ("d.parquet", b"")):
        path = write(tmp_path, name, start + junk)
        with contextlib.suppress(InputError):
            table, report = read(path)
            assert len(table) == report.kept > 0
            assert np.isfinite(table.x).all()


# --- columns and labels -------------------------------------------------------------------------------------------


def test_published_header_of_2017(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Friday.CSV",
        " Destination Port, Fwd Header Length, Fwd Header Length,Total Backward Packets, Label\n80,1,2,3,BENIGN\n",
    )
    table, report = read(path)
    assert table.features == ("fwd_header_length", "fwd_header_length_1", "total_bwd_packets")
    assert report.dropped_columns == {"Destination Port": "identifier"}
    table, _ = read(path, keep_ports=True)
    assert table.features[0] == "destination_port"
    assert table.x.tolist() == [[80, 1, 2, 3]]


def test_a_missing_port_invalidates_only_where_it_is_a_feature(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "Dst Port,Flow Duration,Label\n,1,x\n80,2,x\n")
    assert len(read(path)[0]) == 2
    table, report = read(path, keep_ports=True)
    assert table.x.tolist() == [[80, 2]]
    assert report.invalid_values == {"destination_port": {"missing": 1}}
    with pytest.raises(InputError, match="no destination port column"):
        read(write(tmp_path, "b.csv", "a,Label\n1,x\n"), keep_ports=True)


@pytest.mark.parametrize("wanted", ["Attack Cat", "attack_cat", " attack cat ", "Attack  Cat"])
def test_a_named_label_and_no_other_label_as_feature(tmp_path: Path, wanted: str) -> None:
    path = write(tmp_path, "a.csv", "size,Attack Cat,Label\n1,Worms,1\n2,DoS,1\n")
    table, report = read(path, label_column=wanted)
    assert table.classes == ("DoS", "Worms")
    assert table.features == ("size",)
    assert report.dropped_columns == {"Label": "another label"}
    with pytest.raises(InputError, match="the label 'Label', which holds only '1', and 'Attack Cat' beside it"):
        read(path)


def test_a_label_in_another_script(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "длина,größe,Метка\n1,2,атака\n3,4,норма\n")
    table, _ = read(path, label_column="Метка")
    assert table.features == ("длина", "gr_e")
    assert table.classes == ("атака", "норма")
    with pytest.raises(InputError, match="длина, größe, Метка"):
        read(path)


def test_text_columns_become_categories(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "proto,size,class\nudp,1,x\n tcp,2,y\nicmp,3,x\n?,4,x\n,5,x\ntcp,6,x\n")
    table, report = read(path)
    assert table.categories == {"proto": ("icmp", "tcp", "udp")}
    assert [table.categories["proto"][int(code)] for code in table.x[:, 0]] == ["udp", "tcp", "icmp", "tcp"]
    assert report.invalid_values == {"proto": {"missing": 2}}
    table, report = read(path, on_invalid="impute")
    assert table.categories == {"proto": ("?", "icmp", "tcp", "udp")}
    assert len(table) == 6
    assert report.imputed == {"proto": 2}


def test_free_text_is_left_out(tmp_path: Path) -> None:
    rows = "".join(f"{i},note {i},{i % 30},x{i % 2}\n" for i in range(600))
    table, report = read(write(tmp_path, "a.csv", "a,remark,b,label\n" + rows))
    assert table.features == ("a", "b")
    assert report.dropped_columns == {"remark": "free text"}
    assert table.x[:3].tolist() == [[0, 0], [1, 1], [2, 2]]
    few = "".join(f"{i},note {i},x\n" for i in range(30))
    table, report = read(write(tmp_path, "b.csv", "a,remark,label\n" + few))
    assert table.features == ("a",)
    with pytest.raises(InputError, match="remark hold free text"):
        read(write(tmp_path, "c.csv", "remark,label\n" + "".join(f"note {i},x\n" for i in range(30))))


def test_row_numbers_and_timestamps_are_no_features(tmp_path: Path) -> None:
    header = ",Unnamed: 0.1,Timestamp,Inbound,SimillarHTTP,Flow ID,size,label\n"
    table, _ = read(write(tmp_path, "a.csv", header + "0,0,2017-07-07 13:39:36,1,0,1.2.3.4,5,x\n"))
    assert table.features == ("size",)


def test_other_delimiters(tmp_path: Path) -> None:
    for delimiter in ";\t|":
        path = write(tmp_path, "a.csv", "a,b,label\n1,2,x\n".replace(",", delimiter))
        assert read(path)[0].x.tolist() == [[1, 2]]


# --- damage -------------------------------------------------------------------------------------------------------


def test_a_last_line_cut_short(tmp_path: Path) -> None:
    whole = "a,b,Label\n1,2,BENIGN\n3,4,DDoS\n"
    for cut in ("5,", "5,6", "5,6,", "5,6,BEN", "5,6,D"):
        table, report = read(write(tmp_path, "a.csv", whole + cut))
        assert (table.classes, report.kept, report.invalid) == (("BENIGN", "DDoS"), 2, 1), cut
        with pytest.raises(InputError, match=r"pass `on_invalid=drop"):
            read(tmp_path / "a.csv", on_invalid="error")
    for kept in ("5,6,BENIGN", "5,6,Bot", "5,6,BEN\n"):  # complete, new, or ended by a line end
        assert read(write(tmp_path, "a.csv", whole + kept))[1].kept == 3


def test_error_names_column_number_and_file(tmp_path: Path) -> None:
    path = write(tmp_path, "X.csv", "Flow Bytes/s,a,Label\n" + "Infinity,1,x\n" * 12 + "1,1,x\n")
    with pytest.raises(InputError) as caught:
        read(path, on_invalid="error")
    assert str(caught.value) == f"column 'flow_bytes_s' has 12 infinite values in {path}; pass `on_invalid=drop`"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n \n,,\n", "is empty"),
        ("a.csv", b"a,b,Label\n", "no data row"),
        ("a.csv", b"a,b,Label", "no data row"),
        ("a.csv", b"a,b,Label\n\n,,\n", "can be used|no data row"),
        ("a.csv", b"a,b\n1,2\n", "no label column.*a, b"),
        ("a.csv", b"Label\nx\n", "no feature columns"),
        ("a.csv", b"80,5.5,3.25,BENIGN\n1,2,3,x\n", "no header line"),
        ("a.csv", b"PAR1\x00\x00", "Parquet data"),
        ("a.csv", b"PK\x03\x04zip", "zip archive"),
        ("a.csv", "a,Label\n1,x\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b"a,Label\n1,\x00x\n", "NUL bytes"),
        ("a.csv", b"\x01\x02\x03\n1,2\n", "control characters"),
        ("a.csv", b'a,Label\n1,"x\n2,y\n3,z\n', "never closed"),
        ("a.csv", b"a,Label\n1,x,3\n2,y,4\n", "2 have more or fewer fields"),
        ("a.csv", b"a,b,Label\n1,,x\n2,,y\n", "column 'b' has 2 missing values.*on_invalid=impute"),
        ("a.csv", b"a,Label\n1,\n2,\n", "no row of .* has a label: column 'Label' is empty"),
        ("a.csv", b"a,Label\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(2000)), "more than 1,000"),
        ("a.doc", b"a,Label\n1,x\n", "extension '.doc'"),
        ("a.parquet", b"a,Label\n1,x\n", "not a whole Parquet file"),
        ("a.parquet", b"", "is empty"),
        ("a.arff", b"a,Label\n1,x\n", "not ARFF"),
        ("a.arff", b"", "is empty"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert name in str(caught.value) or "column" in str(caught.value)


def test_options_out_of_range(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,Label\n1,x\n")
    with pytest.raises(InputError, match="choose from drop, error, impute"):
        read(path, on_invalid="ignore")
    with pytest.raises(InputError, match="at least 1"):
        read(path, cap=0)
    with pytest.raises(InputError, match=r"no column 'Klasse'.*a, Label"):
        read(path, label_column="Klasse")


def test_imputation_uses_the_median_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,b,Label\n1,5,x\n?,6,x\n3,inf,y\n100,abc,y\n1,1,\n")
    table, report = read(path, on_invalid="impute")
    assert table.x.tolist() == [[1, 5], [3, 6], [3, 5.5], [100, 5.5]]
    assert report.imputed == {"a": 1, "b": 2}
    assert (report.kept, report.invalid) == (4, 1)  # a row without a label cannot be filled
    assert "filled with their column's median: a 1, b 2" in str(report)
    with pytest.raises(InputError, match="column 'a' has no valid value"):
        read(write(tmp_path, "b.csv", "a,b,Label\n?,1,x\n"), on_invalid="impute")


# --- several files, caps, classes ---------------------------------------------------------------------------------


def test_a_folder_is_read_recursively_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".cache").mkdir()
    write(tmp_path, "b.CSV", "b,a,Label\n2,1,x\n")
    write(tmp_path, "a.csv", "a,b,Label\n3,4,y\n")
    write(tmp_path / "sub", "c.csv", " A , B,label\n5,6,x\n")
    write(tmp_path, "notes.txt", "no data")
    write(tmp_path, "._a.csv", "resource fork")
    write(tmp_path / ".cache", "d.csv", "junk")
    table, report = read(tmp_path)
    assert table.x.tolist() == [[3, 4], [1, 2], [5, 6]]
    assert [Path(name).name for name in report.files] == ["a.csv", "b.CSV", "c.csv"]
    assert [counts.kept for counts in report.files.values()] == [1, 1, 1]
    assert len(read_flows([tmp_path / "b.CSV", tmp_path / "a.csv"], progress=False)[0]) == 2


def test_files_of_different_layouts_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path, "one.csv", "a,b,Label\n1,2,x\n")
    less = write(tmp_path, "two.csv", "a,Src Port,Label\n1,2,x\n")
    with pytest.raises(InputError, match=r"two\.csv has no column 'b', which .*one\.csv has"):
        read_flows([one, less], progress=False)
    with pytest.raises(InputError, match=r"two\.csv has no column 'b', which .*one\.csv has"):
        read_flows([less, one], progress=False)
    with pytest.raises(InputError, match="named twice"):
        read_flows([one, one], progress=False)
    with pytest.raises(InputError, match="no column 'Label' for the label"):
        read_flows([one, write(tmp_path, "three.csv", "a,b,kind\n1,2,x\n")], progress=False)


def test_a_file_of_the_folder_may_hold_only_a_header(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "proto,Label\n")
    write(tmp_path, "b.csv", "proto,Label\ntcp,x\n")
    table, report = read(tmp_path)
    assert table.categories == {"proto": ("tcp",)}
    assert [counts.read for counts in report.files.values()] == [0, 1]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "absent")
    with pytest.raises(InputError, match=r"holds no \.csv, \.parquet or \.arff file"):
        read(tmp_path)
    with pytest.raises(InputError, match="no data file was named"):
        read_flows([], progress=False)


def test_the_cap_keeps_the_first_valid_rows_of_each_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_BLOCK", 64)
    rows = [("inf" if i % 5 == 0 else str(i), "xyz"[i % 3]) for i in range(60)]
    for name, part in (("a.csv", rows[:25]), ("b.csv", rows[25:])):
        write(tmp_path, name, "a,Label\n" + "".join(f"{a},{label}\n" for a, label in part))
    table, report = read(tmp_path, cap=6, rename=lambda name: {"z": None, "y": "x"}.get(name, name))
    expected = [float(a) for a, label in rows if a != "inf" and label in "xy"][:6]
    assert table.x[:, 0].tolist() == expected
    assert table.classes == ("x",)
    counts = report.classes["x"]
    assert (counts.read, counts.kept, counts.invalid, counts.capped) == (40, 6, 8, 26)
    assert report.classes["z"].excluded == report.excluded == 20
    assert report.read == report.kept + report.invalid + report.capped + report.excluded == 60


def test_excluded_rows_are_not_judged(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,Label\n1,x\ninf,y\n")
    table, report = read(path, on_invalid="error", rename=lambda name: None if name == "y" else name)
    assert len(table) == 1
    assert report.excluded == 1


def test_duplicates_are_counted_and_kept(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "a,Label\n1,x\n1,x\n1,y\n")
    write(tmp_path, "b.csv", "a,Label\n1.0,x\n2,x\n")
    table, report = read(tmp_path)
    assert len(table) == 5
    assert report.duplicate == 2
    assert [counts.duplicate for counts in report.files.values()] == [1, 1]
    assert {name: counts.duplicate for name, counts in report.classes.items()} == {"x": 2, "y": 0}


def test_a_class_whose_rows_are_all_invalid_is_reported(tmp_path: Path) -> None:
    table, report = read(write(tmp_path, "a.csv", "a,Label\n1,x\ninf,rare\n"))
    assert table.classes == ("x",)
    assert report.classes["rare"].invalid == 1
    assert "no row is left of: rare" in str(report)


def test_class_order(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,Label\n1,10\n1,9\n1,2\n")
    assert read(path)[0].classes == ("2", "9", "10")
    assert read(path, order=("9", "1"))[0].classes == ("9", "2", "10")


def test_the_progress_bar_counts_bytes_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    read_flows(write(tmp_path, "a.csv", "a,Label\n1,x\n"), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "reading" in captured.err
    assert "12.0" in captured.err  # bytes of the file
    read(tmp_path / "a.csv")
    assert capsys.readouterr().err == ""


def test_clean_and_dirty_blocks_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One word in a column sends its block through the slow way, which must give the same numbers."""
    random = np.random.default_rng(0)
    values = random.standard_normal((300, 4)) * 10.0 ** random.integers(-300, 300, (300, 4))
    lines = [",".join(map(repr, row.tolist())) + f",c{index % 3}\n" for index, row in enumerate(values)]
    clean = read(write(tmp_path, "a.csv", "a,b,c,d,Label\n" + "".join(lines)))[0]
    dirty = lines.copy()
    dirty.insert(150, "word,1,2,word,c0\n")
    dirty.insert(20, " a,b,c,d,Label\n")
    table, report = read(write(tmp_path, "b.csv", "a,b,c,d,Label\n" + "".join(dirty)))
    np.testing.assert_array_equal(clean.x, values)
    np.testing.assert_array_equal(table.x, values)
    assert (report.headers, report.invalid) == (1, 1)


def test_spellings_of_one_class_count_as_one_and_are_said(tmp_path: Path) -> None:
    spelt = ["BENIGN", "Benign", "benign", "Web Attack - XSS", "web_attack-xss", "Web  Attack – XSS", "DDoS", "Ddos"]
    rows = "".join(f"{i},{name}\n" for i, name in enumerate(spelt))
    (tmp_path / "a.csv").write_text("dur,Label\n" + rows, encoding="utf-8")
    table, report = read(tmp_path / "a.csv")
    assert table.counts == {"BENIGN": 3, "DDoS": 2, "Web Attack - XSS": 3}
    assert dict(report.spellings) == {
        **dict.fromkeys(["Benign", "benign"], "BENIGN"),
        "web_attack-xss": "Web Attack - XSS",
        "Ddos": "DDoS",
    }
    assert "labels counted as one class: 'Benign' as 'BENIGN'" in str(report)
    assert report.classes["BENIGN"].read == 3


def test_whole_numbers_are_one_class_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("dur,Label\n1,0\n2,0.0\n3,1\n4,01\n5,-1\n6,C+\n7,C\n")
    assert read(tmp_path / "a.csv")[0].counts == {"-1": 1, "0": 2, "1": 2, "C": 1, "C+": 1}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_separator_too_many_at_the_end_of_every_row(tmp_path: Path, ends: str) -> None:
    lines = ["a,b,Label", *(f"{i},{i * i},{'xy'[i % 2]}," for i in range(200))]
    table, report = read(write(tmp_path, "a.csv", ends.join(lines) + ends))
    assert (table.counts, table.features) == ({"x": 100, "y": 100}, ("a", "b"))
    assert report.dropped_columns == {"empty field at the end of each row": "not in the header"}
    mixed = [*lines[:100], "1,2,x", *lines[100:]]  # a row as the header has it is the odd one then
    assert read(write(tmp_path, "b.csv", ends.join(mixed)))[1].malformed == 1
    single = ["a,b,Label", "1,2,x", "3,4,y,", "5,6,x"]
    table, report = read(write(tmp_path, "c.csv", ends.join(single)))
    assert (len(table), report.malformed) == (2, 1)
