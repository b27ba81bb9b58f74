"""Simulated tools as training rows: which tool, in which columns, how many, of what weight, and on fresh seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax import store
from nids_jax.__main__ import main
from nids_jax.data.loading import load
from nids_jax.data.split import deduplicate
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.flows.simulate.tools import TOOLS, tool_flows, tool_of
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.simulation import Simulation
from nids_jax.presets import get_preset
from nids_jax.protocols.few_shot import FewShot, _SplitRuns
from nids_jax.protocols.imbalance import Imbalance

CLASSES = ("BENIGN", "PortScan", "Weird")  # no tool stands behind the last
JOB = FewShot(
    dataset="mine",
    preset=get_preset("demo"),
    seeds=2,
    generators=("real", "simulated"),
    classifiers=("decision_tree",),
    simulated_rows=30,
    test_rows=20,
    generated=10,
    explain=False,
)


@pytest.fixture(scope="module")
def table() -> FlowTable:
    """Simulated flows (of the embedded dataset's seed), with a column that no flow meter gives and in another order."""
    x, y = simulate_flows({"BENIGN": 60, "PortScan": 60, "Bot": 60}, seed=0)
    names = [SIMULATED_CLASSES[label] for label in y]
    codes = np.array([CLASSES.index(name) if name in CLASSES else 2 for name in names], np.int32)
    order = [CICIDS2017.index(name) for name in ("flow_duration", "total_fwd_packets", "flow_bytes_s")]
    extra = 100.0 + codes
    whole = np.column_stack([extra, x[:, order[::-1]]])
    features = ("sensor_load", "flow_bytes_s", "total_fwd_packets", "flow_duration")
    return deduplicate(FlowTable(x=whole, y=codes, features=features, classes=CLASSES))[0]


def test_every_class_of_the_published_datasets_has_a_tool_or_is_named():
    for name in ("cicids2017", "cicids2017_improved", "cicids2018_sample", "cicddos2019"):
        from nids_jax.data.datasets import DATASETS

        assert Simulation().without(DATASETS[name].classes) == []


def test_flows_stand_in_the_tables_own_columns(table: FlowTable):
    simulation = Simulation(compat="corrected")
    x, y = simulation.flows(table, np.array([5, 7, 9]), seed=3)
    assert np.bincount(y, minlength=3).tolist() == [5, 7, 0]
    tool = tool_of("PortScan")
    assert tool is not None
    wanted, features = tool_flows(tool, 7, 3, compat="corrected")
    for place, name in enumerate(table.features[1:], start=1):
        np.testing.assert_array_equal(x[y == 1, place], wanted[:, list(features).index(name)])
    assert set(x[y == 1, 0]) == {101.0}  # no meter gives it: drawn from the class's real rows
    more, _ = simulation.flows(table, np.array([8, 0, 0]), seed=3)
    np.testing.assert_array_equal(more[:5, 1:], x[y == 0, 1:])
    other, _ = simulation.flows(table, np.array([5, 0, 0]), seed=4)
    assert not np.array_equal(other, x[y == 0])


def test_a_map_of_ones_own(table: FlowTable):
    tool = next(iter(TOOLS))
    assert Simulation(tool_of={"Weird": tool}).behind(CLASSES)[2] is TOOLS[tool]
    assert Simulation().without(CLASSES) == ["Weird"]
    for wrong, said in (
        ({"Worm": tool}, "`tool_of` names the class 'Worm'; choose from BENIGN, PortScan, Weird"),
        ({"Weird": "nonsense"}, "`tool_of` names the tool 'nonsense'; choose from"),
    ):
        with pytest.raises(InputError, match=said):
            Simulation(tool_of=wrong).behind(CLASSES)
    with pytest.raises(InputError, match="`tool_of` has 'Weird'; write CLASS=TOOL"):
        _ = replace(JOB, tool_of=("Weird",)).simulation
    no_flows = replace(table.select(("sensor_load",)), features=("pressure",))
    with pytest.raises(InputError, match=r"none of the columns of flow records \(pressure, …\): leave `simulated` out"):
        Simulation().flows(no_flows, np.array([3, 3, 0]), 0)


SLOW = """
[[tool]]
name = "slow_upload"
summary = "a few bytes every {wait} s"
source = "slow.py"
labels = ["Weird"]
[[tool.recipe]]
ports = [8080]
[[tool.recipe.acts]]
messages = [{{ side = "up", size = 300 }}, {{ side = "down", size = 700, wait = {wait} }}]
"""


def test_tools_of_ones_own_answer_to_their_labels(table: FlowTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "my.toml"
    path.write_text(SLOW.format(wait=1))
    job = replace(JOB, own_tools=str(path))
    assert job.describe(table)["tools"]["Weird"] == "slow_upload"
    assert job.describe(table)["without_a_tool"] == []

    data = tmp_path / "flows.csv"
    pd.DataFrame(table.x, columns=list(table.features)).assign(Label=[CLASSES[k] for k in table.y]).to_csv(data)
    flags = ["fewshot", f"--data={data}", "--preset=demo", f"--output_dir={tmp_path}/out", f"--own_tools={path}"]
    flags += ["--shots=3", "--seeds=1", "--generators=simulated", "--classifiers=random_forest", "--noexplain"]
    assert main(flags) == 0
    assert '"Weird": "slow_upload"' in (tmp_path / "out/data.json").read_text()
    path.write_text(SLOW.format(wait=2))
    assert main(flags) == 2
    assert "own_tools_version" in capsys.readouterr().err
    path.unlink()
    assert main(flags) == 2
    assert str(path) in capsys.readouterr().err


def test_simulated_rows_share_one_weight_and_are_no_test_rows(table: FlowTable, tmp_path: Path):
    job = replace(JOB, simulated_weight=2.0, simulated_weighting="equal")
    runs = _SplitRuns(job, table, None, Runner(output_dir=tmp_path, progress=False), 5, 0)
    rows = runs.sets.rows(TrainingSetName("simulated"), 0)
    assert rows.weights is not None
    real = len(rows.y) - rows.synthetic
    assert rows.weights[:real].tolist() == [1.0] * real
    simulated = rows.y[real:]
    assert np.bincount(simulated, minlength=3).tolist() == [30, 30, 0]
    for label in (0, 1):
        assert rows.weights[real:][simulated == label].sum() == pytest.approx(2.0)
    # Split 0 must not meet the flows of the embedded dataset's seed 0; flows of a packet or two may be alike.
    lasting = [
        {row[1:].tobytes() for row, raw in zip(scaled, raws, strict=True) if raw[1:].min() > 0}
        for scaled, raws in (
            (runs.sets.test_x, runs.split.test.x),
            (rows.x[real:], runs.sets.scaler.inverse(rows.x[real:])),
        )
    ]
    assert len(lasting[0] & lasting[1]) < 0.1 * len(lasting[1])


def test_classes_whose_real_rows_look_otherwise_weigh_less():
    rng = np.random.default_rng(0)
    x = np.repeat([0.0, 10.0, 20.0], 50)[:, None] + rng.uniform(size=(150, 2))
    y = np.repeat([0, 1, 2], 50)
    real_x, real_y = np.array([[0.5, 0.5]] * 7), np.array([0, 0, 0, 1, 1, 1, 3])  # all are like class 0
    simulation = Simulation(weight=2.0)
    # p is 1 for the three of class 0 and 0 for those of class 1; class 2 has no real rows, class 3 no simulated ones.
    np.testing.assert_allclose(simulation.class_weights(x, y, real_x, real_y), [2.0, 2.0 / 4, 2.0])
    equal = replace(simulation, weighting="equal")
    np.testing.assert_array_equal(equal.class_weights(x, y, real_x, real_y), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(simulation.class_weights(x, y, real_x[:0], real_y[:0]), [2.0, 2.0, 2.0])


def test_the_experiment_says_what_it_simulated(table: FlowTable, tmp_path: Path):
    said: list[str] = []
    JOB.run(table, Runner(output_dir=tmp_path, say=said.append, progress=False))
    assert "no tool stands behind Weird: nothing is simulated of these classes" in said
    described = JOB.describe(table)
    assert described["without_a_tool"] == ["Weird"]
    assert set(described["tools"]) == {"BENIGN", "PortScan"}
    records = {(r["generator"], r["split_seed"]): r for r in store.read(tmp_path)}
    assert len(records) == 4
    assert records["simulated", 0]["rows"]["generated"] == 60
    again = tmp_path / "again"
    JOB.run(table, Runner(output_dir=again, say=said.append, progress=False))
    for record in store.read(again):
        assert record["metrics"] == records[record["generator"], record["split_seed"]]["metrics"]


def test_without_real_rows_there_are_simulated_ones_alone(table: FlowTable, tmp_path: Path):
    known = table.regroup({name: name for name in CLASSES[:2]}, CLASSES[:2])
    job = replace(JOB, shots=(0, 3), seeds=1)
    job.run(known, Runner(output_dir=tmp_path, say=lambda _: None, progress=False))
    found = {(r["generator"], r["shots"]): r for r in store.read(tmp_path)}
    assert set(found) == {("simulated", 0), ("real", 3), ("simulated", 3)}
    assert found["simulated", 0]["rows"]["train"] == 0
    assert found["simulated", 0]["metrics"]["accuracy"] > 0.6  # a guess has 0.5
    with pytest.raises(InputError, match="add `simulated`"):
        replace(JOB, shots=(0,), generators=("real",))


def test_simulated_flows_are_an_over_sampler_too(table: FlowTable, tmp_path: Path):
    job = Imbalance(
        dataset="mine",
        preset=get_preset("demo"),
        sampling_strategy={"PortScan": 90},
        fractions=(1.0,),
        seeds=1,
        generators=("real", "simulated"),
        classifiers=("decision_tree",),
    )
    job.run(table, Runner(output_dir=tmp_path, say=lambda _: None, progress=False))
    found = {r["generator"]: r for r in store.read(tmp_path)}
    trained = found["real"]["training_rows"][1]
    assert found["simulated"]["generated_rows"] == [0, 90 - trained, 0]


def test_the_sample_that_comes_with_the_package_needs_no_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NIDS_DATA_DIR", raising=False)
    table, report = load("cicids2018_sample", progress=False)
    assert (len(table), len(table.features), len(table.classes)) == (488, 77, 15)
    assert (report.kept, table.benign) == (488, "Benign")


def test_a_metered_column_that_holds_names_is_not_simulated(table: FlowTable):
    codes = np.arange(len(table)) % 2
    named = FlowTable(
        x=np.column_stack([codes, table.x]),
        y=table.y,
        features=("protocol", *table.features),
        classes=table.classes,
        categories={"protocol": ("tcp", "udp")},
    )
    obstacle = Simulation().obstacle(named)
    assert obstacle is not None
    assert "column 'protocol' holds names" in obstacle
    with pytest.raises(InputError, match="holds names"):
        Simulation().flows(named, np.array([3, 3, 0]), 0)


def test_rows_that_are_no_flows_run_without_simulation(tmp_path: Path):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40).astype(np.int32)
    mine = FlowTable(x=rng.normal(size=(80, 2)) + y[:, None], y=y, features=("a", "b"), classes=("Normal", "Odd"))
    said: list[str] = []
    job = replace(JOB, generators=("real", "retimed", "simulated"))
    job.run(mine, Runner(output_dir=tmp_path, say=said.append, progress=False))
    assert {record["generator"] for record in store.read(tmp_path)} == {"real"}
    assert any("none of these columns is one: `retimed` is left out" in line for line in said)
    assert any("these rows have none of the columns of flow records" in line for line in said)
