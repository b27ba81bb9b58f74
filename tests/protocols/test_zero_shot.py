"""Detection without attack rows: what is trained on, what is tested on, what is recorded and said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax import store
from nids_jax.__main__ import main
from nids_jax.data.split import deduplicate
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import simulate_flows
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from nids_jax.protocols.zero_shot import ZeroShot, _SplitRuns
from nids_jax.report import tables as report

JOB = ZeroShot(
    dataset="mine",
    preset=get_preset("demo"),
    seeds=1,
    benign_rows=80,
    classifiers=("decision_tree",),
    test_rows=20,
    simulated_rows=40,
)
CLASSES = ("PortScan", "BENIGN", "Weird")  # no tool stands behind the last


@pytest.fixture(scope="module")
def table() -> FlowTable:
    x, y = simulate_flows({"BENIGN": 300, "PortScan": 50, "Bot": 30}, seed=0)
    codes = np.array([{0: 1, 1: 2}.get(label, 0) for label in y.tolist()], np.int32)
    return deduplicate(FlowTable(x=x, y=codes, features=CICIDS2017, classes=CLASSES, benign="BENIGN"))[0]


def test_no_attack_row_is_trained_on_and_every_draw_is_its_own(table: FlowTable, tmp_path: Path):
    runs = _SplitRuns(JOB, table, Runner(output_dir=tmp_path, progress=False), 0)
    train, test = runs.rows
    assert set(train.y) == {1}
    assert len(train) == min(80, table.counts["BENIGN"] // 2)
    assert np.bincount(test.y, minlength=3)[[0, 2]].tolist() == [20, 20]
    seen = {row.tobytes() for row in train.x}
    assert not seen & {row.tobytes() for row in test.x}
    other, _ = _SplitRuns(JOB, table, Runner(output_dir=tmp_path, progress=False), 1).rows
    assert not np.array_equal(train.x, other.x)
    x, y, everyday, _ = runs.simulated
    assert set(y) == {0}  # of the attack without a tool nothing is simulated
    assert x.shape[1] == everyday.shape[1] == len(CICIDS2017)
    again = _SplitRuns(JOB, table, Runner(output_dir=tmp_path, progress=False), 0).simulated
    np.testing.assert_array_equal(x, again[0])


def test_the_records_and_the_report(table: FlowTable, tmp_path: Path):
    said: list[str] = []
    JOB.run(table, Runner(output_dir=tmp_path, say=said.append, progress=False))
    assert "no tool stands behind Weird: nothing is simulated of these classes" in said
    records = store.read(tmp_path)
    assert {(r["generator"], r["classifier"]) for r in records} == {
        *((name, "decision_tree") for name in ("simulated", "simulated_benign", "aligned")),
        *(("benign", name) for name in ("isolation_forest", "nearest_neighbour", "autoencoder")),
    }
    for record in records:
        each = record["metrics"]["per_class_recall"]
        assert set(each) == {"PortScan", "Weird"}
        assert record["metrics"]["attack_recall_at_0.01"] == pytest.approx(np.mean([*each.values()]))
        assert record["metrics"]["attack_recall_at_0.001"] is None  # of so few benign rows none may be flagged
        assert ("columns" in record) == (record["generator"] == "aligned")
    first, second = report.tables(records)[:2]
    assert first.header[-1].startswith("minus ")
    assert [row[0] for row in second.rows] == ["PortScan", "Weird"]
    (sentence,) = report.verdict(records)
    assert "share of attacks at FPR 1%" in sentence
    again = tmp_path / "again"
    JOB.run(table, Runner(output_dir=again, say=said.append, progress=False))
    assert [r["metrics"] for r in store.read(again)] == [r["metrics"] for r in records]


def test_from_the_command_line_and_on_again(table: FlowTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    frame = pd.DataFrame(table.x, columns=list(table.features)).assign(Label=[CLASSES[k] for k in table.y])
    frame.to_csv(tmp_path / "flows.csv", index=False)
    flags = ["zero_shot", f"--data={tmp_path}/flows.csv", "--preset=demo", f"--output_dir={tmp_path}/out"]
    flags += ["--seeds=1", "--classifiers=decision_tree", "--training_sets=simulated", "--simulated_rows=30"]
    records = tmp_path / "out/records.jsonl"
    assert main([*flags, "--anomaly_detectors=isolation_forest"]) == 0
    once = records.read_bytes()
    assert once.count(b"\n") == 2
    assert main([*flags, "--anomaly_detectors=isolation_forest"]) == 0
    assert records.read_bytes() == once
    assert main([*flags, "--anomaly_detectors=isolation_forest,nearest_neighbour"]) == 0
    assert records.read_bytes().startswith(once)
    assert len(store.read(tmp_path / "out")) == 3
    assert "attacks found without an attack row" in (tmp_path / "out/report.html").read_text()
    elsewhere = [each for each in flags if "output_dir" not in each]
    assert main([*elsewhere, f"--output_dir={tmp_path}/new", "--tool_of=Weird=nonsense"]) == 2
    assert "names the tool 'nonsense'" in capsys.readouterr().err


def test_what_cannot_be_done_is_one_sentence(table: FlowTable):
    with pytest.raises(InputError, match="no class is benign"):
        JOB.describe(replace(table, classes=("PortScan", "Calm", "Weird"), benign=None))
    calm = table.take(table.y == 1)
    with pytest.raises(InputError, match="no attack rows to test on"):
        JOB.describe(calm)
    with pytest.raises(InputError, match="no tool stands behind any attack class"):
        JOB.describe(replace(table, classes=("Odd", "BENIGN", "Weird")))
    for wrong, said in (("PortScan=benign", "tool benign is benign"), ("BENIGN=hulk", "tool hulk is an attack")):
        with pytest.raises(InputError, match=said):
            replace(JOB, tool_of=(wrong,)).describe(table)
    few = table.take(np.r_[np.flatnonzero(table.y != 1), np.flatnonzero(table.y == 1)[:3]])
    with pytest.raises(InputError, match="class 'BENIGN' has 3 rows; 4 are needed"):
        JOB.describe(few)
    for wrong in ({"seeds": 0}, {"benign_rows": 1}, {"training_sets": ("real",)}, {"anomaly_detectors": ("svm",)}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            replace(JOB, **wrong)


def test_columns_are_judged_as_they_are_trained_on(table: FlowTable, tmp_path: Path):
    """A column of names becomes several: those behind it must keep their distances."""
    names = FlowTable(
        x=np.column_stack([np.arange(len(table)) % 4, table.x]),
        y=table.y,
        features=("service", *table.features),
        classes=table.classes,
        categories={"service": ("dns", "ftp", "http", "ssh")},
    )
    runner = Runner(output_dir=tmp_path, progress=False)
    plain, coded = _SplitRuns(JOB, table, runner, 0), _SplitRuns(JOB, names, runner, 0)
    assert len(coded.simulated.distances) == len(plain.simulated.distances) + 4
    np.testing.assert_allclose(coded.simulated.distances[4:], plain.simulated.distances)
    coded.trained("aligned", "decision_tree")


def test_without_a_column_that_agrees_the_other_sets_run(table: FlowTable, tmp_path: Path):
    far = FlowTable(x=table.x + 1e12, y=table.y, features=table.features, classes=table.classes)
    said: list[str] = []
    runner = Runner(output_dir=tmp_path, say=said.append, progress=False)
    replace(JOB, anomaly_detectors=("isolation_forest",)).run(far, runner)
    assert "split 0: simulated benign rows differ in every column, so none is `aligned`" in said
    assert {r["generator"] for r in store.read(tmp_path)} == {"benign", "simulated", "simulated_benign"}
