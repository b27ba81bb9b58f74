"""The arithmetic behind the figures of rows."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import f_classif

from nids_jax.report import rows

RNG = np.random.default_rng(0)


def test_the_plane_is_scikit_learns_first_two_components():
    x = RNG.lognormal(3, 2, (60, 7)) * RNG.choice([-1, 1], (60, 7))
    logs = np.array([[np.log(1 + v) if v > 0 else -np.log(1 - v) for v in row] for row in x])
    z = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    theirs = PCA(2).fit_transform(z)
    ours = rows.principal_plane(x)(x)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-8)


def test_missing_values_constant_columns_and_one_feature_do_no_harm():
    x = RNG.normal(size=(20, 3))
    x[3, 0], x[:, 1] = np.nan, 5.0
    place = rows.principal_plane(x)
    moved = x.copy()
    moved[:, 1] = 1e9  # a column that is constant in the real rows has no scale
    np.testing.assert_allclose(place(moved), place(x))
    assert np.isfinite(place(x)).all()
    assert rows.principal_plane(x[:, :1])(x[:, :1]).shape == (20, 2)


def test_weights_give_real_rows_the_synthetic_mix():
    real = np.array(["a"] * 6 + ["b"] * 2 + ["c"] * 4)
    weights = rows.matching_weights(real, np.array(["b"] * 9 + ["a"] * 3))
    shares = [weights[real == name].sum() for name in "abc"]
    assert shares == pytest.approx([3, 9, 0])


def test_separation_ranks_features_as_the_f_test_does():
    labels = np.repeat(["a", "b", "c"], 30)
    x = RNG.normal(size=(90, 6)) + np.outer(np.repeat([0, 1, 2], 30), [0, 0.2, 0.5, 1, 2, 4])
    found = rows.separation(rows.Rows(x=np.expm1(np.abs(x)), labels=labels))
    theirs = f_classif(np.abs(x), labels)[0]
    assert np.argsort(found).tolist() == np.argsort(theirs).tolist()
    assert rows.separation(rows.Rows(x=np.ones((4, 1)), labels=np.array(list("abab")))) == [0]
