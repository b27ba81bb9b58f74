"""Figures on test rows drawn again, against the covariance of splits that share test rows."""

import numpy as np
import pytest

from nids_jax.evaluation.redraws import REDRAWS, redraws
from nids_jax.evaluation.statistics import mean_interval

CLASSES = ("BENIGN", "a", "b")


def probabilities(y: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Certain predictions: the class itself where right, the next one where not."""
    return np.eye(3)[np.where(right, y, (y + 1) % 3)]


def test_the_variance_is_that_of_the_rows_in_common():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], (400, 200, 100))
    right = rng.random(700) < 0.7
    shares = np.array([0.5, 1.0, 0.0])
    found = redraws(y, probabilities(y, right), CLASSES, "BENIGN", shares)
    rates = [right[y == label].mean() for label in range(3)]
    # Σ share · n · p (1 − p) / N²
    wanted = sum(s * n * p * (1 - p) for s, n, p in zip(shares, (400, 200, 100), rates, strict=True)) / 700**2
    assert len(found["accuracy"]) == REDRAWS
    assert np.var(found["accuracy"], ddof=1) == pytest.approx(wanted, rel=0.5)
    assert np.mean(found["accuracy"]) == pytest.approx(right.mean(), abs=0.01)
    assert {"macro_f1", "false_positive_rate", "attack_recall_at_0.01"} <= found.keys()


def test_detectors_on_the_same_rows_are_drawn_alike():
    y = np.repeat([0, 1, 2], 50)
    same = redraws(y, probabilities(y, np.arange(150) % 3 > 0), CLASSES, None, np.ones(3))
    assert same == redraws(y, probabilities(y, np.arange(150) % 3 > 0), CLASSES, None, np.ones(3))
    none = redraws(y, probabilities(y, np.arange(150) % 3 > 0), CLASSES, None, np.zeros(3))
    assert np.ptp(none["accuracy"]) == 0


def test_a_figure_that_no_row_gives_is_left_out():
    y = np.repeat([1, 2], 20)
    assert "false_positive_rate" not in redraws(y, np.eye(3)[y], CLASSES, "BENIGN", np.ones(3))


def test_the_widened_interval_covers_where_test_rows_are_shared(monkeypatch):
    """Rows of a class of 60, of which any 40 test; a row is right with its own probability, another in each split."""
    monkeypatch.setattr("nids_jax.evaluation.redraws.REDRAWS", 40)
    rng = np.random.default_rng(5)
    covered = np.zeros(2)
    for _ in range(120):
        easy = rng.beta(0.6, 0.4, 60)  # how often a row is right over training sets; the mean over all rows is 0.6
        values, variances = [], []
        for _ in range(10):
            rows = rng.permutation(60)[:40]
            right = rng.random(40) < easy[rows]
            y = np.zeros(40, int)
            values.append(right.mean())
            drawn = redraws(y, probabilities(y, right), CLASSES, None, np.array([40 / 60, 0, 0]))
            variances.append(np.var(drawn["accuracy"], ddof=1))
        for way, common in enumerate((0.0, float(np.mean(variances)))):
            low, high = mean_interval(values, common=common)[1:3]
            assert low is not None
            assert high is not None
            covered[way] += low <= 0.6 <= high
    assert covered[0] / 120 < 0.75
    assert covered[1] / 120 > 0.92
