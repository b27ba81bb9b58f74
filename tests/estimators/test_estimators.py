"""The estimators on flows: what scikit-learn's checks do not ask for."""

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from numpy.testing import assert_array_equal
from sklearn.base import clone as new
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

import nids_jax
from nids_jax.classifiers.neural import DetectorConfig, NeuralClassifier
from nids_jax.estimators import (
    CNNBiGRUClassifier,
    FewShotClassifier,
    FlowPreprocessor,
    SimulatedToolsSampler,
    WCGANGPOverSampler,
)
from nids_jax.flows.schema import FEATURES
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.training.loop import OptimiserConfig
from tests.estimators.test_conventions import TINY, TINY_GAN, compiling_quickly  # noqa: F401 (a fixture)

SOME = ("flow_duration", "total_fwd_packets", "flow_packets_s", "fwd_packet_length_mean")

pytestmark = pytest.mark.filterwarnings("ignore:.*collapsed:RuntimeWarning")  # after two steps


def clone(estimator: Any) -> Any:
    """Typed as it is."""
    return new(estimator)


def flows(counts: dict[str, int], columns: tuple[str, ...] = SOME, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """Simulated flows as a data frame, and their labels."""
    frame = nids_jax.simulate(counts, seed=seed).select(columns).to_frame()
    return frame.drop(columns="Label"), frame["Label"]


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, Any]:
    return flows({"BENIGN": 40, "PortScan": 30, "DDoS": 20})


@pytest.fixture(scope="module")
def network(table: Any) -> Any:
    return CNNBiGRUClassifier(**TINY, random_state=3).fit(*table)


def test_all_are_exported_at_the_top():
    import nids_jax.estimators as rooms

    assert {name for name in rooms.__all__ if getattr(nids_jax, name) is getattr(rooms, name)} == set(rooms.__all__)


def test_a_network_is_the_detector_that_the_package_trains(table: Any, network: Any):
    """The same rows in the same order, scaled and trained by the functions below the estimators."""
    x, y = table
    scaled = nids_jax.fit_scaler("signed_log", x.to_numpy()).transform(x.to_numpy())
    classes, codes = np.unique(y, return_inverse=True)
    order = np.lexsort((codes, *scaled.T))
    config = DetectorConfig(
        network=RecurrentConfig(channels=(8,), hidden=(8, 8), dropout=0.0),
        optimiser=OptimiserConfig(learning_rate=0.03, decay=True, clip_norm=1.0),
        batch=16,
        steps=60,
    )
    plain = NeuralClassifier(config, seed=3).fit(scaled[order], codes[order])
    assert_array_equal(network.predict(x), classes[plain.predict_proba(scaled).argmax(axis=1)])
    np.testing.assert_allclose(network.predict_proba(x), plain.predict_proba(scaled), atol=1e-6)
    assert_array_equal(network.classes_, ["BENIGN", "DDoS", "PortScan"])
    assert_array_equal(network.feature_names_in_, SOME)
    assert network.score(x, y) > 0.8


def test_the_order_of_rows_does_not_matter(table: Any, network: Any):
    x, y = table
    order = np.random.default_rng(0).permutation(len(x))
    again = clone(network).fit(x.iloc[order], y.iloc[order])
    assert_array_equal(again.predict_proba(x), network.predict_proba(x))


def test_random_states(table: Any, network: Any):
    x, y = table
    drawn = [clone(network).set_params(random_state=np.random.RandomState(seed)).fit(x, y) for seed in (5, 5, 6)]
    found = [each.predict_proba(x) for each in drawn]
    assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_copies_and_files_predict_alike(table: Any, network: Any):
    x, _ = table
    file = io.BytesIO()
    joblib.dump(network, file)
    file.seek(0)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network)), joblib.load(file)):
        assert_array_equal(other.predict_proba(x), network.predict_proba(x))
    with pytest.raises(NotFittedError):
        clone(network).predict(x)


def test_columns_go_by_name(table: Any, network: Any):
    x, _ = table
    with pytest.raises(ValueError, match="same order"):
        network.predict(x[x.columns[::-1]])
    with pytest.raises(ValueError, match="missing:\n- flow_duration"):
        network.predict(x.drop(columns="flow_duration"))


def raw_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Flow ID": ["a", "b", "c", "d"],
            "Src IP": ["10.0.0.1"] * 4,
            "Dst Port": [80, 80, 22, 443],
            "Flow Duration": [1.0, np.inf, 3.0, 8.0],
            "Protocol": pd.Categorical(["tcp", "udp", None, "tcp"]),
            "nothing": [np.nan] * 4,
            "state": ["CON", "INT", "CON", "CON"],
        }
    )


def test_the_preprocessor_cleans_and_scales_as_the_pipeline_does():
    frame = raw_table()
    found = FlowPreprocessor("minmax").fit(frame)
    assert list(found.get_feature_names_out()) == [
        "Flow Duration",
        *_of("Protocol", "tcp", "udp"),
        *_of("state", "CON", "INT"),
    ]
    # The median of 1, 3 and 8 stands for the infinite value; a missing name is the commonest one.
    wanted = [
        [-1, 1, -1, 1, -1],
        [2 * (3 - 1) / 7 - 1, -1, 1, -1, 1],
        [2 * (3 - 1) / 7 - 1, 1, -1, 1, -1],
        [1, 1, -1, 1, -1],
    ]
    np.testing.assert_allclose(found.transform(frame), wanted, atol=1e-6)
    ports = FlowPreprocessor(keep_ports=True).fit(frame).get_feature_names_out()
    assert ports[0] == "Dst Port"
    new = frame.assign(state=["FIN", None, "INT", "CON"])
    assert_array_equal(found.transform(new)[:, 3:], [[-1, -1], [1, -1], [-1, 1], [1, -1]])
    with pytest.raises(ValueError, match="'Flow Duration'"):
        FlowPreprocessor(on_invalid="error").fit(frame)
    with pytest.raises(ValueError, match="`on_invalid` is 'drop'; choose from impute, error"):
        FlowPreprocessor(on_invalid="drop").fit(frame)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="none of the columns can be trained on: Flow ID, nothing"):
        FlowPreprocessor().fit(frame[["Flow ID", "nothing"]])
    with pytest.raises(ValueError, match="'Flow Duration' held numbers when it was fitted"):
        found.transform(frame.assign(**{"Flow Duration": "long"}))


def _of(name: str, *categories: str) -> list[str]:
    return [f"{name}={each}" for each in categories]


def test_the_preprocessor_puts_data_frames_out():
    frame = raw_table()
    out = FlowPreprocessor().set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns)[:2] == ["Flow Duration", "Protocol=tcp"]
    assert list(out.index) == list(frame.index)


def test_a_few_flows_are_helped_by_the_tools_behind_their_classes():
    columns = tuple(feature.name for feature in FEATURES if feature.in_2017)
    x, y = flows({"BENIGN": 5, "PortScan": 5, "SSH-Patator": 5}, columns)
    few = FewShotClassifier("random_forest", simulated_rows=50, random_state=0).fit(x, y)
    assert set(few.tools_) == {"BENIGN", "PortScan", "SSH-Patator"}
    assert few.not_simulated_ is None
    tested, labels = flows({"BENIGN": 50, "PortScan": 50, "SSH-Patator": 50}, columns, seed=9)
    assert accuracy_score(labels, few.predict(tested)) > 0.9


def test_without_tools_the_rows_alone_are_trained_on():
    """Numbers for labels, columns that no meter gives: then it is the detector on scaled rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 3
    few = FewShotClassifier("random_forest", random_state=7).fit(x, y)
    assert few.tools_ == {}
    assert few.not_simulated_ == "no tool stands behind any of 0, 1, 2"
    z = nids_jax.fit_scaler("signed_log", x).transform(x)
    forest = RandomForestClassifier(300, random_state=7, n_jobs=-1).fit(z, y)
    np.testing.assert_allclose(few.predict_proba(x), forest.predict_proba(z))


def mixed() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    y = np.repeat(["normal", "worm", "scan"], [40, 10, 6])
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=56) + (y == "worm"),
            "packets": rng.integers(1, 9, 56).astype(np.int32),
            "proto": rng.choice(["tcp", "udp"], 56),
            "state": pd.Categorical(rng.choice(["on", "off"], 56)),
        }
    )
    return frame, pd.Series(pd.Categorical(y), name="label")


def test_over_samplers_add_rows_of_the_same_kind_below():
    x, y = mixed()
    sampler = WCGANGPOverSampler(preset="demo", settings=TINY_GAN, random_state=0)
    more, labels = sampler.fit_resample(x, y)
    assert dict(more.dtypes) == dict(x.dtypes)
    assert labels.dtype == y.dtype
    assert labels.name == "label"
    pd.testing.assert_frame_equal(more.iloc[:56], x)
    assert labels.value_counts().to_dict() == {"normal": 40, "scan": 40, "worm": 40}
    assert sampler.sampling_strategy_ == {"scan": 34, "worm": 30}
    added = more.iloc[56:]
    assert set(added["proto"]) <= {"tcp", "udp"}
    assert added["packets"].between(-100, 100).all()
    again, _ = clone(sampler).fit_resample(x, y)
    pd.testing.assert_frame_equal(again, more)


@pytest.mark.parametrize("strategy", ["minority", "not minority", "all", {"worm": 15, "scan": 9}, len])
def test_sampling_strategies_are_imbalanced_learns(strategy: Any):
    x, y = mixed()
    if strategy is len:
        strategy = lambda labels: {"scan": len(labels)}  # noqa: E731
    sampler = WCGANGPOverSampler(sampling_strategy=strategy).fit(x, y)
    counts = pd.Series(RandomOverSampler(sampling_strategy=strategy).fit_resample(x, y)[1]).value_counts()
    raised = (counts - y.value_counts()).to_dict()
    assert sampler.sampling_strategy_ == {label: n for label, n in raised.items() if n}


def test_numbers_are_classes_as_well():
    x, y = np.random.default_rng(0).normal(size=(12, 2)), np.repeat([1.0, 2.0], [8, 4])
    assert WCGANGPOverSampler(sampling_strategy={2: 6}).fit(x, y).sampling_strategy_ == {2.0: 2}
    with pytest.raises(ValueError, match=r"`sampling_strategy` names '7'; choose from 1.0, 2.0"):
        WCGANGPOverSampler(sampling_strategy={7: 6}).fit(x, y)
    assert WCGANGPOverSampler(sampling_strategy=0.75).fit(x, y).sampling_strategy_ == {2.0: 2}


def test_flows_of_tools_fill_small_classes_up():
    columns = ("flow_duration", "total_fwd_packets", "ticket")  # the last one comes from no meter
    x, y = flows({"BENIGN": 20, "PortScan": 5}, columns[:2])
    x["ticket"] = np.where(y == "PortScan", 7.0, 1.0)
    more, labels = SimulatedToolsSampler(random_state=0).fit_resample(x, y)
    assert labels.value_counts().to_dict() == {"BENIGN": 20, "PortScan": 20}
    added = more.iloc[25:]
    assert set(added["ticket"]) == {7.0}
    assert (added["total_fwd_packets"] >= 1).all()
    unknown = y.replace({"PortScan": "Martian"})
    with pytest.warns(UserWarning, match="no tool stands behind Martian: these classes are left as they are"):
        assert len(SimulatedToolsSampler().fit_resample(x, unknown)[0]) == 25
    with pytest.raises(ValueError, match="`sampling_strategy` names Martian; leave it out, or set `tool_of`"):
        SimulatedToolsSampler(sampling_strategy={"Martian": 9}).fit(x, unknown)
    named = SimulatedToolsSampler(tool_of={"Martian": "nmap"}).fit(x, unknown)
    assert named.sampling_strategy_ == {"Martian": 15}


def test_pipelines_of_both_libraries(table: Any):
    x, y = table
    tree = DecisionTreeClassifier(random_state=0)
    assert make_pipeline(FlowPreprocessor(), tree).fit(x, y).score(x, y) > 0.9
    steps = make_imbalanced_pipeline(SimulatedToolsSampler(random_state=0), FlowPreprocessor(), clone(tree))
    assert steps.fit(x, y).score(x, y) > 0.9


def test_imbalanced_learn_need_not_be_installed():
    code = """
import sys
sys.modules["imblearn"] = None
import numpy as np, nids_jax
x, y = np.random.default_rng(0).normal(size=(12, 2)), np.repeat([0, 1], [8, 4])
print(nids_jax.CDDPMOverSampler().fit(x, y).sampling_strategy_)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{1: 4}"
