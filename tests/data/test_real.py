"""The published files: rows per class, against the counts of their description and against pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax.data.audit import leakage_report, near_duplicates
from nids_jax.data.datasets import DATASETS
from nids_jax.data.io.readers import read_flows
from nids_jax.data.loading import load
from nids_jax.data.scaling import SCALERS, fit_scaler
from nids_jax.data.split import conflicting_rows, deduplicate, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.flows.schema import CICIDS2017

READ_2017 = {
    "BENIGN": 20901,
    "Bot": 1354,
    "DDoS": 1186,
    "DoS GoldenEye": 51,
    "DoS Hulk": 985,
    "DoS Slowhttptest": 25,
    "DoS slowloris": 22,
    "FTP-Patator": 35,
    "Heartbleed": 11,
    "Infiltration": 36,
    "PortScan": 1414,
    "SSH-Patator": 27,
    "Web Attack - Brute Force": 976,
    "Web Attack - Sql Injection": 21,
    "Web Attack - XSS": 434,
}
ROWS = {"cicids2017": 27478, "cicids2017_improved": 37556, "cicddos2019": 11039, "gas_pipeline": 7031}
WIDTH = {"cicids2017": 77, "cicids2017_improved": 82, "cicddos2019": 78, "gas_pipeline": 26}


@pytest.fixture(scope="module")
def tables(data_dir: Path) -> dict[str, FlowTable]:
    return {name: deduplicate(load(name, data_dir=data_dir, progress=False)[0])[0] for name in ROWS}


@pytest.mark.parametrize("name", ROWS)
def test_rows_and_classes(data_dir: Path, name: str) -> None:
    table, report = load(name, data_dir=data_dir, progress=False)
    assert report.read == ROWS[name]
    assert report.read == report.kept + report.invalid
    assert table.x.shape == (report.kept, WIDTH[name])
    assert np.isfinite(table.x).all()
    assert set(table.classes) == set(DATASETS[name].classes) - {"WebDDoS"}
    assert table.classes == tuple(name for name in DATASETS[name].classes if name in table.classes)
    assert sum(counts.kept for counts in report.classes.values()) == report.kept
    assert not any("port" in feature and "protocol" not in feature for feature in table.features)


def test_cicids2017(data_dir: Path) -> None:
    table, report = load("cicids2017", data_dir=data_dir, progress=False)
    assert {name: counts.read for name, counts in report.classes.items()} == READ_2017
    assert table.features == CICIDS2017[1:]
    frame = pd.read_parquet(data_dir / "cicids2017" / "flows.parquet")
    numbers = frame.drop(columns=["Destination Port", "Label"])
    valid = np.isfinite(numbers).all(axis=1)
    np.testing.assert_array_equal(table.x, numbers[valid].to_numpy())
    assert report.duplicate == int(np.sum(frame[valid].drop(columns="Destination Port").duplicated()))
    # With the port as a feature, the 2,811 rows without one go as well.
    table, report = load("cicids2017", data_dir=data_dir, keep_ports=True, progress=False)
    assert table.features == CICIDS2017
    assert len(table) == int(np.sum(valid & frame["Destination Port"].notna()))
    assert report.invalid_values["destination_port"]["missing"] == 2811


def test_the_raw_csv_of_2017_as_pandas_reads_it(data_dir: Path) -> None:
    path = data_dir / "cicids2017" / "raw" / "MachineLearningCSV_sample.csv"
    table, report = read_flows(path, progress=False)
    frame = pd.read_csv(path)
    numbers = frame.iloc[:, 1:-1].astype(float)
    valid = np.isfinite(numbers).all(axis=1)
    assert (report.read, report.kept) == (3000, int(np.sum(valid)))
    np.testing.assert_array_equal(table.x, numbers[valid].to_numpy())
    names = frame.iloc[:, -1][valid].str.replace(r"[^ -~]+", "-", regex=True)
    assert [table.classes[label] for label in table.y] == names.tolist()
    assert "Web Attack - Brute Force" in table.classes


def test_merging_the_dos_tools_gives_twelve_classes(data_dir: Path) -> None:
    table, _ = load("cicids2017", data_dir=data_dir, merge_dos=True, progress=False)
    assert len(table.classes) == 12
    kept = load("cicids2017", data_dir=data_dir, progress=False)[0].counts
    assert table.counts["DoS"] == sum(count for name, count in kept.items() if name.startswith("DoS "))


def test_the_improved_release_as_csv_files(data_dir: Path) -> None:
    table, report = load("cicids2017_improved", data=data_dir / "cicids2017_improved" / "raw", progress=False)
    assert table.counts == {
        "Botnet": 736,
        "Heartbleed": 11,
        "Infiltration": 36,
        "Web Attack - SQL Injection": 13,
        "Web Attack - XSS": 18,
    }
    assert len(report.files) == 5
    whole, _ = load("cicids2017_improved", data_dir=data_dir, progress=False)
    assert whole.features == table.features
    rows = {tuple(row) for row in whole.x[whole.y == whole.classes.index("Heartbleed")]}
    assert rows == {tuple(row) for row in table.x[table.y == table.classes.index("Heartbleed")]}


def test_2019_spellings(data_dir: Path) -> None:
    merged, report = load("cicddos2019", data_dir=data_dir, progress=False)
    apart, _ = load("cicddos2019", data_dir=data_dir, merge_spellings=False, progress=False)
    assert (len(merged.classes), len(apart.classes)) == (13, 17)
    for kind in ("LDAP", "MSSQL", "NetBIOS", "UDP"):
        assert merged.counts[f"DrDoS_{kind}"] == apart.counts[f"DrDoS_{kind}"] + apart.counts[kind]
    assert report.invalid_values["flow_bytes_s"] == {"missing": 136, "infinite": 206}
    days, report = load("cicddos2019", data=data_dir / "cicddos2019" / "raw", progress=False)
    assert days.features == merged.features
    assert len(report.files) == 13
    assert report.read == 13 * 129


def test_gas_pipeline(data_dir: Path) -> None:
    table, report = load("gas_pipeline", data_dir=data_dir, progress=False)
    assert list(table.counts.values()) == [4389, 228, 1115, 71, 574, 28, 126, 500]
    assert report.imputed == {}  # this file has no `?`
    path = data_dir / "gas_pipeline" / "gas_final_10pct.arff"
    frame = pd.read_csv(path, skiprows=32, header=None)
    for column, name in enumerate(table.features):
        names = table.categories.get(name)
        values = np.array(names, float)[table.x[:, column].astype(int)] if names else table.x[:, column]
        np.testing.assert_array_equal(values, frame[column])
    assert {name: len(names) for name, names in table.categories.items()} == {
        "command_address": 45,
        "response_address": 2,
        "command_memory": 6,
        "response_memory": 2,
        "comm_read_function": 18,
        "comm_write_fun": 1,
        "resp_read_fun": 2,
        "resp_write_fun": 2,
        "sub_function": 3,
        "control_mode": 3,
        "control_scheme": 2,
        "pump": 2,
        "solenoid": 2,
    }
    np.testing.assert_array_equal(table.y, frame.iloc[:, 26].to_numpy())


@pytest.mark.parametrize("name", ROWS)
def test_a_few_shot_split_of_real_flows(tables: dict[str, FlowTable], name: str) -> None:
    table = tables[name]
    split = few_shot(table, 5, 0, test_per_class=1000, extra=50)
    assert set(split.train.counts.values()) == {5}
    for label, rows in table.counts.items():
        assert split.test.counts[label] == min(1000, rows - 55 if rows > 55 else rows - rows // 2)
    exact = near_duplicates(split.real_all, split.test, 1e-12)
    assert exact <= conflicting_rows(table) + 5  # the same flows survive under two labels only, or by their last digit
    assert near_duplicates(split.real_all, split.test) >= exact


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("name", ROWS)
def test_scalers_on_real_flows(tables: dict[str, FlowTable], name: str, scaler: str) -> None:
    split = few_shot(tables[name], 50, 0, test_per_class=1000)
    fitted = fit_scaler(scaler, split.train)
    train, test = fitted.transform(split.train.x), fitted.transform(split.test.x)
    assert np.isfinite(test).all()
    if fitted.bounded:
        assert np.abs(train).max() <= 1
    spread = np.maximum(np.ptp(train, axis=0), 1)
    for scaled in (train, test):
        again = fitted.transform(fitted.inverse(scaled))
        error = np.abs(again - scaled) / np.maximum(spread, np.abs(scaled))
        assert error.max() < 1e-5


def test_known_leaks(tables: dict[str, FlowTable]) -> None:
    report = leakage_report(tables["cicids2017"])
    assert {leak.name for leak in report.leaks} == {"Heartbleed"}
    gas = leakage_report(tables["gas_pipeline"])
    assert ("Recon", "response_address") in {(leak.name, leak.feature) for leak in gas.leaks}
