"""Fidelity of synthetic rows: marginals, correlations, neighbourhoods, a classifier two-sample test, memorisation.

Rows are scaled rows (`data.scaling`), and distances are Euclidean in scaled units.  Synthetic rows are compared with
test rows, never with those that the generator was fitted on, except where memorisation is asked about.

With few rows even a perfect generator differs from the test rows: compare figures of generators
on equally many rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import pairwise_distances_argmin
from sklearn.model_selection import StratifiedKFold, cross_val_score
from threadpoolctl import threadpool_limits

from nids_jax.errors import InputError
from nids_jax.flows.consistency import consistency
from nids_jax.flows.schema import FEATURE_NAMES

NEIGHBOURS = 5  # k of density and coverage, as Naeem et al. choose it
MOST_ROWS = 500  # of a class, test or synthetic
C2ST_ROWS = 2000  # test or synthetic rows, all classes together, in the classifier two-sample test (C2ST)
C2ST_LEAST_ROWS = 10  # of either, for the C2ST
FOLDS = 5
COPY = 0.01  # a copy is nearer to a training row than this share of an unseen row's distance …
ROUNDING = 1e-6  # … or than this share of a training row's length: float32, there and back through a scaler

_LARGEST = float(np.finfo(np.float32).max)


class RawRows(NamedTuple):
    """The test and synthetic rows in raw units, row for row, and the canonical names of their columns."""

    test: np.ndarray
    synthetic: np.ndarray
    features: Sequence[str]


def fidelity(
    train_x: ArrayLike,
    train_y: ArrayLike,
    test_x: ArrayLike,
    test_y: ArrayLike,
    synthetic_x: ArrayLike,
    synthetic_y: ArrayLike,
    *,
    raw: RawRows | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Compare synthetic rows with test rows, over the classes that have both.

    At most MOST_ROWS test and synthetic rows of each class are drawn.  Training rows are all kept: a copy of one
    that was not drawn would go unseen.  Where a measure depends on how many rows there are of either kind, or on the
    mixture of classes, it gets as many test as synthetic rows of each class ("even" below).

    Args:
      train_x, test_x, synthetic_x: [·, d] scaled rows: what the generator was fitted on, unseen real
        ones, synthetic ones.
      train_y, test_y, synthetic_y: [·] int, at least 0.
      raw: the same test and synthetic rows in raw units, to check what must hold inside a flow record.
      seed: of the rows drawn, the folds and the classifier.

    Returns:
      wasserstein, ks: mean over features, then over classes; 0 is ideal;
      correlation_difference: of all even rows; 0 is ideal;
      density, coverage: mean over classes, coverage of even rows; about 1 is ideal (see `density`);
      two_sample_auc: the AUC of the classifier two-sample test (C2ST), of all even rows (at most C2ST_ROWS of either);
        0.5 is ideal, at 1 the classifier tells every synthetic row;
      nearest_train_ratio, copied: see `memorisation`; 1 and 0 are ideal;
      consistent, consistent_real: share of synthetic and of test rows that break no rule of `flows.consistency`,
        mean over classes; there only if `raw` has a flow feature.
      A measure is NaN where there are too few rows for it, as each one says.

    Raises:
      InputError: tables that are not [n, d] of one d, lengths that differ, labels that are not whole numbers from 0,
        values that float32 cannot hold, no class with both synthetic and test rows, a negative seed, or raw rows
        that `flows.consistency.violations` refuses.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be at least 0")
    train_x, train_y = _checked("training", train_x, train_y)
    test_x, test_y = _checked("test", test_x, test_y)
    synthetic_x, synthetic_y = _checked("synthetic", synthetic_x, synthetic_y)
    if not train_x.shape[1] == test_x.shape[1] == synthetic_x.shape[1]:
        widths = ", ".join(str(x.shape[1]) for x in (train_x, test_x, synthetic_x))
        raise InputError(f"training, test and synthetic rows have {widths} columns; scale them with one scaler")
    if raw is not None and (len(raw.test), len(raw.synthetic)) != (len(test_x), len(synthetic_x)):
        raise InputError(
            f"there are {len(raw.test)} test and {len(raw.synthetic)} synthetic raw rows for {len(test_x)} and "
            f"{len(synthetic_x)} scaled ones; give the same rows in both units"
        )
    checks_rules = raw is not None and not FEATURE_NAMES.isdisjoint(raw.features)
    by_class: dict[str, list[float]] = {name: [] for name in ("wasserstein", "ks", "density", "coverage")}
    rules: dict[str, list[float]] = {"consistent": [], "consistent_real": []}
    even_test, even_synthetic, distances = [], [], []
    labels = np.intersect1d(test_y, synthetic_y)
    if not len(labels):
        raise InputError("no class has both test and synthetic rows; generate rows of the classes that were split")
    for label in labels:
        rng = np.random.default_rng([seed, label])
        test_rows = draw(np.flatnonzero(test_y == label), MOST_ROWS, rng)
        synthetic_rows = draw(np.flatnonzero(synthetic_y == label), MOST_ROWS, rng)
        own = (train_x[train_y == label], test_x[test_rows], synthetic_x[synthetic_rows])
        train, test, synthetic = (np.asarray(x, np.float64) for x in own)
        n = min(len(test), len(synthetic))
        even_test.append(draw(test, n, rng))
        even_synthetic.append(draw(synthetic, n, rng))
        by_class["wasserstein"].append(float(wasserstein(test, synthetic).mean()))
        by_class["ks"].append(float(kolmogorov_smirnov(test, synthetic).mean()))
        by_class["density"].append(density(test, synthetic))
        by_class["coverage"].append(coverage(even_test[-1], even_synthetic[-1]))
        if len(train):
            rounding = ROUNDING * float(np.median(np.linalg.norm(train, axis=1)))
            distances.append(Nearest(nearest(synthetic, train), nearest(test, train), rounding))
        if raw is not None and checks_rules:
            rules["consistent"].append(consistency(raw.synthetic[synthetic_rows], raw.features))
            rules["consistent_real"].append(consistency(raw.test[test_rows], raw.features))
    test, synthetic = np.concatenate(even_test), np.concatenate(even_synthetic)
    # The same rows of both, so that the classes stay even.
    some = draw(np.arange(len(test)), C2ST_ROWS, np.random.default_rng(seed))
    figures = {name: _mean(values) for name, values in by_class.items()}
    figures["correlation_difference"] = correlation_difference(test, synthetic)
    figures["two_sample_auc"] = two_sample_auc(test[some], synthetic[some], seed)
    figures["nearest_train_ratio"], figures["copied"] = memorisation(distances)
    return figures | ({name: _mean(values) for name, values in rules.items()} if checks_rules else {})


def wasserstein(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """∫ |F_a − F_b| dx per column, in the columns' units (Wasserstein-1): [n, d], [m, d] → [d]."""
    values, gap = _distribution_gap(a, b)
    return (gap[:-1] * np.diff(values, axis=0)).sum(axis=0)


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """max |F_a − F_b| per column, 0 to 1: [n, d], [m, d] → [d]."""
    values, gap = _distribution_gap(a, b)
    # Among equal values only the last has counted them all; the overall last has a gap of 0.
    return np.where(np.diff(values, axis=0) > 0, gap[:-1], 0).max(axis=0, initial=0)


def correlation_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean |r_ij(a) − r_ij(b)| over pairs of different columns i, j of [n, d] and [m, d]; NaN if d = 1.

    r is Pearson's correlation, and 0 where a column is constant.
    """
    d = a.shape[1]
    if d < 2:
        return float("nan")
    difference = np.abs(_correlation(a) - _correlation(b))
    return float((difference.sum() - np.trace(difference)) / (d * (d - 1)))


def density(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Mean number of real rows' neighbourhoods that a synthetic row lies in, over what real rows would have.

    Naeem et al. 2020, eq. 3: 1/(k m) Σ_j Σ_i [y_j ∈ B(x_i, r_i)], r_i the distance of the real row x_i to its k-th
    nearest other, k = min(NEIGHBOURS, n − 1).  Here balls are closed, and each counts for the number k_i of other real
    rows in it instead of k.  Without ties that is the same; with equal real rows, which flows have, eq. 3 would exceed
    1 many times (closed balls) or be 0 (open ones).  1 is expected of further real rows; more means crowding where real
    rows crowd.

    Args:
      real: [n, d]; synthetic: [m, d].

    Returns:
      NaN if n = 1: there is no neighbour.
    """
    if len(real) < 2:
        return float("nan")
    radius, others = balls(real)
    inside = cdist(real, synthetic) <= radius[:, None]
    return float((inside.mean(axis=1) / others).sum())


def coverage(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Share of real rows with a synthetic row in their neighbourhood, 0 to 1 (Naeem et al. 2020, eq. 4).

    Neighbourhoods, arguments and NaN as in `density`.  Further real rows, n = m many, are expected to cover
    1 − Π_{i=1..k} (n − i) / (2n − i) (their lemma 2), that is 0.97 or more from n = 6 on.
    """
    if len(real) < 2:
        return float("nan")
    radius, _ = balls(real)
    return float((cdist(real, synthetic).min(axis=1) <= radius).mean())


def two_sample_auc(test: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> float:
    """AUC of the classifier two-sample test (C2ST; Lopez-Paz & Oquab 2017) of `test` [n, d] and `synthetic` [m, d].

    That is the ROC AUC of boosted trees that classify rows as test or synthetic, on rows left out of their training,
    mean over FOLDS folds.  Trees see what gives synthetic flows away (values between whole numbers, broken relations)
    whatever the scaling; NaN counts as missing.
    Boosting finds nearly as much as a forest of 100 trees in a fifth of the time; leaves of 5 rows let it work with 20.
    Repeated rows are recognised too, so that a lack of variety raises the figure.

    Returns:
      NaN if there are fewer than C2ST_LEAST_ROWS rows of either.
    """
    if min(len(test), len(synthetic)) < C2ST_LEAST_ROWS:
        return float("nan")
    trees = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, min_samples_leaf=5, random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    x, is_synthetic = np.concatenate([test, synthetic]), np.repeat([0, 1], [len(test), len(synthetic)])
    # So few rows gain nothing from threads, which wait for each other for minutes where other work has the cores.
    with threadpool_limits(1, user_api="openmp"):
        return float(cross_val_score(trees, x, is_synthetic, scoring="roc_auc", cv=folds).mean())


class Nearest(NamedTuple):
    """Distances of one class's rows to the closest training row of the class; equal rows are `rounding` apart."""

    synthetic: np.ndarray  # [m]
    test: np.ndarray  # [n]
    rounding: float


def nearest(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Distance of each row of `x` [n, d] to the closest of `train` [t, d]: [n]."""
    # The search rounds, which hardly matters to which row is closest, but would to the distance from a copy.
    return np.linalg.norm(x - train[pairwise_distances_argmin(x, train)], axis=1)


def memorisation(classes: Sequence[Nearest]) -> tuple[float, float]:
    """Whether synthetic rows lie nearer to training rows than unseen real rows do.

    Returns:
      nearest_train_ratio: median over classes of median(synthetic) / median(test); 0: copies, 1: like unseen rows, far
        above 1: over-dispersed.  Classes whose test rows mostly equal training rows are left out; NaN if none is left.
      copied: (a − b) / (1 − b), at least 0, where a and b are the shares of synthetic and of test rows (means over
        classes) within COPY · median(test) of a training row, or equal to one.  1: all copied, 0: as often as real
        rows repeat.  NaN if all test rows repeat training rows, or there is no class.
    """
    ratios, synthetic_near, test_near = [], [], []
    for synthetic, test, rounding in classes:
        unseen = float(np.median(test))
        if unseen > rounding:
            ratios.append(float(np.median(synthetic)) / unseen)
        near = max(COPY * unseen, rounding)
        synthetic_near.append(float((synthetic <= near).mean()))
        test_near.append(float((test <= near).mean()))
    ratio = float(np.median(ratios)) if ratios else float("nan")
    a, b = _mean(synthetic_near), _mean(test_near)
    return ratio, max(0.0, (a - b) / (1 - b)) if b < 1 else float("nan")


def _checked(kind: str, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Rows [n, d] and their labels [n]."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or x.dtype.kind not in "biuf" or not x.shape[1]:
        raise InputError(f"the {kind} rows are {x.dtype} of shape {x.shape}; give a table of scaled numbers [n, d]")
    if y.shape != (len(x),):
        raise InputError(f"there are {len(x)} {kind} rows, but labels of shape {y.shape}; give one label per row")
    if y.size and (y.dtype.kind not in "iu" or y.min() < 0):
        raise InputError(f"the {kind} labels hold {y.min()} ({y.dtype}); they must be whole numbers from 0")
    if not (np.abs(x) <= _LARGEST).all():
        row = int(np.flatnonzero(~(np.abs(x) <= _LARGEST).all(axis=1))[0])
        raise InputError(f"row {row} of the {kind} rows holds values that are not finite in float32; leave it out")
    return x, y


def draw(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` of the rows, in their order."""
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _distribution_gap(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of both, sorted by column, and |F_a − F_b| from each one to the next: [n + m, d] twice."""
    both = np.concatenate([a, b])
    order = np.argsort(both, axis=0)
    steps = np.repeat([1 / len(a), -1 / len(b)], [len(a), len(b)])
    return np.take_along_axis(both, order, axis=0), np.abs(np.cumsum(steps[order], axis=0))


def _correlation(x: np.ndarray) -> np.ndarray:
    """Pearson's correlations of the columns of [n, d], 0 for constant ones: [d, d]."""
    # A constant's mean may differ from it in the last bit.
    centred = np.where(x.min(axis=0) < x.max(axis=0), x - x.mean(axis=0), 0)
    length = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(length > 0, length, 1)
    return unit.T @ unit


def balls(real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per row of [n, d], n ≥ 2: the distance to the k-th nearest other row, and how many others lie within it."""
    distances = cdist(real, real)
    np.fill_diagonal(distances, np.inf)
    k = min(NEIGHBOURS, len(real) - 1)
    radius = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radius, (distances <= radius[:, None]).sum(axis=1)


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN if there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
