"""VAE-WGAN-GP and VAE: the modes of a known mixture, losses against plain sums; any GAN's collapse."""

from dataclasses import replace
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nids_jax import random
from nids_jax.generators import vae_gan
from nids_jax.generators.gan import GAN, GANConfig, Method, collapsed_classes
from nids_jax.generators.vae_gan import VAE, VAEWGAN, VAEWGANGP, Variational, kl_to_prior, partners, warmed_up
from nids_jax.generators.wasserstein import gradient_norms
from nids_jax.training import adversarial
from tests.generators.test_gan import CENTRES, TINY, mixture

METHODS: list[Method] = ["vae_wgan_gp", "vae_wgan", "vae"]
KEY = jax.random.key(7)


@pytest.fixture(scope="module", params=METHODS)
def model(request: pytest.FixtureRequest) -> GAN:
    return GAN(request.param, TINY).fit(*mixture(), jax.random.key(1))


def objective(kind: type[Variational]) -> Variational:
    own = {VAEWGANGP: {"penalty": 10.0}, VAEWGAN: {"clip": 0.1}, VAE: {}}[kind]
    return kind(
        **own,
        features=3,
        classes=2,
        hidden=(5, 4),
        noise=2,
        bounded=True,
        rate=1e-3,
        reconstruction=7.0,
        beta=0.2,
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_mode_of_every_class_gets_its_share(method: Method):
    config = GANConfig(hidden=(64, 64), noise=4, steps=600, batch=64, penalty=1.0, gp_rate=1e-3)
    fitted = GAN(method, config).fit(*mixture(), jax.random.key(0))
    labels = np.arange(2000) % 2
    out = fitted.sample(labels, KEY)
    for label in range(2):
        own = out[labels == label]
        distance = np.linalg.norm(own[:, None] - CENTRES.reshape(4, 2), axis=2)
        shares = np.bincount(distance.argmin(axis=1), minlength=4) / len(own)
        assert shares[2 * label : 2 * label + 2].min() > 0.35
        assert shares[2 * label : 2 * label + 2].sum() > 0.95
        assert np.median(distance.min(axis=1)) < 0.3
    error = fitted.history_["reconstruction"]
    assert error[-50:].mean() < 0.1 * error[:5].mean()


def test_kl_against_an_integral():
    """∫ q log(q / p) of two independent columns, summed on a fine grid."""
    mean, deviation = np.array([0.7, -1.5]), np.array([0.4, 1.6])
    z = np.linspace(-15.0, 15.0, 200_001)[:, None]
    q = np.exp(-0.5 * ((z - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    ratio = 0.5 * z**2 - 0.5 * ((z - mean) / deviation) ** 2 - np.log(deviation)
    expected = (q * ratio).sum() * (z[1, 0] - z[0, 0])
    found = kl_to_prior(jnp.asarray(mean)[None], 2 * jnp.log(jnp.asarray(deviation))[None])
    np.testing.assert_allclose(found, [expected], rtol=1e-5)
    np.testing.assert_array_equal(kl_to_prior(jnp.zeros((2, 3)), jnp.zeros((2, 3))), 0.0)


def test_beta_rises_to_its_value_and_stays():
    share = vae_gan.WARM_UP
    found = [float(warmed_up(0.2, jnp.asarray(done))) for done in (0.0, share / 4, share, 2 * share, 1.0)]
    np.testing.assert_allclose(found, [0.0, 0.05, 0.2, 0.2, 0.2], rtol=1e-6)


def test_each_step_of_a_run_has_its_beta():
    """A VAE's loss is r · error + β_s KL, and all but β_s is in the history."""
    history = GAN("vae", replace(TINY, beta=5.0)).fit(*mixture(), KEY).history_
    found = (history["generator_loss"] - TINY.reconstruction * history["reconstruction"]) / history["kl"]
    np.testing.assert_allclose(found, 5.0 * np.minimum(1.0, np.arange(60) / 60 / vae_gan.WARM_UP), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [VAEWGANGP, VAEWGAN])
def test_losses_against_plain_sums(kind: type[Variational]):
    this = objective(kind)
    start = adversarial.initial_state(jax.random.key(3), objective=this)
    networks = adversarial.networks(this, start.critic, start.generator)
    rng = np.random.default_rng(1)
    x, y = jnp.asarray(rng.normal(size=(7, 3)), jnp.float32), jnp.asarray(rng.integers(0, 2, 7))

    @jax.jit
    def rows(key: jax.Array) -> Any:
        """From the prior, reconstructed, μ and log σ²."""
        prior_key, noise_key = jax.random.split(key)
        mean, log_variance = networks.encode(x, y)
        z = mean + jnp.exp(log_variance / 2) * jax.random.normal(noise_key, (7, 2))
        synthetic = [jnp.tanh(networks.decode(each, y)) for each in (jax.random.normal(prior_key, (7, 2)), z)]
        return *synthetic, mean, log_variance

    judge = jax.jit(networks.judge)
    prior, reconstructed, mean, log_variance = map(np.asarray, rows(KEY))
    kl = 0.5 * np.mean(np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1))
    error = np.mean((x - reconstructed) ** 2)
    values = 0.5 * float(judge(prior, y).mean() + judge(reconstructed, y).mean())
    loss, figures = jax.jit(partial(this.generator_loss, networks))(x, y, KEY, vae_gan.WARM_UP / 2)
    np.testing.assert_allclose(loss, 7.0 * error + 0.1 * kl - values, rtol=1e-5)
    np.testing.assert_allclose([figures["reconstruction"], figures["kl"]], [error, kl], rtol=1e-5)

    loss, figures = jax.jit(partial(this.critic_loss, networks))(x, y, this.shown(networks, x, y, KEY))
    # Of the rows that the critic is shown, every other one is reconstructed.
    synthetic_key, mix_key = jax.random.split(KEY)
    prior_key, noise_key = jax.random.split(synthetic_key)
    z = np.array(jax.random.normal(prior_key, (7, 2)))
    z[::2] = mean[::2] + np.exp(log_variance[::2] / 2) * jax.random.normal(noise_key, (4, 2))
    synthetic = jnp.tanh(networks.decode(jnp.asarray(z), y))[partners(y, random.stream(KEY, "partners"))]
    mix = jax.random.uniform(mix_key, (7, 1))
    wasserstein = float(judge(x, y).mean() - judge(synthetic, y).mean())
    norms = jax.jit(partial(gradient_norms, networks.judge))(mix * x + (1 - mix) * synthetic, y)
    penalty = 10.0 * np.mean((norms - 1) ** 2) if kind is VAEWGANGP else 0.0
    np.testing.assert_allclose(loss, penalty - wasserstein, rtol=1e-5)
    np.testing.assert_allclose(figures["wasserstein"], wasserstein, rtol=1e-4, atol=1e-6)


def test_rows_are_exchanged_within_their_classes():
    y = jnp.asarray([2, 0, 0, 1, 0, 2, 0, 0, 2, 0])
    found = np.array([partners(y, jax.random.key(seed)) for seed in range(400)])
    assert (np.sort(found, axis=1) == np.arange(10)).all()
    assert (np.asarray(y)[found] == np.asarray(y)).all()
    # Every member of a class of n is a row's partner equally often: 1/n of the time.
    for row, label in enumerate(np.asarray(y)):
        members = np.flatnonzero(np.asarray(y) == label)
        shares = np.bincount(found[:, row], minlength=10)[members] / 400
        np.testing.assert_allclose(shares, 1 / len(members), atol=0.1)


def test_the_loss_of_a_vae_against_plain_sums():
    this = objective(VAE)
    start = adversarial.initial_state(jax.random.key(3), objective=this)
    networks = adversarial.networks(this, start.critic, start.generator)
    rng = np.random.default_rng(1)
    x, y = jnp.asarray(rng.normal(size=(7, 3)), jnp.float32), jnp.asarray(rng.integers(0, 2, 7))
    mean, log_variance = map(np.asarray, networks.encode(x, y))
    z = mean + np.exp(log_variance / 2) * np.asarray(jax.random.normal(KEY, (7, 2)))
    error = np.mean((np.asarray(x) - np.tanh(networks.decode(jnp.asarray(z), y))) ** 2)
    kl = 0.5 * np.mean(np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1))
    loss, figures = jax.jit(partial(this.generator_loss, networks))(x, y, KEY, vae_gan.WARM_UP / 2)
    np.testing.assert_allclose(loss, 7.0 * error + 0.1 * kl, rtol=1e-5)
    np.testing.assert_allclose([figures["reconstruction"], figures["kl"]], [error, kl], rtol=1e-5)


def test_a_vae_has_no_critic(model: GAN):
    weights = jax.tree.leaves(model.state_.critic)
    assert bool(weights) == (model.method != "vae")
    assert ("critic_loss" in model.history_) == (model.method != "vae")


def test_classes_that_collapsed():
    """Class 0 keeps its spread, 1 all but loses it, 2 has a tenth of it, 3 had none, 4 is not looked at."""
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(5), 50)
    x = rng.normal(size=(250, 3)) * (y != 3)[:, None]
    labels = y[:200]
    synthetic = rng.normal(size=(200, 3)) * np.array([1.0, 0.01, 0.1, 0.0])[labels][:, None] + 5.0
    assert collapsed_classes(x, y, synthetic, labels) == [1]


@pytest.mark.parametrize("method", get_args(Method))
def test_collapse_is_warned_of(method: Method, monkeypatch: pytest.MonkeyPatch):
    """Whatever the method; without collapse a fit warns of nothing, which would fail every other test here."""
    monkeypatch.setattr(GAN, "sample", lambda self, labels, key: np.full((len(labels), 2), 0.5, np.float32))
    x, y = mixture()
    x[y == 0] = x[0]
    remedy = "more steps, at a lower rate" + (", or with a smaller beta" if method.startswith("vae") else "")
    with pytest.warns(RuntimeWarning, match=f"{method} collapsed: its rows of class 1 are .*; train for {remedy}$"):
        GAN(method, TINY).fit(x, y, KEY)


def test_a_vae_whose_encoder_says_nothing_has_collapsed():
    config = GANConfig(hidden=(16, 16), noise=4, steps=400, batch=16, beta=100.0, gp_rate=1e-2)
    with pytest.warns(RuntimeWarning, match="vae collapsed: its rows of class 0, 1 are all but the same"):
        GAN("vae", config).fit(*mixture(), KEY)
