"""Noise schedules of the forward process, as tables in float64 and as continuous functions of the step."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from nids_jax.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I), ᾱ_t = ∏_{i≤t} (1 − β_i)  (P1 eqs. 1–3).

    `linear`: β from 1e-4 to 0.02, times 1000/T unless `scaled` is off.  Unscaled, fewer steps also mean less noise at
    step T, which confounds P1's comparison of T = 500 … 2000.  `cosine`: Nichol & Dhariwal 2021, eq. 17, β ≤ 0.999.
    """

    kind: Literal["linear", "cosine"] = "linear"
    steps: int = 1000
    scaled: bool = True

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "cosine"):
            raise InputError(f"unknown `schedule` {self.kind!r}; choose from cosine, linear")
        if self.steps < 2:
            raise InputError(f"the schedule has {self.steps} steps; give at least 2")
        if not (self.beta[1:] < 1.0).all():
            raise InputError(
                f"{self.steps} linear steps need β ≥ 1 when scaled by 1000/T; use at least 21 steps or cosine"
            )

    @cached_property
    def beta(self) -> np.ndarray:
        """β_t, [T + 1] float64; β_0 = 0 by convention, so that index t is step t."""
        if self.kind == "linear":
            scale = 1000.0 / self.steps if self.scaled else 1.0
            beta = scale * np.linspace(1e-4, 0.02, self.steps)
        else:
            t = np.arange(self.steps + 1) / self.steps
            curve = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
            beta = np.minimum(1.0 - curve[1:] / curve[:-1], 0.999)
        return np.concatenate([[0.0], beta])

    @cached_property
    def alpha_bar(self) -> np.ndarray:
        """ᾱ_t, [T + 1] float64; ᾱ_0 = 1."""
        return np.cumprod(1.0 - self.beta)

    @cached_property
    def log_snr(self) -> np.ndarray:
        """λ_t = ½ log(ᾱ_t / (1 − ᾱ_t)) for t = 1..T, [T] float64, falling (Lu et al. 2022, sec. 3)."""
        bar = self.alpha_bar[1:]
        return 0.5 * (np.log(bar) - np.log1p(-bar))

    def at_log_snr(self, values: np.ndarray) -> np.ndarray:
        """The (fractional) step t with λ_t = values, by linear interpolation; values within the table's range."""
        return np.interp(-values, -self.log_snr, np.arange(1, self.steps + 1))
