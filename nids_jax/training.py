"""The one training loop: many optimiser steps per call, all on the device.

Every draw of step `s` (the batch, the noise, dropout) comes from (key, s) alone, and the loop's bounds are traced, so
that splitting the steps into calls, stopping, or resuming never changes a bit of the result and never recompiles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from tqdm import tqdm

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.nn.layers import Uniforms, initialise

BLOCK = 50  # steps per call: the grain of progress, checkpoints and NaN detection


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """Adam, optionally with a cosine decay to zero over the run and a limit on the gradient's norm."""

    learning_rate: float = 1e-3
    decay_steps: int = 0  # 0: constant rate
    clip_norm: float = 0.0  # 0: no limit
    ema_decay: float = 0.999

    def build(self) -> optax.GradientTransformation:
        """The optax transformation."""
        rate = self.learning_rate
        schedule = optax.cosine_decay_schedule(rate, self.decay_steps) if self.decay_steps else rate
        clip = optax.clip_by_global_norm(self.clip_norm) if self.clip_norm else optax.identity()
        return optax.chain(clip, optax.adam(schedule))


class Objective(Protocol):
    """What is minimised: a frozen, hashable dataclass, so that it can be a static argument of the jitted loop."""

    def build(self, init: Uniforms) -> nnx.Module:
        """The network, its parameters' initial values taken from `init`."""
        ...

    def loss(self, network: Any, x: Array, y: Array, weight: Array, key: Array) -> Array:
        """Mean loss of a batch x [B, d], y [B]; rows of weight 0 are padding."""
        ...


class TrainState(NamedTuple):
    """All that a training run carries from one step to the next."""

    params: nnx.State
    rest: nnx.State  # whatever of the network is not trained
    opt: optax.OptState
    ema: nnx.State  # moving average of params
    step: Array  # [] int32, steps taken


class Data(NamedTuple):
    """Training rows, padded to a round capacity so that sets of similar size share one compilation."""

    x: Array  # [capacity, d] float32
    y: Array  # [capacity] int32
    n: Array  # [] int32, rows that count


class TrainingError(RuntimeError):
    """Training left the finite numbers."""


def pad(x: np.ndarray, y: np.ndarray, grain: int = 1024) -> Data:
    """Rows on the device, padded with zeros to the next multiple of `grain`.

    Raises:
      InputError: no rows, or numbers that are not finite.
    """
    if len(x) == 0:
        raise InputError("no training rows; give at least one per class")
    if not np.isfinite(x).all():
        column = int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])
        raise InputError(f"column {column} of the training rows has infinite or missing values; clean them first")
    extra = -len(x) % grain
    rows = np.pad(np.asarray(x, np.float32), ((0, extra), (0, 0)))
    labels = np.pad(np.asarray(y, np.int32), (0, extra))
    return Data(jnp.asarray(rows), jnp.asarray(labels), jnp.asarray(len(x), jnp.int32))


@partial(jax.jit, static_argnames=("objective", "optimiser"))
def initial_state(key: Array, *, objective: Objective, optimiser: OptimiserConfig) -> TrainState:
    """Fresh parameters from `key`, moving average equal to them, step 0."""
    _, params, rest = nnx.split(initialise(objective.build, key), nnx.Param, ...)
    return TrainState(params, rest, optimiser.build().init(params), params, jnp.zeros((), jnp.int32))


def network(objective: Objective, params: nnx.State, rest: nnx.State) -> Any:
    """The network with these parameters, for use inside jit (building the skeleton costs nothing there)."""
    skeleton = nnx.eval_shape(lambda: objective.build(Uniforms()))
    graphdef = nnx.split(skeleton, nnx.Param, ...)[0]
    return nnx.merge(graphdef, params, rest, copy=True)


def advance_loop(
    state: TrainState,
    data: Data,
    key: Array,
    stop: Array,
    *,
    objective: Objective,
    optimiser: OptimiserConfig,
    batch: int,
) -> tuple[TrainState, Array]:
    """Train from `state.step` to step `stop`, at most BLOCK steps; returns the state and the losses [BLOCK].

    An epoch visits every row once in an order drawn from (key, epoch); its last batch may be partly padding, as with
    PyTorch's DataLoader.  Losses of steps not taken are NaN.  `advance` is the jitted form, which donates the state.
    """
    transform = optimiser.build()
    capacity = data.y.shape[0]
    per_epoch = (data.n + batch - 1) // batch
    first = state.step

    def order_of(epoch: Array) -> Array:
        # Uniform ranks; padding ranks last, so the first n places hold a random order of the rows that count.
        ranks = jax.random.uniform(jax.random.fold_in(random.stream(key, "order"), epoch), (capacity,))
        return jnp.argsort(jnp.where(jnp.arange(capacity) < data.n, ranks, 2.0))

    def body(step: Array, carry: tuple[TrainState, Array, Array]) -> tuple[TrainState, Array, Array]:
        state, order, losses = carry
        epoch, place = step // per_epoch, step % per_epoch
        order = jax.lax.cond(place == 0, order_of, lambda _: order, epoch)
        slots = place * batch + jnp.arange(batch)
        weight = (slots < data.n).astype(jnp.float32)
        chosen = order[jnp.minimum(slots, capacity - 1)]

        def loss_of(params: nnx.State) -> Array:
            net = network(objective, params, state.rest)
            return objective.loss(net, data.x[chosen], data.y[chosen], weight, jax.random.fold_in(key, step))

        loss, gradient = jax.value_and_grad(loss_of)(state.params)
        updates, opt = transform.update(gradient, state.opt, state.params)
        params = cast(nnx.State, optax.apply_updates(state.params, updates))
        # Warm-up: a short run would otherwise average mostly over its random start (as in Karras et al. 2022).
        decay = jnp.minimum(optimiser.ema_decay, (1.0 + step) / (10.0 + step))
        ema = jax.tree.map(lambda a, p: a + (1.0 - decay) * (p - a), state.ema, params)
        return TrainState(params, state.rest, opt, ema, step + 1), order, losses.at[step - first].set(loss)

    losses = jnp.full((BLOCK,), jnp.nan)
    last = jnp.minimum(stop, first + BLOCK)
    state, _, losses = jax.lax.fori_loop(first, last, body, (state, order_of(first // per_epoch), losses))
    return state, losses


advance = jax.jit(advance_loop, static_argnames=("objective", "optimiser", "batch"), donate_argnames=("state",))


def train(
    objective: Objective,
    optimiser: OptimiserConfig,
    data: Data,
    key: Array,
    *,
    steps: int,
    batch: int,
    state: TrainState | None = None,
    losses: np.ndarray | None = None,
    on_block: Callable[[TrainState, np.ndarray], None] | None = None,
    progress: str | None = None,
) -> tuple[TrainState, np.ndarray]:
    """Train to `steps` optimiser steps in all; returns the state and the loss of every step [steps].

    `state` and `losses` continue an earlier run; `on_block` is called after each block (to save a checkpoint);
    `progress` names the bar on standard error.

    Raises:
      TrainingError: a loss is not finite; the message names the epoch and the column with the largest values.
    """
    if state is None:
        current = initial_state(random.stream(key, "init"), objective=objective, optimiser=optimiser)
    else:
        current = state
    done = int(current.step)
    history = [np.zeros(0, np.float32) if losses is None else losses[:done]]
    with progress_bar(progress, steps, "step", done) as bar:
        while done < steps:
            current, block = advance(
                current, data, key, jnp.asarray(steps, jnp.int32), objective=objective, optimiser=optimiser, batch=batch
            )
            new = min(BLOCK, steps - done)
            values = np.asarray(block)[:new]
            _check_finite(values, done, batch, data)
            history.append(values)
            done += new
            bar.update(new)
            bar.set_postfix(loss=f"{values.mean():.4f}")
            if on_block is not None:
                on_block(current, np.concatenate(history))
    return current, np.concatenate(history)


def progress_bar(title: str | None, total: int, unit: str, done: int = 0) -> tqdm:
    """A bar on standard error; without a title, one that shows nothing."""
    return tqdm(total=total, initial=done, desc=title, unit=unit, disable=title is None, leave=False)


def _check_finite(losses: np.ndarray, first: int, batch: int, data: Data) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad) == 0:
        return
    n = int(data.n)
    epoch = (first + int(bad[0])) // -(-n // batch)
    magnitude = np.abs(np.asarray(data.x[:n])).max(axis=0)
    column = int(magnitude.argmax())
    raise TrainingError(
        f"the loss became {losses[bad[0]]} in epoch {epoch + 1} (step {first + int(bad[0]) + 1}); the largest training"
        f" value is {magnitude[column]:.4g} in column {column}: lower the learning rate or use a bounded scaling"
    )
