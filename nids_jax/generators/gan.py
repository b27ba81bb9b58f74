"""Wasserstein GANs that make rows of a class asked for: `wgan` (weight clipping), `wcgan_gp` (gradient penalty).

Both are conditional: the label, one-hot, is joined to the generator's noise and to the critic's row (Mirza & Osindero
2014), so that one model makes every class.  Arjovsky et al. 2017 have no labels; without them `wgan` would need a model
per class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from nids_jax import random, training
from nids_jax.generators import adversarial
from nids_jax.generators.adversarial import Figures
from nids_jax.generators.base import check_labels, checked_rows
from nids_jax.nn.layers import Dense, Uniforms

Method = Literal["wgan", "wcgan_gp"]

_TILE = 1024  # rows sampled together; a row's place in its tile follows from its number, which fixes all rounding


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Settings of both GANs; the defaults of clip, penalty, rates and critic steps are the papers'."""

    hidden: tuple[int, ...] = (256, 256)  # of the generator and of the critic
    noise: int = 64  # width of z
    bounded: bool = False  # the rows lie within [-1, 1]: the generator ends in tanh
    steps: int = 10_000  # of the generator
    critic_steps: int = 5  # per step of the generator
    batch: int = 64
    clip: float = 0.01  # wgan: bound of the critic's weights
    wgan_rate: float = 5e-5  # RMSProp's
    penalty: float = 10.0  # wcgan_gp: λ
    gp_rate: float = 1e-4  # Adam's

    def __post_init__(self) -> None:
        for name in ("noise", "steps", "critic_steps", "batch", "clip", "wgan_rate", "penalty", "gp_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")


class _MLP(nnx.Module):
    """Dense layers with LeakyReLU(0.2) between them."""

    def __init__(self, widths: Sequence[int], *, init: Uniforms):
        self.layers = nnx.List([Dense(a, b, init=init) for a, b in pairwise(widths)])

    def __call__(self, x: Array) -> Array:
        """x [B, widths[0]] → [B, widths[-1]]."""
        for layer in list(self.layers)[:-1]:
            x = jax.nn.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)


class Players(nnx.Module):
    """The generator G(z, y) and the critic D(x, y)."""

    def __init__(self, game: "_Wasserstein", *, init: Uniforms):
        self.classes, self.bounded = game.classes, game.bounded
        self.generator = _MLP((game.noise + game.classes, *game.hidden, game.features), init=init)
        self.critic = _MLP((game.features + game.classes, *game.hidden, 1), init=init)

    def generate(self, z: Array, y: Array) -> Array:
        """Noise z [B, noise], labels y [B] → rows [B, d]."""
        rows = self.generator(self._joined(z, y))
        return jnp.tanh(rows) if self.bounded else rows

    def judge(self, x: Array, y: Array) -> Array:
        """Rows x [B, d], labels y [B] → the critic's values [B], higher for rows it takes for real."""
        return self.critic(self._joined(x, y))[:, 0]

    def _joined(self, x: Array, y: Array) -> Array:
        return jnp.concatenate([x, jax.nn.one_hot(y, self.classes, dtype=x.dtype)], axis=1)


def gradient_norms(judge: Callable[[Array, Array], Array], x: Array, y: Array) -> Array:
    """‖∇_x D(x, y)‖₂ of each row: x [B, d], y [B] → [B]."""
    gradient = jax.grad(lambda rows: judge(rows, y).sum())(x)
    # The root's own gradient is infinite at 0.
    return jnp.sqrt(jnp.square(gradient).sum(axis=1) + 1e-12)


@dataclass(frozen=True, kw_only=True)
class _Wasserstein:
    """Critic: min E[D(G(z,y),y)] − E[D(x,y)] + lipschitz; generator: min −E[D(G(z,y),y)]; z ~ N(0, I)."""

    features: int
    classes: int
    hidden: tuple[int, ...]
    noise: int
    bounded: bool
    rate: float

    def build(self, init: Uniforms) -> nnx.Module:
        return Players(self, init=init)

    def lipschitz(self, norms: Array) -> Array | float:
        """What the critic's loss adds for gradients of these norms [B]."""
        return 0.0

    def constrain(self, critic: nnx.State) -> nnx.State:
        return critic

    def critic_loss(self, players: Players, x: Array, y: Array, key: Array) -> tuple[Array, Figures]:
        z_key, mix_key = jax.random.split(key)
        made = players.generate(jax.random.normal(z_key, (len(x), self.noise), x.dtype), y)
        mix = jax.random.uniform(mix_key, (len(x), 1), x.dtype)
        norms = gradient_norms(players.judge, mix * x + (1.0 - mix) * made, y)
        wasserstein = players.judge(x, y).mean() - players.judge(made, y).mean()
        return self.lipschitz(norms) - wasserstein, {"wasserstein": wasserstein, "gradient_norm": norms.mean()}

    def generator_loss(self, players: Players, x: Array, y: Array, key: Array) -> tuple[Array, Figures]:
        made = players.generate(jax.random.normal(key, (len(x), self.noise), x.dtype), y)
        return -players.judge(made, y).mean(), {}


@dataclass(frozen=True, kw_only=True)
class WGAN(_Wasserstein):
    """The critic's weights are kept in ±clip, and RMSProp trains both  (Arjovsky et al. 2017, algorithm 1)."""

    clip: float

    def constrain(self, critic: nnx.State) -> nnx.State:
        return jax.tree.map(lambda weights: jnp.clip(weights, -self.clip, self.clip), critic)

    def optimiser(self) -> optax.GradientTransformation:
        # As PyTorch, with which the paper trained: it adds 1e-8 to the root, optax under it, where 1e-8 would outweigh
        # the squares of a clipped critic's gradients.
        return optax.rmsprop(self.rate, decay=0.99, eps=1e-16)


@dataclass(frozen=True, kw_only=True)
class WCGANGP(_Wasserstein):
    """The critic's loss adds λ E[(‖∇_x̂ D(x̂,y)‖₂ − 1)²], x̂ = u x + (1−u) G(z,y), u uniform; Adam trains both.

    (Gulrajani et al. 2017, algorithm 1.)
    """

    penalty: float

    def lipschitz(self, norms: Array) -> Array:
        return self.penalty * jnp.square(norms - 1.0).mean()

    def optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.rate, b1=0.5, b2=0.9)


@partial(jax.jit, static_argnames=("game",))
def _sample_tile(
    critic: nnx.State, generator: nnx.State, key: Array, first: np.int32, labels: np.ndarray, *, game: WGAN | WCGANGP
) -> Array:
    """Rows number first, first + 1, … with these labels [tile] → [tile, d]."""
    keys = random.rows(random.stream(key, "start"), first + jnp.arange(labels.shape[0]))
    both = adversarial.players(game, critic, generator)
    return both.generate(random.row_normals(keys, 0, game.noise), jnp.asarray(labels))


class GAN:
    """A conditional Wasserstein GAN over scaled flow features.

    Fitted attributes: `state_` (training state), `classes_` (their number), `features_` (d), `history_` (of every step
    of the generator, [steps] each: critic_loss, generator_loss, wasserstein = E[D(x,y)] − E[D(G(z,y),y)], and
    gradient_norm, E ‖∇_x̂ D‖₂ between real and made rows), `losses_` (the critic's, [steps]).
    """

    def __init__(self, method: Method, config: GANConfig | None = None, *, progress: bool = False):
        if method not in get_args(Method):
            raise ValueError(f"unknown method {method!r}; choose from {list(get_args(Method))}")
        self.method: Method = method
        self.config = config or GANConfig()
        self.progress = progress

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Train on scaled rows x [n, d] with labels y [n] = 0, 1, ….

        Raises:
          InputError: no rows, numbers that are not finite, or a negative label.
          TrainingError: a loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        self.classes_ = int(y.max()) + 1
        self.features_ = x.shape[1]
        c = self.config
        self.state_, self.history_ = adversarial.train(
            self._game(),
            training.pad(x, y),
            key,
            steps=c.steps,
            batch=c.batch,
            critic_steps=c.critic_steps,
            progress=self.method if self.progress else None,
        )
        self.losses_ = self.history_["critic_loss"]
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """One row per label: labels [m] → [m, d] float32; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label outside the classes trained on.
        """
        labels = np.asarray(labels, np.int32)
        check_labels(labels, self.classes_)
        rows = [np.zeros((0, self.features_), np.float32)]
        for first in range(0, len(labels), _TILE):
            wanted = labels[first : first + _TILE]
            padded = np.pad(wanted, (0, _TILE - len(wanted)))
            tile = _sample_tile(
                self.state_.critic, self.state_.generator, key, np.int32(first), padded, game=self._game()
            )
            rows.append(np.asarray(tile)[: len(wanted)])
        return np.concatenate(rows)

    def _game(self) -> WGAN | WCGANGP:
        c = self.config
        common: dict[str, Any] = {
            "features": self.features_,
            "classes": self.classes_,
            "hidden": c.hidden,
            "noise": c.noise,
            "bounded": c.bounded,
        }
        if self.method == "wgan":
            return WGAN(rate=c.wgan_rate, clip=c.clip, **common)
        return WCGANGP(rate=c.gp_rate, penalty=c.penalty, **common)
