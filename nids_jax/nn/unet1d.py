"""1DNF-UNET, the noise predictor over the features of one flow (P1 III.C and its Fig. 3)."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.errors import InputError
from nids_jax.nn.layers import Conv1d, Dense, LayerNorm1d, Uniforms, sinusoidal

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Widths of the network; the defaults are P1's (7.6 M parameters)."""

    widths: tuple[int, int, int, int] = (64, 128, 256, 256)  # channels at full, half, quarter and eighth length
    deep: int = 512  # channels of the deep module
    embedding: int = 256  # width of the step and label embedding
    precision: Precision = "float32"  # of activations and products; parameters, norms and the output are float32

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise InputError(f"unknown `precision` {self.precision!r}; choose from {', '.join(get_args(Precision))}")
        if min(*self.widths, self.deep) < 1:
            raise InputError(f"`widths` are {self.widths} and `deep` is {self.deep}; give at least 1 channel each")
        if self.embedding < 2 or self.embedding % 2:
            raise InputError(f"`embedding` is {self.embedding}; give an even width from 2 on")


class DoubleConv(nnx.Module):
    """conv3 – norm – GELU – conv3 – norm; `residual` adds the input and applies GELU once more."""

    def __init__(self, c_in: int, c_out: int, *, middle: int | None = None, residual: bool = False, init: Uniforms):
        middle = middle or c_out
        self.first = Conv1d(c_in, middle, 3, init=init)
        self.first_norm = LayerNorm1d(middle)
        self.second = Conv1d(middle, c_out, 3, init=init)
        self.second_norm = LayerNorm1d(c_out)
        self.residual = residual

    def __call__(self, x: Array) -> Array:
        """x [B, L, C_in] → [B, L, C_out]."""
        hidden = jax.nn.gelu(self.first_norm(self.first.unbiased(x), self.first.bias[...]))
        out = self.second_norm(self.second.unbiased(hidden), self.second.bias[...])
        return jax.nn.gelu(x + out) if self.residual else out


class Stage(nnx.Module):
    """residual doubleconv → doubleconv + embedding, the common half of a down and an up module."""

    def __init__(self, c_in: int, c_out: int, embedding: int, *, middle: int | None = None, init: Uniforms):
        self.same = DoubleConv(c_in, c_in, residual=True, init=init)
        self.change = DoubleConv(c_in, c_out, middle=middle, init=init)
        self.project = Dense(embedding, c_out, init=init)

    def __call__(self, x: Array, embedding: Array) -> Array:
        """x [B, L, C_in], embedding [B, E] → [B, L, C_out]."""
        return self.change(self.same(x)) + self.project(jax.nn.silu(embedding))[:, None]


class UNet1d(nnx.Module):
    """ε_θ(x_t, t, y) of P1 eq. 10: three down modules, a deep one, three up modules."""

    def __init__(self, config: UNetConfig, classes: int, *, init: Uniforms):
        w, e = config.widths, config.embedding
        self.width, self.precision = e, config.precision
        # One row more than there are classes: the last is the "no label" of classifier-free guidance.
        self.labels = init((classes + 1, e), math.sqrt(3.0))  # unit variance
        self.inputs = DoubleConv(1, w[0], init=init)
        self.down = nnx.List([Stage(w[i], w[i + 1], e, init=init) for i in range(3)])
        self.deep = nnx.List(
            [
                DoubleConv(w[3], config.deep, init=init),
                DoubleConv(config.deep, config.deep, init=init),
                DoubleConv(config.deep, w[3], init=init),
            ]
        )
        joined = (w[3] + w[2], w[1] + w[1], w[0] + w[0])
        self.up = nnx.List(
            [Stage(joined[i], c, e, middle=joined[i] // 2, init=init) for i, c in enumerate((w[1], w[0], w[0]))]
        )
        self.outputs = Conv1d(w[0], 1, 1, init=init)

    def __call__(self, x: Array, t: Array, labels: Array) -> Array:
        """x [B, N] at steps t [B] with labels [B] (the number of classes means none) → predicted noise [B, N]."""
        length, wide = x.shape[1], x.dtype
        x = x.astype(self.precision) if self.precision != "float32" else x
        x = jnp.pad(x, ((0, 0), (0, max(8 - length, 0))))  # three poolings need eight positions
        embedding = (sinusoidal(t, self.width) + self.labels[...][labels]).astype(x.dtype)
        h = self.inputs(x[:, :, None])
        skips = []
        for stage in self.down:
            skips.append(h)
            h = stage(_max_pool(h), embedding)
        for block in self.deep:
            h = block(h)
        for stage in self.up:
            skip = skips.pop()
            h = stage(jnp.concatenate([skip, _upsample(h, skip.shape[1])], axis=-1), embedding)
        return self.outputs(h)[:, :length, 0].astype(wide)


def _max_pool(x: Array) -> Array:
    """Maximum of neighbouring pairs; an odd last position is dropped, as PyTorch's MaxPool1d(2) does."""
    batch, length, channels = x.shape
    pairs = x[:, : length // 2 * 2].reshape(batch, length // 2, 2, channels)
    return jnp.maximum(pairs[:, :, 0], pairs[:, :, 1])  # the gradient of `max` over an axis takes many passes


def _upsample(x: Array, length: int) -> Array:
    """Every position twice; the column that pooling dropped is filled with zeros (P1: "fills in any missing")."""
    doubled = jnp.repeat(x, 2, axis=1)
    return jnp.pad(doubled, ((0, 0), (0, length - doubled.shape[1]), (0, 0)))
