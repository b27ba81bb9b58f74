"""Free features: rows come back from them, and whatever is derived from them keeps every rule."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.data.loading import load
from nids_jax.errors import InputError
from nids_jax.flows.consistency import violations
from nids_jax.flows.free_features import free_names, from_free, to_free
from nids_jax.flows.packets import Packets
from nids_jax.flows.schema import CICIDS2017, FEATURES
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from tests.flows.test_consistency import captures
from tests.flows.test_meter import Mode, metered

NAMES = tuple(f.name for f in FEATURES)
WHOLE = frozenset(f.name for f in FEATURES if f.integer)


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    x = simulate_flows(dict.fromkeys(SIMULATED_CLASSES, 20), seed=3)[0]
    return x[np.isfinite(x).all(axis=1)]


def away(x: np.ndarray, features: tuple[str, ...]) -> np.ndarray:
    """[n, d] bool: what the round trip changed; whole numbers by anything, others by more than the rules' tolerance."""
    back = from_free(to_free(x, features), features)
    whole = np.isin(features, list(WHOLE))
    tolerance = np.where(whole, 1e-6, 1e-3 + 1e-5 * np.abs(x))
    for place, name in enumerate(features):
        if name == "packet_length_variance":  # that of the standard deviation s, times 2 s
            std = np.sqrt(np.maximum(x[:, place], 0))
            tolerance[:, place] = 2.1 * std * (1e-3 + 1e-5 * std) + 1e-3
    return np.abs(back - x) > tolerance


def broken(x: np.ndarray, features: tuple[str, ...]) -> dict[str, int]:
    return {name: int(rows.sum()) for name, rows in violations(x, features).items() if rows.any()}


@settings(max_examples=40, deadline=None)
@given(captures(), st.sampled_from(["mended", "cicflowmeter"]))
def test_metered_rows_come_back(packets: Packets, compat: Mode) -> None:
    flows = metered(packets, compat=compat)
    rows = flows.x[np.isfinite(flows.x).all(axis=1)]
    changed = away(rows, flows.features)
    assert not changed.any(), [flows.features[column] for column in np.flatnonzero(changed.any(axis=0))]


def test_simulated_rows_come_back(simulated: np.ndarray) -> None:
    assert not away(simulated, CICIDS2017).any()


def test_what_follows_from_others_is_no_free_feature() -> None:
    names = free_names(CICIDS2017)
    follows = {name for name in CICIDS2017 if name.endswith("_s") or "segment_size_avg" in name}
    follows |= {f"{family}_mean" for family in ("flow_iat", "fwd_iat", "fwd_packet_length", "bwd_packet_length")}
    follows |= {"packet_length_max", "packet_length_min", "packet_length_variance", "fwd_header_length_1"}
    assert len(follows) == 14
    assert follows.isdisjoint(names)
    assert len(set(names)) == len(names) < len(CICIDS2017) - 10


def test_one_packet_has_no_statistics(simulated: np.ndarray) -> None:
    """… and a direction without packets neither: their free features are 0."""
    names = free_names(CICIDS2017)
    z = to_free(simulated, CICIDS2017)
    for side in ("fwd", "bwd"):
        n = simulated[:, CICIDS2017.index(f"total_{side}_packets")]
        length, gap = (f"{side}_{what}" for what in ("packet_length", "iat"))
        empty = {
            1: [f"{length}_min", f"{length}_std", f"total_length_of_{side}_packets", f"{gap}_total", f"{gap}_max"],
            2: [f"{length}_std", f"{gap}_max", f"{gap}_min", f"{gap}_std"],
        }
        if side == "bwd":
            empty[0] = [name for name in names if "bwd" in name and name != "bwd_init_win_bytes"]
        for packets, columns in empty.items():
            assert (n == packets).any()
            assert not z[n == packets][:, np.isin(names, columns)].any(), (side, packets)


def test_rows_by_hand() -> None:
    """Two packets of 10 and 30 bytes 5 ms apart; halfway (on a logarithmic scale) between the bounds; past them."""
    features = (
        "total_fwd_packets",
        "total_length_of_fwd_packets",
        *(f"fwd_packet_length_{of}" for of in ("max", "min", "mean", "std")),
        *(f"fwd_iat_{of}" for of in ("total", "mean", "max", "min", "std")),
        "fwd_act_data_packets",
        "note",
    )
    row = np.array([[2, 40, 30, 10, 20, np.sqrt(200), 5000, 5000, 5000, 5000, 0, 1, -7]])
    names = free_names(features)
    z = dict(zip(names, to_free(row, features)[0], strict=True))
    assert z == pytest.approx(
        {
            "total_fwd_packets": np.log(3 / 2) / np.log((1e9 + 1) / 2),
            "fwd_packet_length_max": np.log(31),
            "fwd_packet_length_min": -np.log(31 / 11) / np.log(31),
            "total_length_of_fwd_packets": 0,
            "fwd_packet_length_std": 0,
            "fwd_iat_total": np.log(5001),
            "fwd_iat_max": 0,
            "fwd_iat_min": 0,
            "fwd_iat_std": 0,
            "fwd_act_data_packets": np.log(2) / np.log(3),
            "note": -np.log(8),
        }
    )
    z |= {"total_fwd_packets": np.log(101 / 2) / np.log((1e9 + 1) / 2), "total_length_of_fwd_packets": 0.5}
    z |= {"fwd_act_data_packets": 7.0, "fwd_iat_max": -3.0, "fwd_packet_length_std": 1.0}
    made = dict(zip(features, from_free(np.array([[z[name] for name in names]]), features)[0], strict=True))
    # 100 packets: from 30 + 99 · 10 bytes to 10 + 99 · 30, which is 1746 on the geometric way between.
    assert made["total_length_of_fwd_packets"] == round(np.sqrt(1021 * 2981) - 1)
    assert made["fwd_packet_length_mean"] == made["total_length_of_fwd_packets"] / 100
    mean = made["fwd_packet_length_mean"]
    assert made["fwd_packet_length_std"] == pytest.approx(np.sqrt(100 / 99 * (30 - mean) * (mean - 10)))
    assert made["fwd_act_data_packets"] == 100
    # 99 gaps of 5000 µs in all, the greatest as small as it may be.
    assert made["fwd_iat_max"] == np.ceil(5000 / 99)
    assert made["fwd_iat_mean"] == pytest.approx(5000 / 99)
    assert made["note"] == pytest.approx(-7)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=12))
def test_a_direction_of_any_packets_comes_back(sizes: list[int]) -> None:
    """Its free features are places within bounds, so bounds that some packets exceed would show."""
    values = np.array(sizes)
    features = (
        "total_fwd_packets",
        "total_length_of_fwd_packets",
        *(f"fwd_packet_length_{of}" for of in ("max", "min", "mean", "std")),
    )
    std = values.std(ddof=1) if len(values) > 1 else 0
    row = np.array([[len(values), values.sum(), values.max(), values.min(), values.mean(), std]])
    assert not away(row, features).any()
    places = to_free(row, features)[:, np.isin(free_names(features), ["fwd_packet_length_std", features[1]])]
    assert ((places >= 0) & (places <= 1 + 1e-6)).all()


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, ...]:
    """All columns of a generation of the tool, or any of them, in any order, with one that it does not know."""
    whole = draw(st.sampled_from([CICIDS2017, NAMES, (*NAMES, "my_own")]))
    if draw(st.booleans()):
        return whole
    return tuple(draw(st.lists(st.sampled_from(whole), min_size=1, unique=True)))


@settings(max_examples=80, deadline=None)
@given(columns(), st.integers(0, 2**32), st.sampled_from([0.05, 1.0, 10.0, 1e4, 1e300]))
def test_any_vector_of_free_features_gives_a_consistent_row(features: tuple[str, ...], seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    z = scale * np.clip(rng.standard_normal((40, len(free_names(features)))), -9, 9)
    z[rng.random(z.shape) < 0.2] = 0
    x = from_free(z, features)
    assert np.isfinite(x).all()
    assert broken(x, features) == {}


@settings(max_examples=40, deadline=None)
@given(columns(), st.integers(0, 2**32), st.booleans())
def test_mixtures_of_rows_are_consistent_and_come_back(
    simulated: np.ndarray, features: tuple[str, ...], seed: int, swap: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = np.zeros((len(simulated), len(features)))
    for place, name in enumerate(features):
        if name in CICIDS2017:
            x[:, place] = simulated[:, CICIDS2017.index(name)]
    z = to_free(x, features)
    share = rng.random(z.shape)
    mixed = from_free(z + (share < 0.5 if swap else share) * (z[rng.permutation(len(z))] - z), features)
    assert broken(mixed, features) == {}
    changed = away(mixed, features)
    assert not changed.any(), [features[column] for column in np.flatnonzero(changed.any(axis=0))]


def test_rows_that_cannot_be_read() -> None:
    with pytest.raises(InputError, match="not finite"):
        to_free(np.array([[np.inf, 1]]), ("flow_bytes_s", "flow_duration"))
    with pytest.raises(InputError, match=r"expected numbers \[n, 2\]"):
        to_free(np.ones((3, 3)), ("flow_bytes_s", "flow_duration"))
    with pytest.raises(InputError, match="twice"):
        to_free(np.ones((3, 2)), ("flow_duration", "flow_duration"))
    with pytest.raises(InputError, match="free feature rows"):
        from_free(np.ones((3, 4)), ("flow_duration",))


@pytest.mark.parametrize(
    ("name", "least"),
    [("cicids2017_improved", 1.0), ("cicddos2019", 1.0), ("cicids2017", 0.85)],
)
def test_real_rows_come_back(data_dir: Path, name: str, least: float) -> None:
    """All but those of the original CIC-IDS2017 whose times were printed with three digits."""
    table, _ = load(name, data_dir=data_dir, progress=False)
    x = table.x[:: max(1, len(table.x) // 4000)]
    changed = away(x, table.features)
    assert 1 - changed.any(axis=1).mean() >= least
    z = to_free(x, table.features)
    mixed = from_free((z + z[::-1]) / 2, table.features)
    assert broken(mixed, table.features) == {}
