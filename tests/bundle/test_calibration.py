"""Thresholds from benign scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.bundle.calibration import Calibration
from nids_jax.errors import InputError


@given(st.integers(1, 60), st.floats(0.001, 0.9), st.integers(0, 2**32 - 1))
def test_a_further_row_exceeds_the_threshold_at_most_at_the_rate(rows, rate, seed):
    """Of n + 1 exchangeable rows each is the further one as often: count over all choices of it."""
    scores = np.random.default_rng(seed).choice(20, rows + 1) / 20  # with ties
    above, told = 0, []
    for left_out in range(rows + 1):
        threshold = Calibration.of(np.delete(scores, left_out)).threshold(rate)
        above += scores[left_out] > threshold.value
        told.append(threshold.supported)
    limit = rate if all(told) else 1 / (rows + 1)
    assert above / (rows + 1) <= max(limit, rate if any(told) else 0) + 1e-9


def test_the_threshold_is_an_order_statistic():
    calibration = Calibration.of(np.arange(99) / 100)
    assert (
        calibration.threshold(0.05).value == 0.94
    )  # the 5th highest of 99: a further row exceeds it in 5 of 100 cases
    assert calibration.threshold(0.01).value == 0.98
    few = calibration.threshold(0.001)
    assert (few.value, few.supported) == (0.98, False)
    assert "99 benign rows cannot tell a rate of 0.100%" in few.sentence
    assert calibration.threshold(0.01).supported


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, np.nan, 2.0])
def test_rates_lie_between_0_and_1(rate):
    with pytest.raises(InputError, match="max_false_positives"):
        Calibration.of(np.zeros(3)).threshold(rate)


def test_a_stored_calibration_is_checked():
    good = Calibration.of(np.array([0.1, 0.3, 0.2]))
    assert Calibration.from_array(good.scores, 3).threshold(0.5) == good.threshold(0.5)
    for scores, rows in (
        (good.scores[::-1], 3),
        (good.scores, 4),
        (good.scores.astype(np.float32), 3),
        (np.array([np.nan]), 1),
        (np.zeros(0), 0),
    ):
        with pytest.raises(InputError):
            Calibration.from_array(scores, rows)
