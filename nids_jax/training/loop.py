"""The one training loop: many optimiser steps per call, all on the devices.

Every draw of step `s` (the batch, the noise, dropout) comes from (key, s) alone, and the loop's bounds are traced, so
that splitting the steps into calls, stopping, or resuming never changes a bit of the result and never recompiles.

A batch is split over the devices (`parallel.shared_mesh`: of all processes that train together), each of which holds
all parameters and rows; there, a shard's noise comes from (key, s, shard), and the gradients are added up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from nids_jax import parallel, random
from nids_jax.errors import InputError, TrainingError
from nids_jax.nn.layers import Uniforms, initialise
from nids_jax.progress import follow
from nids_jax.training import callbacks

BLOCK = 50  # steps per call: the grain of progress, checkpoints and NaN detection


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """Adam, optionally with a cosine decay to zero over the run and a limit on the gradient's norm."""

    learning_rate: float = 1e-3
    decay: bool = False
    clip_norm: float = 0.0  # 0: no limit
    ema_decay: float = 0.999  # 0: none, so that the last parameters sample
    even_batches: bool = True  # 80 rows in batches of 64 are 40 and 40; False: 64 and 16, as of PyTorch's loader

    def build(self) -> optax.GradientTransformation:
        """The optax transformation, for a learning rate of 1."""
        clip = optax.clip_by_global_norm(self.clip_norm) if self.clip_norm else optax.identity()
        return optax.chain(clip, optax.adam(1.0))

    def rate(self, step: Array, steps: Array) -> Array:
        """The learning rate of step 0, 1, … of so many: constant, or falling with half a cosine."""
        falling = 0.5 * (1.0 + jnp.cos(jnp.pi * step / steps)) if self.decay else 1.0
        return jnp.asarray(self.learning_rate * falling)


class Objective(Protocol):
    """What is minimised: a frozen, hashable dataclass, so that it can be a static argument of the jitted loop."""

    def build(self, init: Uniforms) -> nnx.Module:
        """The network, its parameters' initial values taken from `init`."""
        ...

    def loss(self, network: Any, x: Array, y: Array, weight: Array, key: Array) -> Array:
        """Σ weight · loss over the rows x [B, d], y [B] of a batch or a part of one.

        The weights [B] of a whole batch add up to 1; rows of weight 0 are padding.
        """
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
    weight: Array  # [capacity] float32, of a row's loss relative to the others' in its batch
    n: Array  # [] int32, rows that count


def pad(x: np.ndarray, y: np.ndarray, grain: int = 1024, weight: np.ndarray | None = None) -> Data:
    """Rows on the device, padded with zeros to the next multiple of `grain`; without weights [n] all weigh the same.

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
    weights = np.pad(np.ones(len(x), np.float32) if weight is None else np.asarray(weight, np.float32), (0, extra))
    return Data(jnp.asarray(rows), jnp.asarray(labels), jnp.asarray(weights), jnp.asarray(len(x), jnp.int32))


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
    shards: int = 1,
) -> tuple[TrainState, Array]:
    """Train from `state.step` towards step `stop`, at most BLOCK steps; returns the state and the losses [BLOCK].

    An epoch visits every row once in an order drawn from (key, epoch), in the fewest batches that hold them, their
    sizes equal to one row, unless `optimiser.even_batches` is False: 65 rows are then a batch of 64 and one of a single
    row, which moves the weights as far.  Losses of steps not taken are NaN.  With `shards`, this is one of so many
    copies under `shard_map`, and takes its part of each batch.  `advance` is the jitted form, which donates the state.
    """
    transform = optimiser.build()
    capacity = data.y.shape[0]
    per_epoch = (data.n + batch - 1) // batch
    if optimiser.even_batches:
        size, larger = data.n // per_epoch, data.n % per_epoch  # so many batches have one row more
    else:
        size, larger = jnp.asarray(batch), jnp.asarray(0)
    first = state.step

    def order_of(epoch: Array) -> Array:
        # Uniform ranks; padding ranks last, so the first n places hold a random order of the rows that count.
        ranks = jax.random.uniform(jax.random.fold_in(random.stream(key, "order"), epoch), (capacity,))
        return jnp.argsort(jnp.where(jnp.arange(capacity) < data.n, ranks, 2.0))

    def body(step: Array, carry: tuple[TrainState, Array, Array]) -> tuple[TrainState, Array, Array]:
        state, order, losses = carry
        epoch, place = step // per_epoch, step % per_epoch
        order = jax.lax.cond(place == 0, order_of, lambda _: order, epoch)
        noise = jax.random.fold_in(key, step)
        within = jnp.arange(batch)
        start = place * size + jnp.minimum(place, larger)
        chosen = order[jnp.minimum(start + within, capacity - 1)]
        used = (within < size + (place < larger)) & (start + within < data.n)
        weight = jnp.where(used, data.weight[chosen], 0.0)
        weight = weight / jnp.sum(weight)
        if shards > 1:
            shard = jax.lax.axis_index(parallel.ROWS)
            noise = jax.random.fold_in(noise, shard)
            chosen, weight = (
                jax.lax.dynamic_slice_in_dim(a, shard * (batch // shards), batch // shards) for a in (chosen, weight)
            )

        def loss_of(params: nnx.State) -> Array:
            net = network(objective, params, state.rest)
            return objective.loss(net, data.x[chosen], data.y[chosen], weight, noise)

        loss, gradient = jax.value_and_grad(loss_of)(state.params)
        if shards > 1:
            loss, gradient = jax.lax.psum((loss, gradient), parallel.ROWS)
        updates, opt = transform.update(gradient, state.opt, state.params)
        # The length of the run is traced: one compilation serves runs of any length.
        rate = optimiser.rate(step, stop)
        params = jax.tree.map(lambda p, u: p + rate * u, state.params, updates)
        # Warm-up: a short run would otherwise average mostly over its random start (as in Karras et al. 2022).
        decay = jnp.minimum(optimiser.ema_decay, (1.0 + step) / (10.0 + step))
        ema = jax.tree.map(lambda a, p: a + (1.0 - decay) * (p - a), state.ema, params)
        return TrainState(params, state.rest, opt, ema, step + 1), order, losses.at[step - first].set(loss)

    losses = jnp.full((BLOCK,), jnp.nan)
    last = jnp.minimum(stop, first + BLOCK)
    state, _, losses = jax.lax.fori_loop(first, last, body, (state, order_of(first // per_epoch), losses))
    return state, losses


@partial(jax.jit, static_argnames=("objective", "optimiser", "batch"), donate_argnames=("state",))
def advance(
    state: TrainState,
    data: Data,
    key: Array,
    stop: Array,
    *,
    objective: Objective,
    optimiser: OptimiserConfig,
    batch: int,
) -> tuple[TrainState, Array]:
    """`advance_loop`, jitted, each batch split over the devices; it takes the state over."""
    mesh = parallel.shared_mesh(batch)
    loop = partial(advance_loop, objective=objective, optimiser=optimiser, batch=batch, shards=mesh.size)
    if mesh.size == 1:
        return loop(state, data, key, stop)
    everywhere = jax.sharding.PartitionSpec()
    split = jax.shard_map(loop, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False)
    return split(state, data, key, stop)


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
    on_block: Callable[[TrainState, np.ndarray], object] | None = None,
    title: str | None = None,
) -> tuple[TrainState, np.ndarray]:
    """Train to `steps` optimiser steps in all; returns the state and the loss of every step [steps].

    `state` and `losses` continue an earlier run; `on_block` is called after each block (to save a checkpoint) and stops
    the training by returning True, as any of `training.callbacks` does; `title` names the progress on standard error.

    Raises:
      TrainingError: a loss is not finite; the message names the epoch and the column with the largest values.
    """
    if state is None:
        current = initial_state(random.stream(key, "init"), objective=objective, optimiser=optimiser)
    else:
        current = state
    mesh = parallel.shared_mesh(batch)
    current, data, key = parallel.everywhere((current, data, key), mesh)
    done = int(current.step)
    history = [np.zeros(0, np.float32) if losses is None else losses[:done]]
    with follow(title, steps, "step", done) as bar:
        while done < steps:
            current, block = advance(
                current, data, key, np.int32(steps), objective=objective, optimiser=optimiser, batch=batch
            )
            new = min(BLOCK, steps - done)
            values = np.asarray(block)[:new]
            _check_finite(values, done, batch, data)
            history.append(values)
            done += new
            loss = float(values.mean())
            bar.set_postfix_str(f"loss {loss:.4f}")
            bar.update(new)
            enough = on_block is not None and on_block(current, np.concatenate(history)) is True
            if callbacks.report(title, done, {"loss": loss}) or enough:
                break
    return parallel.here(current), np.concatenate(history)


@partial(jax.jit, static_argnames=("objective", "optimiser", "batch"), donate_argnames=("states",))
def _advance_together(
    states: TrainState,
    data: Data,
    keys: Array,
    stop: Array,
    *,
    objective: Objective,
    optimiser: OptimiserConfig,
    batch: int,
) -> tuple[TrainState, Array]:
    loop = partial(advance_loop, objective=objective, optimiser=optimiser, batch=batch)
    state_axes, data_axes = _per_run(0, None)
    many = jax.vmap(loop, in_axes=(state_axes, data_axes, 0, None), out_axes=(state_axes, 0))
    split, whole = jax.sharding.PartitionSpec(parallel.ROWS), jax.sharding.PartitionSpec()
    states_specs, data_specs = _per_run(split, whole)
    each = jax.shard_map(
        many,
        mesh=parallel.mesh(len(keys), 1),
        in_specs=(states_specs, data_specs, split, whole),
        out_specs=(states_specs, split),
        check_vma=False,
    )
    return each(states, data, keys, stop)


def _per_run(own: Any, common: Any) -> tuple[Any, Any]:
    """For the states and the data of runs trained together: `own` for what each has apiece, `common` for the rest."""
    return TrainState(own, own, own, own, common), Data(own, own, own, common)


def train_together(
    objective: Objective, optimiser: OptimiserConfig, data: Sequence[Data], keys: Array, *, steps: int, batch: int
) -> tuple[list[TrainState], np.ndarray]:
    """`train` of several runs at once, a set of rows and one of `keys` each: their states, and losses [runs, steps].

    The runs go through the devices side by side (`vmap`), split over them where their number allows.  Each takes the
    draws that it takes alone on one device.

    Raises:
      ValueError: the sets differ in their number of rows or columns.
      TrainingError: a loss is not finite.
    """
    if len({(d.x.shape, int(d.n)) for d in data}) != 1:
        raise ValueError("runs trained together need equally many rows and columns each")
    start = jax.vmap(partial(initial_state, objective=objective, optimiser=optimiser))
    states = start(jax.vmap(lambda key: random.stream(key, "init"))(keys))._replace(step=jnp.zeros((), jnp.int32))
    stacked = Data(*(jnp.stack(parts) for parts in zip(*data, strict=True)))._replace(n=data[0].n)
    mesh = parallel.mesh(len(data), 1)
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.ROWS))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    states, stacked, keys = jax.device_put((states, stacked, keys), (*_per_run(split, whole), split))
    history = []
    for done in range(0, steps, BLOCK):
        states, block = _advance_together(
            states, stacked, keys, jnp.asarray(steps, jnp.int32), objective=objective, optimiser=optimiser, batch=batch
        )
        history.append(np.asarray(block)[:, : steps - done])
        for losses, own in zip(history[-1], data, strict=True):
            _check_finite(losses, done, batch, own)
    shared = states.step
    runs = [jax.tree.map(lambda a, i=i: a[i], states._replace(step=None)) for i in range(len(data))]
    return [run._replace(step=shared) for run in runs], np.concatenate(history, axis=1)


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
