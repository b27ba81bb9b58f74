"""P1's Fig. 8 on a small table whose columns are known to matter or not: recorded, resumed and reported."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nids_jax import store
from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from nids_jax.protocols.explanations import Explanations
from nids_jax.report.page import build_report
from nids_jax.training.loop import OptimiserConfig

# Shapes and settings of tests/protocols/test_detector_comparison.py, whose compiled functions serve here too.
TINY = DetectorConfig(
    network=RecurrentConfig(channels=(4, 4), hidden=(8, 4)),
    optimiser=OptimiserConfig(learning_rate=1e-2),
    batch=16,
    steps=150,
)
CLASSES = ("BENIGN", "PortScan", "DDoS")
# P1 names bwd_init_win_bytes, which decides everything here, and urg_flag_count, which is constant.
FEATURES = ("flow_duration", "bwd_init_win_bytes", "urg_flag_count", "flow_bytes_s")
JOB = Explanations(
    dataset="cicids2017",
    preset=replace(get_preset("demo"), table=TINY, test_rows=20),
    shots=(20,),
    seeds=1,
    classifiers=("cnn_bigru", "random_forest", "xgboost"),
    rows=3,
    samples=40,
    single_samples=600,
)


@pytest.fixture(scope="module")
def table() -> FlowTable:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3, dtype=np.int32), 50)
    x = np.stack([rng.normal(size=150), 100.0 * y + rng.random(150), np.zeros(150), rng.normal(size=150)], axis=1)
    return FlowTable(x=np.abs(x), y=y, features=FEATURES, classes=CLASSES)


@pytest.fixture(scope="module")
def finished(table: FlowTable, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out, said = tmp_path_factory.mktemp("explanations"), []
    JOB.run(table, Runner(output_dir=out, command=["test"], say=said.append, progress=False))
    return out, said


def test_the_column_that_decides_weighs_most(finished):
    records = store.read(finished[0])
    assert [record["classifier"] for record in records] == [*JOB.classifiers]
    for record in records:
        weights = record["explanation"]["mean_abs"]
        assert max(weights, key=weights.__getitem__) == "bwd_init_win_bytes"
        assert weights["urg_flag_count"] == 0
        assert record["explanation"]["rows"] == 9
    network, *trees = (record["explanation"] for record in records)
    # 40 predictions are too few for all 6 coalitions on all background rows; 600 are not.
    assert 0 < network["relative_error"] < 0.5
    assert network["single_relative_error"] == 0
    assert [each["relative_error"] for each in trees] == [0, 0]


def test_single_rows_are_kept_and_add_up(finished, table):
    kept = json.loads((finished[0] / "runs" / "cnn_bigru-shots20-split0" / "shap.json").read_text(encoding="utf-8"))
    assert [row["class"] for row in kept["local"]] == [*CLASSES]
    for row in kept["local"]:
        assert row["base"] + sum(row["phi"]) == pytest.approx(row["probability"], abs=1e-6)
        assert row["errors"] == [0.0] * 4
        assert row["values"] in table.x.tolist()
    assert kept["rows"] == 9


def test_what_is_recorded_is_not_done_again(finished, table):
    out, said = finished
    assert any("standard error of a Shapley value" in line for line in said)
    assert any("3 by themselves, Shapley values exact" in line for line in said)
    again: list[str] = []
    JOB.run(table, Runner(output_dir=out, command=["test"], say=again.append, progress=False))
    assert again == []


def test_the_report_has_the_ranks_of_the_features_that_the_paper_names(finished):
    page = build_report(finished[0]).read_text(encoding="utf-8")
    summary = (finished[0] / "summary.md").read_text(encoding="utf-8")
    line = next(text for text in summary.splitlines() if text.startswith("| random_forest | bwd_init_win_bytes"))
    assert line.split("|")[3].strip() == "1 of 4"
    assert "bwd_init_win_bytes weighs most with cnn_bigru; the features that P1 names: bwd_init_win_bytes 1 of 4" in (
        summary
    )
    assert "exact" in summary
    for name in ("shap_global", "shap_local"):
        assert (finished[0] / "figures" / f"{name}.svg").is_file()
    assert "Single decisions explained" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifiers": ("knn",)}, "`classifiers` names 'knn'"),
        ({"shots": ()}, "`shots` names the training rows"),
        ({"shots": (0,)}, "`shots` names the training rows"),
        ({"rows": 0}, "`rows` is 0"),
        ({"single_samples": 0}, "`single_samples` is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(JOB, **change)
