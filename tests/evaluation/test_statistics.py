"""Intervals against scipy.stats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nids_jax.errors import InputError
from nids_jax.evaluation.statistics import Interval, mean_interval, paired_interval

figures = st.floats(0, 1, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(figures, min_size=2, max_size=9), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_mean_interval_is_scipys_t_interval(values, level):
    found = mean_interval(values, level)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    low, high = stats.t.interval(level, len(values) - 1, np.mean(values), error) if error else [np.mean(values)] * 2
    assert found == pytest.approx((np.mean(values), low, high, len(values)), abs=1e-9)


def test_one_value_has_a_mean_and_no_interval():
    assert mean_interval([0.7]) == Interval(0.7, None, None, 1)
    assert mean_interval([0.7]).side is None


@settings(deadline=None)
@given(st.lists(st.tuples(figures, figures), min_size=2, max_size=9))
def test_paired_interval_is_scipys_paired_t_test(pairs):
    a, b = np.array(pairs).T
    found = paired_interval({i: [v] for i, v in enumerate(a)}, {i: [v] for i, v in enumerate(b)})
    if np.ptp(a - b) < 1e-6:  # scipy warns of the precision lost
        return
    theirs = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found == pytest.approx((np.mean(a - b), theirs.low, theirs.high, len(a)), abs=1e-9)


def test_generations_of_one_split_count_once():
    a = {0: [0.9, 0.7, 0.8], 1: [0.6, 0.6, 0.9], 2: [0.5, 0.7, 0.9]}
    b = {0: [0.7], 1: [0.65], 2: [0.6]}
    theirs = stats.ttest_rel([0.8, 0.7, 0.7], [0.7, 0.65, 0.6]).confidence_interval(0.95)
    assert paired_interval(a, b) == pytest.approx((0.25 / 3, theirs.low, theirs.high, 3))


def test_only_shared_splits_are_paired():
    found = paired_interval({3: [0.9], 1: [0.5], 7: []}, {1: [0.4], 2: [0.1], 7: [0.3]})
    assert found is not None
    assert found.mean == pytest.approx(0.1)
    assert found[1:] == (None, None, 1)
    assert paired_interval({0: [1.0]}, {1: [1.0]}) is None


def test_the_side_of_zero():
    assert mean_interval([0.1, 0.11, 0.12]).side == 1
    assert mean_interval([-0.1, -0.11, -0.12]).side == -1
    assert mean_interval([-0.1, 0.1, 0.05]).side == 0
    assert mean_interval([0.0, 0.0]).side == 0
    # Three equal accuracies: their mean differs from them in the last bit, which is no difference.
    equal = {seed: [0.1, 0.1, 0.1] for seed in range(5)}
    found = paired_interval(equal, {seed: [0.1] for seed in range(5)})
    assert found is not None
    assert found.mean != 0
    assert found.side == 0


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ([], 0.95, "one value"),
        ([0.1, np.nan], 0.95, "nan"),
        ([0.1, 0.2], 95, "between 0 and 1"),
        ([[1, 2]], 0.9, "shape"),
    ],
)
def test_bad_input_is_named(values, level, message):
    with pytest.raises(InputError, match=message):
        mean_interval(values, level)
