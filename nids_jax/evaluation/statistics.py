"""From runs over seeds to a mean with its interval.

The unit of repetition is the split seed: another draw of training and test rows.  Several generations from one split
share its rows and are not independent, so they are averaged within the split before anything else; n counts splits.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

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


def mean_interval(values: Iterable[float], level: float = 0.95) -> Interval:
    """mean ± t_{n−1} s / √n (Student's t, s with n − 1), of independent values, one per split seed.

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
    half = float(stdtrit(n - 1, 0.5 + level / 2) * x.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def split_means(values: Mapping[int, Iterable[float]]) -> dict[int, float]:
    """{split seed: the mean over its generations}, in the order of the seeds; a split without values is left out."""
    listed = {seed: list(runs) for seed, runs in values.items()}
    return {seed: float(np.mean(listed[seed])) for seed in sorted(listed) if listed[seed]}


def paired_interval(
    a: Mapping[int, Iterable[float]], b: Mapping[int, Iterable[float]], level: float = 0.95
) -> Interval | None:
    """The mean of a − b over the split seeds that both have, with Student's t interval of the paired differences.

    Args:
      a, b: {split seed: the figure of each generation from that split}; a training set without a generator has one.
      level: confidence, in (0, 1).

    Returns:
      None if a and b share no split seed; one shared seed gives a mean without an interval.

    Raises:
      InputError: a value that is not finite.
    """
    left, right = split_means(a), split_means(b)
    shared = sorted(left.keys() & right.keys())
    return mean_interval([left[seed] - right[seed] for seed in shared], level) if shared else None
