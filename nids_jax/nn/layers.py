"""Building blocks shared by the networks: one-dimensional convolution, group norm, sinusoidal embedding."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.errors import InputError


class Uniforms:
    """Initial values of a network's parameters, handed out as consecutive slices of one draw.

    One large draw compiles in a fraction of the time that one draw per parameter takes.
    """

    def __init__(self, draw: Array | None = None):
        self.draw = draw  # None: only count how many values a network takes
        self.used = 0

    def __call__(self, shape: tuple[int, ...], bound: float) -> nnx.Param:
        """A parameter uniform on ±bound; zeros when counting."""
        start, self.used = self.used, self.used + math.prod(shape)
        if self.draw is None:
            return nnx.Param(jnp.zeros(shape))
        return nnx.Param(bound * self.draw[start : self.used].reshape(shape))


def initialise(build: Callable[[Uniforms], nnx.Module], key: Array) -> nnx.Module:
    """The network that `build` makes, its parameters drawn from `key`."""
    counter = Uniforms()
    nnx.eval_shape(lambda: build(counter))
    return build(Uniforms(jax.random.uniform(key, (counter.used,), minval=-1.0, maxval=1.0)))


class Conv1d(nnx.Module):
    """y[b, l] = Σ_k x[b, l + k − ⌊(K−1)/2⌋] W_k + b, zero padded to the same length (P1 eq. 12 with stride 1)."""

    def __init__(self, features_in: int, features_out: int, kernel: int, *, init: Uniforms):
        bound = 1.0 / math.sqrt(features_in * kernel)  # PyTorch's default, which the papers trained with
        self.kernel = init((kernel, features_in, features_out), bound)
        self.bias = init((features_out,), bound)

    def __call__(self, x: Array) -> Array:
        """x [B, L, C_in] → [B, L, C_out]."""
        return self.unbiased(x) + self.bias[...].astype(x.dtype)

    def unbiased(self, x: Array) -> Array:
        """The same without b, for a norm to add."""
        weights = self.kernel[...].astype(x.dtype)
        if len(weights) == 1:
            return x @ weights[0]
        # On CPUs the gradient of `lax.conv` within a loop takes ten times as long as products do.
        return _convolved(x, weights) if jax.default_backend() == "cpu" else _lax_convolved(x, weights)


def _lax_convolved(x: Array, weights: Array) -> Array:
    return jax.lax.conv_general_dilated(x, weights, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


@jax.custom_vjp
def _convolved(x: Array, weights: Array) -> Array:
    return _lax_convolved(x, weights)


def _convolved_forward(x: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    return _convolved(x, weights), (x, weights)


def _convolved_backward(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    """Both gradients from the same shifted views of dy, laid side by side, by a product each."""
    x, weights = saved
    width, features_in, features_out = weights.shape
    left, length = (width - 1) // 2, x.shape[1]
    padded = jnp.pad(dy, ((0, 0), (width - 1 - left, left), (0, 0)))
    views = jnp.concatenate([padded[:, k : k + length] for k in range(width)], axis=-1)  # dy[l + k + left + 1 − K]
    # That view goes with the kernel's tap K − 1 − k.
    taps = jnp.moveaxis(weights[::-1], 1, 2).reshape(width * features_out, features_in)
    dw = jax.lax.dot_general(x, views, (((0, 1), (0, 1)), ((), ()))).reshape(features_in, width, features_out)
    return views @ taps, jnp.moveaxis(dw, 1, 0)[::-1]


_convolved.defvjp(_convolved_forward, _convolved_backward)


class SequenceConv(nnx.Module):
    """The same convolution over sequences laid out [L, B, C], as recurrent layers read them: the views are contiguous.

    One input channel is spread by multiplication; otherwise one product with all K kernels is followed by the sum of
    its shifted views, which are no wider than the input's.
    """

    def __init__(self, features_in: int, features_out: int, kernel: int, *, init: Uniforms):
        if kernel % 2 == 0:
            raise InputError(
                f"`kernel` has {kernel} taps; give an odd number, so that the output is centred on the input"
            )
        bound = 1.0 / math.sqrt(features_in * kernel)
        self.kernel = init((kernel, features_in, features_out), bound)
        self.bias = init((features_out,), bound)

    def __call__(self, x: Array) -> Array:
        """x [L, B, C_in] → [L, B, C_out]."""
        weights = self.kernel[...].astype(x.dtype)
        spread = _sum_of_views if weights.shape[1] > 1 else _spread
        return spread(x, weights) + self.bias[...].astype(x.dtype)

    def inner(self, x: Array) -> Array:
        """The outputs that need no zeros beyond the ends: x [L, B, C_in] → [L − K + 1, B, C_out]."""
        weights, bias = self.kernel[...].astype(x.dtype), self.bias[...].astype(x.dtype)
        length = len(x) - len(weights) + 1
        views = [x[k : k + length] for k in range(len(weights))]
        parts = [v * w[0] if len(w) == 1 else v @ w for v, w in zip(views, weights, strict=True)]
        return sum(parts[1:], parts[0] + bias)


def convolve(layers: Sequence[SequenceConv], x: Array, block: int) -> Array:
    """relu(conv(…relu(conv(x)))), x [L, B, C_in] → [L, B, C_out], `block` positions at a time.

    What lies between two convolutions never leaves the cache; for its gradient, though, it would have to be kept.
    """
    length = len(x)
    halo = sum(len(layer.kernel[...]) // 2 for layer in layers)
    padded = jnp.pad(x, ((halo, halo + -length % block), (0, 0), (0, 0)))

    def turn(_: None, start: Array) -> tuple[None, Array]:
        h = jax.lax.dynamic_slice_in_dim(padded, start, block + 2 * halo)
        first = start - halo  # the position of h[0] in the sequence
        for layer in layers:
            h, first = jax.nn.relu(layer.inner(h)), first + len(layer.kernel[...]) // 2
            # Beyond the ends the next convolution reads zeros, not what this one makes of zeros.
            places = first + jnp.arange(len(h))
            h = jnp.where(((places >= 0) & (places < length))[:, None, None], h, 0.0)
        return None, h

    blocks = jax.lax.scan(turn, None, jnp.arange(0, length, block))[1]
    return blocks.reshape(-1, *blocks.shape[2:])[:length]


def _padded(x: Array, width: int) -> Array:
    return jnp.pad(x, ((width // 2, width // 2), (0, 0), (0, 0)))


def _views(x: Array, width: int) -> list[Array]:
    """x [L, B, C] shifted by −⌊K/2⌋, …, ⌊K/2⌋ places, zero beyond the ends."""
    padded = _padded(x, width)
    return [padded[k : k + len(x)] for k in range(width)]


@jax.custom_vjp
def _spread(x: Array, weights: Array) -> Array:
    parts: list[Array] = [view * kernel[0] for view, kernel in zip(_views(x, len(weights)), weights, strict=True)]
    return sum(parts[1:], parts[0])


def _spread_forward(x: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    return _spread(x, weights), (x, weights)


def _spread_backward(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, weights = saved
    width = len(weights)
    views = jnp.concatenate(_views(x, width), axis=-1)
    dw = jax.lax.dot_general(views, dy, (((0, 1), (0, 1)), ((), ())))[:, None]
    parts: list[Array] = [view @ kernel.T for view, kernel in zip(_views(dy, width), weights[::-1], strict=True)]
    return sum(parts[1:], parts[0]), dw


_spread.defvjp(_spread_forward, _spread_backward)


@jax.custom_vjp
def _sum_of_views(x: Array, weights: Array) -> Array:
    width, features_in, features_out = weights.shape
    # Zeros go around the input, not the products: the sum then reads these where they are.
    products = _padded(x, width) @ jnp.moveaxis(weights, 0, 1).reshape(features_in, width * features_out)
    views = [products[k : k + len(x), :, k * features_out : (k + 1) * features_out] for k in range(width)]
    return sum(views[1:], views[0])


def _sum_of_views_forward(x: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    return _sum_of_views(x, weights), (x, weights)


def _sum_of_views_backward(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    # Left to itself, the gradient of each slice becomes a padded array as large as all the products.
    x, weights = saved
    width, features_in, features_out = weights.shape
    views = jnp.concatenate(_views(dy, width), axis=-1)
    # The view of dy at offset k goes with the kernel at offset −k.
    flipped = jnp.moveaxis(weights[::-1], 1, 2).reshape(width * features_out, features_in)
    products = jax.lax.dot_general(x, views, (((0, 1), (0, 1)), ((), ()))).reshape(features_in, width, features_out)
    return views @ flipped, jnp.moveaxis(products, 1, 0)[::-1]


_sum_of_views.defvjp(_sum_of_views_forward, _sum_of_views_backward)


class LayerNorm1d(nnx.Module):
    """Group norm with one group: each row normalised over positions and channels together, then scaled per channel."""

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones((features,)))
        self.bias = nnx.Param(jnp.zeros((features,)))

    def __call__(self, x: Array, shift: Array) -> Array:
        """x + shift normalised: x [B, L, C], shift [C] → [B, L, C]; statistics in float32 whatever the type of x."""
        return _normalised(x, shift, self.scale[...], self.bias[...])


_Norm = tuple[Array, Array, Array, Array, Array]  # what the gradient needs


@jax.custom_vjp
def _normalised(x: Array, shift: Array, scale: Array, bias: Array) -> Array:
    return _normalised_forward(x, shift, scale, bias)[0]


def _normalised_forward(x: Array, shift: Array, scale: Array, bias: Array) -> tuple[Array, _Norm]:
    length, channels = x.shape[1:]
    wide = x.astype(jnp.float32)
    sums = wide.sum(axis=1)  # [B, C]
    mean = sums.mean(axis=1) / length + shift.mean()
    centre = (shift - mean[:, None])[:, None]
    # The two-pass form: E[x²] − E[x]² cancels badly where activations sit far from zero.
    variance = jnp.square(wide + centre).sum(axis=(1, 2)) / (length * channels)
    inverse = jax.lax.rsqrt(variance + 1e-5)[:, None, None]
    out = (wide + centre) * (inverse * scale) + bias
    return out.astype(x.dtype), (x, sums, centre, inverse, scale)


def _normalised_backward(saved: _Norm, dy: Array) -> tuple[Array, Array, Array, Array]:
    """All four gradients from two sums over positions [B, C]; left to itself, each is a pass of its own over dy."""
    x, sums, centre, inverse, scale = saved
    length, channels = x.shape[1:]
    wide = dy.astype(jnp.float32)
    unit = (x.astype(jnp.float32) + centre) * inverse
    plain, along = wide.sum(axis=1), (wide * unit).sum(axis=1)
    mean, slope = ((part @ scale / (length * channels))[:, None] for part in (plain, along))  # [B, 1]
    dx = inverse * (scale * wide - mean[..., None] - slope[..., None] * unit)
    units = inverse[:, 0] * (sums + length * centre[:, 0])  # Σ_l unit
    dshift = (inverse[:, 0] * (scale * plain - length * mean - slope * units)).sum(axis=0)
    return dx.astype(x.dtype), dshift, along.sum(axis=0), plain.sum(axis=0)


_normalised.defvjp(_normalised_forward, _normalised_backward)


class Dense(nnx.Module):
    """y = x W + b."""

    def __init__(self, features_in: int, features_out: int, *, init: Uniforms):
        bound = 1.0 / math.sqrt(features_in)
        self.kernel = init((features_in, features_out), bound)
        self.bias = init((features_out,), bound)

    def __call__(self, x: Array) -> Array:
        """x [..., C_in] → [..., C_out]."""
        return x @ self.kernel[...].astype(x.dtype) + self.bias[...].astype(x.dtype)


def sinusoidal(t: Array, width: int) -> Array:
    """[sin(t ω_i), cos(t ω_i)], ω_i = 10000^(−i/(width/2)): t [B] → [B, width]  (Vaswani et al. 2017, sec. 3.5)."""
    half = width // 2
    frequencies = jnp.exp(-math.log(10_000.0) * jnp.arange(half) / half)
    angles = t.astype(jnp.float32)[:, None] * frequencies
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
