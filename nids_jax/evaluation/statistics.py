"""From runs over seeds to a mean with its interval.

The unit of repetition is the split seed: another draw of training and test rows.  Several generations from one split
share its rows and are not independent, so they are averaged within the split before anything else; n counts splits.

Splits of one table share rows as well, so that their figures vary together and s / √n says too little.  Two ways to
allow for that:
- splits into parts that fill the table (70 % train, 30 % test): the corrected resampled t of Nadeau and Bengio (2003,
  eq. 9), s √(1/n + n_test/n_train);
- few training rows, many test rows: the training rows hardly overlap and the test rows do.  What the draw of the common
  test rows adds is estimated apart (`redraws`), and its variance is added to s²/n.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, stdtr, stdtrit

from nids_jax.errors import InputError


class Interval(NamedTuple):
    """A mean over n split seeds with its confidence interval; with n = 1 there is none, and `low`, `high` are None."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def side(self) -> int | None:
        """+1: the whole interval lies above 0; −1: below; 0: it holds 0; None: there is no interval.

        Bounds within 1e-9 of 0 are 0: the mean of three equal accuracies may differ from them in the last bit.
        """
        if self.low is None or self.high is None:
            return None
        return int(self.low > 1e-9) - int(self.high < -1e-9)

    @property
    def p(self) -> float | None:
        """The two-sided p-value of a mean of 0, where the interval is one of 95 %; None where there is none."""
        if self.low is None or self.high is None:
            return None
        half = max(self.high - self.mean, self.mean - self.low)
        if not half:
            return 0.0 if self.side else 1.0
        return float(2 * stdtr(self.n - 1, -abs(self.mean) / half * stdtrit(self.n - 1, 0.975)))


def mean_interval(
    values: Iterable[float], level: float = 0.95, *, overlap: float = 0.0, common: float = 0.0
) -> Interval:
    """mean ± t_{n−1} √(s² (1/n + overlap) + common) (Student's t, s with n − 1), of one value per split seed.

    Args:
      overlap: rows that test over rows that train, for splits that fill the table; 0: no correction.
      common: variance that the test rows which splits share give to every value alike, at least 0.

    Raises:
      InputError: no values, a value that is not finite, or a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"the confidence level is {level}; give a number between 0 and 1, such as 0.95")
    x = np.asarray(list(values), np.float64)
    if x.ndim != 1 or not x.size:
        raise InputError(f"an interval needs one value per split seed, and got shape {x.shape}")
    if not np.isfinite(x).all():
        raise InputError(f"one of the {len(x)} values is {x[~np.isfinite(x)][0]}; leave out runs without a result")
    n, mean = len(x), float(x.mean())
    if n == 1:
        return Interval(mean, None, None, 1)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * math.sqrt(float(x.var(ddof=1)) * (1 / n + overlap) + common)
    return Interval(mean, mean - half, mean + half, n)


def share_interval(interval: Interval) -> Interval:
    """The interval of a mean that lies in [0, 1], laid off on the scale of logits, so that its ends lie there too.

    With h half the interval's length: logit(mean) ± h / (mean (1 − mean)), and back (delta method).  A mean of 0 or 1
    has no logit: the interval is cut.
    """
    mean, low, high, n = interval
    if low is None or high is None:
        return interval
    if not 0 < mean < 1:
        return Interval(mean, max(low, 0.0), min(high, 1.0), n)
    centre, half = math.log(mean / (1 - mean)), (high - low) / 2 / (mean * (1 - mean))
    return Interval(mean, float(expit(centre - half)), float(expit(centre + half)), n)


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): one of at most 0.05 holds with all others at that level.

    The i-th smallest of m becomes max_{j ≤ i} min(1, (m − j + 1) p_j).
    """
    adjusted, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = highest
    return adjusted


def split_means(values: Mapping[int, Iterable[float]]) -> dict[int, float]:
    """{split seed: the mean over its generations}, in the order of the seeds; a split without values is left out."""
    listed = {seed: list(runs) for seed, runs in values.items()}
    return {seed: float(np.mean(listed[seed])) for seed in sorted(listed) if listed[seed]}


def paired_interval(
    a: Mapping[int, Iterable[float]],
    b: Mapping[int, Iterable[float]],
    level: float = 0.95,
    *,
    overlap: float = 0.0,
    common: float = 0.0,
) -> Interval | None:
    """The mean of a − b over the split seeds that both have, with Student's t interval of the paired differences.

    Args:
      a, b: {split seed: the figure of each generation from that split}; a training set without a generator has one.
      level: confidence, in (0, 1).
      overlap, common: as in `mean_interval`.

    Returns:
      None if a and b share no split seed; one shared seed gives a mean without an interval.

    Raises:
      InputError: a value that is not finite.
    """
    left, right = split_means(a), split_means(b)
    shared = sorted(left.keys() & right.keys())
    if not shared:
        return None
    return mean_interval([left[seed] - right[seed] for seed in shared], level, overlap=overlap, common=common)
