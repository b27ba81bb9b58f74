"""Trees as arrays, beside the libraries that grew them."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from nids_jax.bundle.conversion import of_boosting, of_trees
from nids_jax.bundle.forest import Forest, float32_below, float32_not_above
from nids_jax.errors import InputError


def rows(classes: int, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(n, 6)).astype(np.float32)
    x[:, 5] = np.round(x[:, 5])  # many equal values, 0 among them
    y = np.arange(n) % classes
    x[:, 0] += y
    x[:, 5] += y
    return x, y


def forest_of(model, x, y) -> Forest:
    model.fit(x, y)
    if isinstance(model, XGBClassifier):
        return of_boosting(model, len(np.unique(y)))
    return of_trees(getattr(model, "estimators_", [model]))


MODELS = {
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "weighted": lambda: RandomForestClassifier(20, random_state=0, class_weight={0: 0.001, 1: 5.0, 2: 1.0}),
    "randomised": lambda: ExtraTreesClassifier(20, random_state=0),
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "boosting": lambda: XGBClassifier(n_estimators=15, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_the_library(name, classes):
    if name == "weighted" and classes == 2:
        pytest.skip("the weights are of three classes")
    x, y = rows(classes)
    model = MODELS[name]()
    forest = forest_of(model, x, y)
    more = np.concatenate([x, rows(classes, 3000, seed=1)[0], np.zeros((1, 6), np.float32)])
    np.testing.assert_allclose(forest.predict_proba(more), model.predict_proba(more), atol=2e-6)
    assert Forest.from_arrays(forest.link, forest.arrays(), 6, classes).depth == forest.depth


@pytest.mark.parametrize("name", ["forest", "tree", "boosting"])
def test_shapley_values_are_those_of_the_shap_library(name):
    x, y = rows(3)
    model = MODELS[name]()
    forest = forest_of(model, x, y)
    labels = np.arange(12) % 3
    phi, base = forest.shapley(x[:12], labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        expected = shap.TreeExplainer(model).shap_values(x[:12])[np.arange(12), :, labels]
    np.testing.assert_allclose(phi, expected, atol=2e-6)
    # They add up to what the trees say.
    said = forest.sums(x[:12]) / (len(forest.roots) if forest.link == "mean" else 1)
    np.testing.assert_allclose(base + phi.sum(axis=1), said[np.arange(12), labels], atol=1e-9)


def test_columns_may_be_some_of_more():
    x, y = rows(3)
    model = RandomForestClassifier(5, random_state=0).fit(x[:, [4, 0]], y)
    forest = of_trees(model.estimators_).over(np.array([4, 0]))
    np.testing.assert_allclose(forest.predict_proba(x), model.predict_proba(x[:, [4, 0]]))
    assert forest.columns.tolist() == [0, 4]


def test_float32_thresholds_decide_as_float64_ones():
    draws = np.random.default_rng(0)
    thresholds = np.concatenate([draws.normal(size=200), [0.0, 1e-42, -1e-42, 1e300, 0.1]])
    kept = float32_not_above(thresholds)
    with np.errstate(over="ignore", under="ignore"):
        beside = [np.nextafter(kept, np.float32(side)) for side in (np.inf, -np.inf)]
    near = np.concatenate([kept, *beside, np.zeros(1, np.float32)])
    normal = near[(np.abs(near) >= np.finfo(np.float32).tiny) | (near == 0)]
    for threshold, own in zip(thresholds, kept, strict=True):
        np.testing.assert_array_equal(normal <= own, normal.astype(np.float64) <= threshold)
    splits = np.array([0.0, 1.5, -2.25], np.float32)
    for split, own in zip(splits, float32_below(splits), strict=True):
        np.testing.assert_array_equal(normal <= own, normal < split)


def damaged(forest: Forest, name: str, place: int, value: float) -> dict[str, np.ndarray]:
    array = getattr(forest, name).copy()
    array.ravel()[place] = value
    return {**forest.arrays(), name: array}


@pytest.mark.parametrize(
    ("name", "place", "value", "why"),
    [
        ("feature", 0, 6, "column that is not there"),
        ("feature", 0, -2, "column that is not there"),
        ("left", 0, 0, "does not come after"),
        ("left", 0, 10**6, "does not come after"),
        ("left", 0, -5, "does not come after"),
        ("left", -1, 10**6, "leaf's value"),
        ("right", 0, 1, "not one parent"),
        ("threshold", 0, np.nan, "not finite"),
        ("values", 0, np.inf, "not finite"),
        ("values", 0, 0.5, "no probabilities"),
        ("values", 0, 1e300, "no probabilities"),
        ("base", 0, 1.0, "no probabilities"),
        ("cover", 0, 0, "no training row"),
        ("roots", 0, 1, "follow each other"),
        ("roots", 1, 10**6, "follow each other"),
        ("roots", 1, -(2**31), "follow each other"),
        ("roots", 1, 2**31 - 1, "follow each other"),
        ("output", 0, 3, "class that is not there"),
    ],
)
def test_damaged_trees_are_refused(name, place, value, why):
    forest = forest_of(RandomForestClassifier(3, random_state=0), *rows(3))
    with pytest.raises(InputError, match=why):
        Forest.from_arrays("mean", damaged(forest, name, place, value), 6, 3)


def test_arrays_of_other_shapes_types_or_names_are_refused():
    forest = forest_of(RandomForestClassifier(3, random_state=0), *rows(3))
    arrays = forest.arrays()
    for wrong, why in (
        ({**arrays, "left": arrays["left"][:-1]}, "differ in length"),
        ({**arrays, "left": arrays["left"].astype(np.int64)}, "type int64"),
        ({**arrays, "more": arrays["left"]}, "here are"),
        ({**arrays, "base": np.zeros(4)}, "3 classes"),
        ({**arrays, "roots": arrays["roots"][:0], "output": arrays["output"][:0]}, "differ in length"),
    ):
        with pytest.raises(InputError, match=why):
            Forest.from_arrays("mean", wrong, 6, 3)
    with pytest.raises(InputError, match="put together"):
        Forest.from_arrays("median", arrays, 6, 3)
    with pytest.raises(InputError, match="too large"):
        Forest.from_arrays("softmax", {**arrays, "values": arrays["values"] * 1e300}, 6, 3)
    one = replace(forest, values=forest.values[:, :1])
    with pytest.raises(InputError, match="one number"):
        Forest.from_arrays("mean", one.arrays(), 6, 3)
