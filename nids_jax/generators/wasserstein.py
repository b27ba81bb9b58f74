"""Games of a Wasserstein GAN: weight clipping (`WGAN`) and gradient penalty (`WCGANGP`), with their networks.

Both are conditional: the label, one-hot, is joined to the generator's noise and to the critic's row (Mirza & Osindero
2014), so that one model makes every class.  Arjovsky et al. 2017 have no labels; without them a WGAN would need a model
per class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from nids_jax.generators.adversarial import Figures
from nids_jax.nn.layers import Dense, Uniforms


class MLP(nnx.Module):
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

    def __init__(self, game: "Wasserstein", *, init: Uniforms):
        self.classes, self.bounded = game.classes, game.bounded
        self.generator = MLP((game.noise + game.classes, *game.hidden, game.features), init=init)
        self.critic = MLP((game.features + game.classes, *game.hidden, 1), init=init)

    def generate(self, z: Array, y: Array) -> Array:
        """Noise z [B, noise], labels y [B] → rows [B, d]."""
        rows = self.generator(self.joined(z, y))
        return jnp.tanh(rows) if self.bounded else rows

    def judge(self, x: Array, y: Array) -> Array:
        """Rows x [B, d], labels y [B] → the critic's values [B], higher for rows it takes for real."""
        return self.critic(self.joined(x, y))[:, 0]

    def joined(self, x: Array, y: Array) -> Array:
        return jnp.concatenate([x, jax.nn.one_hot(y, self.classes, dtype=x.dtype)], axis=1)


def gradient_norms(judge: Callable[[Array, Array], Array], x: Array, y: Array) -> Array:
    """‖∇_x D(x, y)‖₂ of each row: x [B, d], y [B] → [B]."""
    gradient = jax.grad(lambda rows: judge(rows, y).sum())(x)
    # The root's own gradient is infinite at 0.
    return jnp.sqrt(jnp.square(gradient).sum(axis=1) + 1e-12)


@dataclass(frozen=True, kw_only=True)
class Wasserstein:
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

    def made(self, players: Players, x: Array, y: Array, key: Array) -> Array:
        """Rows to set beside the real ones, x [B, d] with labels y [B]: [k B, d], k times in a row with labels y."""
        return players.generate(jax.random.normal(key, (len(x), self.noise), x.dtype), y)

    def critic_loss(self, players: Players, x: Array, y: Array, key: Array) -> tuple[Array, Figures]:
        made_key, mix_key = jax.random.split(key)
        made = self.made(players, x, y, made_key)
        times = len(made) // len(x)
        x, y = jnp.tile(x, (times, 1)), jnp.tile(y, times)
        mix = jax.random.uniform(mix_key, (len(x), 1), x.dtype)
        norms = gradient_norms(players.judge, mix * x + (1.0 - mix) * made, y)
        wasserstein = players.judge(x, y).mean() - players.judge(made, y).mean()
        return self.lipschitz(norms) - wasserstein, {"wasserstein": wasserstein, "gradient_norm": norms.mean()}

    def generator_loss(self, players: Players, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        return -players.judge(self.made(players, x, y, key), y).mean(), {}


@dataclass(frozen=True, kw_only=True)
class WGAN(Wasserstein):
    """The critic's weights are kept in ±clip, and RMSProp trains both  (Arjovsky et al. 2017, algorithm 1)."""

    clip: float

    def constrain(self, critic: nnx.State) -> nnx.State:
        return jax.tree.map(lambda weights: jnp.clip(weights, -self.clip, self.clip), critic)

    def optimiser(self) -> optax.GradientTransformation:
        # As PyTorch, with which the paper trained: it adds 1e-8 to the root, optax under it, where 1e-8 would outweigh
        # the squares of a clipped critic's gradients.
        return optax.rmsprop(self.rate, decay=0.99, eps=1e-16)


@dataclass(frozen=True, kw_only=True)
class WCGANGP(Wasserstein):
    """The critic's loss adds λ E[(‖∇_x̂ D(x̂,y)‖₂ − 1)²], x̂ = u x + (1−u) G(z,y), u uniform; Adam trains both.

    (Gulrajani et al. 2017, algorithm 1.)
    """

    penalty: float

    def lipschitz(self, norms: Array) -> Array:
        return self.penalty * jnp.square(norms - 1.0).mean()

    def optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.rate, b1=0.5, b2=0.9)
