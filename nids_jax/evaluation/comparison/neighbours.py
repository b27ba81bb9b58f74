"""Where synthetic rows lie among real ones: their support, and how near they come to single training rows."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from nids_jax.evaluation.fidelity import COPY, balls, draw, nearest

LEVELS = 30  # α and β from 0 to 1
MOST_OTHERS = 2000  # points whose closest other one is looked for


class Support(NamedTuple):
    """How well the supports of two samples fit at every level."""

    precision: float  # 1 − Σ |α − P_α| / Σ α
    recall: float  # 1 − Σ |β − R_β| / Σ β


class Closeness(NamedTuple):
    """How near synthetic rows come to training rows."""

    distance: float  # median distance of a synthetic row to the closest training row (DCR)
    unseen: float  # the same of an unseen real row; where there is none, of a training row to the closest other one
    copies: float  # share of synthetic rows within COPY · `unseen` of a training row, or equal to one
    repeats: float  # the same share of those that `unseen` is about
    nearer: float  # share nearer to a training row than to an unseen one, of equally many, ties by half; NaN without


def support(real: np.ndarray, synthetic: np.ndarray) -> Support:
    """α-precision and β-recall (Alaa et al. 2022) of points [n, d] and [m, d].

    The α-support of a sample is the ball around its mean with the share α of its points.  P_α is the share of synthetic
    points in the α-support of the real ones; R_β is the share of real points with a synthetic point of the β-support
    of the synthetic ones among them no further than their k-th nearest other real point, k = NEIGHBOURS (or n − 1).
    Ideal are P_α = α and R_β = β.  The paper learns an embedding in which supports are balls; here they are taken in
    the coordinates as they are.

    Returns:
      NaN where either has fewer than two points.
    """
    if min(len(real), len(synthetic)) < 2:
        return Support(float("nan"), float("nan"))
    levels = np.linspace(0, 1, LEVELS)
    to_real = np.linalg.norm(real - real.mean(axis=0), axis=1)
    radii = np.quantile(to_real, levels)
    inside = np.linalg.norm(synthetic - real.mean(axis=0), axis=1)
    precision = np.array([(inside <= radius * (1 + 1e-12)).mean() for radius in radii])
    to_synthetic = np.linalg.norm(synthetic - synthetic.mean(axis=0), axis=1)
    within = np.quantile(to_synthetic, levels) * (1 + 1e-12)
    reach, _ = balls(real)
    near = cdist(real, synthetic) <= reach[:, None]
    # The nearest to the middle of those within reach decides from which level on a real point is reached.
    first = np.where(near, to_synthetic, np.inf).min(axis=1)
    recall = np.array([(first <= radius).mean() for radius in within])
    return Support(*(float(1 - np.abs(levels - found).sum() / levels.sum()) for found in (precision, recall)))


def closeness(train: np.ndarray, synthetic: np.ndarray, unseen: np.ndarray | None, seed: int) -> Closeness:
    """Whether synthetic points [m, d] are copies of the training points [n, d], or nearer to them than chance is.

    Args:
      unseen: [u, d] real points that no generator has seen; None: there are none.
      seed: of the training and unseen points drawn, so that they are equally many.
    """
    distances = nearest(synthetic, train)
    beside = _others(train, seed) if unseen is None else nearest(unseen, train)
    usual = float(np.median(beside)) if len(beside) else float("nan")
    near = max(COPY * usual, 1e-9 * float(np.median(np.linalg.norm(train, axis=1)))) if len(beside) else 0.0
    copies = float((distances <= near).mean())
    repeats = float((beside <= near).mean()) if len(beside) else float("nan")
    nearer = float("nan")
    if unseen is not None:
        rng = np.random.default_rng(seed)
        n = min(len(train), len(unseen))
        one, two = (x[np.sort(rng.choice(len(x), n, replace=False))] for x in (train, unseen))
        a, b = nearest(synthetic, one), nearest(synthetic, two)
        nearer = float(((a < b) + 0.5 * (a == b)).mean())
    return Closeness(float(np.median(distances)), usual, copies, repeats, nearer)


def _others(x: np.ndarray, seed: int) -> np.ndarray:
    """Distance of each point, of at most MOST_OTHERS, to the closest other one of all; none where there is only one."""
    if len(x) < 2:
        return np.empty(0)
    some = draw(x, MOST_OTHERS, np.random.default_rng(seed))
    return NearestNeighbors(n_neighbors=2).fit(x).kneighbors(some)[0][:, 1]  # the first is the point itself
