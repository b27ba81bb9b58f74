"""Shapley values against brute force over all orders, a closed form, and their own sum rule."""

import itertools
import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from nids_jax.errors import InputError
from nids_jax.evaluation import explain as ex

RNG = np.random.default_rng(5)


def crooked(x):
    """A small function with interactions, [n, 5] -> [n, 3]."""
    a, b, c, d, e = x.T
    return softmax(np.stack([a * b + d, np.sin(3 * c) - a, np.maximum(d, e) * b], axis=1), axis=1)


def brute_force(f, background, row):
    """Mean over all orders of what each feature adds when it is switched from the background to the row, [d, c]."""
    d = len(row)

    def value(coalition):
        x = background.copy()
        x[:, list(coalition)] = row[list(coalition)]
        return f(x).mean(axis=0)

    phi = 0
    orders = list(itertools.permutations(range(d)))
    for order in orders:
        steps = [value(order[:k]) for k in range(d + 1)]
        added = np.diff(steps, axis=0)
        phi = phi + added[np.argsort(order)]
    return phi / len(orders)


def test_a_small_function_gets_its_exact_shapley_values():
    # Three distinct background rows, unequally often: k-means keeps them and weights them by their number.
    background = RNG.normal(size=(3, 5))[[0, 0, 1, 2, 2, 2]]
    rows = RNG.normal(size=(2, 5))
    found = ex.explain(crooked, background, rows, clusters=10, seed=1)
    for i, row in enumerate(rows):
        np.testing.assert_allclose(found.values[i], brute_force(crooked, background, row), atol=1e-9)
    np.testing.assert_allclose(found.base, crooked(background).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), crooked(rows), atol=1e-9)


@pytest.mark.parametrize("samples", [None, 60])
def test_a_linear_model_gets_weight_times_distance_from_the_mean(samples):
    # More features than the ten that SHAP's default would keep.
    weights = RNG.normal(size=(30, 4))
    background, rows = RNG.normal(size=(6, 30)), RNG.normal(size=(2, 30))
    found = ex.explain(lambda x: x @ weights, background, rows, clusters=6, samples=samples)
    expected = (rows - background.mean(axis=0))[:, :, None] * weights
    np.testing.assert_allclose(found.values, expected, atol=1e-8)


def test_a_feature_that_never_differs_from_the_background_has_no_part_in_it():
    background, rows = RNG.normal(size=(4, 5)), RNG.normal(size=(1, 5))
    background[:, 2] = rows[:, 2] = 7.0
    assert np.all(ex.explain(crooked, background, rows).values[0, 2] == 0)


def test_values_depend_on_the_seed_and_the_row_alone_and_numpys_generator_is_left_alone(capsys):
    weights = RNG.normal(size=(20, 3))
    background, rows = RNG.normal(size=(30, 20)), RNG.normal(size=(3, 20))

    def explain(rows, seed):
        return ex.explain(
            lambda x: softmax(x @ weights, axis=1), background, rows, clusters=3, samples=80, seed=seed
        ).values

    np.random.seed(42)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(42)  # noqa: NPY002
    first = explain(rows, 0)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002
    np.testing.assert_array_equal(explain(rows, 0), first)
    np.testing.assert_allclose(explain(rows[::-1][:2], 0), first[::-1][:2], atol=1e-12)
    assert np.abs(explain(rows, 1) - first).max() > 1e-6
    assert capsys.readouterr() == ("", "")


def test_a_jitted_model_compiles_once():
    traces = []
    weights = jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32)

    @jax.jit
    def predict(x):
        traces.append(x.shape)
        return jax.nn.softmax(jnp.asarray(x, jnp.float32) @ weights)

    background, rows = RNG.normal(size=(7, 6)), RNG.normal(size=(3, 6))
    found = ex.explain(predict, background, rows, clusters=5, batch=32)
    assert traces == [(32, 6)]
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), predict(rows), atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 4, 5, 11])
def test_fixed_batch_changes_no_answer(n):
    sizes = []

    def predict(x):
        sizes.append(len(x))
        return x[:, :2] * 2

    x = RNG.normal(size=(n, 3))
    np.testing.assert_array_equal(ex.fixed_batch(predict, 5)(x), x[:, :2] * 2)
    assert sizes == [5] * max(1, -(-n // 5))


def test_a_model_that_answers_differently_each_time_is_refused():
    noise = np.random.default_rng(0)

    def dropout(x):
        return softmax(x[:, :3] + noise.normal(0, 1, (len(x), 3)), axis=1)

    with pytest.raises(InputError, match="dropout"):
        ex.explain(dropout, RNG.normal(size=(4, 5)), RNG.normal(size=(2, 5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.zeros((1, 4))}, "5 features, but rows have 4"),
        ({"rows": np.full((1, 5), np.inf)}, "value inf in row 0, column 0"),
        ({"rows": np.zeros(5)}, r"shape \(5,\)"),
        ({"background_rows": np.zeros((0, 5))}, "no background rows"),
        ({"background_rows": np.full((1, 5), np.nan)}, "nan"),
        ({"clusters": 0}, "clusters is 0"),
        ({"samples": 9}, "at least 10"),
        ({"batch": 0}, "batch is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"predict_proba": lambda x: np.full((len(x), 2), np.nan)}, "not finite"),
        ({"predict_proba": lambda x: x[:, 0]}, "shape"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"predict_proba": crooked, "background_rows": np.ones((2, 5)), "rows": np.zeros((1, 5))}
    with pytest.raises(InputError, match=message):
        ex.explain(**(good | change))


def test_no_rows_give_no_values_but_no_importance_either():
    found = ex.explain(crooked, np.ones((2, 5)), np.zeros((0, 5)))
    assert found.values.shape == (0, 5, 3)
    with pytest.raises(InputError, match="there are none"):
        ex.global_importance(found)


def test_one_row_of_each_class_that_is_there():
    y = np.array([2, 0, 0, 2, 4, 0])
    picks = ex.one_row_per_class(y, 6, seed=3)
    np.testing.assert_array_equal(y[picks], [0, 2, 4])
    np.testing.assert_array_equal(ex.one_row_per_class(y, 6, seed=3), picks)
    assert len({int(ex.one_row_per_class(y, 6, seed)[0]) for seed in range(40)}) == 3


def test_local_and_global_explanations_add_up():
    values, base = RNG.normal(size=(4, 6, 3)), np.array([0.2, 0.3, 0.5])
    explanation = ex.Explanation(values=values, base=base, predictions=base + values.sum(axis=1))
    y, raw = np.array([0, 1, 2, 1]), RNG.normal(size=(4, 6)) * 1e6
    local = ex.local_explanations(explanation, y, raw, ["A", "B", "C"])
    for i, row in enumerate(local):
        assert row["class"] == "ABC"[y[i]]
        assert row["predicted"] == "ABC"[int(np.argmax(explanation.predictions[i]))]
        assert row["base"] + sum(row["phi"]) == pytest.approx(row["probability"])
        assert row["values"] == raw[i].tolist()

    importance = ex.global_importance(explanation, top=2)
    by_hand = [[sum(abs(values[i, j, k]) for i in range(4)) / 4 for j in range(6)] for k in range(3)]
    np.testing.assert_allclose(importance.per_class, by_hand)
    np.testing.assert_allclose(importance.mean_abs, np.mean(by_hand, axis=0))
    assert importance.top.tolist() == sorted(range(6), key=lambda j: -np.mean(by_hand, axis=0)[j])[:2]
    assert importance.top_per_class.shape == (3, 2)
    assert importance.top_per_class[1, 0] == int(np.argmax(by_hand[1]))

    features = [f"f{j}" for j in range(6)]
    whole = ex.as_json(features, ["A", "B", "C"], explanation, local)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert "relative_error" not in whole
    known = replace(explanation, errors=np.full((4, 6, 3), 0.5))
    assert ex.local_explanations(known, y, raw, ["A", "B", "C"])[3]["errors"] == [0.5] * 6
    size = math.sqrt(sum(value**2 for value in values.ravel()) / values.size)
    assert ex.as_json(features, ["A", "B", "C"], known, local)["relative_error"] == pytest.approx(0.5 / size)


def test_rows_that_do_not_fit_the_explanation_are_refused():
    explanation = ex.Explanation(values=np.zeros((2, 3, 2)), base=np.zeros(2), predictions=np.zeros((2, 2)))
    with pytest.raises(InputError, match="pass the same rows"):
        ex.local_explanations(explanation, [0], np.zeros((2, 3)), ["A", "B"])
