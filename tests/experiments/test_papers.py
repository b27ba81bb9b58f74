"""The runs behind docs/reproduction.md: its commands, its records, and the table made of them."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from experiments import papers
from nids_jax import store
from nids_jax.__main__ import flags_of
from nids_jax.cli.frame import run
from tests.test_documents import blocks, commands
from tests.test_reproduction import DOCS, RECORDS

CALLS = [call for name, each in papers.RUNS.items() for call in each.calls(Path(name), "DATA")]


def called(*flags: str) -> int:
    return run(lambda: papers.main, flags, set)


def settled(words: list[str]) -> set[str]:
    """The flags of a call, but for the folder that it writes to."""
    return {word for word in words if not word.startswith("--output_dir=")}


@pytest.mark.parametrize("words", CALLS, ids=[call[-1].partition("=")[2] for call in CALLS])
def test_each_command_takes_its_flags(words: list[str]):
    name, *flags = words
    known = flags_of(name)
    known.parse(flags)
    assert known.values()["dataset"] in words[-1]


def test_the_page_shows_the_commands_that_are_run():
    runs = [settled(call) for call in CALLS]
    shown = [call for block in blocks(DOCS / "reproduction.md") for call in commands(block.text)]
    shown = [call for call in shown if call[0] in {words[0] for words in CALLS}]
    assert len(shown) > 5
    for call in shown:
        assert settled(call) in runs, call


def test_the_published_records_are_of_these_runs():
    assert tuple(RECORDS[0]) == papers.COLUMNS
    found = {(record["table"], record["dataset"]) for record in RECORDS}
    assert found == {(each.table, dataset) for each in papers.RUNS.values() for dataset in each.datasets}


def test_records_become_rows(tmp_path: Path):
    folder = tmp_path / "table5" / "cicids2017"
    record = {
        "experiment": "generator_comparison",
        "dataset": "cicids2017",
        "classifier": "knn",
        "split_seed": 2,
        "metrics": {"accuracy": 0.123456, "macro_f1": None, "weighted_f1": 1.0},
        "timing": {"fit_s": 61.26},
        "rows": {"train": 75, "generated": 750, "test": 5799},
        "environment": {"git_revision": "0123456789abcdef"},
    }
    for training_set, shots, test in (("cddpm_500", 5, 1), ("real", None, 0)):
        store.append(folder, {**record, "generator": training_set, "shots": shots, "generation_seed": test})
    (tmp_path / "table5" / "another").mkdir()  # no dataset of this run
    assert called("--norun", f"--output_dir={tmp_path}") == 0
    table = pd.read_csv(tmp_path / "records.csv", dtype=str, keep_default_na=False)
    assert table.columns.tolist() == list(papers.COLUMNS)
    first, second = table.to_dict("records")
    expected = {
        "table": "Table V",
        "dataset": "cicids2017",
        "training_set": "cddpm_500",
        "classifier": "knn",
        "shots": "5",
        "split_seed": "2",
        "test": "1",
        "accuracy": "0.1235",
        "weighted_f1": "1.0000",
        "training_rows": "75",
        "generated_rows": "750",
        "test_rows": "5799",
        "fit_s": "61.3",
        "revision": "012345678",
    }
    assert {name: value for name, value in first.items() if value} == expected
    assert (second["training_set"], second["shots"], second["test"]) == ("real", "", "0")


def test_a_run_that_fails_ends_all(tmp_path: Path, capsys):
    flags = ["--only=table5,table4", f"--data_dir={tmp_path / 'none'}", f"--output_dir={tmp_path / 'out'}"]
    with pytest.raises(SystemExit, match="2"):
        called(*flags)
    said = capsys.readouterr()
    assert said.out.count("nids_jax generator_comparison --preset=paper_narrow") == 1
    assert "nids_jax detector_comparison" not in said.out
    assert said.err.startswith("error: ")
    assert str(tmp_path / "none") in said.err
    assert not (tmp_path / "out" / "records.csv").exists()


def test_bad_flags_are_refused(tmp_path: Path, capsys):
    assert called("--only=table9", f"--output_dir={tmp_path}") == 2
    assert "names 'table9'; choose from detectors" in capsys.readouterr().err
    assert called("--help") == 0
    assert "--only" in capsys.readouterr().out


def test_what_is_recorded_is_gathered_after_a_run(tmp_path: Path, monkeypatch):
    """The calls go in order, each to its own folder."""
    seen = []

    def recorded(words: list[str]) -> int:
        seen.append(words)
        folder = Path(words[-1].removeprefix("--output_dir="))
        record = {"experiment": words[0], "dataset": folder.name, "generator": "real", "classifier": "knn"}
        record |= {"shots": 5, "split_seed": 0, "generation_seed": 0, "metrics": {"accuracy": 0.5}}
        store.append(folder, record)
        return 0

    monkeypatch.setattr(papers, "command", recorded)
    assert called("--only=p2_table4,figure8", f"--output_dir={tmp_path}") == 0
    assert [(words[0], Path(words[-1]).parent.name) for words in seen] == [
        ("imbalance", "p2_table4"),
        ("explanations", "figure8"),
        ("explanations", "figure8"),
    ]
    with (tmp_path / "records.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["table"], row["dataset"]) for row in rows] == [
        ("Fig. 8", "cicids2017"),
        ("Fig. 8", "cicddos2019"),
        ("P2, Table 4", "gas_pipeline"),
    ]
    assert json.loads((tmp_path / "figure8" / "cicids2017" / "records.jsonl").read_text())["dataset"] == "cicids2017"
