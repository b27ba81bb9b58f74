"""The training loop of an adversarial objective: a generator, and a critic that values real rows above synthetic ones.

As in `training.loop`, every draw of step s comes from (key, s), the loop's bounds are traced and rows are padded, so
that runs of any length and tables of similar size share one compilation.  Several models, each with rows of its own,
train side by side (`vmap`), split over the devices; one model runs on one device: the networks are small.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from nids_jax import parallel, random
from nids_jax.nn.layers import Uniforms, initialise
from nids_jax.progress import follow
from nids_jax.training import callbacks, loop
from nids_jax.training.loop import BLOCK, Data

Figures = dict[str, Array]  # scalars of one step, by name


class Adversarial(Protocol):
    """What generator and critic minimise: a frozen, hashable dataclass, to be a static argument of the jitted loop.

    An objective without a critic is trained with `critic_steps=0`: the loop then calls neither `shown`, `critic_loss`
    nor `constrain`.
    """

    def build(self, init: Uniforms) -> nnx.Module:
        """All networks in one module: its attribute `critic` is trained as the critic, all else as the generator."""
        ...

    def optimiser(self) -> optax.GradientTransformation:
        """What trains the critic, and what trains the generator."""
        ...

    def shown(self, networks: Any, x: Array, y: Array, key: Array) -> Any:
        """What the critic is shown beside real rows x [n, d] with labels y [n]: arrays with a row for each of these.

        It must not depend on the critic.
        """
        ...

    def critic_loss(self, networks: Any, x: Array, y: Array, shown: Any) -> tuple[Array, Figures]:
        """The critic's loss on real rows and what is `shown`, and what else is worth keeping of the step."""
        ...

    def constrain(self, critic: nnx.State) -> nnx.State:
        """The critic's parameters after an update, put back where they may lie."""
        ...

    def generator_loss(self, networks: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        """The generator's loss, and what else is worth keeping of the step.

        `done` [] is the share of the run's steps taken so far, 0 in the first: for weights that change on the way.
        """
        ...


class AdversarialState(NamedTuple):
    """All that a training run carries from one step to the next."""

    critic: nnx.State
    generator: nnx.State
    critic_opt: optax.OptState
    generator_opt: optax.OptState
    step: Array  # [] int32, the generator's steps taken


class Share(NamedTuple):
    """The rows of a table that a model learns from: `n` of them, from number `first` on."""

    first: Array  # [] int32
    n: Array  # [] int32


@partial(jax.jit, static_argnames=("objective",))
def initial_state(key: Array, *, objective: Adversarial) -> AdversarialState:
    """The parameters of critic and generator from `key`, step 0."""
    _, critic, generator = nnx.split(initialise(objective.build, key), nnx.PathContains("critic"), ...)
    start = objective.optimiser().init
    return AdversarialState(critic, generator, start(critic), start(generator), jnp.zeros((), jnp.int32))


def networks(objective: Adversarial, critic: nnx.State, generator: nnx.State) -> Any:
    """The module that `objective` builds with these parameters, for use inside jit."""
    skeleton = nnx.eval_shape(lambda: objective.build(Uniforms()))
    graphdef = nnx.split(skeleton, nnx.PathContains("critic"), ...)[0]
    return nnx.merge(graphdef, critic, generator, copy=True)


def advance_loop(
    state: AdversarialState,
    data: Data,
    share: Share,
    key: Array,
    stop: Array,
    *,
    objective: Adversarial,
    batch: int,
    critic_steps: int,
) -> tuple[AdversarialState, Figures]:
    """Train from `state.step` towards the run's end, `stop`, at most BLOCK steps; returns state and figures [BLOCK].

    A step is `critic_steps` updates of the critic, then one of the generator (Gulrajani et al. 2017, algorithm 1), each
    on rows drawn evenly with replacement.  The critic's figures are means over its updates, and absent without any;
    those of steps not taken are NaN.  `advance` is the jitted form.
    """
    optimiser = objective.optimiser()
    first = state.step

    def draw(name: str, step: Array, rows: int) -> tuple[Array, Array, Array]:
        here = jax.random.fold_in(random.stream(key, name), step)
        chosen = share.first + jax.random.randint(random.stream(here, "rows"), (rows,), 0, share.n)
        return data.x[chosen], data.y[chosen], random.stream(here, "noise")

    def descent(
        loss_of: Callable[[nnx.State], tuple[Array, Figures]], params: nnx.State, opt: optax.OptState
    ) -> tuple[nnx.State, optax.OptState, Array, Figures]:
        """The parameters and the optimiser's state after an update, the loss before it."""
        (loss, figures), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt = optimiser.update(gradient, opt, params)
        return jax.tree.map(jnp.add, params, updates), opt, loss, figures

    def taught(state: AdversarialState) -> tuple[nnx.State, optax.OptState, Figures]:
        """The critic after its updates of a step, its optimiser's state, and the means of the figures."""
        # The generator stands still while the critic is taught: one pass makes the rows for all of its updates.
        x, y, noise = draw("critic", state.step, critic_steps * batch)
        shown = (x, y, objective.shown(networks(objective, state.critic, state.generator), x, y, noise))
        parts = jax.tree.map(lambda rows: rows.reshape(critic_steps, batch, *rows.shape[1:]), shown)

        def update(
            carry: tuple[nnx.State, optax.OptState], given: tuple[Array, Array, Any]
        ) -> tuple[tuple[nnx.State, optax.OptState], Figures]:
            critic, opt = carry

            def loss_of(critic: nnx.State) -> tuple[Array, Figures]:
                return objective.critic_loss(networks(objective, critic, state.generator), *given)

            critic, opt, loss, figures = descent(loss_of, critic, opt)
            return (objective.constrain(critic), opt), {"critic_loss": loss, **figures}

        (critic, opt), each = jax.lax.scan(update, (state.critic, state.critic_opt), parts)
        return critic, opt, {name: values.mean() for name, values in each.items()}

    def turn(state: AdversarialState) -> tuple[AdversarialState, Figures]:
        critic, critic_opt, means = taught(state) if critic_steps else (state.critic, state.critic_opt, {})
        x, y, noise = draw("generator", state.step, batch)

        def loss_of(generator: nnx.State) -> tuple[Array, Figures]:
            return objective.generator_loss(networks(objective, critic, generator), x, y, noise, state.step / stop)

        generator, generator_opt, loss, figures = descent(loss_of, state.generator, state.generator_opt)
        figures = {**means, "generator_loss": loss, **figures}
        return AdversarialState(critic, generator, critic_opt, generator_opt, state.step + 1), figures

    def body(step: Array, carry: tuple[AdversarialState, Figures]) -> tuple[AdversarialState, Figures]:
        state, figures = turn(carry[0])
        return state, {name: carry[1][name].at[step - first].set(value) for name, value in figures.items()}

    kept = {name: jnp.full((BLOCK,), jnp.nan) for name in jax.eval_shape(turn, state)[1]}
    return jax.lax.fori_loop(first, jnp.minimum(stop, first + BLOCK), body, (state, kept))


@partial(jax.jit, static_argnames=("objective", "batch", "critic_steps"), donate_argnames=("states",))
def advance(
    states: AdversarialState,
    data: Data,
    shares: Share,
    keys: Array,
    stop: Array,
    *,
    objective: Adversarial,
    batch: int,
    critic_steps: int,
) -> tuple[AdversarialState, Figures]:
    """`advance_loop` of several models at once, one share of the rows and one of `keys` each; it takes the states over.

    All but the step has the models for its first axis, the figures too.
    """
    loop = partial(advance_loop, objective=objective, batch=batch, critic_steps=critic_steps)
    if len(keys) == 1:  # the axis of the models would cost a fifth more time on CPUs, by the layouts that XLA chooses
        alone = jax.tree.map(lambda values: values[0], (states._replace(step=None), shares))
        state, figures = loop(alone[0]._replace(step=states.step), data, alone[1], keys[0], stop)
        first = jax.tree.map(lambda values: values[None], (state._replace(step=None), figures))
        return first[0]._replace(step=state.step), first[1]
    many = jax.vmap(loop, in_axes=(_apart(0, None), None, 0, 0, None), out_axes=(_apart(0, None), 0))
    split, whole = jax.sharding.PartitionSpec(parallel.ROWS), jax.sharding.PartitionSpec()
    each = jax.shard_map(
        many,
        mesh=parallel.mesh(len(keys), 1),
        in_specs=(_apart(split, whole), whole, split, split, whole),
        out_specs=(_apart(split, whole), split),
        check_vma=False,
    )
    return each(states, data, shares, keys, stop)


def _apart(own: Any, common: Any) -> Any:
    """For the states of several models: `own` for what each has apiece, `common` for the step."""
    return AdversarialState(own, own, own, own, common)


def begin(
    objective: Adversarial, data: Data, shares: Sequence[tuple[int, int]], keys: Array
) -> tuple[AdversarialState, Data, Share, Array]:
    """What `advance` takes, on the devices: fresh states, rows, each model's first row and number of rows, keys.

    The devices get equally many models each; where these do not fill them, the last is there more than once.
    """
    count, devices = len(shares), parallel.mesh().size
    which = np.minimum(np.arange(count if count == 1 else -(-count // devices) * devices), count - 1)
    fresh = jax.vmap(lambda key: initial_state(random.stream(key, "init"), objective=objective))(keys[which])
    mesh = parallel.mesh(len(which), 1)
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.ROWS))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    first, n = np.array(shares, np.int32)[which].T
    return jax.device_put(
        (fresh._replace(step=np.int32(0)), data, Share(first, n), keys[which]),
        (_apart(split, whole), whole, split, split),
    )


def train(
    objective: Adversarial,
    data: Data,
    shares: Sequence[tuple[int, int]],
    keys: Array,
    *,
    steps: int,
    batch: int,
    critic_steps: int,
    names: Sequence[str],
    title: str | None = None,
) -> tuple[AdversarialState, dict[str, np.ndarray]]:
    """Train one or more models for so many steps of the generator; each as it would alone, with its key and its rows.

    Args:
      shares: of each model, the first of its rows and their number.
      keys: one for each model.
      names: what an error says after a model's figure: ` of class 3`.
      title: names the progress on standard error.

    Returns:
      The states, stacked but for the step, on the first device; and every figure of every step, [models, steps taken]:
      fewer where a callback stopped the training (`training.callbacks`).

    Raises:
      TrainingError: a figure is not finite; the message names it, the step and the column with the largest values.
    """
    count = len(shares)
    states, *given = begin(objective, data, shares, keys)
    stop = jnp.asarray(steps, jnp.int32)
    blocks: list[dict[str, np.ndarray]] = []
    with follow(title, steps, "step") as bar:
        for done in range(0, steps, BLOCK):
            states, figures = advance(states, *given, stop, objective=objective, batch=batch, critic_steps=critic_steps)
            blocks.append({name: np.asarray(values)[:count, : steps - done] for name, values in figures.items()})
            for model, (share, whose) in enumerate(zip(shares, names, strict=True)):
                _check_finite({name: values[model] for name, values in blocks[-1].items()}, done, data, share, whose)
            last = {name: float(values[:, -1].mean()) for name, values in blocks[-1].items()}
            bar.set_postfix_str(", ".join(f"{name} {value:.3g}" for name, value in last.items()))
            taken = min(BLOCK, steps - done)
            bar.update(taken)
            if callbacks.report(title, done + taken, last):
                break
    kept = jax.tree.map(lambda values: values[:count], states._replace(step=None))
    states = jax.device_put(kept._replace(step=states.step), jax.local_devices()[0])
    return states, {name: np.concatenate([block[name] for block in blocks], axis=1) for name in blocks[0]}


def _check_finite(figures: dict[str, np.ndarray], first: int, data: Data, share: tuple[int, int], title: str) -> None:
    bad = {name: int(np.argmin(np.isfinite(v))) for name, v in figures.items() if not np.isfinite(v).all()}
    if not bad:
        return
    name, place = min(bad.items(), key=lambda item: item[1])
    magnitude = np.abs(np.asarray(data.x[share[0] : share[0] + share[1]])).max(axis=0)
    column = int(magnitude.argmax())
    raise loop.TrainingError(
        f"the {name.replace('_', ' ')}{title} became {figures[name][place]} in step {first + place + 1}; the"
        f" largest training value is {magnitude[column]:.4g} in column {column}: lower the learning rate or use a"
        " bounded scaling"
    )
