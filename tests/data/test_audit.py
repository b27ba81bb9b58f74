"""Single-feature trees against scikit-learn, near duplicates against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier

from nids_jax.data.audit import LEAK, leakage_report, near_duplicates
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError


def table(x: np.ndarray, y: list[int] | np.ndarray) -> FlowTable:
    x = np.asarray(x, float)
    names = tuple(f"f{column}" for column in range(x.shape[1]))
    return FlowTable(x=x, y=np.asarray(y, np.int32), features=names, classes=tuple("abcdef"[: int(np.max(y)) + 1]))


def plain_best(x: np.ndarray, is_class: np.ndarray) -> float:
    """The best balanced accuracy over every threshold and both directions, one rule at a time."""
    best = 0.5
    for threshold in np.unique(x)[:-1]:
        for rule in (x > threshold, x <= threshold):
            best = max(best, (rule[is_class].mean() + 1 - rule[~is_class].mean()) / 2)
    return best


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), rows=st.integers(8, 40), classes=st.integers(2, 4))
def test_scores_are_those_of_every_rule_tried(seed: int, rows: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    y = np.r_[np.arange(classes), random.integers(0, classes, rows)]
    flows = table(random.integers(-3, 4, (len(y), 3)) * np.array([1, 0.1, 0]), y)
    report = leakage_report(flows)
    for label, name in enumerate(flows.classes):
        scores = [plain_best(column, flows.y == label) for column in flows.x.T]
        assert report.best[name].balanced_accuracy == pytest.approx(max(scores))
        stump = report.best[name]
        column = flows.x[:, flows.features.index(stump.feature)]
        rule = column > stump.threshold if stump.above else column <= stump.threshold
        assert balanced_accuracy_score(flows.y == label, rule) == pytest.approx(stump.balanced_accuracy)
    for column, name in enumerate(flows.features):
        mean = np.mean([plain_best(flows.x[:, column], flows.y == label) for label in range(classes)])
        assert report.overall[name] == pytest.approx(mean)


def test_a_leak_is_what_a_depth_1_tree_finds() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 3000)
    x = random.standard_normal((3000, 4))
    x[:, 2] = np.where(y == 1, 443, random.integers(1024, 65536, 3000))
    flows = table(x, y)
    report = leakage_report(flows)
    assert [(leak.feature, leak.name) for leak in report.leaks] == [("f2", "b")]
    assert report.leaks[0].balanced_accuracy == 1
    assert not report.leaks[0].above
    assert "b: f2 ≤" in str(report)
    tree = DecisionTreeClassifier(max_depth=1, class_weight="balanced").fit(x, y == 1)
    assert tree.tree_.feature[0] == 2
    assert balanced_accuracy_score(y == 1, tree.predict(x)) >= LEAK


def test_neighbouring_floats_and_huge_values_have_a_threshold() -> None:
    for low, high in ((1.0, np.nextafter(1.0, 2)), (-1.7e308, 1.7e308), (0.0, 5e-324)):
        flows = table(np.array([[low], [low], [high], [high]]), [0, 0, 1, 1])
        stump = leakage_report(flows).best["b"]
        assert ((flows.x[:, 0] > stump.threshold) == stump.above).tolist() == [False, False, True, True]


def test_constant_features_reveal_nothing() -> None:
    report = leakage_report(table(np.ones((4, 1)), [0, 0, 1, 1]))
    assert report.leaks == ()
    assert report.overall == {"f0": 0.5}
    assert "0 single features" in str(report)
    with pytest.raises(InputError, match="at least 2"):
        leakage_report(table(np.ones((4, 1)), [0, 0, 0, 0]))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), tolerance=st.sampled_from([0.0, 1e-3, 0.3]))
def test_near_duplicates_against_a_loop(seed: int, tolerance: float) -> None:
    random = np.random.default_rng(seed)
    train = random.integers(-5, 6, (30, 3)) * np.array([1, 1e6, 1e-4])
    test = train[random.integers(0, 30, 20)] * (1 + random.choice([0, 5e-4, 1e-2, 1], (20, 1)))
    units = [1.0, 1.0, float(np.mean(np.abs(train[:, 2])[train[:, 2] != 0]))]

    def scale(value: float, unit: float) -> float:
        return float(np.sign(value) * np.log1p(abs(value) / unit))

    expected = sum(
        any(
            all(abs(scale(a, u) - scale(b, u)) <= tolerance for a, b, u in zip(row, known, units, strict=True))
            for known in train
        )
        for row in test
    )
    assert near_duplicates(table(train, [0] * 30), table(test, [0] * 20), tolerance) == expected


def test_near_duplicates_at_the_edges() -> None:
    flows = table(np.array([[1e308, 1e-320], [1.0, 0.0]]), [0, 0])
    assert near_duplicates(flows, flows) == 2
    assert near_duplicates(flows, flows.take(np.zeros(2, bool))) == 0
    assert near_duplicates(flows.take(np.zeros(2, bool)), flows) == 0
    with pytest.raises(InputError, match="different features"):
        near_duplicates(flows, flows.select(("f1",)))
    with pytest.raises(InputError, match="tolerance"):
        near_duplicates(flows, flows, -1)
