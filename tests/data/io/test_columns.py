"""Columns of other tools' exports: identifiers, second labels, and columns without a value."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError


def test_what_names_the_flow_or_the_attack_is_no_feature(tmp_path: Path):
    n = 12
    frame = pd.DataFrame({"srcip": "10.0.0.1", "sport": range(n), "dsport": 80, "Stime": range(n), "dur": range(n)})
    frame["attack"], frame["category"], frame["Label"] = "dos", "dos", ["a", "b", "c"] * 4
    frame.to_csv(tmp_path / "argus.csv", index=False)
    table, report = read_flows(tmp_path / "argus.csv", progress=False)
    assert table.features == ("dur",)
    assert report.dropped_columns["attack"] == "another label"
    assert report.dropped_columns["srcip"] == "identifier"


def test_row_numbers_that_pandas_leaves_in_parquet_are_no_feature(tmp_path: Path):
    frame = pd.DataFrame({"dur": np.arange(10.0), "Label": ["a", "b"] * 5})
    frame[frame["dur"] != 3].to_parquet(tmp_path / "part.parquet")
    table, _ = read_flows(tmp_path / "part.parquet", progress=False)
    assert table.features == ("dur",)


@pytest.mark.parametrize("on_invalid", ["drop", "impute"])
def test_a_column_without_any_value_is_left_out(tmp_path: Path, on_invalid):
    lines = ["a,empty,label", *(f"{i},,{'xy'[i % 2]}" for i in range(30))]
    (tmp_path / "f.csv").write_text("\n".join(lines) + "\n")
    table, report = read_flows(tmp_path / "f.csv", on_invalid=on_invalid, progress=False)
    assert (len(table), table.features) == (30, ("a",))
    assert report.dropped_columns == {"empty": "no values"}


def test_a_link_to_nowhere_is_one_sentence(tmp_path: Path):
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match=r"gone\.csv is no file"):
        read_flows(tmp_path, progress=False)
