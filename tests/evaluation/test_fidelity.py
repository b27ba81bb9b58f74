"""Fidelity of synthetic rows against SciPy, plain loops, closed forms, and generators whose faults are known."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, pearsonr, wasserstein_distance

from nids_jax.errors import InputError
from nids_jax.evaluation import fidelity as module
from nids_jax.evaluation.fidelity import (
    Nearest,
    RawRows,
    correlation_difference,
    coverage,
    density,
    fidelity,
    kolmogorov_smirnov,
    memorisation,
    nearest,
    two_sample_auc,
    wasserstein,
)
from nids_jax.flows.consistency import violations
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import simulate_flows

D = 8


def normal(classes: dict[int, int], seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """{class: rows} of correlated normals around a centre of the class's own: x [n, D] float32, y [n]."""
    y = np.repeat(list(classes), list(classes.values()))
    mix = np.random.default_rng(0).normal(size=(D, D))
    noise = np.random.default_rng(seed).normal(size=(len(y), D))
    return (3 * y[:, None] + spread * noise @ mix).astype(np.float32), y


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two tables of one width; whole numbers now and then, so that values and rows repeat."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, m, d = draw(st.integers(1, 20)), draw(st.integers(1, 20)), draw(st.integers(1, 4))
    a, b = rng.normal(size=(n, d)), rng.normal(0.5, 2, (m, d))
    return (np.rint(a), np.rint(b)) if draw(st.booleans()) else (a, b)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the p-value, which is not used
@settings(deadline=None, max_examples=100)
@given(pairs())
def test_scipy_gives_the_same_marginal_distances(tables):
    a, b = tables
    columns = list(zip(a.T, b.T, strict=True))
    np.testing.assert_allclose(wasserstein(a, b), [wasserstein_distance(p, q) for p, q in columns], atol=1e-12)
    expected = [ks_2samp(p, q, method="exact").statistic for p, q in columns]  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_allclose(kolmogorov_smirnov(a, b), expected, atol=1e-12)


def test_marginal_distances_of_a_shifted_column():
    x = np.random.default_rng(0).normal(size=(40, 3))
    np.testing.assert_allclose(wasserstein(x, x + np.array([0, 0.25, -3])), [0, 0.25, 3], atol=1e-12)
    np.testing.assert_allclose(kolmogorov_smirnov(x, x + np.array([0, 100, -100])), [0, 1, 1], atol=1e-12)


def test_correlations_against_scipy_with_a_constant_column():
    a, b = np.random.default_rng(1).normal(size=(2, 30, 4))
    b[:, 1] += b[:, 0]
    a[:, 3] = 0.1  # whose mean is not exactly 0.1

    def r(x, i, j):
        constant = np.ptp(x[:, i]) == 0 or np.ptp(x[:, j]) == 0
        return 0.0 if constant else pearsonr(x[:, i], x[:, j]).statistic  # pyright: ignore[reportAttributeAccessIssue]

    expected = np.mean([abs(r(a, i, j) - r(b, i, j)) for i, j in combinations(range(4), 2)])
    assert correlation_difference(a, b) == pytest.approx(expected, abs=1e-12)
    assert math.isnan(correlation_difference(a[:, :1], b[:, :1]))


@settings(deadline=None, max_examples=100)
@given(pairs())
def test_loops_give_the_same_density_and_coverage(tables):
    real, synthetic = tables
    n, m = len(real), len(synthetic)
    if n == 1:
        assert math.isnan(density(real, synthetic))
        assert math.isnan(coverage(real, synthetic))
        return
    inside = covered = 0.0
    for i in range(n):
        others = sorted(math.dist(real[i], real[j]) for j in range(n) if j != i)
        radius = others[min(5, n - 1) - 1] + 1e-9
        hits = sum(math.dist(real[i], y) <= radius for y in synthetic)
        inside += hits / sum(distance <= radius for distance in others)
        covered += hits > 0
    assert density(real, synthetic) == pytest.approx(inside / m)
    assert coverage(real, synthetic) == pytest.approx(covered / n)


def test_density_without_ties_is_equation_3():
    real, synthetic = np.random.default_rng(2).normal(size=(2, 50, 3))
    distances = np.linalg.norm(real[:, None] - real[None], axis=2)
    radius = np.sort(distances, axis=1)[:, 5]  # the first is the row itself
    inside = np.linalg.norm(real[:, None] - synthetic[None], axis=2) < radius[:, None]
    assert density(real, synthetic) == pytest.approx(inside.sum() / (5 * len(synthetic)))


def test_equal_real_rows_have_a_density_near_1():
    assert density(np.ones((40, 2)), np.ones((10, 2))) == pytest.approx(40 / 39)
    assert density(np.ones((40, 2)), np.zeros((10, 2))) == 0


def test_coverage_of_further_real_rows_is_what_lemma_2_says():
    n, turns = 12, 400
    rng = np.random.default_rng(3)
    mean = np.mean([coverage(*rng.normal(size=(2, n, 2))) for _ in range(turns)])
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, 6)])
    assert mean == pytest.approx(expected, abs=0.01)


def test_the_two_sample_test_needs_ten_rows_and_sees_values_between_whole_numbers():
    rng = np.random.default_rng(4)
    whole, synthetic = rng.integers(0, 5, (120, 3)), rng.integers(0, 5, (120, 3))
    assert two_sample_auc(whole, synthetic) == pytest.approx(0.5, abs=0.12)
    assert two_sample_auc(whole, synthetic + rng.normal(0, 0.05, synthetic.shape)) > 0.95
    assert math.isnan(two_sample_auc(whole, synthetic[:9]))
    assert 0 <= two_sample_auc(whole[:10], synthetic[:10]) <= 1


def test_nearest_against_a_loop_and_exactly_0_for_equal_rows():
    train, x = np.random.default_rng(5).normal(1000, 1, (2, 30, D))
    np.testing.assert_allclose(nearest(x, train), [min(math.dist(row, other) for other in train) for row in x])
    assert not nearest(train[::-1], train).any()


def test_memorisation_by_hand():
    far = Nearest(np.array([1.0, 3.0]), np.array([1.0, 1.0]), 1e-6)  # ratio 2, nothing copied
    half = Nearest(np.array([0.0, 0.005, 2.0, 2.0]), np.array([0.0, 1.0, 1.0]), 1e-6)  # half of the rows within 1 %
    known = Nearest(np.array([0.0, 5.0]), np.array([0.0, 0.0, 1.0]), 1e-6)  # mostly repeated: no ratio
    ratio, copied = memorisation([far, half, known])
    assert ratio == pytest.approx((2 + (0.005 + 2) / 2) / 2)
    a, b = (0 + 1 / 2 + 1 / 2) / 3, (0 + 1 / 3 + 2 / 3) / 3
    assert copied == pytest.approx((a - b) / (1 - b))
    assert all(math.isnan(value) for value in memorisation([]))
    all_known = Nearest(np.zeros(3), np.zeros(2), 1e-6)
    assert all(math.isnan(value) for value in memorisation([all_known]))


def test_further_real_rows_look_real():
    classes = {0: 200, 3: 200}
    figures = fidelity(*normal(classes, 1), *normal(classes, 2), *normal(classes, 3))
    assert figures["two_sample_auc"] == pytest.approx(0.5, abs=0.07)
    assert figures["nearest_train_ratio"] == pytest.approx(1, abs=0.1)
    assert figures["density"] == pytest.approx(1, abs=0.15)
    assert figures["coverage"] > 0.93
    assert figures["copied"] == 0
    assert figures["ks"] < 0.12
    assert figures["correlation_difference"] < 0.1
    assert "consistent" not in figures


@pytest.mark.parametrize("jitter", [0, 1e-7])
def test_copies_are_flagged(jitter):
    train_x, train_y = normal({0: 20, 1: 5}, 1)
    copies = np.tile(train_x * (1 + jitter), (8, 1))
    test = normal({0: 160, 1: 160}, 2)
    figures = fidelity(train_x, train_y, *test, copies, np.tile(train_y, 8))
    assert figures["copied"] == 1
    assert figures["nearest_train_ratio"] < 1e-5
    assert figures["coverage"] < 0.8
    assert figures["two_sample_auc"] > 0.8


def test_a_copy_is_found_among_more_training_rows_than_are_drawn():
    train_x, train_y = normal({0: 4000}, 1)
    figures = fidelity(train_x, train_y, *normal({0: 100}, 2), train_x[-100:], train_y[-100:])
    assert figures["copied"] == 1


def test_wide_noise_is_over_dispersed():
    classes = {0: 100, 1: 100}
    figures = fidelity(*normal(classes, 1), *normal(classes, 2), *normal(classes, 3, spread=6))
    assert figures["nearest_train_ratio"] > 2
    assert figures["density"] < 0.2
    assert figures["coverage"] < 0.5
    assert figures["two_sample_auc"] > 0.8
    assert figures["copied"] == 0


def test_means_go_over_the_classes_that_have_both_kinds_of_rows():
    train, test = normal({0: 30, 1: 30, 2: 30}, 1), normal({0: 60, 1: 20, 5: 9}, 2)
    synthetic_x, synthetic_y = normal({0: 30, 1: 40, 7: 9}, 3)
    figures = fidelity(*train, *test, synthetic_x, synthetic_y)
    both = [(test[0][test[1] == k], synthetic_x[synthetic_y == k]) for k in (0, 1)]
    by_scipy = np.mean([[wasserstein_distance(p, q) for p, q in zip(a.T, b.T, strict=True)] for a, b in both])
    assert figures["wasserstein"] == pytest.approx(by_scipy)
    assert figures["density"] == pytest.approx(np.mean([density(a, b) for a, b in both]))


def test_one_row_of_a_class_is_enough_for_what_needs_one():
    train, test, synthetic = normal({0: 1, 1: 1}, 1), normal({0: 1, 1: 1}, 2), normal({0: 1, 1: 1}, 3)
    figures = fidelity(*train, *test, *synthetic)
    assert figures["wasserstein"] == pytest.approx(np.abs(test[0] - synthetic[0]).mean())
    near_synthetic, near_test = (np.linalg.norm(rows[0] - train[0], axis=1) for rows in (synthetic, test))
    assert figures["nearest_train_ratio"] == pytest.approx(np.median(near_synthetic / near_test))
    assert {name for name, value in figures.items() if math.isnan(value)} == {"density", "coverage", "two_sample_auc"}
    # A class of one row adds nothing to the density of the others.
    assert fidelity(*train, *normal({0: 1, 1: 9}, 2), *synthetic)["density"] >= 0


def test_classes_without_training_rows_say_nothing_of_memorisation():
    figures = fidelity(*normal({2: 5}, 1), *normal({0: 9}, 2), *normal({0: 9}, 3))
    assert {name for name, value in figures.items() if math.isnan(value)} == {
        "two_sample_auc",
        "nearest_train_ratio",
        "copied",
    }


def test_the_order_of_rows_does_not_matter_where_all_are_used():
    tables = [normal({0: 60, 1: 60}, seed) for seed in (1, 2, 3)]
    rng = np.random.default_rng(6)
    shuffled = [(x[order], y[order]) for x, y in tables for order in [rng.permutation(len(y))]]
    before, after = (fidelity(*a, *b, *c) for a, b, c in (tables, shuffled))
    assert after.pop("two_sample_auc") == pytest.approx(before.pop("two_sample_auc"), abs=0.1)  # other folds
    assert after == pytest.approx(before)


def test_draws_depend_on_the_seed_alone(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 40)
    monkeypatch.setattr(module, "C2ST_ROWS", 30)
    tables = [part for seed in (1, 2, 3) for part in normal({0: 100, 1: 100}, seed)]
    assert fidelity(*tables) == fidelity(*tables)
    assert fidelity(*tables) != fidelity(*tables, seed=1)


def test_rules_are_checked_on_raw_rows():
    raw, y = simulate_flows({"BENIGN": 60, "DDoS": 30}, seed=1)[:2]
    synthetic = raw.copy()
    synthetic[y == 0, CICIDS2017.index("flow_duration")] = -5.0
    scaled = np.log1p(np.abs(raw))
    figures = fidelity(scaled, y, scaled, y, scaled, y, raw=RawRows(raw, synthetic, CICIDS2017))
    assert not np.any(list(violations(raw, CICIDS2017).values()))
    assert (figures["consistent"], figures["consistent_real"]) == (0.5, 1.0)  # mean over classes
    unknown = [f"x{i}" for i in range(raw.shape[1])]
    assert "consistent" not in fidelity(scaled, y, scaled, y, scaled, y, raw=RawRows(raw, synthetic, unknown))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_x": np.zeros((3, 5))}, "5, 2, 2 columns"),
        ({"test_x": np.zeros(3)}, "test rows are float64 of shape"),
        ({"test_x": np.zeros((3, 0))}, r"shape \(3, 0\)"),
        ({"synthetic_x": np.full((3, 2), "a")}, "synthetic rows are <U1"),
        ({"synthetic_y": [0, 1]}, "3 synthetic rows, but labels of shape"),
        ({"synthetic_y": [0.0, 1.0, 1.0]}, "synthetic labels hold 0.0"),
        ({"test_y": [0, -1, 1]}, "test labels hold -1"),
        ({"synthetic_x": [[0, 0], [0, np.nan], [0, 0]]}, "row 1 of the synthetic rows"),
        ({"synthetic_x": [[0, 0], [0, 0], [1e39, 0]]}, "row 2 of the synthetic rows"),
        ({"synthetic_y": [2, 2, 2]}, "no class has both"),
        ({"test_x": np.zeros((0, 2)), "test_y": []}, "no class has both"),
        ({"seed": -1}, "seed is -1"),
        (
            {"raw": RawRows(np.zeros((2, 1)), np.zeros((3, 1)), ["flow_duration"])},
            "2 test and 3 synthetic raw",
        ),
        ({"raw": RawRows(np.zeros((3, 2)), np.zeros((3, 2)), ["flow_duration"])}, "column names"),
    ],
)
def test_bad_input_is_named(changed, message):
    rows, labels = np.arange(6.0).reshape(3, 2), [0, 1, 1]
    sound = {f"{kind}_x": rows for kind in ("train", "test", "synthetic")}
    sound |= {f"{kind}_y": labels for kind in ("train", "test", "synthetic")}
    with pytest.raises(InputError, match=message):
        fidelity(**(sound | changed))
