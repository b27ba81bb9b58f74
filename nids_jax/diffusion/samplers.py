"""Reverse processes: a grid of noise levels, a table of coefficients, and one `lax.scan` over the table.

All samplers share one trained network, seen as `denoise(x, t, alpha, sigma) -> x̂_0` where x = α x_0 + σ ε and t is the
(possibly fractional) step fed to the network; ε̂ is (x − α x̂_0)/σ.  Every update below is linear,

    x_s = a x_t + b x̂_0 + c x̂_0,previous + d z,

so a sampler is no more than its coefficients, worked out in float64 and cast once.  The last step of each lands on x̂_0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError

Denoise = Callable[[Array, Array, Array, Array], Array]  # (x [B, d], t [], α [], σ []) → x̂_0 [B, d]


class Grid(NamedTuple):
    """Noise levels of `n` steps in float64: step i leads from (t, α, σ) to (α_next, σ_next), the last one to (1, 0)."""

    t: np.ndarray  # [n] the step fed to the network, 1..T
    log_snr: np.ndarray  # [n] λ = log(α/σ), rising
    alpha: np.ndarray
    sigma: np.ndarray
    alpha_next: np.ndarray
    sigma_next: np.ndarray

    @property
    def shrink(self) -> np.ndarray:
        """e^{−h} with h = λ_next − λ, [n]; 0 in the last step."""
        return self.sigma_next * self.alpha / (self.sigma * self.alpha_next)

    @property
    def extrapolation(self) -> np.ndarray:
        """h/(2 h_previous), [n]: how far to extrapolate from the last two x̂_0; 0 in the first and in the last step."""
        h = np.diff(self.log_snr)
        weight = np.zeros(len(self.t))
        weight[1:-1] = h[1:] / (2.0 * h[:-1])
        return weight


def make_grid(t: np.ndarray, log_snr: np.ndarray) -> Grid:
    """The grid through these steps [n] and their log-SNRs [n]: α² = 1/(1 + e^{−2λ}), σ² = 1 − α²."""
    alpha = np.exp(-0.5 * np.logaddexp(0.0, -2.0 * log_snr))
    sigma = np.exp(-0.5 * np.logaddexp(0.0, 2.0 * log_snr))
    return Grid(t, log_snr, alpha, sigma, np.append(alpha[1:], 1.0), np.append(sigma[1:], 0.0))


class Steps(NamedTuple):
    """The table that is scanned: one row a step, float32."""

    t: Array
    alpha: Array
    sigma: Array
    a: Array  # on x
    b: Array  # on x̂_0
    c: Array  # on the previous step's x̂_0
    d: Array  # on the noise
    countdown: Array  # [n] int32, counts down to 0: addresses the noise of this step


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Base of the samplers: the grid and the scan."""

    steps: int = 20  # grid points

    minimum_calls: ClassVar[int] = 12  # fewer calls of the network lose quality (seen on an exact 78-D score)

    def levels_in(self, schedule: Schedule) -> int:
        """Points of the grid on this schedule."""
        return self.steps

    def calls(self, schedule: Schedule) -> int:
        """Calls of the network for one batch."""
        return self.levels_in(schedule)

    @property
    def stochastic(self) -> bool:
        """Whether steps draw fresh noise."""
        return False

    def grid(self, schedule: Schedule) -> Grid:
        """The noise levels visited from pure noise on.

        Raises:
          InputError: fewer than two steps, or more than the schedule has.
        """
        if not 2 <= self.steps <= schedule.steps:
            raise InputError(
                f"the sampler takes {self.steps} steps; give from 2 to the {schedule.steps} steps of the schedule"
            )
        log_snr = self.levels(schedule)
        return make_grid(schedule.at_log_snr(log_snr), log_snr)

    def levels(self, schedule: Schedule) -> np.ndarray:
        """The log-SNRs of the grid, rising [steps]: uniform over the schedule's."""
        return np.linspace(schedule.log_snr[-1], schedule.log_snr[0], self.steps)

    def coefficients(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(a, b, c, d) of the update in the module's docstring, each [n] float64."""
        raise NotImplementedError

    def last(self, schedule: Schedule, count: int | None) -> Grid:
        """The last `count` levels of the grid, None for all: what is left to do for a row noised to the first of them.

        Raises:
          InputError: `count` is not from 1 to the grid's size.
        """
        grid = self.grid(schedule)
        count = len(grid.t) if count is None else count
        if not 1 <= count <= len(grid.t):
            raise InputError(f"{count} levels are asked of a sampler that has {len(grid.t)}; ask for 1 to all of them")
        return Grid(*(column[-count:] for column in grid))

    def table(self, schedule: Schedule, count: int | None = None) -> Steps:
        """The scanned table of this sampler on this schedule, or of its last `count` steps."""
        grid = self.last(schedule, count)
        columns = (grid.t, grid.alpha, grid.sigma, *self.coefficients(grid))
        t, alpha, sigma, a, b, c, d = (jnp.asarray(column, jnp.float32) for column in columns)
        return Steps(t, alpha, sigma, a, b, c, d, jnp.arange(len(grid.t) - 1, -1, -1))

    def step(self, x: Array, previous: Array, at: Steps, denoise: Denoise, keys: Array) -> tuple[Array, Array]:
        """One reverse step: x [B, d] and the previous x̂_0 [B, d] → the next x and this x̂_0."""
        x0 = denoise(x, at.t, at.alpha, at.sigma)
        out = at.a * x + at.b * x0 + at.c * previous
        if self.stochastic:
            out = out + at.d * random.row_normals(keys, at.countdown, x.shape[1])
        return out, x0

    def __call__(self, denoise: Denoise, x: Array, keys: Array, schedule: Schedule, count: int | None = None) -> Array:
        """Noise x [B, d] → rows [B, d]; `keys` [B], one per row, are the only source of further noise.

        With `count`, x are rows noised to the first level of `last(schedule, count)`, and only those steps are taken.
        """

        def body(carry: tuple[Array, Array], at: Steps) -> tuple[tuple[Array, Array], None]:
            return self.step(*carry, at, denoise, keys), None

        (x, _), _ = jax.lax.scan(body, (x, jnp.zeros_like(x)), self.table(schedule, count))
        return x


@dataclass(frozen=True, kw_only=True)
class DDIM(Sampler):
    """x_s = α_s x̂_0 + √(σ_s² − ς²) ε̂ + ς z,  ς = η (σ_s/σ_t) √(1 − α_t²/α_s²)  (Song et al. 2021, eqs. 12 and 16).

    η = 0 is deterministic; η = 1 is ancestral sampling with variance β̃.
    """

    steps: int = 50
    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.eta <= 1.0:
            raise InputError(f"`eta` is {self.eta}; give a number from 0 to 1")

    @property
    def stochastic(self) -> bool:
        return self.eta > 0.0

    def coefficients(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        fresh = self.eta * grid.sigma_next / grid.sigma * np.sqrt(1.0 - (grid.alpha / grid.alpha_next) ** 2)
        a = np.sqrt(grid.sigma_next**2 - fresh**2) / grid.sigma
        return a, grid.alpha_next - a * grid.alpha, np.zeros_like(a), fresh


@dataclass(frozen=True, kw_only=True)
class DDPM(Sampler):
    """Ancestral sampling, x_{t−1} = (x_t − (1−α_t)/√(1−ᾱ_t) ε̂)/√α_t + √v_t z, no z in the last step.

    The mean corrects P1 eq. 6, which divides by √ᾱ_t (Ho et al. 2020, eq. 11); in terms of x̂_0 it is
    (√ᾱ_{t−1} β_t x̂_0 + √α_t (1−ᾱ_{t−1}) x_t)/(1−ᾱ_t) (their eq. 7).  v_t is β̃_t = β_t (1−ᾱ_{t−1})/(1−ᾱ_t) ("posterior",
    P1 eq. 5) or β_t.  On a grid coarser than the schedule, α_t stands for ᾱ_t/ᾱ_s.
    """

    steps: int = 0  # 0: every step of the schedule, however many it has
    variance: Literal["posterior", "beta"] = "posterior"

    minimum_calls: ClassVar[int] = 50

    def __post_init__(self) -> None:
        if self.variance not in ("posterior", "beta"):
            raise InputError(f"unknown `variance` {self.variance!r}; choose from beta, posterior")

    @property
    def stochastic(self) -> bool:
        return True

    def levels_in(self, schedule: Schedule) -> int:
        return self.steps or schedule.steps

    def grid(self, schedule: Schedule) -> Grid:
        """Every step T..1 of the schedule where `steps` is 0 or T; else uniform in log-SNR."""
        if self.levels_in(schedule) != schedule.steps:
            return super().grid(schedule)
        return make_grid(np.arange(schedule.steps, 0, -1, dtype=np.float64), schedule.log_snr[::-1])

    def coefficients(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        alpha = (grid.alpha / grid.alpha_next) ** 2
        ratio = (grid.sigma_next / grid.sigma) ** 2
        a = np.sqrt(alpha) * ratio
        b = grid.alpha_next * (1.0 - alpha) / grid.sigma**2
        variance = (1.0 - alpha) * (ratio if self.variance == "posterior" else 1.0)
        variance[-1] = 0.0
        return a, b, np.zeros_like(a), np.sqrt(variance)


@dataclass(frozen=True, kw_only=True)
class DPMpp2M(Sampler):
    """DPM-Solver++(2M): second-order multistep on the data prediction (Lu et al. 2022b, algorithm 2).

    x_s = (σ_s/σ_t) x_t + α_s (1 − e^{−h}) D,  D = x̂_0 + (x̂_0 − x̂_0,previous) h/(2 h_previous); first order in the first
    and the last step.
    """

    def coefficients(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        towards = grid.alpha_next * (1.0 - grid.shrink)
        extra = towards * grid.extrapolation
        return grid.sigma_next / grid.sigma, towards + extra, -extra, np.zeros_like(extra)


@dataclass(frozen=True, kw_only=True)
class SDEDPMpp2M(Sampler):
    """SDE-DPM-Solver++(2M), the stochastic form (Lu et al. 2022b, sec. 5; midpoint rule).

    x_s = (σ_s/σ_t) e^{−h} x_t + α_s (1 − e^{−2h}) D + σ_s √(1 − e^{−2h}) z, with D as in `DPMpp2M`.

    The grid is uniform in (α/σ)^{1/root}, finer towards the data, and starts at a log-SNR where there is some signal as
    if there were noise alone: with 8 to 12 steps, variances are closer to the right ones than on the uniform grid.
    """

    steps: int = 12
    noisiest: float = -2.5  # log-SNR of the first step, unless the schedule's noisiest is above it
    root: float = 5.0

    minimum_calls: ClassVar[int] = 8

    def __post_init__(self) -> None:
        if not (np.isfinite(self.noisiest) and 0.0 < self.root < np.inf):
            raise InputError(
                f"`noisiest` is {self.noisiest} and `root` {self.root}; give finite numbers, `root` above 0"
            )

    @property
    def stochastic(self) -> bool:
        return True

    def levels(self, schedule: Schedule) -> np.ndarray:
        """The log-SNRs λ of the grid, rising [steps]: e^{λ/root} rises evenly."""
        first, last = max(self.noisiest, schedule.log_snr[-1]), schedule.log_snr[0]
        return self.root * np.log(np.linspace(np.exp(first / self.root), np.exp(last / self.root), self.steps))

    def coefficients(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        fresh = 1.0 - grid.shrink**2
        towards = grid.alpha_next * fresh
        extra = towards * grid.extrapolation
        return grid.sigma_next / grid.sigma * grid.shrink, towards + extra, -extra, grid.sigma_next * np.sqrt(fresh)


@dataclass(frozen=True, kw_only=True)
class Heun(Sampler):
    """Heun's method on dx̃/dς = (x̃ − x̂_0)/ς with x̃ = x/α, ς = σ/α (Karras et al. 2022, algorithm 1 without churn).

    Two calls a step, the second at the next level; the last step is Euler's and takes one.
    """

    steps: int = 10

    def calls(self, schedule: Schedule) -> int:
        return 2 * self.steps - 1

    def coefficients(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        # Euler's step in (x̃, ς) is DDIM's with η = 0.
        a = grid.sigma_next / grid.sigma
        return a, grid.alpha_next - a * grid.alpha, np.zeros_like(a), np.zeros_like(a)

    def __call__(self, denoise: Denoise, x: Array, keys: Array, schedule: Schedule, count: int | None = None) -> Array:
        """As `Sampler.__call__`, with the second slope of the trapezoid."""
        grid = self.last(schedule, count)
        here, there = grid.sigma / grid.alpha, grid.sigma_next / grid.alpha_next
        length = there - here
        # x̃_s = x̃ + ½ δ (slope + slope'), slope = (x̃ − x̂_0)/ς, slope' = (x̃_Euler − x̂_0')/ς'; collected by argument.
        last = there == 0
        second = np.where(last, 0.0, 0.5 * length / np.where(last, 1.0, there))
        on_x = (1.0 + 0.5 * length / here + second * (1.0 + length / here)) * grid.alpha_next / grid.alpha
        on_x0 = -(0.5 * length / here + second * length / here) * grid.alpha_next
        on_ahead = -second * grid.alpha_next
        levels = (np.append(grid.t[1:], grid.t[-1]), grid.alpha_next, grid.sigma_next, on_x, on_x0, on_ahead)
        rows = tuple(jnp.asarray(column, jnp.float32) for column in levels)

        def body(x: Array, row: tuple[Steps, tuple[Array, ...]]) -> tuple[Array, None]:
            at, (t_next, alpha_next, sigma_next, on_x, on_x0, on_ahead) = row
            euler, x0 = self.step(x, jnp.zeros_like(x), at, denoise, keys)

            def trapezoid() -> Array:
                return on_x * x + on_x0 * x0 + on_ahead * denoise(euler, t_next, alpha_next, sigma_next)

            return jax.lax.cond(sigma_next > 0, trapezoid, lambda: euler), None

        return jax.lax.scan(body, x, (self.table(schedule, count), rows))[0]


SAMPLERS: dict[str, type[Sampler]] = {
    "ddpm": DDPM,
    "ddim": DDIM,
    "dpmpp_2m": DPMpp2M,
    "sde_dpmpp_2m": SDEDPMpp2M,
    "heun": Heun,
}


def make_sampler(name: str, **options: Any) -> Sampler:
    """The sampler called `name` with its options (`steps`, `eta`, `variance`).

    Raises:
      InputError: unknown name, or an option that this sampler does not have.
    """
    if name not in SAMPLERS:
        raise InputError(f"unknown `sampler` {name!r}; choose from {', '.join(sorted(SAMPLERS))}")
    unknown = set(options) - set(SAMPLERS[name].__dataclass_fields__)
    if unknown:
        raise InputError(f"the sampler {name} has no option {sorted(unknown)[0]!r}; leave it out")
    return SAMPLERS[name](**options)
