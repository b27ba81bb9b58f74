"""Copies, jitter, SMOTE and ADASYN; the last two against imbalanced-learn."""

from typing import Any

import jax
import numpy as np
import pytest
from imblearn import over_sampling as theirs

from nids_jax.errors import InputError
from nids_jax.generators.registry import make_generator
from nids_jax.generators.resampling import ADASYN, SMOTE, Copies, Jitter
from nids_jax.generators.spec import Request

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 0, 0, 1, 1, 2])
KEY = jax.random.key(1)


def overlapping() -> tuple[np.ndarray, np.ndarray]:
    """A class of 90 rows, and one of 12 at its edge."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(90, 4)), 0.7 * rng.normal(size=(12, 4)) + 1.2])
    return x.astype(np.float32), np.repeat([0, 1], [90, 12])


def test_copies_are_real_rows_of_the_class_in_equal_shares():
    labels = np.repeat([0, 1, 2], 3000)
    out = Copies().fit(X, Y, jax.random.key(0)).sample(labels, KEY)
    for label in range(3):
        found, counts = np.unique(out[labels == label], axis=0, return_counts=True)
        np.testing.assert_array_equal(found, X[label == Y])
        assert np.abs(counts - 3000 / len(counts)).max() < 5 * np.sqrt(3000 / len(counts))


@pytest.mark.parametrize("name", ["adasyn", "smote"])
def test_a_class_of_one_row_is_copied(name: str):
    fitted = make_generator(name, Request()).fit(X, Y, jax.random.key(0))
    np.testing.assert_array_equal(fitted.sample(np.full(9, 2), KEY), np.tile(X[5], (9, 1)))
    alone = make_generator(name, Request()).fit(X[:1], Y[:1], jax.random.key(0))
    np.testing.assert_array_equal(alone.sample(np.zeros(2, int), KEY), X[[0, 0]])


def test_jitter_is_a_copy_with_noise_where_columns_vary():
    x = np.concatenate([X, np.full((6, 1), 0.25, np.float32)], axis=1)
    labels = np.arange(6000) % 3
    copies = Copies().fit(x, Y, jax.random.key(0)).sample(labels, KEY)
    noise = Jitter(0.1).fit(x, Y, jax.random.key(0)).sample(labels, KEY) - copies
    np.testing.assert_array_equal(noise[:, 2], 0.0)
    assert np.abs(noise[:, :2].mean(axis=0)).max() < 5 * 0.1 / np.sqrt(6000)
    np.testing.assert_allclose(noise[:, :2].std(axis=0), 0.1, rtol=0.05)
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 5 / np.sqrt(6000)


def places_on_segments(out: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """u of each row of `out` [m, d] on each segment from start [s, d] to end [s, d]; NaN off it: [m, s]."""
    way = (end - start).astype(np.float64)
    gap = out[:, None] - start
    u = (gap * way).sum(axis=2) / (way**2).sum(axis=1)
    off = np.abs(gap - u[:, :, None] * way).max(axis=2)
    return np.where((off < 1e-5) & (u > -1e-5) & (u < 1 + 1e-5), u, np.nan)


def test_smote_draws_evenly_from_the_segments_that_imbalanced_learn_draws_from():
    x, y = overlapping()
    small = x[y == 1]
    smote: Any = theirs.SMOTE(k_neighbors=5)
    smote.fit_resample(x, y)
    near = smote.nn_k_.fit(small).kneighbors(small, return_distance=False)[:, 1:]
    start, end = np.repeat(small, 5, axis=0), small[near].reshape(-1, 4)

    out = SMOTE().fit(x, y, jax.random.key(0)).sample(np.ones(6000, int), KEY)
    on = places_on_segments(out, start, end)
    assert np.isfinite(on).any(axis=1).all()
    # Rows that are each other's neighbours share a segment; what lies on one of them counts for both.
    twins = (np.abs(start[:, None] - end).max(axis=2) + np.abs(end[:, None] - start).max(axis=2)) == 0
    expected = 6000 / len(start) * (1 + twins.sum(axis=1))
    assert np.abs(np.isfinite(on).sum(axis=0) - expected).max() < 5 * np.sqrt(expected.max())
    alone = on[:, ~twins.any(axis=1)]
    assert abs(np.nanmean(alone) - 0.5) < 5 / np.sqrt(12 * np.isfinite(alone).sum())


def test_smote_has_the_mean_and_covariance_of_imbalanced_learn():
    x, y = overlapping()
    strategy: Any = {1: 20_012}
    smote: Any = theirs.SMOTE(k_neighbors=5, sampling_strategy=strategy, random_state=0)
    made = smote.fit_resample(x, y)[0][len(x) :]
    ours = SMOTE().fit(x, y, jax.random.key(0)).sample(np.ones(20_000, int), KEY)
    spread = made.std(axis=0)
    assert (np.abs(ours.mean(axis=0) - made.mean(axis=0)) < 5 * spread * np.sqrt(2 / 20_000)).all()
    np.testing.assert_allclose(np.cov(ours.T), np.cov(made.T), atol=0.05 * spread.max() ** 2)


def test_small_classes_have_fewer_neighbours():
    fitted = SMOTE().fit(X, Y, jax.random.key(0))
    np.testing.assert_array_equal(np.sort(fitted.neighbours(0)), [[1, 2], [0, 2], [0, 1]])
    np.testing.assert_array_equal(fitted.neighbours(1), [[4], [3]])
    np.testing.assert_array_equal(np.sort(fitted.neighbours(2)), [[5]])
    out = fitted.sample(np.ones(50, int), KEY)
    assert np.isfinite(places_on_segments(out, X[3:4], X[4:5])).all()


def test_adasyn_weighs_rows_as_imbalanced_learn_does():
    x, y = overlapping()
    fitted = ADASYN().fit(x, y, jax.random.key(0))
    for label in (0, 1):
        own = y == label
        asked = 100_000
        strategy: Any = {label: asked + int(own.sum())}
        adasyn: Any = theirs.ADASYN(n_neighbors=5, sampling_strategy=strategy, random_state=0)
        made = adasyn.fit_resample(x, y)[0][len(x) :]
        near = adasyn.nn_.fit(x).kneighbors(x[own], return_distance=False)[:, 1:]
        ratio = (y[near] != label).mean(axis=1)
        np.testing.assert_allclose(fitted.weights(label), ratio)
        counts = np.rint(ratio / ratio.sum() * asked).astype(int)
        assert counts.sum() == len(made)
        # They make their rows in the order of the rows these start from; so ours say which rows lie on whose segments.
        first = np.cumsum(counts) - counts
        for row in np.flatnonzero(counts):
            number = np.flatnonzero(own)[row]
            start, end = np.tile(x[number], (5, 1)), x[fitted.neighbours(label)[row]]
            part = made[first[row] : first[row] + 3]
            assert np.isfinite(places_on_segments(part, start, end)).any(axis=1).all()


def test_adasyn_starts_from_rows_in_proportion_to_their_weights():
    x, y = overlapping()
    fitted = ADASYN().fit(x, y, jax.random.key(0))
    own = np.flatnonzero(y == 0)
    counts = np.bincount(fitted._drawn(np.zeros(20_000, int), KEY), minlength=len(x))
    share = fitted.weights(0) / fitted.weights(0).sum()
    assert counts[y == 1].sum() == 0
    assert (counts[own][share == 0] == 0).all()
    assert (share == 0).any()
    assert (np.abs(counts[own] - 20_000 * share) <= 5 * np.sqrt(20_000 * share)).all()


def test_adasyn_is_smote_where_no_other_class_is_near():
    x = np.concatenate([X, X + 1000])
    y = np.repeat([0, 1], 6)
    labels = np.arange(40) % 2
    smote = SMOTE().fit(x, y, jax.random.key(0)).sample(labels, KEY)
    np.testing.assert_array_equal(ADASYN().fit(x, y, jax.random.key(0)).sample(labels, KEY), smote)


def test_equal_rows_of_two_classes_are_neighbours():
    """A row's nearest neighbours leave out itself, not a row that equals it."""
    x = np.zeros((2, 3), np.float32)
    fitted = ADASYN().fit(x, np.array([0, 1]), jax.random.key(0))
    np.testing.assert_array_equal([*fitted.weights(0), *fitted.weights(1)], [1.0, 1.0])


def test_noise_without_a_scale_is_refused():
    with pytest.raises(InputError, match="scale is 0"):
        Jitter(0.0)
