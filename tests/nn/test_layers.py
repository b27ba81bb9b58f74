"""Layers against plain numpy loops."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nids_jax.nn.detector import NETWORKS, RecurrentConfig, RecurrentNetwork, dropout
from nids_jax.nn.layers import Conv1d, LayerNorm1d, SequenceConv, Uniforms, convolve, initialise, sinusoidal
from nids_jax.nn.unet1d import UNet1d, UNetConfig


def _uniforms(seed: int = 0, size: int = 100_000) -> Uniforms:
    return Uniforms(jax.random.uniform(jax.random.key(seed), (size,), minval=-1.0, maxval=1.0))


@pytest.mark.parametrize(
    ("channels", "length", "width"), [(1, 7, 3), (3, 7, 3), (4, 2, 3), (2, 1, 3), (3, 6, 2), (3, 4, 1)]
)
def test_convolution_equals_the_sum_in_its_docstring(channels: int, length: int, width: int):
    layer = Conv1d(channels, 5, width, init=_uniforms())
    x = np.random.default_rng(0).normal(size=(2, length, channels)).astype(np.float32)
    kernel, bias = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
    expected = np.zeros((2, length, 5))
    for b in range(2):
        for position in range(length):
            total = bias.astype(np.float64)
            for k in range(width):
                source = position + k - (width - 1) // 2
                if 0 <= source < length:
                    total = total + x[b, source] @ kernel[k]
            expected[b, position] = total
    np.testing.assert_allclose(layer(jnp.asarray(x)), expected, atol=1e-5)


def _gradients(layer: Any, *given: Any) -> Any:
    """Of a random sum over what the layer returns, in every argument."""
    pull = jax.random.normal(jax.random.key(9), jax.eval_shape(layer, *given).shape)
    return jax.jit(jax.grad(lambda *given: jnp.sum(pull * layer(*given)), tuple(range(len(given)))))(*given)


def _assert_equal_trees(found: Any, wanted: Any) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "length", "width"), [(1, 7, 3), (4, 6, 5), (4, 2, 5), (2, 1, 3), (3, 6, 2), (3, 4, 1)]
)
def test_gradients_of_a_convolution_equal_those_of_lax(channels: int, length: int, width: int):
    graph, params = nnx.split(Conv1d(channels, 5, width, init=_uniforms()))
    x = jax.random.normal(jax.random.key(1), (3, length, channels))

    def plain(x, params):
        dimensions = ("NWC", "WIO", "NWC")
        y = jax.lax.conv_general_dilated(x, params["kernel"][...], (1,), "SAME", dimension_numbers=dimensions)
        return y + params["bias"][...]

    _assert_equal_trees(_gradients(lambda x, p: nnx.merge(graph, p)(x), x, params), _gradients(plain, x, params))


@pytest.mark.parametrize("centre", [0.0, 30.0])
def test_norm_and_its_gradients_equal_the_textbook_formula(centre: float):
    keys = jax.random.split(jax.random.key(0), 4)
    x = centre + jax.random.normal(keys[0], (3, 7, 4))
    shift, scale, bias = (jax.random.normal(key, (4,)) for key in keys[1:])

    def ours(x, shift, scale, bias):
        layer = LayerNorm1d(4)
        layer.scale[...], layer.bias[...] = scale, bias
        return layer(x, shift)

    def textbook(x, shift, scale, bias):
        z = x + shift
        mean, variance = z.mean(axis=(1, 2), keepdims=True), z.var(axis=(1, 2), keepdims=True)
        return scale * (z - mean) / jnp.sqrt(variance + 1e-5) + bias

    given = (x, shift, scale, bias)
    np.testing.assert_allclose(ours(*given), textbook(*given), rtol=1e-4, atol=1e-5)
    _assert_equal_trees(_gradients(ours, *given), _gradients(textbook, *given))


def test_norm_gives_each_row_zero_mean_and_unit_variance():
    x = 1e3 + np.random.default_rng(0).normal(size=(3, 11, 4)).astype(np.float32)
    out = np.asarray(LayerNorm1d(4)(jnp.asarray(x), jnp.zeros(4))).reshape(3, -1)
    np.testing.assert_allclose(out.mean(axis=1), 0.0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=1), 1.0, atol=1e-3)


def test_sinusoidal_embedding_at_known_angles():
    out = np.asarray(sinusoidal(jnp.array([0.0, np.pi / 2]), 4))
    np.testing.assert_allclose(out[0], [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(out[1], [1, np.sin(np.pi / 200), 0, np.cos(np.pi / 200)], atol=1e-6)


@pytest.mark.parametrize(("channels", "width", "length"), [(1, 3, 7), (1, 5, 2), (6, 3, 7), (6, 5, 3), (3, 3, 1)])
def test_sequence_convolution_and_its_gradient_equal_lax(channels: int, width: int, length: int):
    layer = SequenceConv(channels, 5, width, init=_uniforms(2))
    x = jax.random.normal(jax.random.key(3), (length, 2, channels))
    graph, params = nnx.split(layer)

    def ours(x, params):
        return nnx.merge(graph, params)(x)

    def plain(x, params):
        dimensions = ("NWC", "WIO", "NWC")
        kernel, bias = params["kernel"][...], params["bias"][...]
        rows = jnp.swapaxes(x, 0, 1)
        y = jax.lax.conv_general_dilated(rows, kernel, (1,), "SAME", dimension_numbers=dimensions)
        return jnp.swapaxes(y, 0, 1) + bias

    np.testing.assert_allclose(ours(x, params), plain(x, params), rtol=1e-4, atol=1e-5)
    _assert_equal_trees(_gradients(ours, x, params), _gradients(plain, x, params))


@pytest.mark.parametrize("length", [1, 5, 12, 17])
@pytest.mark.parametrize("widths", [(3,), (5, 3), (3, 3, 1)])
def test_convolving_in_blocks_equals_lax_one_after_the_other(widths: tuple[int, ...], length: int):
    block = 6
    layers = [SequenceConv(i + 1, i + 2, width, init=_uniforms(i)) for i, width in enumerate(widths)]
    x = jax.random.normal(jax.random.key(1), (length, 2, 1))
    expected = jnp.swapaxes(x, 0, 1)
    for layer in layers:
        kernel = layer.kernel[...]
        y = jax.lax.conv_general_dilated(expected, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))
        expected = jnp.maximum(y + layer.bias[...], 0.0)
    found = jax.jit(lambda x: convolve(layers, x, block))(x)
    np.testing.assert_allclose(found, jnp.swapaxes(expected, 0, 1), rtol=1e-5, atol=1e-5)


def test_an_even_sequence_convolution_is_refused():
    with pytest.raises(ValueError, match="odd number"):
        SequenceConv(2, 3, 4, init=_uniforms())


def test_the_paper_unet_has_the_paper_size():
    skeleton = nnx.eval_shape(lambda: UNet1d(UNetConfig(), 15, init=Uniforms()))
    size = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(skeleton, nnx.Param)))
    assert round(size / 1e6, 1) == 7.6


@pytest.mark.parametrize("features", [3, 77])
def test_unet_keeps_any_length_and_sees_step_and_label(features: int):
    config = UNetConfig(widths=(4, 4, 8, 8), deep=8, embedding=8)

    @jax.jit
    def outputs(key, x):
        network = initialise(lambda init: UNet1d(config, 3, init=init), key)
        conditions = [(5, 0), (9, 0), (5, 3)]
        return [network(x, jnp.full(2, t), jnp.full(2, label)) for t, label in conditions]

    x = jax.random.normal(jax.random.key(1), (2, features))
    base, other_step, other_label = outputs(jax.random.key(0), x)
    assert base.shape == (2, features)
    assert not np.allclose(base, other_step)
    assert not np.allclose(base, other_label)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_detector_shape_and_dropout(name: str):
    own = NETWORKS[name]
    assert isinstance(own, RecurrentConfig)
    config = replace(own, channels=(4, 4)[: len(own.channels)], hidden=(4, 4))
    network = initialise(lambda init: RecurrentNetwork(config, 3, init=init), jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (2, 9))
    calm = network(x)
    assert calm.shape == (2, 3)
    assert not np.allclose(calm, network(x, key=jax.random.key(2)))
    calmed = replace(config, dropout=0.0)
    training = initialise(lambda init: RecurrentNetwork(calmed, 3, init=init), jax.random.key(0))
    # Without dropout training computes the same, by other means.
    np.testing.assert_allclose(calm, training(x, key=jax.random.key(2)), atol=1e-5)


def test_dropout_keeps_its_rate_and_the_mean():
    kept = np.asarray(dropout(jnp.ones(20_000), 0.2, jax.random.key(3)))
    assert set(np.unique(kept)) == {0.0, np.float32(1.25)}
    assert abs((kept == 0).mean() - 0.2) < 0.02  # 7 standard errors


def test_the_papers_detector_has_its_size():
    """conv 1→128→64, BiGRU 64, BiGRU 32 (cuDNN's extra bias only where it matters), dense: counted by hand."""
    skeleton = nnx.eval_shape(lambda: NETWORKS["cnn_bigru"].build(78, 15, Uniforms()))
    size = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(skeleton, nnx.Param)))
    convolutions = 3 * 128 + 128 + 3 * 128 * 64 + 64
    recurrent = 2 * (64 * 192 + 64 * 192 + 192 + 64) + 2 * (128 * 96 + 32 * 96 + 96 + 32)
    assert size == convolutions + recurrent + 64 * 15 + 15


@pytest.mark.slow
def test_bfloat16_is_float32_rounded():
    """Half precision within its rounding, from and to float32, with the same parameters."""
    config = UNetConfig(widths=(8, 8, 16, 16), deep=16, embedding=16)
    wide: Any = initialise(lambda init: UNet1d(config, 2, init=init), jax.random.key(0))
    half: Any = initialise(lambda init: UNet1d(replace(config, precision="bfloat16"), 2, init=init), jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (6, 20))
    t, labels = jnp.arange(6) + 1, jnp.arange(6) % 3
    wanted, found = (net(x, t, labels) for net in (wide, half))
    assert found.dtype == jnp.float32
    error = np.abs(found - wanted) / np.abs(wanted).max()
    assert 1e-5 < error.max() < 0.05  # bfloat16 has 8 bits
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(nnx.state(half, nnx.Param)))
    with pytest.raises(ValueError, match=r"unknown `precision` 'half'; choose from float32, bfloat16"):
        UNetConfig(precision="half")  # pyright: ignore[reportArgumentType]
