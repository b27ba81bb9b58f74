"""Names made to be run by a spreadsheet, in every CSV file that is written, and read back as they were."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax import bulk
from nids_jax.data.io.labels import clean_label
from nids_jax.data.io.readers import read_flows
from nids_jax.report.tables import write_summary
from nids_jax.sheets import guarded, unguarded
from tests.report.example import record

HOSTILE = ['=HYPERLINK("http://x","y")', "@SUM(1)", "+1+cmd|' /C calc'!A0", "-2+3", "'=1", "\t=1", "\r=1"]
HARMLESS = ["BENIGN", "-1", "+1.5e3", "Web Attack - XSS", "", "'quoted'", "it's"]


@given(text=st.text(max_size=8) | st.text("'=+-@\t\r1.e", max_size=6))
def test_every_text_comes_back_and_none_begins_like_a_formula(text: str):
    cell = guarded(text)
    assert unguarded(cell) == text
    if cell[:1] in tuple("=+-@\t\r"):
        float(cell)  # a number, then


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_guarded(text: str):
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_names_stay(text: str):
    assert guarded(text) == text


def test_generated_rows_as_csv_are_read_with_their_names(tmp_path: Path):
    names = [clean_label(name) for name in HOSTILE[:4]]
    codes = pa.array(np.arange(40, dtype=np.int32) % 4)
    table = pa.table({"dur": np.arange(40.0), "Label": pa.DictionaryArray.from_arrays(codes, pa.array(names))})
    pyarrow.csv.write_csv(bulk._as_text(table), tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = {row["Label"] for row in csv.DictReader(file)}
    assert cells == {f"'{name}" for name in names}
    assert set(read_flows(tmp_path / "a.csv", progress=False)[0].classes) == set(names)


def test_the_summary_is_guarded(tmp_path: Path):
    run = record(generator="cddpm", classifier="cnn_bigru") | {"dataset": HOSTILE[0]}
    write_summary(tmp_path, [run])
    rows = list(csv.reader(io.StringIO((tmp_path / "summary.csv").read_text())))
    assert f"'{HOSTILE[0]}" in rows[1]


def test_names_cannot_steer_the_terminal(tmp_path: Path):
    """The report of what was read shows labels and headers of the file with escapes."""
    (tmp_path / "b.csv").write_text("a,Label\n1,b\x1b[2Jc\n2,e\u202ef\n", encoding="utf-8")
    _, report = read_flows(tmp_path / "b.csv", progress=False)
    told = str(report)
    assert "\\x1b[2J" in told
    assert "\\u202e" in told
    assert all(letter.isprintable() or letter == "\n" for letter in told)
