"""Shapley values of few predictions against a loop over all coalitions, SHAP's explainers and their own errors."""

import itertools
import math
import warnings
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.neural import CrossEntropyObjective, DetectorConfig, NeuralClassifier
from nids_jax.classifiers.shallow import Boosting, Forests
from nids_jax.errors import InputError
from nids_jax.evaluation import explain as ex
from nids_jax.evaluation import shapley
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.training import loop

RNG = np.random.default_rng(11)


def network(d: int, c: int, seed: int = 0):
    """A small function with interactions of every order, [n, d] → [n, c]."""
    draws = np.random.default_rng(seed)
    a, b = draws.normal(size=(d, 3 * d)), draws.normal(size=(3 * d, c))
    return lambda x: softmax(np.tanh(x @ a) @ b, axis=1)


def by_definition(f, background, row):
    """φ_j = Σ_S |S|! (d − |S| − 1)! / d! · (v(S ∪ j) − v(S)), [d, c], by a loop over all coalitions."""
    d = len(row)

    def value(coalition):
        x = background.copy()
        x[:, list(coalition)] = row[list(coalition)]
        return f(x).mean(axis=0)

    known = {s: value(s) for size in range(d + 1) for s in itertools.combinations(range(d), size)}
    phi = np.zeros((d, len(known[()])))
    for s, before in known.items():
        for j in set(range(d)) - set(s):
            share = math.factorial(len(s)) * math.factorial(d - len(s) - 1) / math.factorial(d)
            phi[j] += share * (known[tuple(sorted((*s, j)))] - before)
    return phi


@settings(deadline=None, max_examples=15)
@given(d=st.integers(1, 8), k=st.integers(1, 3), equal=st.sets(st.integers(0, 7)), seed=st.integers(0, 2**32 - 1))
def test_small_games_get_their_exact_values(d, k, equal, seed):
    draws = np.random.default_rng(seed)
    background, row = draws.normal(size=(k, d)), draws.normal(size=d)
    for j in equal:
        if j < d:
            background[:, j] = row[j]  # such a column has no part in it
    f = network(d, 3, seed % 7)
    found = shapley.estimate(f, background, row[None], samples=4096, seed=seed)
    np.testing.assert_allclose(found.values[0], by_definition(f, background, row), atol=1e-9)
    assert found.errors is not None
    assert not found.errors.any()
    assert found.relative_error == 0


def test_shap_agrees_on_small_games():
    background, rows = RNG.normal(size=(3, 6)), RNG.normal(size=(2, 6))
    f = network(6, 3)
    ours = shapley.estimate(f, background, rows, clusters=3, samples=1000)
    theirs = ex.explain(f, background, rows, clusters=3)
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-8)
    np.testing.assert_allclose(ours.base, theirs.base, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
        from shap.maskers import Independent

        exact = shap.explainers.Exact(f, Independent(background))(rows).values
    np.testing.assert_allclose(ours.values, exact, atol=1e-8)


def test_estimates_are_right_within_their_errors():
    """Of 9 columns a plain loop tells the exact values; errors over 40 seeds have the size that is stated."""
    background, row = RNG.normal(size=(4, 9)), RNG.normal(size=9)
    background[0, :5] = row[:5]  # columns that differ from some background rows alone
    f = network(9, 3)
    exact = by_definition(f, background, row)
    found = [shapley.estimate(f, background, row[None], samples=150, seed=seed) for seed in range(40)]
    off = np.array([each.values[0] - exact for each in found])
    stated = np.array([each.errors[0] for each in found if each.errors is not None])
    size = np.sqrt((off**2).mean())
    assert size > 1e-3  # this is an estimate
    assert 0.8 < np.sqrt((stated**2).mean()) / size < 1.25
    # Without bias: the mean over the seeds is off by no more than chance allows.
    bias = off.mean(axis=0) / (off.std(axis=0) / np.sqrt(len(off)))
    assert np.abs(bias).max() < 4
    for each in found:
        np.testing.assert_allclose(each.base + each.values[0].sum(axis=0), f(row[None])[0], atol=1e-12)


def test_more_samples_come_nearer_and_equal_many_come_nearer_than_kernel_shap():
    background, rows = RNG.normal(size=(30, 12)), RNG.normal(size=(2, 12))
    f = network(12, 3)
    exact = shapley.estimate(f, background, rows, clusters=10, samples=2**12 * 10)
    assert exact.relative_error == 0

    def off(values):
        return np.sqrt(np.mean((values - exact.values) ** 2))

    few, more = (
        np.mean([off(shapley.estimate(f, background, rows, samples=n, seed=s).values) for s in range(5)])
        for n in (500, 4000)
    )
    kernel = np.mean([off(ex.explain(f, background, rows, samples=50, seed=s).values) for s in range(5)])
    assert more < few / 2
    assert few < kernel  # whose 50 coalitions take 500 predictions as well


def test_a_linear_model_gets_weight_times_distance_from_the_mean():
    weights, background, rows = RNG.normal(size=(30, 4)), RNG.normal(size=(6, 30)), RNG.normal(size=(2, 30))
    found = shapley.estimate(lambda x: x @ weights, background, rows, clusters=6, samples=20_000)
    expected = (rows - background.mean(axis=0))[:, :, None] * weights
    assert found.errors is not None
    assert np.mean(np.abs(found.values - expected) < 2 * found.errors) > 0.85
    np.testing.assert_allclose(found.values, expected, atol=0.2)


def test_values_depend_on_the_seed_and_the_row_alone():
    background, rows = RNG.normal(size=(30, 20)), RNG.normal(size=(3, 20))
    f = network(20, 3)

    def explained(rows, seed=0):
        return shapley.estimate(f, background, rows, clusters=3, samples=400, seed=seed)

    first = explained(rows)
    again, turned = explained(rows), explained(rows[::-1][:2])
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.errors, again.errors)
    np.testing.assert_allclose(turned.values, first.values[::-1][:2], atol=1e-12)
    assert np.abs(explained(rows, 1).values - first.values).max() > 1e-6


def test_rows_masked_on_the_devices_are_those_masked_here():
    config = DetectorConfig(network=RecurrentConfig(channels=(4,), hidden=(4, 3)))
    objective = CrossEntropyObjective(network=config.network, features=5, classes=3)
    state = loop.initial_state(jax.random.key(0), objective=objective, optimiser=config.optimiser)
    network = NeuralClassifier.trained(config, state.params, state.rest, 5, 3)
    x = RNG.normal(size=(60, 5)).astype(np.float32)
    for n in (0, 5, 3000):  # none, less than a tile, more than a call
        present, place = RNG.random((n, 5)) < 0.5, RNG.integers(0, 4, n)
        expected = network.predict_proba(np.where(present, x[7], x[place]))
        np.testing.assert_allclose(network.predict_masked(x[7], x[:4], present, place), expected, atol=1e-6)
    on_host, on_device = (
        shapley.estimate(network.predict_proba, x, x[:3], clusters=4, samples=300, masked=masked)
        for masked in (None, network.predict_masked)
    )
    np.testing.assert_allclose(on_device.values, on_host.values, atol=1e-5)


@pytest.mark.parametrize("kind", ["forest", "randomised", "both", "boosting", "boosting of two"])
def test_trees_get_their_exact_interventional_values(kind):
    background, rows = RNG.normal(size=(40, 5)).astype(np.float32), RNG.normal(size=(3, 5)).astype(np.float32)
    y = (background[:, 0] > 0).astype(int) + (background[:, 1] * background[:, 2] > 0) * (kind != "boosting of two")
    options = ClassifierOptions(detector=DetectorConfig())
    model = {"both": Forests(options)}.get(kind) or Boosting(options)
    if isinstance(model, Forests):
        parts: list[Any] = list(model.parts)
        model.parts = [each.set_params(n_estimators=5) for each in parts]
    model = {
        "forest": RandomForestClassifier(10, random_state=0),
        "randomised": ExtraTreesClassifier(10, random_state=0),
    }.get(kind, model)
    model.fit(background, y)

    def output(x):
        if not isinstance(model, Boosting):
            return model.predict_proba(x)
        margin = model.model.predict(np.asarray(x, np.float32), output_margin=True)
        return margin if margin.ndim == 2 else np.stack([-margin, margin], axis=1)

    found = shapley.of_trees(model, background, rows)
    for row, values in zip(rows, found.values, strict=True):
        np.testing.assert_allclose(values, by_definition(output, background, row), atol=2e-5)
    np.testing.assert_allclose(found.predictions, output(rows), atol=2e-5)
    assert found.relative_error == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.zeros((1, 4))}, "5 features, but rows have 4"),
        ({"rows": np.full((1, 5), np.nan)}, "value nan in row 0"),
        ({"background_rows": np.zeros((0, 5))}, "no background rows"),
        ({"samples": 19}, "at least 20"),
        ({"clusters": 0}, "clusters is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"predict_proba": lambda x: np.full((len(x), 2), np.inf)}, "not finite"),
        ({"predict_proba": lambda x: x[:, :2] + RNG.normal(size=(len(x), 2))}, "dropout"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"predict_proba": network(5, 2), "background_rows": np.ones((2, 5)), "rows": np.zeros((1, 5))}
    with pytest.raises(InputError, match=message):
        shapley.estimate(**(good | change))


def test_no_rows_and_rows_like_the_background_have_no_values():
    found = shapley.estimate(network(5, 2), np.ones((2, 5)), np.zeros((0, 5)))
    assert found.values.shape == (0, 5, 2)
    found = shapley.estimate(network(5, 2), np.ones((2, 5)), np.ones((1, 5)))
    assert not found.values.any()
    with pytest.raises(InputError, match="5 features, but rows have 4"):
        shapley.of_trees(RandomForestClassifier(), np.ones((2, 5)), np.ones((1, 4)))


def test_groups_are_sums_and_have_errors_of_their_own():
    rng = np.random.default_rng(0)
    background, x = rng.normal(size=(4, 12)), rng.normal(size=(3, 12))
    turn = rng.normal(size=(12, 2))

    def f(rows: np.ndarray) -> np.ndarray:
        return np.tanh(rows @ turn)

    groups = np.arange(12) // 4
    drawn = []
    for seed in range(40):
        plain = shapley.estimate(f, background, x, samples=200, seed=seed)
        found = shapley.estimate(f, background, x, samples=200, seed=seed, groups=groups)
        np.testing.assert_allclose(found.values, plain.values.reshape(3, 3, 4, 2).sum(axis=2), atol=1e-12)
        drawn.append((found.values, found.errors))
    values, errors = (np.array(each) for each in zip(*drawn, strict=True))
    ratio = values.std(axis=0, ddof=1) / np.sqrt(np.mean(errors**2, axis=0))
    assert 0.7 < np.sqrt(np.mean(ratio**2)) < 1.3
    # All columns together: their sum is known, though none of them is.
    whole = shapley.estimate(f, background, x, samples=200, groups=np.zeros(12, int))
    assert whole.errors is not None
    assert np.abs(whole.errors).max() < 1e-9
    with pytest.raises(InputError, match=r"\(3,\) groups for 12 columns"):
        shapley.estimate(f, background, x, samples=200, groups=[0, 1, 2])
