"""`nids_jax compare`: the page and the figures of two files, and one sentence for bad input."""

import json
from pathlib import Path

import pytest

from nids_jax.__main__ import main
from tests.cli.test_mains import refused
from tests.evaluation.test_comparison import table


def test_two_files_become_a_page(tmp_path: Path, capsys: pytest.CaptureFixture):
    table(120, 0).to_csv(tmp_path / "real.csv", index=False)
    table(110, 1).to_parquet(tmp_path / "made.parquet")
    table(90, 2).to_csv(tmp_path / "unseen.csv.gz", index=False)
    out = tmp_path / "out"
    arguments = [str(tmp_path / "real.csv"), str(tmp_path / "made.parquet"), f"--holdout={tmp_path / 'unseen.csv.gz'}"]
    assert main(["compare", *arguments, f"--output_dir={out}"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Score in all: 0.")
    assert said.endswith(f"{out / 'report.html'}\n")
    found = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert found["rows"] == {"real": 120, "synthetic": 110, "holdout": 90}
    assert {"nids-jax", "numpy", "scikit-learn"} <= found["environment"].keys()
    page = (out / "report.html").read_text(encoding="utf-8")
    for each in ("Verdict", "Told apart by a classifier", "the columns with the lowest scores", *found["columns"]):
        assert each in page
    assert f"{found['parts']['privacy']['score']:.3f}" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.csv"], "1 tables are named; name two"),
        (["nowhere.csv", "nowhere.csv"], "nowhere.csv does not exist"),
        (["REAL", "REAL", "--label_column=Klass"], "--label_column is 'Klass'"),
        (["REAL", "REAL", "--holdout=nowhere"], "nowhere does not exist"),
        (["REAL", "REAL", "--seed=-1"], "--seed is -1"),
    ],
)
def test_bad_input_is_a_sentence(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    table(20, 0).to_csv(tmp_path / "real.csv", index=False)
    given = [str(tmp_path / "real.csv") if each == "REAL" else each for each in arguments]
    refused(main(["compare", *given, f"--output_dir={tmp_path / 'out'}"]), said, capsys)
