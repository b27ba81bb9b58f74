"""Which rows are tested by a model that was not trained on them."""

from typing import NamedTuple

import numpy as np

from nids_jax.data.duplicates import first_equal
from nids_jax.errors import InputError

ALWAYS_TRAINED = -1  # the fold of rows that are never tested on
LATER = 0.3  # share of the rows that a split by time tests on


class Folds(NamedTuple):
    """The fold of each row."""

    fold: np.ndarray  # [n] int, ALWAYS_TRAINED or 0, 1, …
    untested: tuple[int, ...]  # classes of which no row is tested: all their rows equal each other


def cross_validation(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> Folds:
    """Folds in which every class is spread evenly, and rows that are equal in every feature stay together.

    A class whose rows are all equal is trained on in every fold and never tested: tested, it would be unknown.

    Args:
      x: raw rows [n, d]; y: classes [n].
      count: number of folds.

    Raises:
      InputError: no class has two different rows.
    """
    group = first_equal(x)
    fold = np.full(len(y), ALWAYS_TRAINED)
    draws = np.random.default_rng(seed)
    untested = []
    start = 0
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        # A group with rows of several classes goes with the first of them that is met.
        groups = np.unique(group[own])
        free = draws.permutation(groups[fold[groups] == ALWAYS_TRAINED])
        if len(groups) < 2:
            untested.append(int(label))
            continue
        place = np.full(len(y), ALWAYS_TRAINED)
        place[free] = (start + np.arange(len(free))) % count
        start += len(free)
        met = place[group] != ALWAYS_TRAINED
        fold[met] = place[group][met]
    if (fold == ALWAYS_TRAINED).all():
        raise InputError("no class has two different rows, so nothing can be tested; add labelled rows")
    fold[np.isin(y, untested)] = ALWAYS_TRAINED
    return Folds(fold, tuple(untested))


def by_time(times: np.ndarray, share: float = LATER) -> np.ndarray:
    """Mask [n] of the later rows: those after the moment that the first 1 − share of the rows have passed.

    Rows of that very moment count as earlier, unless it is the last one.

    Raises:
      InputError: a time that could not be read, or all rows at one moment.
    """
    unread = int((~np.isfinite(times)).sum())
    if unread:
        raise InputError(
            f"{unread:,} of {len(times):,} rows have no time that can be read, so they cannot be split by time;"
            " use `split=folds`"
        )
    moment = np.sort(times)[max(round(len(times) * (1 - share)) - 1, 0)]
    later = times > min(moment, times[times < times.max()].max(initial=-np.inf))
    later &= np.isfinite(moment) & (times.min() < times.max())
    if not later.any():
        raise InputError("all rows are of one moment, so they cannot be split by time; use `split=folds`")
    return later
