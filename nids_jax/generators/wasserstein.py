"""Objectives of a Wasserstein GAN: weight clipping (`WGAN`) and gradient penalty (`WCGANGP`), with their networks.

Both are conditional: the label, one-hot, is joined to the generator's noise and to the critic's row (Mirza & Osindero
2014), so that one model makes every class.  Arjovsky et al. 2017 have no labels; without them (`classes=0`) a WGAN
needs a model per class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from nids_jax import random
from nids_jax.generators.heads import Blocks, Heads
from nids_jax.nn.layers import Dense, Uniforms
from nids_jax.training.adversarial import Figures


class MLP(nnx.Module):
    """Dense layers with LeakyReLU(0.2) between them."""

    def __init__(self, widths: Sequence[int], *, init: Uniforms):
        self.layers = nnx.List([Dense(a, b, init=init) for a, b in pairwise(widths)])

    def __call__(self, x: Array) -> Array:
        """x [B, widths[0]] → [B, widths[-1]]."""
        for layer in list(self.layers)[:-1]:
            x = jax.nn.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)


class GeneratorAndCritic(nnx.Module):
    """The generator G(z, y) and, where the objective has one, the critic D(x, y)."""

    def __init__(self, objective: "Wasserstein", *, init: Uniforms):
        self.classes = objective.classes
        self.generator = MLP((objective.noise + objective.classes, *objective.hidden, objective.features), init=init)
        if objective.has_critic:
            self.critic = MLP((objective.features + objective.classes, *objective.hidden, 1), init=init)

    def decode(self, z: Array, y: Array) -> Array:
        """Noise z [B, noise], labels y [B] → what the heads make rows of [B, d]."""
        return self.generator(self.joined(z, y))

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
    """Critic: min E[D(G(z,y),y)] − E[D(x,y)] + lipschitz; generator: min −E[D(G(z,y),y)]; z ~ N(0, I).

    Adam trains both, as Gulrajani et al. 2017 set it.
    """

    has_critic: ClassVar[bool] = True

    features: int
    classes: int  # 0: rows without labels
    hidden: tuple[int, ...]
    noise: int
    bounded: bool
    blocks: Blocks = ()
    rate: float

    @property
    def heads(self) -> Heads:
        return Heads(self.bounded, self.blocks)

    def build(self, init: Uniforms) -> nnx.Module:
        return GeneratorAndCritic(self, init=init)

    def optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.rate, b1=0.5, b2=0.9)

    def lipschitz(self, norms: Array) -> Array | float:
        """What the critic's loss adds for gradients of these norms [B]."""
        return 0.0

    def constrain(self, critic: nnx.State) -> nnx.State:
        return critic

    def synthetic(self, networks: Any, x: Array, y: Array, key: Array) -> Array:
        """Synthetic rows [n, d] with the labels y [n] of the real rows x [n, d]."""
        z = jax.random.normal(key, (len(x), self.noise), x.dtype)
        return self.heads.rows(networks.decode(z, y), self.gumbels(key, len(x)))

    def gumbels(self, key: Array, rows: int) -> Array:
        """The noise with which the categories of so many rows are drawn."""
        return self.heads.noise(random.stream(key, "categories"), rows)

    def shown(self, networks: Any, x: Array, y: Array, key: Array) -> Any:
        """Synthetic rows [n, d], and the weights [n, 1] of the real ones where the critic's gradient is taken."""
        synthetic_key, mix_key = jax.random.split(key)
        synthetic = self.synthetic(networks, x, y, synthetic_key)
        return synthetic, jax.random.uniform(mix_key, (len(synthetic), 1), x.dtype)

    def critic_loss(self, networks: Any, x: Array, y: Array, shown: Any) -> tuple[Array, Figures]:
        synthetic, mix = shown
        norms = gradient_norms(networks.judge, mix * x + (1.0 - mix) * synthetic, y)
        values = networks.judge(jnp.concatenate([x, synthetic]), jnp.concatenate([y, y]))
        wasserstein = values[: len(x)].mean() - values[len(x) :].mean()
        return self.lipschitz(norms) - wasserstein, {"wasserstein": wasserstein, "gradient_norm": norms.mean()}

    def generator_loss(self, networks: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        return -networks.judge(self.synthetic(networks, x, y, key), y).mean(), {}


@dataclass(frozen=True, kw_only=True)
class Clipped(Wasserstein):
    """The critic's weights are kept in ±clip."""

    clip: float

    def constrain(self, critic: nnx.State) -> nnx.State:
        return jax.tree.map(lambda weights: jnp.clip(weights, -self.clip, self.clip), critic)


@dataclass(frozen=True, kw_only=True)
class WGAN(Clipped):
    """The critic's weights are kept in ±clip, and RMSProp trains both  (Arjovsky et al. 2017, algorithm 1)."""

    def optimiser(self) -> optax.GradientTransformation:
        # As PyTorch, with which the paper trained: it adds 1e-8 to the root, optax under it, where 1e-8 would outweigh
        # the squares of a clipped critic's gradients.
        return optax.rmsprop(self.rate, decay=0.99, eps=1e-16)


@dataclass(frozen=True, kw_only=True)
class WCGANGP(Wasserstein):
    """The critic's loss adds λ E[(‖∇_x̂ D(x̂,y)‖₂ − 1)²], x̂ = u x + (1−u) G(z,y), u uniform.

    (Gulrajani et al. 2017, algorithm 1.)
    """

    penalty: float

    def lipschitz(self, norms: Array) -> Array:
        return self.penalty * jnp.square(norms - 1.0).mean()
