"""Generators on free features: real rows come back as they were, others keep the rules."""

import jax
import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.flows.consistency import consistency
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import simulate_flows
from nids_jax.generators.raw import OnFreeFeatures, free_scaler
from nids_jax.generators.registry import make_generator
from nids_jax.generators.resampling import Copies, Jitter
from nids_jax.generators.spec import Request
from tests.generators.row_independence import check_rows_are_independent

KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def flows() -> tuple[np.ndarray, np.ndarray]:
    x, y, *_ = simulate_flows({"BENIGN": 12, "DDoS": 12}, seed=5)
    return x, np.unique(y, return_inverse=True)[1]


def test_copies_are_the_training_rows(flows: tuple[np.ndarray, np.ndarray]):
    """Scaled columns are float32: seven digits of a logarithm."""
    x, y = flows
    synthetic = OnFreeFeatures(Copies(), CICIDS2017).fit(x, y, jax.random.key(0)).sample(y, KEY)
    for row, label in zip(synthetic, y, strict=True):
        mine = x[y == label]
        nearest = mine[np.argmin((np.abs(mine - row) / (1 + np.abs(row))).max(axis=1))]
        np.testing.assert_allclose(row, nearest, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("generator", [Jitter(3.0), make_generator("smote", Request())])
def test_rows_keep_the_rules_and_stand_alone(flows: tuple[np.ndarray, np.ndarray], generator):
    fitted = OnFreeFeatures(generator, CICIDS2017).fit(*flows, jax.random.key(0))
    assert consistency(fitted.sample(np.repeat([0, 1], 300), KEY), CICIDS2017) == 1
    check_rows_are_independent(fitted, columns=len(CICIDS2017), length=1100, dtype=np.float64)


def test_the_generator_is_fitted_on_rows_that_fill_the_range(flows: tuple[np.ndarray, np.ndarray]):
    copies = Copies()
    fitted = OnFreeFeatures(copies, CICIDS2017).fit(*flows, KEY)
    seen = copies.x_
    varies = seen.min(axis=0) < seen.max(axis=0)
    assert 20 < varies.sum() < 66
    np.testing.assert_allclose(seen[:, varies].min(axis=0), -1)
    np.testing.assert_allclose(seen[:, varies].max(axis=0), 1)
    assert not seen[:, ~varies].any()
    assert free_scaler(flows[0], CICIDS2017).bounded
    assert fitted.losses_ is None


def test_rows_must_be_finite():
    with pytest.raises(InputError, match="not finite"):
        OnFreeFeatures(Copies(), ("flow_duration",)).fit(np.array([[np.nan]]), np.array([0]), KEY)
