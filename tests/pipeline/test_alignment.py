"""Columns that give simulation away, against counting by hand."""

import numpy as np
import pytest

from nids_jax.classifiers.anomaly import ANOMALY_DETECTORS
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.registry import make_classifier
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.simulate.tools import TOOLS, tool_flows
from nids_jax.pipeline.alignment import Aligned, distances, simulated_attacks
from nids_jax.pipeline.simulation import Simulation


def test_distances_are_the_greatest_gap_between_shares_below():
    rng = np.random.default_rng(0)
    real, simulated = rng.normal(size=(40, 3)).round(1), rng.normal(0.4, 1.5, size=(70, 3)).round(1)
    for column, found in enumerate(distances(real, simulated)):
        a, b = real[:, column], simulated[:, column]
        gaps = [abs(np.mean(a <= value) - np.mean(b <= value)) for value in np.union1d(a, b)]
        assert found == pytest.approx(max(gaps))


def test_a_column_with_one_value_is_as_far_as_can_be():
    assert distances(np.zeros((5, 1)), np.zeros((7, 1))).tolist() == [1.0]


def test_no_attack_row_is_what_a_meter_leaves_over_of_a_close():
    x, features = tool_flows(TOOLS["web"], 40, 0, compat="cicflowmeter")
    benign = FlowTable(
        x=x, y=np.zeros(40, np.int32), features=features, classes=("Benign", "DoS Hulk"), benign="Benign"
    )
    scaler = fit_scaler("signed_log", benign)
    found = simulated_attacks(Simulation(rows=100, compat="cicflowmeter"), benign, scaler, scaler.transform(x), 0)
    syn, protocol = features.index("syn_flag_count"), features.index("protocol")
    assert len(found.x) == 100
    assert (scaler.inverse(found.x)[:, syn] > 0.5).all()
    calm = scaler.inverse(found.everyday)
    assert ((calm[:, syn] < 0.5) & (calm[:, protocol].round() == 6)).any()  # everyday traffic is as it is metered


def make():
    return make_classifier("decision_tree", ClassifierOptions())


def test_a_classifier_for_each_set_of_columns_and_their_mean():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = y[:, None] + rng.normal(size=(90, 4))
    apart = np.array([0.1, 0.35, 0.45, 0.9])
    model = Aligned(make, apart, levels=(0.05, 0.3, 0.4, 0.41, 0.5)).fit(x, y)
    assert [len(columns) for columns in model.columns.values()] == [0, 1, 2, 2, 3]  # the same two count once
    test = rng.normal(size=(50, 4)) + 1
    wanted = np.mean([make().fit(x[:, :n], y).predict_proba(test[:, :n]) for n in (1, 2, 3)], axis=0)
    np.testing.assert_allclose(model.predict_proba(test), wanted)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    with pytest.raises(InputError, match="4 distances for 3 columns"):
        Aligned(make, apart).fit(x[:, :3], y)
    with pytest.raises(InputError, match=r"differ from real ones by 0.10 or more .* less than 0.05 is allowed"):
        Aligned(make, apart, levels=(0.05,)).fit(x, y)


@pytest.mark.parametrize("name", sorted(ANOMALY_DETECTORS))
def test_anomaly_detectors_find_what_is_strange_and_repeat_themselves(name: str):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(300, 1))
    calm = base + 0.1 * rng.normal(size=(300, 6))  # columns go together
    strange = rng.permuted(calm, axis=0)[:100]  # each column as before, but not together
    strange[:, 0] += 4
    first, second = (ANOMALY_DETECTORS[name](3).fit(calm[:200]) for _ in range(2))
    low, high = first.suspicion(calm[200:]), first.suspicion(strange)
    assert np.median(high) > np.quantile(low, 0.9)
    np.testing.assert_array_equal(high, second.suspicion(strange))
