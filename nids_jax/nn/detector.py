"""The neural detectors: recurrent layers over the features of a flow as a sequence (P1 III.D and its Fig. 4)."""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.nn.layers import Dense, SequenceConv, Uniforms, convolve
from nids_jax.nn.recurrent import Bidirectional, block_size


class NetworkConfig(Protocol):
    """What a detector's network is built from: a frozen, hashable dataclass."""

    def build(self, features: int, classes: int, init: Uniforms) -> Any:
        """A module that maps rows x [B, features] to logits [B, classes]: called with x and, in training, key=….

        Its parameters' initial values are taken from `init`.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Sizes of a recurrent network; the defaults are P1's CNN-BiGRU."""

    channels: tuple[int, ...] = (128, 64)  # of the convolutions, possibly none
    cells: tuple[str, ...] = ("gru", "gru")  # see `Bidirectional`
    hidden: tuple[int, ...] = (64, 32)  # per direction
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if len(self.cells) != len(self.hidden):
            raise ValueError(f"{len(self.cells)} cells and {len(self.hidden)} hidden sizes; give one size per cell")

    def build(self, features: int, classes: int, init: Uniforms) -> "RecurrentNetwork":
        """The network; it reads rows of any number of features."""
        return RecurrentNetwork(self, classes, init=init)


# P1 Table IV's neural detectors; it names the rivals' layers, not their sizes, so they get the same.  The GRU of
# `cnn_bigru_paper` is that of P1's eqs. 13 to 16, which resets the state before the product.
NETWORKS: dict[str, NetworkConfig] = {
    "cnn_bigru": RecurrentConfig(),
    "cnn_bigru_paper": RecurrentConfig(cells=("gru_paper", "gru_paper")),
    "cnn_bilstm": RecurrentConfig(cells=("lstm", "lstm")),
    "bilstm_bigru": RecurrentConfig(channels=(), cells=("lstm", "gru")),
    "bilstm": RecurrentConfig(channels=(), cells=("lstm", "lstm")),
}


class RecurrentNetwork(nnx.Module):
    """(conv3 – ReLU)* – (bidirectional layer – dropout)+ – dense, read out from the last layer's two final states.

    CNN-BiGRU: conv 128 – conv 64 – BiGRU 64 – BiGRU 32 – dense.
    """

    def __init__(self, config: RecurrentConfig, classes: int, *, init: Uniforms):
        widths = (1, *config.channels)
        self.convolutions = nnx.List(
            SequenceConv(a, b, 3, init=init) for a, b in zip(widths, config.channels, strict=False)
        )
        inputs = (widths[-1], *(2 * h for h in config.hidden))
        self.layers = nnx.List(
            Bidirectional(cell, width, hidden, init=init)
            for cell, width, hidden in zip(config.cells, inputs, config.hidden, strict=False)
        )
        self.head = Dense(inputs[-1], classes, init=init)
        self.dropout = config.dropout

    def __call__(self, x: Array, *, key: Array | None = None) -> Array:
        """x [B, N] → logits [B, classes]; `key` switches dropout on."""
        h = x.T[:, :, None]
        if key is None and self.convolutions:
            h = convolve(self.convolutions, h, block_size(len(h)))
        else:
            for convolution in self.convolutions:
                h = jax.nn.relu(convolution(h))
        keys = [None] * len(self.layers) if key is None else list(jax.random.split(key, len(self.layers)))
        for place, (layer, own) in enumerate(zip(self.layers, keys, strict=True), start=1):
            h = dropout(layer(h, sequence=place < len(self.layers)), self.dropout, own)
        return self.head(h)


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zero a share `rate` of x and scale the rest by 1/(1 − rate); without a key, x as it is.

    Sixteen random bits decide on a value: the rate is met to 1/65,536, at half the cost of 32 bits.
    """
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bits(key, x.shape, jnp.uint16) >= round(rate * 2**16)
    return jnp.where(kept, x / (1.0 - rate), 0.0)
