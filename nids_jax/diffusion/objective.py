"""The training objective of the conditional diffusion model."""

import jax
import jax.numpy as jnp
from jax import Array


def q_sample(x0: Array, eps: Array, alpha_bar: Array) -> Array:
    """x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε  (Ho et al. 2020, eq. 4; P1 eq. 3).  alpha_bar [B] broadcasts over rows [B, d]."""
    return jnp.sqrt(alpha_bar)[:, None] * x0 + jnp.sqrt(1.0 - alpha_bar)[:, None] * eps


def velocity(x0: Array, eps: Array, alpha_bar: Array) -> Array:
    """v = √ᾱ_t ε − √(1 − ᾱ_t) x_0  (Salimans & Ho 2022); alpha_bar [B], rows [B, d].  x_0 = √ᾱ_t x_t − √(1 − ᾱ_t) v."""
    return jnp.sqrt(alpha_bar)[:, None] * eps - jnp.sqrt(1.0 - alpha_bar)[:, None] * x0


def drop_labels(labels: Array, rate: float, key: Array, null: int) -> Array:
    """Each label [B] becomes `null` with probability `rate`: trains the unconditional branch (Ho & Salimans 2022)."""
    return jnp.where(jax.random.bernoulli(key, rate, labels.shape), null, labels)


def guide(unconditional: Array, conditional: Array, weight: float) -> Array:
    """ε̄ = (1 − w) ε(x, t) + w ε(x, t, y)  (P1 eq. 11)."""
    return (1.0 - weight) * unconditional + weight * conditional
