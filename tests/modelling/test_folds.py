"""Which rows test which."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.errors import InputError
from nids_jax.modelling.folds import ALWAYS_TRAINED, by_time, cross_validation


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=60), st.integers(2, 5))
def test_equal_rows_stay_together_and_classes_are_spread(pairs, count):
    x = np.array([[value, 1.0] for value, _ in pairs])
    y = np.array([label for _, label in pairs])
    try:
        folds = cross_validation(x, y, count, seed=1)
    except InputError:
        assert all(len(set(x[y == label, 0])) < 2 for label in set(y))
        return
    tested = folds.fold != ALWAYS_TRAINED
    for label in set(y):
        own = y == label
        alone = len(set(x[own, 0])) < 2
        assert (label in folds.untested) == alone
        assert not alone or not tested[own].any()
    assert ((folds.fold[tested] >= 0) & (folds.fold[tested] < count)).all()
    for value in set(x[:, 0]):
        assert len(set(folds.fold[tested & (x[:, 0] == value)])) <= 1


def test_folds_are_even():
    draws = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [100, 52, 3])
    folds = cross_validation(draws.normal(size=(155, 3)), y, 5, seed=0)
    for label, least, most in ((0, 20, 20), (1, 10, 11), (2, 0, 1)):
        counts = np.bincount(folds.fold[y == label], minlength=5)
        assert counts.min() >= least
        assert counts.max() <= most
    again = cross_validation(np.random.default_rng(0).normal(size=(155, 3)), y, 5, seed=0)
    np.testing.assert_array_equal(folds.fold, again.fold)


def test_later_rows():
    times = np.array([5.0, 1, 2, 3, 4, 6, 7, 8, 9, 10])
    np.testing.assert_array_equal(by_time(times), times > 7)
    np.testing.assert_array_equal(by_time(np.array([1.0, 1, 1, 2])), [False, False, False, True])
    np.testing.assert_array_equal(by_time(np.array([1.0, 2, 2, 2])), [False, True, True, True])
    with pytest.raises(InputError, match="one moment"):
        by_time(np.ones(4))
    with pytest.raises(InputError, match="2 of 4 rows have no time"):
        by_time(np.array([1, np.nan, 2, np.nan]))
