"""Games with a variational autoencoder whose decoder is the generator: VAE-WGAN-GP (P2 section 3.2) and its ablations.

As in `wasserstein`, the label, one-hot, is joined to what each network reads, the encoder included.  P2's equation 7
has the critic's two expectations the wrong way round; here the critic is taught to value real rows above made ones.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.generators.wasserstein import MLP, WCGANGP, Clipped, Players, Wasserstein
from nids_jax.nn.layers import Uniforms
from nids_jax.training.adversarial import Figures

WARM_UP = 0.3  # share of the run in which β rises


class Autoencoder(Players):
    """The encoder q(z | x, y) = N(μ, σ²), the decoder G(z, y), which is the generator, and the critic D(x, y)."""

    def __init__(self, game: "Variational", *, init: Uniforms):
        super().__init__(game, init=init)
        self.encoder = MLP((game.features + game.classes, *game.hidden, 2 * game.noise), init=init)

    def encode(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Rows x [B, d], labels y [B] → μ and log σ², [B, noise] each."""
        mean, log_variance = jnp.split(self.encoder(self.joined(x, y)), 2, axis=1)
        return mean, log_variance


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
class Variational(Wasserstein):
    """Half of the made rows x' come from the prior, G(z, y), half are reconstructions x̂ of the real rows x.

    x̂ = G(μ + σ ε, y), ε ~ N(0, I)  (P2 eqs. 3, 4).  The critic's loss is the other base class's, on as many made rows
    as real ones; that of encoder and decoder is (P2 eq. 8, as far as they enter it)

      −E[D(x', y)] + r · (mean of (x − x̂)² over rows and columns) + β E[KL(q(z | x, y) ‖ N(0, I))].

    A categorical feature counts as one column and has −log p(x | z, y), p the softmax of its logits, for (x − x̂)²: a
    decoder's logits then say how often each category occurs, which squares of one drawn category would not teach them.
    P2 gives all terms the weight 1, but no variance of p(x | z): here it is d β / 2r, with d columns.
    """

    reconstruction: float  # r
    beta: float  # β after the warm-up

    def build(self, init: Uniforms) -> nnx.Module:
        return Autoencoder(self, init=init)

    def adversarial(self, values: Array) -> Array | float:
        """What the generator's loss adds for made rows of these values."""
        return -values.mean()

    def made(self, players: Any, x: Array, y: Array, key: Array) -> Array:
        """Every other row is a reconstruction."""
        prior_key, noise_key = jax.random.split(key)
        prior = jax.random.normal(prior_key, (len(x), self.noise), x.dtype)
        mean, log_variance = players.encode(x[::2], y[::2])
        z = self.latent(mean, log_variance, noise_key)
        reconstructed = (jnp.arange(len(x)) % 2 == 0)[:, None]
        z = jnp.where(reconstructed, jnp.repeat(z, 2, axis=0)[: len(x)], prior)
        return self.heads.rows(players.decode(z, y), self.gumbels(key, len(x)))

    def latent(self, mean: Array, log_variance: Array, key: Array) -> Array:
        """μ + σ ε, ε ~ N(0, I): μ, log σ² [B, noise] → z [B, noise]  (P2 eq. 3)."""
        return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)

    def generator_loss(self, players: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        prior_key, noise_key = jax.random.split(key)
        mean, log_variance = players.encode(x, y)
        prior = jax.random.normal(prior_key, mean.shape, mean.dtype)
        twice = jnp.tile(y, 2)
        out = players.decode(jnp.concatenate([prior, self.latent(mean, log_variance, noise_key)]), twice)
        error = self.heads.error(out[len(x) :], x)
        kl = kl_to_prior(mean, log_variance).mean()
        loss = self.reconstruction * error + warmed_up(self.beta, done) * kl
        loss += self.adversarial(players.judge(self.heads.rows(out, self.gumbels(key, len(out))), twice))
        return loss, {"reconstruction": error, "kl": kl}


@dataclass(frozen=True, kw_only=True)
class VAEWGANGP(Variational, WCGANGP):
    """`Variational` with the critic of WCGAN-GP  (P2 section 3.2)."""


@dataclass(frozen=True, kw_only=True)
class VAEWGAN(Variational, Clipped):
    """VAE-WGAN-GP without its gradient penalty, to tell what that is worth.

    The critic's weights are kept in ±clip instead, as WGAN's: without any bound its loss would have no minimum.  All
    else, Adam included, is VAE-WGAN-GP's.
    """


@dataclass(frozen=True, kw_only=True)
class VAE(Variational):
    """VAE-WGAN-GP without what its critic adds, to tell what it is worth: a conditional variational autoencoder.

    The critic is built, but not taught and not asked.  Numbers are the decoder's means, without the noise of p(x | z).
    """

    def adversarial(self, values: Array) -> float:
        return 0.0

    def shown(self, players: Any, x: Array, y: Array, key: Array) -> Any:
        return ()

    def critic_loss(self, players: Any, x: Array, y: Array, shown: Any) -> tuple[Array, Figures]:
        return jnp.zeros(()), {}
