"""How alike two tables are, column by column and pair by pair.

All figures are similarities from 0 to 1.  Sources: `KSComplement`, `TVComplement`, `CorrelationSimilarity` and
`ContingencySimilarity` of SDMetrics, which define the same figures.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from nids_jax.evaluation.comparison.mixed import Column, Mixed
from nids_jax.evaluation.fidelity import draw, kolmogorov_smirnov

BINS = 10  # of numbers, where they are paired with names
NAMES = 10  # of which a column tells the shares
QUANTILES = range(0, 101, 2)  # of numbers, in per cent
MOST_PAIRS = 2000  # of columns of which one holds names; of more, so many are drawn


class Marginal(NamedTuple):
    """A column of two tables."""

    score: float  # shape · presence
    shape: float  # 1 − Kolmogorov-Smirnov of the known numbers; 1 − total variation of the known names
    missing: tuple[float, float]  # share of missing values in either


class Pairs(NamedTuple):
    """The pairs of columns of two tables."""

    score: float  # mean of all; NaN where there is no pair
    numbers: float  # of pairs of numbers: 1 − |difference of Pearson's correlations| / 2
    names: float  # of all others: 1 − total variation of the contingency tables
    by_column: dict[str, float]  # mean of its pairs
    used: int
    drawn: bool  # not all pairs of names are among them


def marginal(column: Column, a: int, b: int) -> Marginal:
    """A column of the tables a and b.

    shape is 0 where one of them has no value, and presence = 1 − |difference of the shares of missing values|.
    """
    known = column.known(a), column.known(b)
    missing = (float(1 - known[0].mean()), float(1 - known[1].mean()))
    x, z = column.values[a][known[0]], column.values[b][known[1]]
    if not len(x) or not len(z):
        shape = float(len(x) == len(z))
    elif column.kind == "number":
        shape = 1 - float(kolmogorov_smirnov(x[:, None], z[:, None])[0])
    else:
        shape = 1 - _variation(x.astype(int), z.astype(int), len(column.names))
    return Marginal(shape * (1 - abs(missing[0] - missing[1])), shape, missing)


def told(column: Column, a: int, b: int) -> tuple[dict[str, float], dict[str, float]]:
    """How the values of the tables a and b are distributed: quantiles of numbers; shares of frequent names."""
    known = [column.values[table][column.known(table)] for table in (a, b)]
    if column.kind == "number":
        found = [np.quantile(each, np.array(QUANTILES) / 100) if len(each) else [] for each in known]
        one, two = (dict(zip(map(str, QUANTILES), map(float, each), strict=False)) for each in found)
        return one, two
    rows = [len(column.values[table]) for table in (a, b)]
    p, q = (np.bincount(each.astype(int), minlength=len(column.names)) / n for each, n in zip(known, rows, strict=True))
    frequent = np.argsort(-np.maximum(p, q), kind="stable")[:NAMES]
    one, two = ({column.names[i]: float(each[i]) for i in frequent} for each in (p, q))
    return one, two


def pairs(tables: Mixed, a: int, b: int, seed: int) -> Pairs:
    """All pairs of columns of the tables a and b.

    Correlations are of the rows in which both columns have a value, and 0 where one is constant.  Where names are in a
    pair, numbers go into BINS bins between the quantiles of table a, and a missing value is a name of its own.
    """
    numbers = [column for column in tables.columns if column.kind == "number"]
    found: dict[tuple[str, str], float] = {}
    if len(numbers) > 1:
        r, s = _correlations(numbers, a), _correlations(numbers, b)
        alike = 1 - np.abs(r - s) / 2
        for i, j in combinations(range(len(numbers)), 2):
            found[numbers[i].name, numbers[j].name] = float(alike[i, j])
    by_number = len(found)
    others = [each for each in combinations(tables.columns, 2) if "category" in (each[0].kind, each[1].kind)]
    drawn = len(others) > MOST_PAIRS
    others = [others[i] for i in draw(np.arange(len(others)), MOST_PAIRS, np.random.default_rng(seed))]
    coded = {column.name: _codes(column, a, b) for pair in others for column in pair}
    for one, two in others:
        (xa, xb, m), (ya, yb, n) = coded[one.name], coded[two.name]
        found[one.name, two.name] = 1 - _variation(xa * n + ya, xb * n + yb, m * n)
    values = np.array([*found.values()])
    by_column = {
        column.name: float(np.mean(mine))
        for column in tables.columns
        if (mine := [value for pair, value in found.items() if column.name in pair])
    }
    return Pairs(_mean(values), _mean(values[:by_number]), _mean(values[by_number:]), by_column, len(found), drawn)


def _variation(a: np.ndarray, b: np.ndarray, size: int) -> float:
    """Total variation ½ Σ |p − q| of two samples of whole numbers below `size`; shares may add up to a bit over 1."""
    if size > 1 << 22:
        used, both = np.unique(np.concatenate([a, b]), return_inverse=True)
        a, b, size = both[: len(a)], both[len(a) :], len(used)
    p, q = np.bincount(a, minlength=size) / len(a), np.bincount(b, minlength=size) / len(b)
    return min(1.0, float(np.abs(p - q).sum() / 2))


def _codes(column: Column, a: int, b: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The values of both tables as whole numbers, 0 where missing, and how many there can be."""
    known = column.known(a), column.known(b)
    if column.kind == "category":
        one, two = (column.values[t].astype(int) + 1 for t in (a, b))
        return one, two, len(column.names) + 1
    reference = column.values[a][known[0]]
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1])) if len(reference) else np.empty(0)
    coded = [
        np.where(k, np.searchsorted(edges, np.nan_to_num(column.values[t]), side="right") + 1, 0)
        for t, k in zip((a, b), known, strict=True)
    ]
    return coded[0], coded[1], len(edges) + 2


def _correlations(columns: list[Column], table: int) -> np.ndarray:
    x = np.stack([column.values[table] for column in columns], axis=1)
    constant = np.array([not len(known := v[~np.isnan(v)]) or known.min() == known.max() for v in x.T])
    # Pearson's correlation does not depend on the unit, and squares of the largest numbers overflow.
    size = np.nanmax(np.abs(x), axis=0, initial=0)
    r = pd.DataFrame(x / np.where(size > 0, size, 1)).corr().to_numpy(copy=True)
    r[constant | constant[:, None]] = 0
    return np.nan_to_num(r)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
