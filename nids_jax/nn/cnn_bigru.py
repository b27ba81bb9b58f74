"""CNN-BiGRU, the detector (P1 III.D and its Fig. 4)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.nn.layers import Conv1d, ConvMethod, Dense, Uniforms
from nids_jax.nn.recurrent import BiGRU


@dataclass(frozen=True, kw_only=True)
class CNNBiGRUConfig:
    """Sizes of the network; the defaults are P1's."""

    channels: tuple[int, int] = (128, 64)
    hidden: tuple[int, int] = (64, 32)  # per direction
    dropout: float = 0.2
    reset_after: bool = True  # False: eqs. 13–16 to the letter


class CNNBiGRU(nnx.Module):
    """conv3 – ReLU – conv3 – ReLU – BiGRU – dropout – BiGRU – dropout – dense, over the features as a sequence."""

    def __init__(self, config: CNNBiGRUConfig, classes: int, *, init: Uniforms):
        (c1, c2), (h1, h2) = config.channels, config.hidden
        self.conv1 = Conv1d(1, c1, 3, init=init)
        self.conv2 = Conv1d(c1, c2, 3, init=init)
        self.gru1 = BiGRU(c2, h1, reset_after=config.reset_after, init=init)
        self.gru2 = BiGRU(2 * h1, h2, reset_after=config.reset_after, init=init)
        self.head = Dense(2 * h2, classes, init=init)
        self.dropout = config.dropout

    def __call__(self, x: Array, *, method: ConvMethod, key: Array | None = None) -> Array:
        """x [B, N] → logits [B, classes]; `key` switches dropout on."""
        h = jax.nn.relu(self.conv1(x[:, :, None], method))
        h = jax.nn.relu(self.conv2(h, method))
        h, _ = self.gru1(jnp.swapaxes(h, 0, 1))
        first, second = (None, None) if key is None else jax.random.split(key)
        _, h = self.gru2(dropout(h, self.dropout, first))
        return self.head(dropout(h, self.dropout, second))


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zero a share `rate` of x and scale the rest by 1/(1 − rate); without a key, x as it is."""
    if key is None or rate == 0.0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1.0 - rate, x.shape), x / (1.0 - rate), 0.0)
