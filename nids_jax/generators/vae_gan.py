"""Objectives with a variational autoencoder, whose decoder is the generator: VAE-WGAN-GP (P2 section 3.2), ablations.

As in `wasserstein`, the label, one-hot, is joined to what each network reads, the encoder included.  P2's equation 7
has the critic's two expectations the wrong way round; here the critic learns to value real rows above synthetic ones.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax import random
from nids_jax.generators.wasserstein import MLP, WCGANGP, Clipped, GeneratorAndCritic, Wasserstein
from nids_jax.nn.layers import Uniforms
from nids_jax.training.adversarial import Figures

WARM_UP = 0.3  # share of the run in which β rises


class Autoencoder(GeneratorAndCritic):
    """Encoder q(z | x, y) = N(μ, σ²), decoder G(z, y), which is the generator, and, if any, the critic D(x, y)."""

    def __init__(self, objective: "Variational", *, init: Uniforms):
        super().__init__(objective, init=init)
        self.encoder = MLP((objective.features + objective.classes, *objective.hidden, 2 * objective.noise), init=init)

    def encode(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Rows x [B, d], labels y [B] → μ and log σ², [B, noise] each."""
        mean, log_variance = jnp.split(self.encoder(self.joined(x, y)), 2, axis=1)
        return mean, log_variance


def kl_to_prior(mean: Array, log_variance: Array) -> Array:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − log σ²): μ, log σ² [B, k] → [B]  (Kingma & Welling 2014)."""
    return 0.5 * (jnp.square(mean) + jnp.expm1(log_variance) - log_variance).sum(axis=1)


def partners(y: Array, key: Array) -> Array:
    """A random permutation of rows that keeps their labels: y [B] → row numbers [B], y[partners] = y."""
    first, second = jax.random.uniform(key, (2, len(y)))
    ours, theirs = jnp.lexsort((first, y)), jnp.lexsort((second, y))
    return jnp.zeros_like(ours).at[ours].set(theirs)


def warmed_up(beta: float, done: Array) -> Array:
    """β · min(1, done / WARM_UP), `done` [] the share of the run that is over.

    A full KL term from the start teaches the encoder to say nothing before the decoder can use what it says (Bowman et
    al. 2016).
    """
    return beta * jnp.minimum(1.0, done / WARM_UP)


@dataclass(frozen=True, kw_only=True)
class Variational(Wasserstein):
    """Half of the synthetic rows x' come from the prior, G(z, y), half are reconstructions x̂ of the real rows x.

    x̂ = G(μ + σ ε, y), ε ~ N(0, I)  (P2 eqs. 3, 4).  The critic's loss is `Wasserstein`'s with the subclass's bound, on
    as many synthetic rows as real ones; that of encoder and decoder is (P2 eq. 8, as far as they enter it)

      −E[D(x', y)] + r · (mean of (x − x̂)² over rows and columns) + β E[KL(q(z | x, y) ‖ N(0, I))].

    A categorical feature counts as one column and has −log p(x | z, y), p the softmax of its logits, for (x − x̂)²: a
    decoder's logits then say how often each category occurs, which squares of one drawn category would not teach them.
    P2 gives all terms the weight 1, but no variance of p(x | z): here it is d β / 2r, with d columns.
    """

    reconstruction: float  # r
    beta: float  # β after the warm-up

    def build(self, init: Uniforms) -> nnx.Module:
        return Autoencoder(self, init=init)

    def synthetic(self, networks: Any, x: Array, y: Array, key: Array) -> Array:
        """Every other row is a reconstruction."""
        prior_key, noise_key = jax.random.split(key)
        prior = jax.random.normal(prior_key, (len(x), self.noise), x.dtype)
        mean, log_variance = networks.encode(x[::2], y[::2])
        z = self.latent(mean, log_variance, noise_key)
        reconstructed = (jnp.arange(len(x)) % 2 == 0)[:, None]
        z = jnp.where(reconstructed, jnp.repeat(z, 2, axis=0)[: len(x)], prior)
        return self.heads.rows(networks.decode(z, y), self.gumbels(key, len(x)))

    def shown(self, networks: Any, x: Array, y: Array, key: Array) -> Any:
        """As `Wasserstein.shown`, the synthetic rows exchanged within their classes.

        WGAN-GP interpolates between rows drawn independently; a real row and its own reconstruction are not.
        """
        synthetic, mix = super().shown(networks, x, y, key)
        return synthetic[partners(y, random.stream(key, "partners"))], mix

    def latent(self, mean: Array, log_variance: Array, key: Array) -> Array:
        """μ + σ ε, ε ~ N(0, I): μ, log σ² [B, noise] → z [B, noise]  (P2 eq. 3)."""
        return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)

    def generator_loss(self, networks: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        prior_key, noise_key = jax.random.split(key)
        mean, log_variance = networks.encode(x, y)
        prior = jax.random.normal(prior_key, mean.shape, mean.dtype)
        twice = jnp.tile(y, 2)
        out = networks.decode(jnp.concatenate([prior, self.latent(mean, log_variance, noise_key)]), twice)
        loss, figures = self.autoencoding_loss(out[len(x) :], x, mean, log_variance, done)
        return loss - networks.judge(self.heads.rows(out, self.gumbels(key, len(out))), twice).mean(), figures

    def autoencoding_loss(
        self, out: Array, x: Array, mean: Array, log_variance: Array, done: Array
    ) -> tuple[Array, Figures]:
        """The terms of reconstruction and KL: decoder outputs [B, d] for rows x [B, d], μ and log σ² [B, noise]."""
        error = self.heads.error(out, x)
        kl = kl_to_prior(mean, log_variance).mean()
        return self.reconstruction * error + warmed_up(self.beta, done) * kl, {"reconstruction": error, "kl": kl}


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
    """VAE-WGAN-GP without its critic, to tell what that is worth: a conditional variational autoencoder.

    Numbers are the decoder's means, without the noise of p(x | z).
    """

    has_critic: ClassVar[bool] = False

    def generator_loss(self, networks: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        mean, log_variance = networks.encode(x, y)
        out = networks.decode(self.latent(mean, log_variance, key), y)
        return self.autoencoding_loss(out, x, mean, log_variance, done)
