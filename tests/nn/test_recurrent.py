"""Recurrent layers against plain numpy loops: outputs, and gradients by central differences in float64."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nids_jax.nn.layers import Uniforms
from nids_jax.nn.recurrent import Bidirectional, Weights, recurrence

HIDDEN = 4
_recurrence: Callable = jax.jit(recurrence, static_argnums=(2, 3))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _gru(x, state, w, u, b, c):
    h = HIDDEN
    p, s = x @ w + b, state[0] @ u
    r, z = _sigmoid(p[:h] + s[:h]), _sigmoid(p[h : 2 * h] + s[h : 2 * h])
    n = np.tanh(p[2 * h :] + r * (s[2 * h :] + c))
    return ((1 - z) * n + z * state[0],)


def _gru_paper(x, state, w, u, b, c):
    """P1's eqs. 13–16."""
    h = HIDDEN
    p = x @ w + b
    r, z = _sigmoid(p[:h] + state[0] @ u[:, :h]), _sigmoid(p[h : 2 * h] + state[0] @ u[:, h : 2 * h])
    n = np.tanh(p[2 * h :] + (r * state[0]) @ u[:, 2 * h :])
    return ((1 - z) * state[0] + z * n,)


def _lstm(x, state, w, u, b, c):
    i, f, new, o = np.split(x @ w + b + state[0] @ u, 4)
    cell = _sigmoid(f) * state[1] + _sigmoid(i) * np.tanh(new)
    return _sigmoid(o) * np.tanh(cell), cell


STEPS: dict[str, tuple[Callable, int]] = {"gru": (_gru, 1), "gru_paper": (_gru_paper, 1), "lstm": (_lstm, 2)}


def _loop(cell: str, x: np.ndarray, sides: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """One row, one step, one direction at a time: outputs [L, B, 2H] and final outputs [B, 2H]."""
    step, states = STEPS[cell]
    length, batch, _ = x.shape
    outputs, finals = np.zeros((length, batch, 2 * HIDDEN)), np.zeros((batch, 2 * HIDDEN))
    for side, weights in enumerate(sides):
        own = slice(side * HIDDEN, (side + 1) * HIDDEN)
        for row in range(batch):
            state = (np.zeros(HIDDEN),) * states
            for t in range(length) if side == 0 else range(length - 1, -1, -1):
                state = step(x[t, row], state, *weights)
                outputs[t, row, own] = state[0]
            finals[row, own] = state[0]
    return outputs, finals


def _inputs(length: int, gates: int, seed: int = 0) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
    rng = np.random.default_rng(seed)
    shapes = [(3, gates * HIDDEN), (HIDDEN, gates * HIDDEN), (gates * HIDDEN,), (HIDDEN,)]
    sides = [tuple(rng.uniform(-0.7, 0.7, shape) for shape in shapes) for _ in range(2)]
    return rng.normal(size=(length, 2, 3)), sides


def _weights(sides) -> tuple[Weights, Weights]:
    first, second = (Weights(*(jnp.asarray(a, jnp.float32) for a in side)) for side in sides)
    return first, second


# One step; a block and a rest; several blocks.
@pytest.mark.parametrize("length", [1, 13, 14])
@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4)])
def test_outputs_equal_a_plain_loop(cell: str, gates: int, length: int):
    x, sides = _inputs(length, gates)
    outputs, finals = _loop(cell, x, sides)
    for sequence, expected in ((True, outputs), (False, finals)):
        found = _recurrence(jnp.asarray(x, jnp.float32), _weights(sides), cell, sequence)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("length", "sequence"), [(9, True), (14, False)])
@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4)])
def test_gradients_equal_central_differences_of_a_plain_loop(cell: str, gates: int, length: int, sequence: bool):
    x, sides = _inputs(length, gates, seed=length)
    outputs, finals = _loop(cell, x, sides)
    pull = np.random.default_rng(1).normal(size=(outputs if sequence else finals).shape)

    def loss(x, weights):
        return jnp.sum(jnp.asarray(pull, jnp.float32) * _recurrence(x, weights, cell, sequence))

    dx, dweights = jax.jit(jax.grad(loss, (0, 1)))(jnp.asarray(x, jnp.float32), _weights(sides))

    def plain(place: np.ndarray, index: tuple, by: float) -> float:
        held = place[index]
        place[index] = held + by
        value = float((pull * _loop(cell, x, sides)[0 if sequence else 1]).sum())
        place[index] = held
        return value

    rng = np.random.default_rng(2)
    pairs = [
        (x, dx),
        *((a, d) for side, own in zip(sides, dweights, strict=True) for a, d in zip(side, own, strict=True)),
    ]
    for place, gradient in pairs:
        assert np.shape(gradient) == place.shape
        for _ in range(6):
            index = tuple(int(rng.integers(n)) for n in place.shape)
            slope = (plain(place, index, 1e-5) - plain(place, index, -1e-5)) / 2e-5
            assert float(gradient[index]) == pytest.approx(slope, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("gru_paper", 3), ("lstm", 4)])
def test_the_layer_hands_each_direction_its_own_parameters(cell: str, gates: int):
    init = Uniforms(jax.random.uniform(jax.random.key(1), (2_000,), minval=-1.0, maxval=1.0))
    layer = Bidirectional(cell, 3, HIDDEN, init=init)
    x, _ = _inputs(8, gates)
    w, u, b = (np.asarray(p[...], np.float64) for p in (layer.input_kernel, layer.state_kernel, layer.input_bias))
    c = np.zeros((2, HIDDEN)) if layer.candidate_bias is None else np.asarray(layer.candidate_bias[...], np.float64)
    outputs, finals = _loop(cell, x, [(w[i], u[i], b[i], c[i]) for i in (0, 1)])
    rows = jnp.asarray(x, jnp.float32)
    found = jax.jit(lambda rows: (layer(rows), layer(rows, sequence=False)))(rows)
    np.testing.assert_allclose(found[0], outputs, atol=1e-5)
    np.testing.assert_allclose(found[1], finals, atol=1e-5)


def test_many_networks_at_once_and_half_precision():
    x, sides = _inputs(9, 3)
    rows, weights = jnp.asarray(x, jnp.float32), _weights(sides)
    twice = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), weights)

    def gradient(weights):
        return jax.grad(lambda w: jnp.sum(_recurrence(rows, w, "gru", True)))(weights)

    together = jax.jit(jax.vmap(gradient))(twice)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(jax.jit(gradient)(weights)), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=1e-5, atol=1e-6)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (rows, weights))
    found = _recurrence(*half, "gru", True)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), _loop("gru", x, sides)[0], atol=0.05)
