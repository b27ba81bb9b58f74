"""The generator `inverse`: conversations behind the training rows, varied, as rows of the table's own columns."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from nids_jax import store
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.compat import Compat
from nids_jax.flows.consistency import violations
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate.tools import TOOLS, tool_flows
from nids_jax.generators.inverse import Inverse
from nids_jax.generators.registry import make_generator
from nids_jax.generators.spec import Request
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from nids_jax.protocols.few_shot import FewShot, _SplitRuns
from nids_jax.protocols.imbalance import Imbalance
from tests.generators.row_independence import check_rows_are_independent

KEY = jax.random.key(5)
NAMES = tuple(feature.name for feature in FEATURES)
PLAYED = ("benign", "patator_ssh", "hulk")


@pytest.fixture(scope="module")
def table() -> FlowTable:
    """Simulated flows of three tools, with a column that no meter gives."""
    x = np.concatenate([tool_flows(TOOLS[name], 30, 7)[0] for name in PLAYED])
    y = np.repeat(np.arange(3, dtype=np.int32), 30)
    extra = np.random.default_rng(0).normal(size=(len(x), 1))
    return FlowTable(x=np.hstack([extra, x]), y=y, features=("load", *NAMES), classes=("BENIGN", "Odd", "Weird"))


def fitted(table: FlowTable) -> Inverse:
    maker = make_generator("inverse", Request(features=table.features, compat="corrected"))
    assert isinstance(maker, Inverse)
    return maker.fit(table.x, table.y, KEY)


def test_rows_are_consistent_near_and_no_copies(table: FlowTable) -> None:
    labels = np.repeat(np.arange(3), 100)
    made = fitted(table).sample(labels, KEY)
    assert not any(broken.any() for broken in violations(made, table.features).values())
    assert set(made[:, 0]) <= set(table.x[:, 0])
    originals = {row.tobytes() for row in table.x[:, 1:]}
    assert np.mean([row.tobytes() in originals for row in made[:, 1:]]) < 0.1
    packets, length = (table.features.index(name) for name in ("total_fwd_packets", "total_length_of_fwd_packets"))
    for label in range(3):
        for place in (packets, length):
            real, new = table.x[table.y == label, place], made[labels == label, place]
            assert abs(np.log1p(np.median(new)) - np.log1p(np.median(real))) < 0.5


def test_a_row_depends_on_its_number_and_class_alone(table: FlowTable) -> None:
    part = table.take(table.y < 2)
    check_rows_are_independent(fitted(part), len(table.features), 1100, np.float64)


def test_columns_that_tell_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="none of these columns says how many packets or bytes"):
        Inverse(("pressure", "setpoint"))
    with pytest.raises(InputError, match="none of these columns"):
        Inverse(("pressure", "flow_duration"), categories=("flow_duration",))


def test_what_no_packet_has_is_kept(table: FlowTable) -> None:
    x = table.x.copy()
    header, least = (table.features.index(name) for name in ("fwd_header_length", "fwd_segment_size_min"))
    x[:, header], x[:, least] = -2, -1
    began = table.features.index("total_tcp_flow_time")
    x[table.y == 1, began] += 3e8  # a connection that an earlier record began
    made = fitted(replace(table, x=x)).sample(np.repeat([0, 1, 2], 20), KEY)
    assert (made[:, header] == -2).all()
    assert (made[:, least] == -1).all()
    assert (made[20:40, began] >= 3e8).all()
    assert (made[40:, began] < 3e8).all()


JOB = FewShot(
    dataset="mine",
    preset=get_preset("demo"),
    seeds=1,
    generators=("real", "inverse"),
    classifiers=("decision_tree",),
    test_rows=10,
    generated=13,
    explain=False,
    compat="corrected",
)


def test_in_an_experiment_there_are_as_many_rows_of_each_class_as_asked_for(table: FlowTable, tmp_path: Path) -> None:
    runner = Runner(output_dir=tmp_path, say=lambda _: None, progress=False)
    rows = _SplitRuns(JOB, table, None, runner, 5, 0).sets.rows(TrainingSetName("inverse"), 0)
    assert np.bincount(rows.y[-rows.synthetic :]).tolist() == [13, 13, 13]
    JOB.run(table, runner)
    assert {record["generator"] for record in store.read(tmp_path)} == {"real", "inverse"}
    job = Imbalance(
        dataset="mine",
        preset=get_preset("demo"),
        seeds=1,
        generators=("inverse",),
        classifiers=("decision_tree",),
        fractions=(1.0,),
    )
    job.run(
        table.take(np.flatnonzero((table.y > 0) | (np.arange(len(table)) < 12))),
        Runner(output_dir=tmp_path / "imbalance", say=lambda _: None, progress=False),
    )
    record = store.read(tmp_path / "imbalance")[0]
    assert record["generated_rows"][0] > 0


def test_rows_that_are_no_flows_run_without_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40).astype(np.int32)
    mine = FlowTable(x=rng.normal(size=(80, 2)) + y[:, None], y=y, features=("a", "b"), classes=("Normal", "Odd"))
    said: list[str] = []
    JOB.run(mine, Runner(output_dir=tmp_path, say=said.append, progress=False))
    assert {record["generator"] for record in store.read(tmp_path)} == {"real"}
    assert any("or how long it lasts: `inverse` is left out" in line for line in said)


def test_beside_simulated_flows_its_rows_weigh_as_much_as_one_real_row(table: FlowTable, tmp_path: Path) -> None:
    table = replace(table, classes=("BENIGN", "PortScan", "Weird"))  # no tool stands behind the last
    job = replace(JOB, generators=("real", "simulated_inverse"), simulated_rows=30, simulated_weight=1.5)
    said: list[str] = []
    runner = Runner(output_dir=tmp_path, say=said.append, progress=False)
    sets = _SplitRuns(job, table, None, runner, 5, 0).sets
    both, alone = (sets.rows(TrainingSetName(name), 0) for name in ("simulated_inverse", "simulated"))
    assert np.bincount(both.y[15:]).tolist() == [30 + 13, 30 + 13, 13]
    assert both.weights is not None
    assert alone.weights is not None
    np.testing.assert_array_equal(both.weights[:75], alone.weights)
    np.testing.assert_allclose(np.bincount(both.y[75:], both.weights[75:]), 1.5)
    np.testing.assert_array_equal(both.x[75:], sets.rows(TrainingSetName("inverse"), 0).x[15:])
    job.run(table, runner)
    assert {record["generator"] for record in store.read(tmp_path)} == {"real", "simulated_inverse"}
    assert any("no tool stands behind Weird" in line for line in said)
    with pytest.raises(InputError, match="generators"):
        Imbalance(dataset="mine", preset=get_preset("demo"), generators=("simulated_inverse",))


@pytest.mark.parametrize("compat", ["none", "cicflowmeter", "cicids2017"])
def test_records_that_contradict_themselves_give_some_flow(compat: Compat) -> None:
    rng = np.random.default_rng(0)
    values = [0, 1, 2, 0.5, -1, -1e9, 300, 1460, 65535, 1.2e8, 1e18, np.nan, np.inf]
    x = rng.choice(values, (40, len(NAMES)))
    x[:, [NAMES.index(f"total_{side}_packets") for side in ("fwd", "bwd")]] = rng.choice([-3, 0, 1, 5, np.nan], (40, 2))
    made = Inverse(NAMES, compat).fit(x, np.zeros(40, int), KEY).sample(np.zeros(60, int), KEY)
    # Where a meter that drops repeated FINs and single packets leaves nothing, the row is the real one.
    copied = np.array([(row == x).all(axis=1).any() for row in np.nan_to_num(made)]) | ~np.isfinite(made).all(axis=1)
    assert copied.mean() < 0.2
    assert (made[~copied, NAMES.index("total_fwd_packets")] >= 1).all()
