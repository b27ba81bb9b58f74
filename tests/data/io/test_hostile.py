"""Tables made to take long, or to hold more than any table of flows does."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.data.io import arff
from nids_jax.data.io.columns import MOST_COLUMNS
from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError

SIZE = 400_000  # bytes for which anything quadratic takes an hour
ROWS = "".join(f"{i},{i / 7:.3f},{'ab'[i % 2]}\n" for i in range(30))
CSV = "x,y,Label\n" + ROWS
ATTRIBUTES = "@relation r\n@attribute a numeric\n@attribute p {tcp,udp}\n@attribute Label {x,y}\n"
ARFF = ATTRIBUTES + "@data\n1,tcp,x\n2,udp,y\n"


def long_inputs() -> dict[str, str]:
    """File name → content: what some expression would look through again from each of its letters."""
    escaped = "'" + "\\'" * (SIZE // 2)
    names = ",".join(f"v{i}" for i in range(SIZE // 7))
    values = "".join(f"1,v{i},x\n" for i in range(SIZE // 10))
    return {
        "digits.csv": CSV + "9" * SIZE + "x,1,a\n",
        "groups.csv": CSV.replace(",", ";").replace(".", ",") + "1" + ".000" * (SIZE // 4) + "x;1;a\n",
        "points.csv": CSV + "9." * (SIZE // 2) + ",1,a\n",
        "header.csv": "9" * 900 + "_1" * 40 + ",y,Label\n" + ROWS,
        "blank lines first.csv": "\n" * (8 * SIZE) + CSV,
        "blank lines first.arff": "\n" * (8 * SIZE) + ARFF,
        "escapes.arff": ARFF + escaped,
        "blanks before a quotation mark.arff": ARFF + "1," + " " * SIZE + "'tcp,x\n",
        "blank lines before a brace.arff": ARFF + "\n" * SIZE + "1,{tcp,x\n",
        "quotation marks.arff": ARFF + "\"'" * (SIZE // 2) + "\n",
        "cells that begin with one.arff": ARFF + "'a," * (SIZE // 3) + "\n",
        "blanks in a value.arff": ARFF.replace("{tcp", "{tcp" + " " * SIZE + "b,tcp"),
        "escapes in a value.arff": ARFF.replace("{tcp", "{" + escaped + "b,tcp"),
        "escapes in a name.arff": ATTRIBUTES + f"@attribute {escaped}\n@data\n",
        "many values.arff": ARFF.replace("{tcp", "{" + names + ",tcp") + values,
    }


def read_all(folder: str) -> None:
    """Read each long input; what comes of it is a table or a sentence."""
    for name, content in long_inputs().items():
        path = Path(folder) / name
        path.write_text(content)
        with contextlib.suppress(InputError):
            read_flows(path, progress=False)


def test_reading_takes_time_in_proportion_to_the_size(tmp_path: Path):
    code = f"from tests.data.io.test_hostile import read_all; read_all({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("c," * MOST_COLUMNS + "Label\n1\n", r"has 10,001 columns; up to 10,000 are read"),
        (f"{'x' * 1001},Label\n1,a\n", r"has a column whose name, 'x{40}' and so on, has 1,001 characters"),
        (CSV + "1,2," + "a" * 1001 + "\n", "column 'Label' holds 'a{40}' and so on, 1,001 characters"),
        (CSV + "1,2," + "a" * (2 << 20) + "\n", r"has a line of 2,097,156 bytes; lines of up to 1,048,576 are read"),
        (CSV + "1,2," + "a" * (9 << 20) + "\n", "has a line of 9,437,188 bytes|pass without a line end"),
        ("x" * (2 << 20) + ",Label\n1,a\n", "has a line of 2,097,158 bytes"),
    ],
)
def test_what_no_table_holds_is_refused(tmp_path: Path, content: str, said: str):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_flows(path, progress=False)


def test_arff_with_too_many_attributes_is_refused(tmp_path: Path):
    path = tmp_path / "table.arff"
    path.write_text("".join(f"@attribute a{i} numeric\n" for i in range(MOST_COLUMNS + 1)) + "@data\n1\n")
    with pytest.raises(InputError, match="has 10,001 columns"):
        read_flows(path, progress=False)


def test_long_texts_are_no_categories(tmp_path: Path):
    path = tmp_path / "table.csv"
    path.write_text("x,payload,Label\n" + "".join(f"{i},{'ab'[i % 2] * 1001},{'cd'[i % 2]}\n" for i in range(30)))
    table, report = read_flows(path, progress=False)
    assert table.features == ("x",)
    assert report.dropped_columns == {"payload": "free text"}


def _cells(line: str) -> list[str]:
    """The values of a line as CSV cells, letter by letter: what `ArffFile.prepare` does with an expression."""
    cells, at = [], 0
    while True:
        start = at
        while at < len(line) and line[at] in " \t":
            at += 1
        mark, text = line[at : at + 1], ""
        if mark in ("'", '"') and mark:
            at += 1
            while at < len(line) and line[at] != mark:
                at += line[at] == "\\"
                text += line[at : at + 1]
                at += 1
            closed, at = at < len(line), at + 1
            while at < len(line) and line[at] in " \t":
                at += 1
            if closed and (at == len(line) or line[at] == ","):
                cells.append('"' + text.replace('"', '""') + '"')
                if at == len(line):
                    return cells
                at += 1
                continue
        end = line.find(",", start)
        cells.append(line[start:] if end < 0 else line[start:end])
        if end < 0:
            return cells
        at = end + 1


@given(st.lists(st.text("'\"\\, \ta", max_size=12), min_size=1, max_size=4))
def test_quotation_marks_of_arff(lines: list[str]):
    file = arff.ArffFile.__new__(arff.ArffFile)
    expected = "\n".join(",".join(_cells(line)) for line in lines)
    assert file.prepare("\n".join(lines).encode()).decode() == expected
