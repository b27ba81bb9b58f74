"""Every classifier by its name."""

import numpy as np
import pytest

from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.classifiers.registry import CLASSIFIERS, make_classifier
from nids_jax.classifiers.semi_supervised import Spreading
from nids_jax.errors import InputError
from nids_jax.nn.detector import NETWORKS, RecurrentConfig
from nids_jax.training.loop import OptimiserConfig

SHALLOW = sorted(name for name, spec in CLASSIFIERS.items() if not spec.neural and not spec.needs)


def _rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.array([1, 4, 6])[np.arange(n) % 3]  # labels with gaps: a class may be missing from the training
    return (y[:, None] + 0.3 * rng.normal(size=(n, 4))).astype(np.float32), y


@pytest.mark.parametrize("name", SHALLOW)
def test_the_shallow_ones_learn_and_repeat_themselves(name: str):
    x, y = _rows(60, 0)
    test_x, test_y = _rows(90, 1)
    first, second = (make_classifier(name, ClassifierOptions(seed=3)).fit(x, y) for _ in range(2))
    np.testing.assert_array_equal(first.classes_, [1, 4, 6])
    scores = first.predict_proba(test_x)
    assert scores.shape == (90, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
    assert (first.classes_[scores.argmax(axis=1)] == test_y).mean() > 0.95
    np.testing.assert_array_equal(scores, second.predict_proba(test_x))


@pytest.mark.parametrize("name", ["random_forest", "extra_trees", "decision_tree", "xgboost", "cnn_bigru"])
def test_class_weights_find_more_of_a_rare_class(name: str):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [400, 20])
    # Few distinct rows, so that even a fully grown tree has leaves with both classes.
    x, test_x = ((y[:, None] + rng.normal(size=(420, 2))).round().astype(np.float32) for _ in range(2))
    network = RecurrentConfig(channels=(), cells=("gru",), hidden=(4,))
    detector = DetectorConfig(network=network, steps=150, batch=32, optimiser=OptimiserConfig(learning_rate=1e-2))
    share = {}
    for weights in (False, True, (1.0, 0.0, 20.0)):
        options = ClassifierOptions(detector=detector, class_weights=weights)
        # Class 1 has no rows: weights go by the label, not by its place among those that there are.
        share[weights] = make_classifier(name, options).fit(x, 2 * y).predict_proba(test_x)[:, 1].mean()
    assert share[True] > share[False] + 0.01
    assert share[1.0, 0.0, 20.0] > share[False] + 0.01
    if name == "decision_tree":  # 1 : 20 is what makes 400 and 20 rows weigh the same; no scale matters to it
        assert share[1.0, 0.0, 20.0] == pytest.approx(share[True], abs=1e-6)


def test_neighbours_are_no_more_than_there_are_rows():
    x, y = _rows(3, 0)
    scores = make_classifier("knn", ClassifierOptions()).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(scores, 1 / 3)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_each_neural_name_has_its_network(name: str):
    made = make_classifier(name, ClassifierOptions(detector=DetectorConfig(steps=5), seed=2))
    assert made.config.network == NETWORKS[name]  # pyright: ignore[reportAttributeAccessIssue]
    assert made.config.steps == 5  # pyright: ignore[reportAttributeAccessIssue]


def test_every_entry_says_what_the_rest_asks_by_name():
    for name, spec in CLASSIFIERS.items():
        assert spec.name == name
        assert spec.summary
        assert spec.neural == (name in NETWORKS)
        assert spec.needs in ("", "unlabelled")
    x, y = _rows(60, 0)
    for name in SHALLOW:
        weighted = [make_classifier(name, ClassifierOptions(class_weights=w)).fit(x, y) for w in (False, (1.0,) * 7)]
        if not CLASSIFIERS[name].weighs_classes:
            np.testing.assert_array_equal(weighted[0].predict_proba(x), weighted[1].predict_proba(x))
        assert isinstance(weighted[0].classes_, np.ndarray)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"unknown classifier 'svm'; choose from cnn_bigru, .*bilstm, .*xgboost"):
        make_classifier("svm", ClassifierOptions())


def test_self_training_learns_what_the_labelled_rows_hide():
    """The labelled rows differ in the first column alone, the tested ones in the others, the unlabelled ones in all."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    signs = np.repeat(2.0 * y[:, None] - 1, 5, axis=1)
    unlabelled = signs + 0.2 * rng.normal(size=signs.shape)
    test_x = signs * [0, 1, 1, 1, 1] + 0.2 * rng.normal(size=signs.shape)
    x = np.array([-1.0, -1.1, 1.0, 1.1])[:, None] * [1, 0, 0, 0, 0]

    def accuracy(name: str) -> float:
        model = make_classifier(name, ClassifierOptions(seed=1, unlabelled=unlabelled)).fit(x, np.array([2, 2, 5, 5]))
        scores = model.predict_proba(test_x)
        np.testing.assert_array_equal(model.classes_, [2, 5])
        np.testing.assert_allclose(scores.sum(axis=1), 1.0)
        return float((scores.argmax(axis=1) == y).mean())

    assert accuracy("random_forest") < 0.7
    assert accuracy("self_training") > 0.9


def test_labels_spread_as_far_as_the_graph_reaches():
    """Two parallel lines with a label at one end of each; a third line without any is left out."""
    line = np.linspace(0, 10, 200)
    unlabelled = np.concatenate([np.stack([line, np.full(200, height)], axis=1) for height in (0.0, 1.0, 9.0)])
    options = ClassifierOptions(unlabelled=unlabelled)
    model = make_classifier("label_spreading", options).fit(np.array([[0.0, 0.0], [0.0, 1.0]]), np.array([3, 4]))
    np.testing.assert_array_equal(
        model.classes_[model.predict_proba(unlabelled[:400]).argmax(1)], [3] * 200 + [4] * 200
    )
    assert isinstance(model, Spreading)
    assert model.spread_ == 402


@pytest.mark.parametrize("name", sorted(name for name, spec in CLASSIFIERS.items() if spec.needs == "unlabelled"))
def test_without_unlabelled_rows_there_is_nothing_to_learn_from(name: str):
    with pytest.raises(InputError, match="set some aside"):
        make_classifier(name, ClassifierOptions())


@pytest.mark.parametrize("name", ["random_forest", "extra_trees", "decision_tree", "xgboost", "knn", "cnn_bigru"])
def test_row_weights_say_how_much_a_row_counts(name: str):
    """Rows of class 0 stand where rows of class 1 stand; whoever weighs ten times as much has the say."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(40, 2)).astype(np.float32), 2, axis=0)
    y = np.tile([0, 1], 40)
    detector = DetectorConfig(
        network=RecurrentConfig(channels=(), cells=("gru",), hidden=(4,)),
        steps=200,
        optimiser=OptimiserConfig(learning_rate=1e-2),
    )
    assert CLASSIFIERS[name].weighs_rows
    for heavy in (0, 1):
        weights = np.where(y == heavy, 10.0, 1.0)
        model = make_classifier(name, ClassifierOptions(detector=detector)).fit(x, y, weights)
        assert model.predict_proba(x)[:, heavy].mean() > 0.8


def test_no_row_counts_where_none_may():
    x, y = _rows(30, 0)
    with pytest.raises(InputError, match="give each of the 30 rows one of at least 0"):
        make_classifier("cnn_bigru", ClassifierOptions()).fit(x, y, np.full(30, -1.0))
    options = ClassifierOptions(unlabelled=x)
    with pytest.raises(InputError, match="take no row weights"):
        make_classifier("self_training", options).fit(x, y, np.ones(30))
