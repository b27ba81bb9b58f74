"""A check that every generator has to pass."""

from typing import Any

import jax
import numpy as np


def check_rows_are_independent(fitted: Any, columns: int, length: int, dtype: type = np.float32) -> None:
    """Row i depends on (key, i, label i) alone: not on how many rows there are, nor on the labels of others."""
    key = jax.random.key(1)
    labels = np.arange(length) % 2
    whole = fitted.sample(labels, key)
    assert whole.shape == (length, columns)
    assert whole.dtype == dtype
    for count in (0, 1, 7, 70, 1030):
        np.testing.assert_array_equal(whole[:count], fitted.sample(labels[:count], key))
    changed = labels.copy()
    changed[3] = 0
    other = fitted.sample(changed, key)
    assert not np.array_equal(whole[3], other[3])
    np.testing.assert_array_equal(np.delete(whole, 3, axis=0), np.delete(other, 3, axis=0))
    assert not np.array_equal(whole, fitted.sample(labels, jax.random.key(2)))
