"""The copies control."""

import jax
import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.generators.registry import GeneratorOptions, make_generator
from nids_jax.generators.resampling import Copies

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 0, 0, 1, 1, 2])


def test_copies_are_real_rows_of_the_class_in_equal_shares():
    labels = np.repeat([0, 1, 2], 3000)
    out = Copies().fit(X, Y, jax.random.key(0)).sample(labels, jax.random.key(1))
    for label in range(3):
        found, counts = np.unique(out[labels == label], axis=0, return_counts=True)
        np.testing.assert_array_equal(found, X[label == Y])
        assert np.abs(counts - 3000 / len(counts)).max() < 5 * np.sqrt(3000 / len(counts))


def test_a_row_does_not_depend_on_its_company():
    copies = Copies().fit(X, Y, jax.random.key(0))
    long = copies.sample(np.array([0, 1, 0, 2, 1, 0]), jax.random.key(1))
    np.testing.assert_array_equal(long[:3], copies.sample(np.array([0, 1, 0]), jax.random.key(1)))


def test_unknown_class_and_unknown_generator():
    with pytest.raises(InputError, match="no fitted row has label 5"):
        Copies().fit(X, Y, jax.random.key(0)).sample(np.array([5]), jax.random.key(0))
    with pytest.raises(InputError, match=r"unknown generator 'gan'; choose from \['cddpm', 'copies'\]"):
        make_generator("gan", GeneratorOptions())
