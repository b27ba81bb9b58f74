"""The training loop: batches, exact continuation, and what it says when it diverges."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nids_jax import parallel, random
from nids_jax.errors import InputError
from nids_jax.runtime import CompileClock
from nids_jax.training import loop
from nids_jax.training.loop import OptimiserConfig, advance, advance_loop, initial_state, pad, train


class Line(nnx.Module):
    def __init__(self, init):
        self.slope = init((2,), 1.0)


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """Mean of (x·slope − y)²: small enough to follow by hand."""

    def build(self, init):
        return Line(init)

    def loss(self, network, x, y, weight, key):
        return jnp.sum(weight * jnp.square(x @ network.slope[...] - y))


OBJECTIVE = LeastSquares()
OPTIMISER = OptimiserConfig(learning_rate=0.05)
X = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
Y = np.arange(7)


def _slope(state) -> np.ndarray:
    return np.asarray(jax.tree.leaves(state.params)[0])


def test_training_equals_a_plain_optax_loop():
    state, losses = train(OBJECTIVE, OPTIMISER, pad(X, Y, 8), jax.random.key(3), steps=9, batch=7)
    slope = np.asarray(
        jax.tree.leaves(
            initial_state(random.stream(jax.random.key(3), "init"), objective=OBJECTIVE, optimiser=OPTIMISER).params
        )[0]
    )
    adam = optax.adam(0.05)
    memory, average = adam.init(slope), slope
    for step in range(9):
        residual = X @ slope - Y
        assert losses[step] == pytest.approx(float(np.mean(residual**2)), rel=1e-5)
        updates, memory = adam.update(2 * X.T @ residual / 7, memory, slope)
        slope = slope + np.asarray(updates)
        decay = min(0.999, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * slope
    np.testing.assert_allclose(_slope(state), slope, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(jax.tree.leaves(state.ema)[0]), average, rtol=1e-5)


@pytest.mark.parametrize(
    ("even", "batch", "sizes"),
    [
        *((True, 3, [3, 2, 2]), (True, 4, [4, 3]), (True, 6, [4, 3]), (True, 7, [7]), (True, 1, [1] * 7)),
        *((False, 3, [3, 3, 1]), (False, 6, [6, 1]), (False, 7, [7]), (False, 9, [7])),
    ],
)
def test_every_epoch_visits_every_row_once_in_even_or_plain_batches(even: bool, batch: int, sizes: list[int]):
    @dataclass(frozen=True, kw_only=True)
    class Spy(LeastSquares):
        def loss(self, network, x, y, weight, key):
            # A base-ten digit per row: the epoch's losses add up to 1111111 only if each row counts once.
            return jnp.sum(jnp.where(weight > 0, 10.0**y, 0.0)) + 0.0 * jnp.sum(network.slope[...])

    optimiser = replace(OPTIMISER, even_batches=even)
    _, losses = train(Spy(), optimiser, pad(X, Y, 16), jax.random.key(0), steps=4 * len(sizes), batch=batch)
    epochs = losses.reshape(4, len(sizes)).astype(np.float64)
    np.testing.assert_array_equal(epochs.sum(axis=1), 1111111)
    assert [[sum(map(int, str(int(loss)))) for loss in epoch] for epoch in epochs] == [sizes] * 4
    assert len({tuple(epoch) for epoch in epochs}) > 1 or len(sizes) == 1  # in different orders


def test_stopping_and_going_on_changes_nothing():
    data, key = pad(X, Y, 8), jax.random.key(1)
    whole, losses = train(OBJECTIVE, OPTIMISER, data, key, steps=120, batch=3)
    part, first = train(OBJECTIVE, OPTIMISER, data, key, steps=47, batch=3)
    resumed, again = train(OBJECTIVE, OPTIMISER, data, key, steps=120, batch=3, state=part, losses=first)
    np.testing.assert_array_equal(losses, again)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_tables_of_similar_size_share_one_compilation():
    key = jax.random.key(0)
    train(OBJECTIVE, OPTIMISER, pad(X, Y, 8), key, steps=5, batch=2)
    clock = CompileClock()
    train(OBJECTIVE, OPTIMISER, pad(X[:3], Y[:3], 8), key, steps=70, batch=2)
    assert clock.count == 0


def test_several_seeds_at_once_equal_each_alone():
    data = pad(X, Y, 8)
    keys = jax.random.split(jax.random.key(5), 3)
    start = partial(initial_state, objective=OBJECTIVE, optimiser=OPTIMISER)
    run = partial(advance_loop, objective=OBJECTIVE, optimiser=OPTIMISER, batch=3)
    together, losses = jax.jit(jax.vmap(lambda s, k: run(s, data, k, jnp.asarray(20))))(jax.vmap(start)(keys), keys)
    for i, key in enumerate(keys):
        alone, own = jax.jit(lambda s, k: run(s, data, k, jnp.asarray(20)))(start(key), key)
        np.testing.assert_allclose(losses[i][:20], own[:20], rtol=1e-4)
        np.testing.assert_allclose(np.asarray(jax.tree.leaves(together.params)[0])[i], _slope(alone), rtol=1e-4)


def test_devices_share_a_batch(monkeypatch: pytest.MonkeyPatch):
    """Two devices with half a batch each, or one with all of it: the same steps, but for rounding."""
    if jax.local_device_count() < 2:
        pytest.skip("one device only: there is nothing to share")
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(150, 2)).astype(np.float32), rng.integers(0, 9, 150)
    weight = rng.uniform(0.5, 2.0, 150)
    data, key = pad(x, y, 256, weight), jax.random.key(2)
    assert parallel.mesh(64).size >= 2
    shared, losses = train(OBJECTIVE, OPTIMISER, data, key, steps=7, batch=64)  # three batches of 50 rows
    jax.clear_caches()
    monkeypatch.setattr(parallel, "LEAST_ROWS", 64)
    one = parallel.mesh(1)
    monkeypatch.setattr(parallel, "mesh", lambda *_: one)
    alone, own = train(OBJECTIVE, OPTIMISER, data, key, steps=7, batch=64)
    np.testing.assert_allclose(losses, own, rtol=1e-5)
    np.testing.assert_allclose(_slope(shared), _slope(alone), rtol=1e-4)


def test_the_learning_rate_falls_over_the_run_whatever_its_length():
    falling = OptimiserConfig(learning_rate=0.05, decay=True)
    start = initial_state(random.stream(jax.random.key(3), "init"), objective=OBJECTIVE, optimiser=falling)
    slope = np.asarray(jax.tree.leaves(start.params)[0])
    for steps in (4, 6):
        state, _ = train(OBJECTIVE, falling, pad(X, Y, 8), jax.random.key(3), steps=steps, batch=7)
        wanted, adam = slope, optax.adam(optax.cosine_decay_schedule(0.05, steps))
        memory = adam.init(wanted)
        for _ in range(steps):
            updates, memory = adam.update(2 * X.T @ (X @ wanted - Y) / 7, memory, wanted)
            wanted = wanted + np.asarray(updates)
        np.testing.assert_allclose(_slope(state), wanted, rtol=1e-5)


def test_nothing_leaves_the_device_inside_a_call():
    key, stop = jax.random.key(0), jnp.asarray(30, jnp.int32)
    state = initial_state(key, objective=OBJECTIVE, optimiser=OPTIMISER)
    state, data, key, stop = parallel.everywhere((state, pad(X, Y, 8), key, stop), parallel.mesh(3))
    with jax.transfer_guard("disallow"):
        state, losses = advance(state, data, key, stop, objective=OBJECTIVE, optimiser=OPTIMISER, batch=3)
        jax.block_until_ready(losses)
    assert int(state.step) == 30


def test_divergence_names_the_epoch_and_the_column():
    x = X.copy()
    x[4, 1] = 3e38
    with pytest.raises(loop.TrainingError, match=r"epoch 1 \(step [1-4]\).*3e\+38 in column 1"):
        train(OBJECTIVE, OPTIMISER, pad(x, Y, 8), jax.random.key(0), steps=60, batch=2)


def test_padding_refuses_what_cannot_be_trained_on():
    with pytest.raises(InputError, match="no training rows"):
        pad(X[:0], Y[:0])
    broken = X.copy()
    broken[2, 1] = np.inf
    with pytest.raises(InputError, match="column 1"):
        pad(broken, Y)


def test_nothing_goes_between_host_and_device_within_a_block():
    """Fifty steps, from arrays that lie on the device: JAX refuses every transfer."""
    key, stop = jax.random.key(3), jnp.asarray(50, jnp.int32)
    state = initial_state(key, objective=OBJECTIVE, optimiser=OPTIMISER)
    mesh = parallel.shared_mesh(3)
    given = parallel.everywhere((state, pad(X, Y, 8), key, stop), mesh)
    jax.block_until_ready(given)
    with jax.transfer_guard("disallow"):
        state, losses = advance(*given, objective=OBJECTIVE, optimiser=OPTIMISER, batch=3)
        jax.block_until_ready((state, losses))
    assert np.isfinite(losses[:50]).all()
