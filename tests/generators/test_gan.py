"""GANs: one compilation, classes of one row, what is refused; of WGAN and WCGAN-GP also modes and losses."""

from dataclasses import replace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

from nids_jax.errors import InputError
from nids_jax.generators.gan import GAN, GANConfig, Method
from nids_jax.generators.registry import make_generator
from nids_jax.generators.spec import Request
from nids_jax.generators.wasserstein import WCGANGP, WGAN, gradient_norms
from nids_jax.training import adversarial, loop

CENTRES = np.array([[[-0.7, -0.7], [-0.7, 0.7]], [[0.7, -0.7], [0.7, 0.7]]])  # [class, mode, column]
TINY = GANConfig(hidden=(16, 16), noise=4, steps=60, batch=16, bounded=True)
METHODS: tuple[Method, ...] = get_args(Method)
KEY = jax.random.key(7)


def mixture(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of two modes each, in equal parts."""
    number = np.arange(n)
    y = number % 2
    noise = 0.08 * np.random.default_rng(0).normal(size=(n, 2))
    return (CENTRES[y, number // 2 % 2] + noise).astype(np.float32), y


@pytest.fixture(scope="module", params=METHODS)
def model(request: pytest.FixtureRequest) -> GAN:
    return GAN(request.param, TINY).fit(*mixture(), jax.random.key(1))


@pytest.mark.parametrize(
    ("method", "config"),
    [
        ("wgan", GANConfig(hidden=(64, 64), noise=4, steps=800, batch=128, bounded=True, wgan_rate=3e-4)),
        # Gulrajani et al.'s own toy problems have λ = 0.1: a small one is learnt in fewer steps.
        ("wcgan_gp", GANConfig(hidden=(64, 64), noise=4, steps=800, batch=128, penalty=1.0, gp_rate=1e-3)),
    ],
)
def test_every_mode_of_every_class_gets_its_share(method: Method, config: GANConfig):
    labels = np.arange(2000) % 2
    out = GAN(method, config).fit(*mixture(), jax.random.key(0)).sample(labels, KEY)
    for label in range(2):
        own = out[labels == label]
        distance = np.linalg.norm(own[:, None] - CENTRES.reshape(4, 2), axis=2)
        shares = np.bincount(distance.argmin(axis=1), minlength=4) / len(own)
        assert shares[2 * label : 2 * label + 2].min() > 0.25
        assert shares[2 * label : 2 * label + 2].sum() > 0.95
        assert np.median(distance.min(axis=1)) < 0.35
        assert np.abs(own.mean(axis=0) - CENTRES[label].mean(axis=0)).max() < 0.2


def objective(**changes: Any) -> WCGANGP:
    settings: dict[str, Any] = {
        "features": 3,
        "classes": 2,
        "hidden": (5, 4),
        "noise": 2,
        "bounded": True,
        "rate": 1e-3,
    }
    return WCGANGP(**{**settings, "penalty": 10.0, **changes})


def test_critic_loss_and_its_gradient_against_finite_differences():
    """The loss by plain sums, its gradient by differences: that of the penalty holds second derivatives."""
    with jax.enable_x64(True):
        this = objective()
        start = adversarial.initial_state(jax.random.key(3), objective=this)
        wide = jax.tree.map(lambda a: a.astype(jnp.float64), (start.critic, start.generator))
        rng = np.random.default_rng(1)
        x, y = jnp.asarray(rng.normal(size=(6, 3))), jnp.asarray(rng.integers(0, 2, 6))

        both = adversarial.networks(this, *wide)
        shown = this.shown(both, x, y, KEY)

        @jax.jit
        def loss(critic: nnx.State) -> jax.Array:
            return this.critic_loss(adversarial.networks(this, critic, wide[1]), x, y, shown)[0]

        z_key, mix_key = jax.random.split(KEY)
        synthetic = jnp.tanh(both.decode(jax.random.normal(z_key, (6, 2), x.dtype), y))
        mix = np.asarray(jax.random.uniform(mix_key, (6, 1), x.dtype))
        between = np.asarray(mix * x + (1 - mix) * synthetic)
        step = 1e-6
        slopes = np.stack(
            [(both.judge(between + e, y) - both.judge(between - e, y)) / (2 * step) for e in step * np.eye(3)], axis=1
        )
        penalty = 10.0 * np.mean((np.sqrt((slopes**2).sum(axis=1)) - 1.0) ** 2)
        expected = float(both.judge(synthetic, y).mean() - both.judge(x, y).mean()) + penalty
        np.testing.assert_allclose(loss(wide[0]), expected, rtol=1e-7)

        flat, unravel = ravel_pytree(wide[0])
        gradient = ravel_pytree(jax.grad(loss)(wide[0]))[0]
        differences = [
            (loss(unravel(flat + e)) - loss(unravel(flat - e))) / (2 * step) for e in step * np.eye(len(flat))
        ]
        np.testing.assert_allclose(gradient, np.asarray(differences), rtol=1e-5, atol=1e-8)
        assert np.abs(gradient).max() > 0.1


def test_the_gradient_norm_of_a_linear_critic():
    """‖∇_x (w·x + b_y)‖ = ‖w‖, for every row and class; at a flat point its own gradient is finite."""
    w = jnp.array([3.0, 4.0])
    norms = gradient_norms(lambda x, y: x @ w + y, jnp.zeros((3, 2)), jnp.array([0, 1, 0]))
    np.testing.assert_allclose(norms, 5.0, rtol=1e-6)
    flat = jax.grad(lambda w: gradient_norms(lambda x, y: x @ w, jnp.zeros((3, 2)), jnp.zeros(3)).sum())(jnp.zeros(2))
    assert np.isfinite(flat).all()


def test_clipping_keeps_the_critic_within_its_bounds():
    fitted = GAN("wgan", TINY).fit(*mixture(), KEY)
    weights = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(fitted.state_.critic)])
    assert np.abs(weights).max() == np.float32(0.01)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(fitted.state_.generator)) > 0.01


def test_rmsprop_takes_the_steps_of_its_formula():
    """v ← 0.99 v + 0.01 g², θ ← θ − rate · g / √v, with gradients far below 1e-4 too."""
    optimiser = WGAN(features=1, classes=1, hidden=(1,), noise=1, bounded=False, rate=0.1, clip=0.01).optimiser()
    state, v = optimiser.init(jnp.zeros(())), 0.0
    for g in (1e-6, -2e-6, 5e-6):
        update: Any
        update, state = optimiser.update(jnp.asarray(g), state)
        v = 0.99 * v + 0.01 * g * g
        np.testing.assert_allclose(update, -0.1 * g / np.sqrt(v), rtol=2e-2)


def test_history_has_every_step(model: GAN):
    names = {"generator_loss"}
    names |= {"reconstruction", "kl"} if model.method.startswith("vae") else set()
    assert set(model.history_) == names | (
        {"critic_loss", "wasserstein", "gradient_norm"} if model.method != "vae" else set()
    )
    for values in model.history_.values():
        assert values.shape == (60,)
        assert np.isfinite(values).all()
    own = "generator_loss" if model.method == "vae" else "critic_loss"
    np.testing.assert_array_equal(model.losses_, model.history_[own])
    if model.method == "wgan":
        np.testing.assert_array_equal(model.losses_, -model.history_["wasserstein"])


def test_same_key_same_bits(model: GAN):
    again = GAN(model.method, TINY).fit(*mixture(), jax.random.key(1))
    for ours, theirs in zip(jax.tree.leaves(model.state_), jax.tree.leaves(again.state_), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = GAN(model.method, TINY).fit(*mixture(), jax.random.key(2))
    assert not np.array_equal(model.losses_, other.losses_)


def test_more_steps_and_rows_do_not_recompile(model: GAN):
    compiled: Any = adversarial.advance
    before = compiled._cache_size()
    longer = GAN(model.method, replace(TINY, steps=130)).fit(*mixture(300), jax.random.key(1))
    assert len(longer.losses_) == 130
    assert compiled._cache_size() == before


@pytest.mark.parametrize("method", ["wgan", "wcgan_gp"])  # a VAE's warm-up is a share of its run
def test_more_steps_begin_as_fewer_do(method: Method):
    short = GAN(method, TINY).fit(*mixture(), KEY).losses_
    np.testing.assert_array_equal(GAN(method, replace(TINY, steps=75)).fit(*mixture(), KEY).losses_[:60], short)


@pytest.mark.parametrize("method", METHODS)
def test_classes_of_one_row(method: Method):
    x, y = mixture()
    generator = make_generator(method, Request(settings=TINY))
    out = generator.fit(x[:2], y[:2], KEY).sample(np.array([1, 0, 1]), KEY)
    assert out.shape == (3, 2)
    assert np.abs(out).max() <= 1.0


def test_losses_that_are_not_finite_are_reported():
    x, y = mixture()
    with pytest.raises(loop.TrainingError, match=r"in step \d+; .* lower the learning rate"):
        GAN("wcgan_gp", replace(TINY, gp_rate=1e30)).fit(x, y, KEY)


def test_bad_input_is_refused(model: GAN):
    x, y = mixture()
    with pytest.raises(InputError, match="no training rows"):
        GAN("wgan", TINY).fit(x[:0], y[:0], KEY)
    with pytest.raises(InputError, match="label -1 is negative"):
        GAN("wgan", TINY).fit(x, y - 1, KEY)
    with pytest.raises(InputError, match="infinite or missing"):
        GAN("wgan", TINY).fit(x * np.inf, y, KEY)
    with pytest.raises(InputError, match=r"the model knows 0\.\.1"):
        model.sample(np.array([2]), KEY)
    with pytest.raises(ValueError, match="`critic_steps` is 0"):
        GANConfig(critic_steps=0)
    with pytest.raises(ValueError, match="unknown method 'gan'"):
        GAN("gan")  # pyright: ignore[reportArgumentType]
