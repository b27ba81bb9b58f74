"""Flow records at other times: sizes as they were, times of another row, and nothing that contradicts itself."""

import jax
import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.flows.consistency import violations
from nids_jax.flows.schema import CICIDS2017, feature
from nids_jax.flows.simulate import simulate_flows
from nids_jax.generators.registry import make_generator
from nids_jax.generators.retimed import Retimed
from nids_jax.generators.spec import Request

KEY = jax.random.key(5)
LENGTHS = ["total_fwd_packets", "total_length_of_fwd_packets", "bwd_packet_length_max", "fwd_header_length"]


def places(*names: str) -> list[int]:
    return [CICIDS2017.index(name) for name in names]


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    return simulate_flows({"BENIGN": 12, "DoS slowloris": 6}, seed=0)


@pytest.fixture(scope="module")
def fitted(rows: tuple[np.ndarray, np.ndarray]) -> Retimed:
    maker: Retimed = make_generator("retimed", Request(features=CICIDS2017))  # pyright: ignore[reportAssignmentType]
    return maker.fit(*rows, KEY)


def test_sizes_are_those_of_a_row_of_the_class_and_times_are_new(fitted: Retimed, rows: tuple[np.ndarray, np.ndarray]):
    x, y = rows
    labels = np.tile(np.unique(y), 100)
    made = fitted.sample(labels, KEY)
    lengths, duration = places(*LENGTHS), places("flow_duration")[0]
    for label in np.unique(y):
        known = {row.tobytes() for row in x[y == label][:, lengths]}
        assert {row.tobytes() for row in made[labels == label][:, lengths]} <= known
        own = x[y == label][:, duration]
        ratios = made[labels == label][:, duration][:, None] / own[own > 0]
        assert not (np.abs(ratios - 1) < 1e-6).any()
    lasting = made[:, duration] > 1000
    packets = made[:, places("total_fwd_packets", "total_bwd_packets")].sum(axis=1)
    rate = made[:, places("flow_packets_s")[0]]
    np.testing.assert_allclose((rate * made[:, duration])[lasting], 1e6 * packets[lasting], rtol=1e-6)
    assert not any(found.any() for found in violations(made, CICIDS2017).values())
    whole = [feature(name).integer for name in CICIDS2017]
    np.testing.assert_array_equal(made[:, whole], made[:, whole].round())


def test_the_factor_is_log_normal(rows: tuple[np.ndarray, np.ndarray]):
    one = rows[0][rows[0][:, places("flow_duration")[0]] > 1e6][:1]
    maker = Retimed(CICIDS2017).fit(one, np.zeros(1, int), KEY)  # a class of one row keeps its own times
    durations = maker.sample(np.zeros(3000, int), KEY)[:, places("flow_duration")[0]]
    logs = np.log(durations / one[0, places("flow_duration")[0]])
    assert (logs.mean(), logs.std()) == (pytest.approx(0, abs=0.06), pytest.approx(1, abs=0.05))


def test_a_row_depends_on_its_number_and_class_alone(fitted: Retimed, rows: tuple[np.ndarray, np.ndarray]):
    labels = np.random.default_rng(0).permutation(np.repeat(np.unique(rows[1]), 40))
    made = fitted.sample(labels, KEY)
    np.testing.assert_array_equal(fitted.sample(labels[:7], KEY), made[:7])
    other = labels.copy()
    other[0] = next(label for label in np.unique(rows[1]) if label != labels[0])
    np.testing.assert_array_equal(fitted.sample(other, KEY)[1:], made[1:])
    assert not np.array_equal(fitted.sample(labels, jax.random.key(6)), made)


def test_columns_without_times_are_refused():
    with pytest.raises(InputError, match="none of these columns is one"):
        Retimed(["total_fwd_packets", "pressure"])
