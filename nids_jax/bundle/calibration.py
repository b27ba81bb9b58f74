"""Thresholds of the attack score 1 − P(benign), from scores of benign rows that the scored model was not trained on."""

from dataclasses import dataclass

import numpy as np

from nids_jax.errors import InputError

RATES = (0.001, 0.01)  # false-positive rates that every model says its threshold of
KEPT = 100_000  # of the scores, the highest


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Rows with a score strictly above `value` are alerts."""

    rate: float  # of false positives, as asked for
    value: float
    rows: int  # benign rows that it was set on
    supported: bool  # False: so few rows tell nothing about so small a rate

    @property
    def sentence(self) -> str:
        """What is to be said of it in words."""
        if self.supported:
            return f"threshold {self.value:.6g}, set on {self.rows:,} benign rows for {self.rate:.3%} false positives"
        return (
            f"{self.rows:,} benign rows cannot tell a rate of {self.rate:.3%}: the threshold is the highest of their "
            f"scores, {self.value:.6g}, which gives {1 / (self.rows + 1):.3%} or less"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """The highest scores of `rows` benign rows, falling."""

    scores: np.ndarray  # [min(rows, KEPT)] float64
    rows: int

    @classmethod
    def of(cls, scores: np.ndarray) -> "Calibration":
        """Of the scores [n] of benign rows, at least one."""
        falling = np.sort(np.asarray(scores, np.float64))[::-1]
        return cls(scores=np.ascontiguousarray(falling[:KEPT]), rows=len(falling))

    @classmethod
    def from_array(cls, scores: np.ndarray, rows: int) -> "Calibration":
        """As stored.

        Raises:
          InputError: the array is not what `of` keeps.
        """
        good = scores.dtype == np.float64 and scores.ndim == 1 and 0 < len(scores) == min(rows, KEPT)
        if not good or not np.isfinite(scores).all() or (np.diff(scores) > 0).any():
            raise InputError("its calibration is not a falling list of scores")
        return cls(scores=scores, rows=rows)

    def threshold(self, rate: float) -> Threshold:
        """The least threshold at which a further benign row is expected above it at most at this rate.

        With n rows and k = ⌊rate · (n + 1)⌋ it is their k-th highest score: a further row of the same kind exceeds it
        with probability at most k / (n + 1) (split conformal prediction, Vovk et al. 2005).  Where k is 0 it is the
        highest score.

        Raises:
          InputError: a rate outside (0, 1).
        """
        if not 0 < rate < 1:
            raise InputError(f"`max_false_positives` is {rate}; give a rate between 0 and 1, such as 0.01")
        k = int(np.floor(rate * (self.rows + 1) * (1 + 1e-12)))
        place = min(max(k, 1), len(self.scores)) - 1
        return Threshold(rate=rate, value=float(self.scores[place]), rows=self.rows, supported=k >= 1)
