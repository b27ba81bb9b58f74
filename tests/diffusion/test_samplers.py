"""Samplers against a distribution whose score is known in closed form.

The data are a mixture of two Gaussians in a few dimensions, one column tight and one wide.  Their posterior mean
E[x_0 | x_t] is exact, so whatever the samplers miss is their own error.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nids_jax import random
from nids_jax.diffusion.objective import drop_labels, guide, q_sample
from nids_jax.diffusion.samplers import DDIM, DDPM, SAMPLERS, DPMpp2M, Heun, SDEDPMpp2M, make_sampler
from nids_jax.diffusion.schedule import Schedule

MEANS = np.array([[-0.6, 0.3, 0.5], [0.4, 0.3, -0.7]])
DEVIATIONS = np.array([[0.15, 0.05, 0.3], [0.1, 0.05, 0.2]])
SHARES = np.array([0.3, 0.7])
ROWS = 4096
SCHEDULE = Schedule()


def exact_denoise(x, t, alpha, sigma):
    """E[x_0 | x] = Σ_k p(k | x) (μ_k + α s_k²/(α² s_k² + σ²) (x − α μ_k))."""
    del t
    spread = alpha**2 * DEVIATIONS**2 + sigma**2  # [k, d]
    gap = x[:, None] - alpha * MEANS  # [n, k, d]
    log_likelihood = -0.5 * (gap**2 / spread + jnp.log(spread)).sum(-1) + jnp.log(SHARES)
    weights = jax.nn.softmax(log_likelihood, axis=-1)[:, :, None]
    return (weights * (MEANS + alpha * DEVIATIONS**2 / spread * gap)).sum(1)


def draw(sampler, rows: int = ROWS, schedule: Schedule = SCHEDULE) -> np.ndarray:
    keys = random.rows(jax.random.key(0), jnp.arange(rows))
    start = random.row_normals(random.rows(jax.random.key(1), jnp.arange(rows)), 0, 3)
    return np.asarray(jax.jit(lambda x, k: sampler(exact_denoise, x, k, schedule))(start, keys))


@pytest.mark.parametrize(
    "sampler",
    [
        DDPM(),
        DDPM(steps=100),
        DDIM(steps=200),
        DDIM(steps=100, eta=1.0),
        DPMpp2M(steps=20),
        SDEDPMpp2M(steps=50),
        Heun(steps=15),
    ],
    ids=str,
)
def test_first_two_moments(sampler):
    check_moments(draw(sampler))


def check_moments(out: np.ndarray) -> None:
    mean = SHARES @ MEANS
    # Every sampler ends on E[x_0 | x_1], whose spread within a component is s⁴/(s² + σ_1²/ᾱ_1) rather than s².
    bar = SCHEDULE.alpha_bar[1]
    landed = DEVIATIONS**4 / (DEVIATIONS**2 + (1 - bar) / bar)
    deviation = np.sqrt(SHARES @ (landed + MEANS**2) - mean**2)
    # Five standard errors of a mean, and of a variance with the mixture's own fourth moment bounded by 3 s⁴.
    np.testing.assert_array_less(np.abs(out.mean(0) - mean), 5 * deviation / np.sqrt(ROWS))
    np.testing.assert_array_less(np.abs(out.var(0) / deviation**2 - 1), 5 * np.sqrt(2 / ROWS))
    share = (out[:, 0] > -0.1).mean()
    assert abs(share - SHARES[1]) < 5 * np.sqrt(0.21 / ROWS)


def test_the_stochastic_solver_needs_few_steps():
    """On a uniform grid of ten steps the variances are a fifth too large or too small; the means are as far off."""
    out, exact = draw(SDEDPMpp2M(steps=10), 4 * ROWS), draw(DDPM(), 4 * ROWS)
    np.testing.assert_allclose(out.var(0) / exact.var(0), 1.0, atol=0.08)
    np.testing.assert_array_less(np.abs(out.mean(0) - exact.mean(0)) / exact.std(0), 0.12)


def test_the_stochastic_solvers_grid():
    levels = SDEDPMpp2M(steps=7).levels(SCHEDULE)
    assert (levels[0], levels[-1]) == (pytest.approx(-2.5), pytest.approx(SCHEDULE.log_snr[0]))
    ratio = np.exp(levels) ** 0.2
    np.testing.assert_allclose(np.diff(ratio), np.diff(ratio)[0])
    gentle = Schedule(steps=20, scaled=False)  # hardly any noise even at its end
    assert SDEDPMpp2M(steps=5).levels(gentle)[0] == pytest.approx(gentle.log_snr[-1])


def test_variance_beta_is_wider_than_posterior():
    wide, tight = draw(DDPM(steps=50, variance="beta")), draw(DDPM(steps=50))
    assert wide[:, 1].std() > tight[:, 1].std()


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_scan_equals_a_python_loop(name: str):
    sampler = make_sampler(name, steps=12)
    keys = random.rows(jax.random.key(0), jnp.arange(8))
    start = random.row_normals(random.rows(jax.random.key(1), jnp.arange(8)), 0, 3)
    scanned = draw(sampler, rows=8)
    table = sampler.table(SCHEDULE)
    x, previous = start, jnp.zeros_like(start)
    grid = sampler.grid(SCHEDULE)
    step = jax.jit(lambda x, p, at: sampler.step(x, p, at, exact_denoise, keys))
    for i in range(12):
        at = jax.tree.map(lambda column, i=i: column[i], table)
        new, previous = step(x, previous, at)
        if name == "heun" and i < 11:  # the trapezoid, straight from its definition
            here, there = grid.sigma[i] / grid.alpha[i], grid.sigma_next[i] / grid.alpha_next[i]
            slope = (x / grid.alpha[i] - previous) / here
            euler = x / grid.alpha[i] + (there - here) * slope
            ahead = exact_denoise(grid.alpha_next[i] * euler, 0, grid.alpha_next[i], grid.sigma_next[i])
            new = grid.alpha_next[i] * (x / grid.alpha[i] + (there - here) * 0.5 * (slope + (euler - ahead) / there))
        x = new
    if name == "heun":
        np.testing.assert_allclose(scanned, x, atol=2e-5)
    else:
        np.testing.assert_array_equal(scanned, x)


def test_ddim_with_eta_one_is_ddpm():
    ancestral, same = DDPM(steps=25), DDIM(steps=25, eta=1.0)
    for a, b in zip(
        ancestral.coefficients(ancestral.grid(SCHEDULE)), same.coefficients(same.grid(SCHEDULE)), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_ddpm_step_is_ho_et_al_equation_11():
    sampler = DDPM()
    a, b, _, d = sampler.coefficients(sampler.grid(SCHEDULE))
    for t in (1000, 500, 2, 1):
        i = 1000 - t
        beta, bar, before = SCHEDULE.beta[t], SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[t - 1]
        x, eps = 0.7, -0.4
        x0 = (x - np.sqrt(1 - bar) * eps) / np.sqrt(bar)
        mean = (x - beta / np.sqrt(1 - bar) * eps) / np.sqrt(1 - beta)
        assert a[i] * x + b[i] * x0 == pytest.approx(mean, rel=1e-9)
        assert d[i] == pytest.approx(np.sqrt((1 - before) / (1 - bar) * beta), abs=1e-9)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_last_step_lands_on_the_denoised_row(name: str):
    sampler = make_sampler(name, steps=12)
    a, b, c, d = (column[-1] for column in sampler.coefficients(sampler.grid(SCHEDULE)))
    assert (a, b, c, d) == (pytest.approx(0, abs=1e-12), pytest.approx(1), 0, 0)


def test_bad_samplers_are_refused():
    with pytest.raises(ValueError, match=r"unknown `sampler` 'euler'.*ddim"):
        make_sampler("euler")
    with pytest.raises(ValueError, match="no option 'eta'"):
        make_sampler("ddpm", eta=1.0)
    with pytest.raises(ValueError, match="takes 1 steps; give from 2 to"):
        make_sampler("dpmpp_2m", steps=1).grid(SCHEDULE)
    with pytest.raises(ValueError, match="unknown `variance`"):
        make_sampler("ddpm", variance="learned")


def test_forward_process_moments_label_dropout_and_guidance():
    key = jax.random.key(0)
    x0 = jnp.full((20_000, 1), 2.0)
    out = q_sample(x0, jax.random.normal(key, x0.shape), jnp.full(20_000, 0.25))
    assert float(out.mean()) == pytest.approx(1.0, abs=0.03)
    assert float(out.var()) == pytest.approx(0.75, abs=0.04)
    dropped = np.asarray(drop_labels(jnp.zeros(20_000, int), 0.1, key, 7))
    assert set(np.unique(dropped)) == {0, 7}
    assert (dropped == 7).mean() == pytest.approx(0.1, abs=0.015)
    assert float(guide(jnp.array(1.0), jnp.array(3.0), 1.5)) == 4.0


@pytest.mark.parametrize(
    "sampler",
    [DDPM(steps=100), DDIM(steps=100, eta=1.0), DPMpp2M(steps=20), SDEDPMpp2M(), SDEDPMpp2M(steps=20), Heun(steps=16)],
    ids=str,
)
def test_rows_noised_in_part_come_back_to_the_distribution(sampler):
    """Rows of the mixture, noised to the middle of the schedule and denoised from there, are of the mixture again."""
    middle = np.median(SCHEDULE.log_snr[[0, -1]])
    count = int((sampler.levels(SCHEDULE) > middle).sum())
    rng = np.random.default_rng(0)
    part = rng.choice(2, ROWS, p=SHARES)
    x0 = MEANS[part] + DEVIATIONS[part] * rng.normal(size=(ROWS, 3))
    level = sampler.last(SCHEDULE, count)
    assert level.t.tolist() == sampler.grid(SCHEDULE).t[-count:].tolist()
    noised = jnp.asarray(level.alpha[0] * x0 + level.sigma[0] * rng.normal(size=x0.shape), jnp.float32)
    keys = random.rows(jax.random.key(0), jnp.arange(ROWS))
    out = np.asarray(jax.jit(lambda x, k: sampler(exact_denoise, x, k, SCHEDULE, count))(noised, keys))
    check_moments(out)
    # Neither copies nor rows that have forgotten where they came from.
    assert 0.1 < np.corrcoef(out[:, 2], x0[:, 2])[0, 1] < 0.95


def test_the_last_levels_are_from_one_to_all():
    for count in (0, 21):
        with pytest.raises(ValueError, match=f"{count} levels are asked of a sampler that has 20"):
            DPMpp2M(steps=20).last(SCHEDULE, count)
