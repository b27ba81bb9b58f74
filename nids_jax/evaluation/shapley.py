"""Shapley values of many rows by few predictions, with a standard error of each; of trees exactly.

The game is that of `evaluation.explain` (Kernel SHAP): v(S) is the mean prediction over weighted background rows b, of
rows that hold the explained row's values in S and b's elsewhere.  The regression is another:

- Coalitions come in pairs S, S̄.  By symmetry y = (v(S) − v(S̄)) / 2 is all that the values depend on: they are the φ
  with Σ φ = f(x) − mean f(b) that make Σ w (y − (z − ½)·φ)² least, z ∈ {0, 1}^m being S.
- A pair is tried on one background row, drawn by weight, in the place of all of them.
- Sizes s are drawn by (s (m − s))^−½, between Kernel SHAP's 1 / (s (m − s)) and leverage scores' 1, and weighted by
  what is missing: that is least variance where the residuals of all sizes are alike.
- For each background row the sum of its own values is known, f(x) − f(b).  The part by which it differs from the mean
  is taken off y, shared among the columns that differ from b: its mean over b is 0 for every S.

Pairs depend on the seed and the number m of columns that differ from any background row, hence rows share them, their
matrix is inverted once, and the values of a row depend on no other.  Where it takes no more predictions than allowed,
all coalitions are tried on all background rows, and the values are exact.

Sources: Lundberg & Lee 2017; Covert & Lee 2021 (pairs, stochastic games, the regression's variance); Musco & Witter
2025 (leverage scores).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import comb

from nids_jax.errors import InputError
from nids_jax.evaluation.explain import (
    ADDITIVITY_TOLERANCE,
    Explanation,
    Predict,
    checked_predictions,
    fixed_batch,
    matrices,
    summarised,
)

SAMPLES = 16_384  # predictions of masked rows for a row: its ten heaviest columns are nearly the same for any seed
MANY = 4096  # for each of many rows, whose mean |φ| is wanted, or soon
_TREE_BACKGROUND = 100  # background rows of exact values of trees

# (row [d], background [k, d], present [n, d] bool, place [n] int) → predictions [n, c] of rows that hold the row's
# values where they are present, and elsewhere those of the background row at their place.
Masked = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], ArrayLike]


@dataclass(frozen=True)
class _Pairs:
    """Coalitions of m columns, of each pair the one of z, and how the values follow from what they bring."""

    z: np.ndarray  # [n, m] bool
    place: np.ndarray | None  # [n] the background row of each; None: all of them
    weight: np.ndarray  # [n]
    inverse: np.ndarray  # [m, m] Q: φ = Q Σ w (z − ½) y + spread · total
    spread: np.ndarray  # [m]


def estimate(
    predict_proba: Predict,
    background_rows: ArrayLike,
    rows: ArrayLike,
    *,
    clusters: int = 10,
    samples: int = SAMPLES,
    batch: int = 1024,
    seed: int = 0,
    masked: Masked | None = None,
    groups: ArrayLike | None = None,
) -> Explanation:
    """Shapley values of each row's class probabilities, and the standard error of each.

    An error is that of drawing coalitions: the background rows, summed up, are what they are.

    Args:
      predict_proba: [n, d] → [n, c], deterministic; called with `batch` rows.
      background_rows: [m, d] what "feature absent" means, summed up as by `explain.explain`.
      rows: [n, d] to explain, scaled like the background.
      clusters: k of the k-means; at most the distinct background rows.
      samples: predictions of masked rows for each row, at least 4 d.
      seed: of the coalitions drawn.
      masked: predictions of masked rows, put together where the model computes (`NeuralClassifier.predict_masked`);
        None: by `predict_proba`.
      groups: [d] from 0 on, columns whose values are added up: values and errors are then those of the groups'
        sums, [n, groups, c].  The errors of columns do not tell that of their sum, as one's may be the other's.

    Raises:
      InputError: shapes that do not match, values that are not finite, or too few samples.
    """
    background, x = matrices(background_rows, rows)
    d = x.shape[1]
    if samples < 4 * d:
        raise InputError(f"{samples} samples cannot tell {d} features apart; give at least {4 * d}")
    predict = fixed_batch(predict_proba, batch)
    predictions = checked_predictions(predict, x, clusters, seed)
    few, weights = summarised(background, clusters)
    absent = np.asarray(predict(few), np.float64)
    base = weights @ absent
    of_column = np.arange(d) if groups is None else np.asarray(groups)
    if of_column.shape != (d,):
        raise InputError(f"there are {of_column.shape} groups for {d} columns; give one for each")
    member = (of_column[:, None] == np.arange(of_column.max() + 1)).astype(np.float64)
    values = np.zeros((len(x), member.shape[1], len(base)))
    errors = np.zeros_like(values)
    tried = masked or _on_host(predict)
    if len(x):
        _check_repeats(tried, x[0], few, absent)
    games: dict[int, _Pairs] = {}
    for i, row in enumerate(x):
        own = np.flatnonzero((row != few).any(axis=0))
        m, total = len(own), predictions[i] - base
        if not m:
            continue
        if m not in games:
            games[m] = _pairs(m, weights, samples, seed)
        game = games[m]
        y = _odd_part(tried, row, few, weights, own, game)
        if game.place is not None:
            y -= _offsets(row[own] != few[:, own], base - absent, weights, game)
        values[i], errors[i] = _solved(game, y, total, member[own])
    return Explanation(values=values, base=base, predictions=predictions, errors=errors)


def of_trees(model: Any, background_rows: ArrayLike, rows: ArrayLike, *, seed: int = 0) -> Explanation:
    """Exact interventional Shapley values of a fitted tree model (`shap.TreeExplainer`): errors of 0.

    The mean is over up to 100 background rows, drawn by the seed.  The values are of probabilities, but of
    XGBoost's margins, whose softmax the probabilities are (two classes: ∓ and ± the margin of the second).

    Args:
      model: a tree or forest of scikit-learn, a classifier of this package whose `parts` are such, or its `Boosting`.

    Raises:
      InputError: shapes that do not match, or values that are not finite.
    """
    background, x = matrices(background_rows, rows)
    picks = np.random.default_rng(seed).permutation(len(background))[:_TREE_BACKGROUND]
    few = background[np.sort(picks)].astype(np.float32)
    found = [_of_tree_model(part, few, x.astype(np.float32)) for part in getattr(model, "parts", [model])]
    values = np.mean([each[0] for each in found], axis=0)
    base = np.mean([each[1] for each in found], axis=0)
    return Explanation(values=values, base=base, predictions=base + values.sum(axis=1), errors=np.zeros_like(values))


def _of_tree_model(model: Any, background: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ [n, d, c] and base [c] of one model."""
    import shap  # takes seconds, and nothing else needs it

    boosted = hasattr(model, "model")
    grown = model.model if boosted else model
    explainer = shap.TreeExplainer(grown, data=background, feature_perturbation="interventional")
    # Row by row: ten seconds into a call SHAP draws a bar of its own on standard error.
    found = [explainer.shap_values(x[i : i + 1], check_additivity=False) for i in range(len(x))]
    values = np.concatenate(found).astype(np.float64)
    if values.ndim == 2:  # boosting of two classes has one margin
        values = np.stack([-values, values], axis=2)
    # Not `explainer.expected_value`, in which SHAP 0.51 forgets the constants that XGBoost adds to all classes but one.
    said = grown.predict(background, output_margin=True) if boosted else grown.predict_proba(background)
    base = np.asarray(said, np.float64)
    base = np.stack([-base, base], axis=1) if base.ndim == 1 else base
    return values, base.mean(axis=0)


def _check_repeats(tried: Masked, row: np.ndarray, background: np.ndarray, absent: np.ndarray) -> None:
    """Refuse a model that answers otherwise when it is asked again."""
    again = tried(row, background, np.zeros(background.shape, bool), np.arange(len(background)))
    gap = float(np.abs(np.asarray(again, np.float64) - absent).max())
    if not gap <= ADDITIVITY_TOLERANCE:
        raise InputError(
            f"asked again about the same rows, predict_proba gives other answers (by up to {gap:.3g}); it must give "
            "the same answer for the same row each time (is dropout off?)"
        )


def _on_host(predict: Callable[[np.ndarray], np.ndarray]) -> Masked:
    return lambda row, background, present, place: predict(np.where(present, row, background[place]))


def _pairs(m: int, weights: np.ndarray, samples: int, seed: int) -> _Pairs:
    """All pairs where they are few enough, else such as `samples` predictions are enough for."""
    rng = np.random.default_rng([seed, m])
    if m <= 30 and (2**m - 2) * len(weights) <= samples:
        halves = np.arange(1, 2 ** (m - 1))  # never the last column: of each pair one
        z = (halves[:, None] >> np.arange(m)) % 2 == 1
        place = None
        size = z.sum(axis=1)
        weight = 1.0 / (comb(m, size) * size * (m - size))
    else:
        n = samples // 2
        sizes = np.arange(1, m)
        kernel = 1.0 / (sizes * (m - sizes))
        drawn = np.sqrt(kernel) / np.sqrt(kernel).sum()
        # Sizes and background rows as evenly as their shares allow; which go together is left to chance.
        size = sizes[_evenly(drawn, n, rng)]
        place = rng.permutation(_evenly(weights, n, rng))
        order = rng.random((n, m)).argsort(axis=1).argsort(axis=1)
        z = order < size[:, None]
        weight = (kernel / drawn)[size - 1]
    inverse, spread = _inverted(z, weight)
    return _Pairs(z, place, weight, inverse, spread)


def _evenly(shares: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n indices, i as often as n · shares[i] rounded up or down, in the mean exactly so."""
    marks = (np.arange(n) + rng.random()) / n
    return np.minimum(np.searchsorted(np.cumsum(shares), marks, side="right"), len(shares) - 1)


def _inverted(z: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q [m, m] and spread [m] of the regression whose values add up to a total."""
    m = z.shape[1]
    if m == 1:
        return np.zeros((1, 1)), np.ones(1)
    a = z - 0.5
    # A full-rank matrix all the same: along 1 the values are fixed by their sum.
    inverse = np.linalg.inv((a * weight[:, None]).T @ a + np.full((m, m), weight.sum() / m))
    along = inverse.sum(axis=1)
    return inverse - np.outer(along, along) / along.sum(), along / along.sum()


def _odd_part(
    tried: Masked, row: np.ndarray, background: np.ndarray, weights: np.ndarray, own: np.ndarray, game: _Pairs
) -> np.ndarray:
    """(v(S) − v(S̄)) / 2 of each pair, [n, c]."""
    present = np.ones((2, len(game.z), len(row)), bool)
    present[0][:, own], present[1][:, own] = game.z, ~game.z
    present = present.reshape(-1, len(row))
    if game.place is not None:
        found = np.asarray(tried(row, background, present, np.tile(game.place, 2)), np.float64)
    else:
        parts = [
            weight * np.asarray(tried(row, background, present, np.full(len(present), place)), np.float64)
            for place, weight in enumerate(weights)
        ]
        found = np.sum(parts, axis=0)
    n = len(game.z)
    return (found[:n] - found[n:]) / 2


def _offsets(differs: np.ndarray, gaps: np.ndarray, weights: np.ndarray, game: _Pairs) -> np.ndarray:
    """(z − ½)·c_b of each pair, [n, c]: c_b shares out by how much f(x) − f(b) differs from its mean over b.

    Args:
      differs: [k, m] columns of the row that differ from background row b; in some, any of them.
      gaps: [k, c] that difference.
    """
    # A background row equal to the explained one: its values are 0, and any column may bear the difference.
    share = np.where(differs.any(axis=1, keepdims=True), differs, True).astype(np.float64)
    share /= share.sum(axis=1, keepdims=True)
    mean = np.einsum("k,km,kc->mc", weights, share, gaps)
    a, place = game.z - 0.5, game.place
    assert place is not None
    return np.einsum("nm,nm->n", a, share[place])[:, None] * gaps[place] - a @ mean


def _solved(game: _Pairs, y: np.ndarray, total: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups' values [g, c] that add up to total [c], and their standard errors; member [m, g] is 0 or 1."""
    a = game.z - 0.5
    weighted = (a * game.weight[:, None]) @ game.inverse  # what y of a pair adds to each value, [n, m]
    values = weighted.T @ y + np.outer(game.spread, total)
    summed = member.T @ values
    if game.place is None:
        return summed, np.zeros_like(summed)
    residuals = y - a @ values
    leverage = np.einsum("nm,nm->n", weighted, a)
    # Each pair's own residual says how much it may be off (White's estimate, by leverage).
    variance = ((weighted @ member) ** 2).T @ (residuals**2 / np.maximum(1.0 - leverage, 0.05)[:, None])
    return summed, np.sqrt(variance)
