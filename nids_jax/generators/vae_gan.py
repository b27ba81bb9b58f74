"""Game of VAE-WGAN-GP: a variational autoencoder whose decoder is the generator of a WGAN-GP (P2 section 3.2).

As in `wasserstein`, the label, one-hot, is joined to what each network reads, the encoder included.  P2's equation 7
has the critic's two expectations the wrong way round; here the critic is taught to value real rows above made ones.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.generators.adversarial import Figures
from nids_jax.generators.wasserstein import MLP, WCGANGP, Players
from nids_jax.nn.layers import Uniforms

WARM_UP = 0.3  # share of the run in which β rises


class Autoencoder(Players):
    """The encoder q(z | x, y) = N(μ, σ²), the decoder G(z, y), which is the generator, and the critic D(x, y)."""

    def __init__(self, game: "VAEWGANGP", *, init: Uniforms):
        super().__init__(game, init=init)
        self.encoder = MLP((game.features + game.classes, *game.hidden, 2 * game.noise), init=init)

    def encode(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Rows x [B, d], labels y [B] → μ and log σ², [B, noise] each."""
        mean, log_variance = jnp.split(self.encoder(self.joined(x, y)), 2, axis=1)
        return mean, log_variance

    def reconstruct(self, mean: Array, log_variance: Array, y: Array, key: Array) -> Array:
        """G(μ + σ ε, y), ε ~ N(0, I): μ, log σ² [B, noise], labels y [B] → rows [B, d]  (P2 eqs. 3, 4)."""
        spread = jnp.exp(0.5 * log_variance)
        return self.generate(mean + spread * jax.random.normal(key, mean.shape, mean.dtype), y)


def kl_to_prior(mean: Array, log_variance: Array) -> Array:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − log σ²): μ, log σ² [B, k] → [B]  (Kingma & Welling 2014)."""
    return 0.5 * (jnp.square(mean) + jnp.expm1(log_variance) - log_variance).sum(axis=1)


def warmed_up(beta: float, done: Array) -> Array:
    """β · min(1, done / WARM_UP), `done` [] the share of the run that is over.

    A full KL term from the start teaches the encoder to say nothing before the decoder can use what it says (Bowman et
    al. 2016).
    """
    return beta * jnp.minimum(1.0, done / WARM_UP)


@dataclass(frozen=True, kw_only=True)
class VAEWGANGP(WCGANGP):
    """Half of the made rows x' come from the prior, G(z, y), half are reconstructions x̂ of the real rows x.

    The critic's loss is WCGAN-GP's; that of encoder and decoder is (P2 eq. 8, as far as they enter it)

      −E[D(x', y)] + r · (mean of (x − x̂)² over rows and columns) + β E[KL(q(z | x, y) ‖ N(0, I))].

    P2 gives all terms the weight 1, but no variance of p(x | z): here it is d β / 2r, with d columns.
    """

    reconstruction: float  # r
    beta: float  # β after the warm-up

    def build(self, init: Uniforms) -> nnx.Module:
        return Autoencoder(self, init=init)

    def adversarial(self, values: Array) -> Array | float:
        """What the generator's loss adds for made rows of these values [2 B]."""
        return -values.mean()

    def made(self, players: Any, x: Array, y: Array, key: Array) -> Array:
        return self._forward(players, x, y, key)[0]

    def generator_loss(self, players: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        made, mean, log_variance = self._forward(players, x, y, key)
        error = jnp.square(x - made[len(x) :]).mean()
        kl = kl_to_prior(mean, log_variance).mean()
        loss = self.reconstruction * error + warmed_up(self.beta, done) * kl
        loss += self.adversarial(players.judge(made, jnp.tile(y, 2)))
        return loss, {"reconstruction": error, "kl": kl}

    def _forward(self, players: Any, x: Array, y: Array, key: Array) -> tuple[Array, Array, Array]:
        """x [B, d] → rows from the prior and then reconstructed ones, [2 B, d] in all, and μ, log σ² [B, noise]."""
        prior_key, noise_key = jax.random.split(key)
        mean, log_variance = players.encode(x, y)
        reconstructed = players.reconstruct(mean, log_variance, y, noise_key)
        return jnp.concatenate([super().made(players, x, y, prior_key), reconstructed]), mean, log_variance


@dataclass(frozen=True, kw_only=True)
class VAE(VAEWGANGP):
    """VAE-WGAN-GP without what its critic adds, to tell what it is worth: a conditional variational autoencoder.

    The critic is built, but not taught and not asked.  Rows are the decoder's means, without the noise of p(x | z).
    """

    def adversarial(self, values: Array) -> float:
        return 0.0

    def critic_loss(self, players: Any, x: Array, y: Array, key: Array) -> tuple[Array, Figures]:
        return jnp.zeros(()), {}
