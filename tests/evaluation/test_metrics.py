"""Detection metrics against scikit-learn and against counting by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support, roc_curve

from nids_jax.errors import InputError
from nids_jax.evaluation.metrics import attack_recall, confusion, detection_metrics, recall_at

CLASSES = ["BENIGN", "Bot", "DDoS", "Web Attack – XSS"]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_scikit_learn_gives_the_same_figures(pairs):
    y, p = np.array(pairs).T
    ours = detection_metrics(y, p, CLASSES)
    present = np.unique(y)
    for average in ("weighted", "macro"):
        theirs = precision_recall_fscore_support(y, p, labels=present, average=average, zero_division=0)  # pyright: ignore[reportArgumentType]
        for name, value in zip(("precision", "recall", "f1"), theirs[:3], strict=True):
            assert ours[f"{average}_{name}"] == pytest.approx(value, abs=1e-12)
    assert ours["accuracy"] == pytest.approx(accuracy_score(y, p))
    np.testing.assert_array_equal(confusion(y, p, CLASSES), confusion_matrix(y, p, labels=range(4)))
    by_hand = {CLASSES[k]: float(np.mean(p[y == k] == k)) for k in present}
    assert ours["per_class_recall"] == pytest.approx(by_hand)
    benign = p[y == 0]
    assert ours["false_positive_rate"] == (pytest.approx(np.mean(benign != 0)) if benign.size else None)


def test_probabilities_count_by_their_largest_and_ties_go_to_the_first_class():
    scores = np.array([[0.2, 0.5, 0.3, 0.0], [0.4, 0.1, 0.1, 0.4], [0.0, 0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(
        confusion([1, 3, 3], scores, CLASSES), [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    )


def test_a_class_without_test_rows_is_left_out_of_macro_figures_even_if_it_is_predicted():
    metrics = detection_metrics([0, 0, 1, 1], [0, 2, 1, 1], CLASSES)
    assert metrics["macro_recall"] == pytest.approx((0.5 + 1) / 2)
    assert metrics["macro_precision"] == pytest.approx(1.0)
    assert set(metrics["per_class_recall"]) == {"BENIGN", "Bot"}


def test_nothing_right_is_zero_without_a_warning():
    metrics = detection_metrics([1, 1, 2], [2, 2, 1], CLASSES)
    assert [metrics[name] for name in ("accuracy", "macro_f1", "weighted_precision")] == [0, 0, 0]


@pytest.mark.parametrize("benign", [None, "Normal"])
def test_no_benign_class_no_false_positive_rate(benign):
    assert detection_metrics([0, 1], [1, 1], CLASSES, benign)["false_positive_rate"] is None


def test_the_benign_class_may_have_another_name_and_place():
    metrics = detection_metrics([1, 1, 1, 0], [1, 0, 1, 1], ["DoS", "Normal"], benign="Normal")
    assert metrics["false_positive_rate"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([], [], "no test rows"),
        ([0, 1], [0], "2 labels but 1 predictions"),
        ([0, 4], [0, 0], r"spans 0\.\.4"),
        ([0, -1], [0, 0], r"spans -1\.\.0"),
        ([0.0, 1.0], [0, 1], "float64"),
        (["a", "b"], [0, 1], "whole class indices"),
        ([[0, 1]], [0, 1], "vector"),
        ([0, 1], np.zeros((2, 3)), "3 columns"),
        ([0, 1], np.array([[1.0, 0, 0, 0], [np.nan, 0, 0, 0]]), "row 1 are not finite"),
    ],
)
def test_bad_input_is_named(y, p, message):
    with pytest.raises(InputError, match=message):
        detection_metrics(y, p, CLASSES)


def test_repeated_class_names_are_refused():
    with pytest.raises(InputError, match="repeat"):
        confusion([0, 1], [0, 1], ["Bot", "Bot"])


def test_attack_recall_against_scikit_learns_roc_curve():
    rng = np.random.default_rng(0)
    classes = ["BENIGN", "a", "b"]
    y = np.repeat([0, 1, 2], [1000, 60, 40])
    p = rng.dirichlet([1.5, 1, 1], len(y)) + 1.5 * np.eye(3)[y] * rng.random((len(y), 1))
    p /= p.sum(axis=1, keepdims=True)
    found = attack_recall(y, p, classes, "BENIGN")
    for rate in (0.001, 0.01):
        each = []
        for k in (1, 2):
            rows = (y == 0) | (y == k)
            false, true, _ = roc_curve(y[rows] == k, 1 - p[rows, 0], drop_intermediate=False)
            each.append(true[false <= rate].max())
        assert found[f"attack_recall_at_{rate:g}"] == pytest.approx(np.mean(each))
    assert found["attack_recall"] == pytest.approx(np.mean([(p[y == k].argmax(1) != 0).mean() for k in (1, 2)]))


def test_attacks_that_tie_with_benign_rows_are_not_found():
    p = np.array([[0.5, 0.5]] * 6)
    assert attack_recall([0, 0, 0, 1, 1, 1], p, ["BENIGN", "a"], "BENIGN")["attack_recall_at_0.01"] == 0.0
    assert attack_recall([1, 1], p[:2], ["BENIGN", "a"], "BENIGN")["attack_recall"] is None


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=60), st.floats(0.0, 0.9))
def test_recall_at_a_rate_is_counted_row_by_row(pairs: list[tuple[int, int]], rate: float):
    y, suspicion = np.array([*pairs, (1, 3)]).T  # at least one benign row
    allowed = int(rate * sum(y == 1))
    for label, found in recall_at(y, suspicion, 1, rate).items():
        own = suspicion[y == label]
        # A row counts where fewer benign rows than allowed, or as many, are as suspicious or more.
        assert found == pytest.approx(np.mean([sum(suspicion[y == 1] >= value) <= allowed for value in own]))
    assert set(recall_at(y, suspicion, 1, rate)) == set(y) - {1}
