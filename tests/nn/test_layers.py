"""Layers against plain numpy loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from nids_jax.nn.cnn_bigru import CNNBiGRU, CNNBiGRUConfig, dropout

from nids_jax.nn.layers import Conv1d, LayerNorm1d, Uniforms, initialise, sinusoidal
from nids_jax.nn.recurrent import BiGRU
from nids_jax.nn.unet1d import UNet1d, UNetConfig


def _uniforms(seed: int = 0, size: int = 100_000) -> Uniforms:
    return Uniforms(jax.random.uniform(jax.random.key(seed), (size,), minval=-1.0, maxval=1.0))


@pytest.mark.parametrize("method", ["matmul", "lax"])
@pytest.mark.parametrize(("channels", "length"), [(1, 7), (3, 7), (4, 2), (2, 1)])
def test_convolution_equals_the_sum_in_its_docstring(method, channels: int, length: int):
    layer = Conv1d(channels, 5, 3, init=_uniforms())
    x = np.random.default_rng(0).normal(size=(2, length, channels)).astype(np.float32)
    kernel, bias = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
    expected = np.zeros((2, length, 5))
    for b in range(2):
        for position in range(length):
            total = bias.astype(np.float64)
            for k in range(3):
                source = position + k - 1
                if 0 <= source < length:
                    total = total + x[b, source] @ kernel[k]
            expected[b, position] = total
    np.testing.assert_allclose(layer(jnp.asarray(x), method), expected, atol=1e-5)


def test_norm_gives_each_row_zero_mean_and_unit_variance():
    x = 1e3 + np.random.default_rng(0).normal(size=(3, 11, 4)).astype(np.float32)
    out = np.asarray(LayerNorm1d(4)(jnp.asarray(x))).reshape(3, -1)
    np.testing.assert_allclose(out.mean(axis=1), 0.0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=1), 1.0, atol=1e-3)


def test_sinusoidal_embedding_at_known_angles():
    out = np.asarray(sinusoidal(jnp.array([0.0, np.pi / 2]), 4))
    np.testing.assert_allclose(out[0], [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(out[1], [1, np.sin(np.pi / 200), 0, np.cos(np.pi / 200)], atol=1e-6)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _gru_loop(layer: BiGRU, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row, one step, one direction at a time, in float64; P1's eqs. 13–16 or their cuDNN form."""
    w, u, b = (np.asarray(p[...], np.float64) for p in (layer.input_kernel, layer.state_kernel, layer.input_bias))
    c = None if layer.candidate_bias is None else np.asarray(layer.candidate_bias[...], np.float64)
    length, batch, _ = x.shape
    h = layer.hidden
    outputs = np.zeros((length, batch, 2 * h))
    finals = np.zeros((batch, 2 * h))
    for direction in range(2):
        order = range(length) if direction == 0 else range(length - 1, -1, -1)
        for row in range(batch):
            state = np.zeros(h)
            for t in order:
                p = x[t, row] @ w[direction] + b[direction]
                s = state @ u[direction]
                r = _sigmoid(p[:h] + s[:h])
                z = _sigmoid(p[h : 2 * h] + s[h : 2 * h])
                if c is not None:
                    n = np.tanh(p[2 * h :] + r * (s[2 * h :] + c[direction]))
                    state = (1 - z) * n + z * state
                else:
                    n = np.tanh(p[2 * h :] + (r * state) @ u[direction][:, 2 * h :])
                    state = (1 - z) * state + z * n
                outputs[t, row, direction * h : (direction + 1) * h] = state
            finals[row, direction * h : (direction + 1) * h] = state
    return outputs, finals


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_equals_a_plain_loop(reset_after: bool):
    layer = BiGRU(3, 5, reset_after=reset_after, init=_uniforms(1))
    x = np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32)
    outputs, finals = layer(jnp.asarray(x))
    expected, expected_finals = _gru_loop(layer, x)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(finals, expected_finals, atol=1e-5)


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
        calls = [network(x, jnp.full(2, t), jnp.full(2, label), method="lax") for t, label in conditions]
        return [*calls, network(x, jnp.full(2, 5), jnp.full(2, 0), method="matmul")]

    x = jax.random.normal(jax.random.key(1), (2, features))
    base, other_step, other_label, other_method = outputs(jax.random.key(0), x)
    assert base.shape == (2, features)
    assert not np.allclose(base, other_step)
    assert not np.allclose(base, other_label)
    np.testing.assert_allclose(base, other_method, atol=1e-4)


def test_detector_shape_and_dropout():
    config = CNNBiGRUConfig(channels=(4, 4), hidden=(4, 4))
    network = initialise(lambda init: CNNBiGRU(config, 3, init=init), jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (2, 9))
    calm = network(x, method="lax")
    assert calm.shape == (2, 3)
    assert not np.allclose(calm, network(x, method="lax", key=jax.random.key(2)))
    kept = np.asarray(dropout(jnp.ones(20_000), 0.2, jax.random.key(3)))
    assert set(np.unique(kept)) == {0.0, np.float32(1.25)}
    assert abs((kept == 0).mean() - 0.2) < 0.02  # 7 standard errors
