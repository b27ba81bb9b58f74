"""Rules inside a flow record: metered rows keep them, every rule can be broken, and repair mends what it says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.errors import InputError
from nids_jax.flows.consistency import REPAIRED, RULES, consistency, repair, round_like, violations
from nids_jax.flows.packets import TCP, UDP, Packets
from nids_jax.flows.schema import CICIDS2017, FEATURES, canonical_names
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from tests.flows.test_meter import Mode, metered

NAMES = tuple(f.name for f in FEATURES)


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    return simulate_flows(dict.fromkeys(SIMULATED_CLASSES, 60), seed=8)[0]


def broken(x: np.ndarray, features: tuple[str, ...] = CICIDS2017) -> dict[str, int]:
    return {name: int(rows.sum()) for name, rows in violations(x, features).items() if rows.any()}


@st.composite
def captures(draw: st.DrawFn) -> Packets:
    """Packets of a few conversations in order of time, with any payloads, flags and windows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    p = draw(st.integers(1, 60))
    scale = draw(st.sampled_from([1, 1000, 2_000_000, 60_000_000]))
    up = rng.random(p) < 0.6
    pair = rng.integers(0, 3, p)
    return Packets(
        time=1_499_000_000_000_000 + np.cumsum(rng.integers(0, scale, p)),
        source=np.where(up, 10 + pair, 20),
        destination=np.where(up, 20, 10 + pair),
        source_port=np.where(up, 40000 + pair, 80).astype(np.int32),
        destination_port=np.where(up, 80, 40000 + pair).astype(np.int32),
        protocol=np.where(pair == 2, UDP, TCP).astype(np.int16),
        payload=np.where(rng.random(p) < 0.4, 0, rng.integers(0, 3000, p)).astype(np.int32),
        header=np.where(pair == 2, 8, rng.integers(5, 16, p) * 4).astype(np.int32),
        flags=np.where(pair == 2, 0, np.where(rng.random(p) < 0.7, 16, rng.integers(0, 256, p))).astype(np.uint8),
        window=rng.integers(0, 65536, p).astype(np.int32),
        icmp=np.full(p, -1, np.int32),
    )


@settings(max_examples=60, deadline=None)
@given(captures(), st.sampled_from(["mended", "cicflowmeter"]))
def test_metered_rows_break_nothing_and_repair_leaves_them(packets: Packets, compat: Mode) -> None:
    flows = metered(packets, compat=compat)
    assert broken(flows.x, flows.features) == {}
    assert np.array_equal(repair(flows.x, flows.features), flows.x, equal_nan=True)


def test_simulated_rows_break_nothing(simulated: np.ndarray) -> None:
    assert set(violations(simulated, CICIDS2017)) == {
        name for name, rule in RULES.items() if set(rule.columns) <= {*CICIDS2017}
    }
    assert broken(simulated) == {}
    assert consistency(simulated, CICIDS2017) == 1
    assert np.array_equal(repair(simulated, CICIDS2017), simulated)


def test_a_row_by_hand() -> None:
    """Two forward packets of 10 and 30 bytes and a backward one of 80, at 0, 2 and 5 ms."""
    row = {
        "flow_duration": 5000,
        "total_fwd_packets": 2,
        "total_bwd_packets": 1,
        "total_length_of_fwd_packets": 40,
        "total_length_of_bwd_packets": 80,
        "fwd_packet_length_min": 10,
        "fwd_packet_length_mean": 20,
        "fwd_packet_length_max": 30,
        "fwd_packet_length_std": np.sqrt(200),
        "bwd_packet_length_min": 80,
        "bwd_packet_length_mean": 80,
        "bwd_packet_length_max": 80,
        "bwd_packet_length_std": 0,
        "packet_length_min": 10,
        "packet_length_mean": 40,
        "packet_length_max": 80,
        "packet_length_std": np.sqrt(1300),
        "packet_length_variance": 1300,
        "flow_iat_mean": 2500,
        "flow_bytes_s": 24000,
        "flow_packets_s": 600,
        "fwd_packets_s": 400,
        "bwd_packets_s": 200,
        "down_up_ratio": 0.5,
        "average_packet_size": 40,
        "psh_flag_count": 3,
    }
    x = np.array([list(row.values())], float)
    assert broken(x, tuple(row)) == {}
    changes = {
        "flow_bytes_s": (24001.0, {"flow_bytes_s"}),
        "psh_flag_count": (4, {"psh_flag_count_bound"}),
        "fwd_packet_length_min": (21, {"fwd_packet_length_order", "fwd_packet_length_spread", "packet_length_min"}),
        "packet_length_variance": (1301, {"packet_length_variance"}),
        "down_up_ratio": (1, {"down_up_ratio"}),
        "total_length_of_bwd_packets": (80.5, {"whole", "flow_bytes_s"}),
        "flow_duration": (-5000, {"not_negative", "flow_duration"}),
    }
    for name, (value, expected) in changes.items():
        changed = x.copy()
        changed[0, list(row).index(name)] = value
        assert set(broken(changed, tuple(row))) == expected, name


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if rule.columns])
def test_every_rule_can_be_broken(rule: str, simulated: np.ndarray) -> None:
    """Its first column far too large (or, for the packet count, 0) breaks it."""
    x = np.concatenate([simulated, np.zeros((len(simulated), len(NAMES) - 78))], axis=1)
    x = x[x[:, NAMES.index("flow_duration")] > 0]
    assert not violations(x, NAMES)[rule].any()
    x[:, NAMES.index(RULES[rule].columns[0])] = 0 if rule == "total_fwd_packets" else 3e9
    assert violations(x, NAMES)[rule].all()


def test_rules_on_whatever_columns_there_are() -> None:
    names = ("flow_duration", "fwd_init_win_bytes", "flow_bytes_s", "destination_port", "my_own")
    good = [[5, -1, np.inf, np.nan, -0.5], [0, -1, np.nan, 80, np.nan]]
    assert broken(np.array(good), names) == {}
    for value, rule in ((np.nan, "finite"), (np.inf, "finite"), (-1, "not_negative"), (1.5, "whole")):
        assert broken(np.array([[value, 0, 0, 0, 0]]), names) == {rule: 1}


def test_share_of_rows_that_break_nothing(simulated: np.ndarray) -> None:
    x = simulated[:8].copy()
    x[3, CICIDS2017.index("flow_duration")] += 0.5  # whole
    x[5, CICIDS2017.index("fin_flag_count")] = 1e5
    x[5, CICIDS2017.index("syn_flag_count")] = -1
    assert consistency(x, CICIDS2017) == 6 / 8


def test_rounding_of_published_files_is_tolerated() -> None:
    """The original CIC-IDS2017 prints 58,437,291 as 58400000 and 7.384615385 with ten digits."""
    names = ("fwd_iat_total", "fwd_iat_mean", "total_fwd_packets", "flow_duration")
    assert broken(np.array([[58_400_000, 14_609_322.75, 5, 58_437_291]]), names) == {}
    assert broken(np.array([[57_400_000, 14_609_322.75, 5, 58_437_291]]), names) == {"fwd_iat_total": 1}
    names = ("total_length_of_fwd_packets", "fwd_packet_length_mean", "total_fwd_packets")
    assert broken(np.array([[96.0, 7.384615385, 13]]), names) == {}


# --------------------------------------------------------------------------------------------------------- repair

wild = st.one_of(st.floats(-1e3, 1e3), st.floats(-1e9, 1e9), st.integers(-5, 5).map(float))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(wild, min_size=len(NAMES), max_size=len(NAMES)), min_size=1, max_size=4))
def test_repaired_rows_keep_the_plain_rules(rows: list[list[float]]) -> None:
    x = np.array(rows)
    before = x.copy()
    repaired = repair(x, NAMES)
    assert np.array_equal(x, before)
    assert not set(broken(repaired, NAMES)) & REPAIRED
    assert np.array_equal(repair(repaired, NAMES), repaired)
    for position, feature in enumerate(FEATURES):
        if feature.signed and feature.name != "fwd_header_length_1":
            assert np.array_equal(repaired[:, position], np.rint(x[:, position]))


def test_repair_by_hand() -> None:
    names = (
        "my_own",
        "flow_iat_min",
        "flow_iat_mean",
        "flow_iat_max",
        "flow_iat_std",
        "fwd_init_win_bytes",
        "flow_duration",
    )
    x = np.array([[-0.5, 7.4, 3.0, 12.6, 99.0, -1.0, 1000.2], [np.nan, -8.0, 5.0, 2.0, -1.0, 29200.4, np.nan]])
    expected = [[-0.5, 7, 7, 13, 6 / np.sqrt(2), -1, 1000], [np.nan, 0, 2, 2, 0, 29200, np.nan]]
    assert np.allclose(repair(x, names), expected, equal_nan=True)


def test_repair_leaves_missing_and_infinite_values() -> None:
    x = np.full((1, 78), np.nan)
    assert np.isnan(repair(x, CICIDS2017)).all()
    x = np.zeros((1, 78))
    x[0, CICIDS2017.index("flow_bytes_s")] = np.inf
    assert repair(x, CICIDS2017)[0, CICIDS2017.index("flow_bytes_s")] == np.inf


def test_repair_takes_float32_and_no_rows(simulated: np.ndarray) -> None:
    repaired = repair(simulated.astype(np.float32), CICIDS2017)
    assert repaired.dtype == np.float64
    assert not set(broken(repaired)) & REPAIRED
    assert repair(np.empty((0, 78)), CICIDS2017).shape == (0, 78)
    assert all(len(rows) == 0 for rows in violations(np.empty((0, 78)), CICIDS2017).values())


@pytest.mark.parametrize(
    ("x", "features", "words"),
    [
        (np.zeros(3), ("flow_duration",), r"shape \(3,\)"),
        (np.zeros((2, 2)), ("flow_duration",), "1 column names"),
        (np.array([["a"]]), ("flow_duration",), "a table of numbers"),
        (np.zeros((2, 2)), ("flow_duration", "flow_duration"), "'flow_duration' is there twice"),
    ],
)
def test_bad_input(x: np.ndarray, features: tuple[str, ...], words: str) -> None:
    for function in (violations, repair, consistency):
        with pytest.raises(InputError, match=words):
            function(x, features)


def test_nothing_to_check() -> None:
    for x, features in ((np.empty((0, 1)), ("flow_duration",)), (np.zeros((2, 1)), ("age",))):
        with pytest.raises(InputError, match="no flow records to check"):
            consistency(x, features)


@pytest.mark.parametrize(
    ("dataset", "share"), [("cicids2017_improved", 0.9999), ("cicddos2019", 0.9999), ("cicids2017", 0.998)]
)
def test_published_rows_keep_the_rules(data_dir, dataset: str, share: float) -> None:
    table = pd.read_parquet(data_dir / dataset / "flows.parquet")
    table.columns = list(canonical_names(table.columns))
    features = tuple(name for name in NAMES if name in table)
    x = table[list(features)].to_numpy(float)
    assert consistency(x, features) >= share
    changed = ~((repair(x, features) == x) | np.isnan(x)).all(axis=1)
    assert changed.mean() <= 1 - share


def test_rounding_like_real_rows():
    """Only columns that are whole in every real row, and nothing of what cannot be rounded."""
    real = np.array([[1.0, 0.5, 3.0, np.nan], [2.0, 1.0, -4.0, 1.0]])
    x = np.array([[1.4, 1.4, -2.5, 1.4], [np.nan, np.inf, np.inf, 2.6]])
    rounded = np.array([[1.0, 1.4, -2.0, 1.4], [np.nan, np.inf, np.inf, 2.6]])
    np.testing.assert_array_equal(round_like(x, real), rounded)
    assert x[0, 0] == 1.4
