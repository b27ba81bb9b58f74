"""Intervals against scipy.stats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nids_jax.errors import InputError
from nids_jax.evaluation.statistics import Interval, holm, mean_interval, paired_interval, share_interval

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


@settings(deadline=None)
@given(st.lists(st.tuples(figures, figures), min_size=3, max_size=9))
def test_p_is_that_of_the_paired_t_test(pairs):
    a, b = np.array(pairs).T
    found = paired_interval({i: [v] for i, v in enumerate(a)}, {i: [v] for i, v in enumerate(b)})
    if np.ptp(a - b) < 1e-6:
        return
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=1e-9)


def test_p_without_scatter():
    assert mean_interval([0.5]).p is None
    assert mean_interval([0.0, 0.0]).p == 1.0
    assert mean_interval([0.5, 0.5]).p == 0.0


def test_nadeau_and_bengios_correction_widens_by_the_rows_that_test():
    """P2's comparison of SMOTE and the plain forest: the correction makes the interval √(1 + 10 · 3/7) as long."""
    values = [0.02, 0.09, 0.05, 0.11, 0.03, 0.06, 0.0, 0.08, 0.04, 0.05]
    plain, wide = mean_interval(values), mean_interval(values, overlap=3 / 7)
    assert plain.low is not None
    assert plain.high is not None
    assert wide.low == pytest.approx(plain.mean - (plain.mean - plain.low) * np.sqrt(1 + 30 / 7))
    assert wide.high == pytest.approx(plain.mean + (plain.high - plain.mean) * np.sqrt(1 + 30 / 7))


def test_the_corrected_interval_covers_where_splits_overlap():
    """Accuracy of a nearest-mean rule on repeated splits of one sample; truth: its mean over fresh samples."""
    rng = np.random.default_rng(3)

    def accuracy(train_x, train_y, test_x, test_y) -> float:
        middle = (train_x[train_y == 0].mean() + train_x[train_y == 1].mean()) / 2
        return float(((test_x > middle) == test_y).mean())

    def sample(n: int):
        y = rng.integers(0, 2, n)
        y[:2] = 0, 1
        return rng.normal(y * 1.0), y

    covered = np.zeros(2)
    truth = np.mean([accuracy(*sample(70), *sample(3000)) for _ in range(400)])
    for _ in range(200):
        x, y = sample(100)
        values = []
        for _ in range(10):
            order = rng.permutation(100)
            values.append(accuracy(x[order[:70]], y[order[:70]], x[order[70:]], y[order[70:]]))
        for way, overlap in enumerate((0.0, 3 / 7)):
            low, high = mean_interval(values, overlap=overlap)[1:3]
            assert low is not None
            assert high is not None
            covered[way] += low <= truth <= high
    assert covered[0] / 200 < 0.75  # the plain t is far too narrow
    assert covered[1] / 200 > 0.88


@given(st.lists(figures, min_size=2, max_size=9))
def test_a_shares_interval_stays_in_range_around_its_mean(values):
    plain = mean_interval(values)
    found = share_interval(plain)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1


def test_a_shares_interval_is_the_plain_one_where_it_is_narrow():
    found = share_interval(Interval(0.5, 0.49, 0.51, 10))
    assert found.low == pytest.approx(0.49, abs=1e-5)
    assert found.high == pytest.approx(0.51, abs=1e-5)
    assert share_interval(Interval(1.0, 1.0, 1.0, 3)) == Interval(1.0, 1.0, 1.0, 3)
    assert share_interval(Interval(0.3, None, None, 1)) == Interval(0.3, None, None, 1)


@given(st.lists(figures, max_size=7), figures)
def test_holm_rejects_step_by_step(p, level):
    """Holm's own procedure: compare the smallest with level/m, the next with level/(m − 1), … until one is larger."""
    rejected = set()
    for place, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] * (len(p) - place) > level:
            break
        rejected.add(index)
    if level < 1:
        assert {i for i, value in enumerate(holm(p)) if value <= level} == rejected
