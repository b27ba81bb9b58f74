"""The training loop of two players: a critic that tells real rows from made ones, and a generator that it teaches.

As in `training`, every draw of step s comes from (key, s), the loop's bounds are traced and rows are padded, so that
runs of any length and tables of similar size share one compilation.  It runs on one device: the networks are small.
"""

from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from nids_jax import random, training
from nids_jax.nn.layers import Uniforms, initialise
from nids_jax.training import BLOCK, Data

Figures = dict[str, Array]  # scalars of one step, by name


class Adversarial(Protocol):
    """A game: a frozen, hashable dataclass, so that it can be a static argument of the jitted loop."""

    def build(self, init: Uniforms) -> nnx.Module:
        """Both players in one module: its attribute `critic` is trained as the critic, all else as the generator."""
        ...

    def optimiser(self) -> optax.GradientTransformation:
        """What trains each of the players."""
        ...

    def critic_loss(self, players: Any, x: Array, y: Array, key: Array) -> tuple[Array, Figures]:
        """The critic's loss on real rows x [B, d] with labels y [B], and what else is worth keeping of the step."""
        ...

    def constrain(self, critic: nnx.State) -> nnx.State:
        """The critic's parameters after an update, put back where they may lie."""
        ...

    def generator_loss(self, players: Any, x: Array, y: Array, key: Array, done: Array) -> tuple[Array, Figures]:
        """The generator's loss, and what else is worth keeping of the step.

        `done` [] is the share of the run's steps taken so far, 0 in the first: for weights that change on the way.
        """
        ...


class GameState(NamedTuple):
    """All that a training run carries from one step to the next."""

    critic: nnx.State
    generator: nnx.State
    critic_opt: optax.OptState
    generator_opt: optax.OptState
    step: Array  # [] int32, the generator's steps taken


@partial(jax.jit, static_argnames=("game",))
def initial_state(key: Array, *, game: Adversarial) -> GameState:
    """Both players' parameters from `key`, step 0."""
    _, critic, generator = nnx.split(initialise(game.build, key), nnx.PathContains("critic"), ...)
    start = game.optimiser().init
    return GameState(critic, generator, start(critic), start(generator), jnp.zeros((), jnp.int32))


def players(game: Adversarial, critic: nnx.State, generator: nnx.State) -> Any:
    """The module that `game` builds with these parameters, for use inside jit."""
    skeleton = nnx.eval_shape(lambda: game.build(Uniforms()))
    graphdef = nnx.split(skeleton, nnx.PathContains("critic"), ...)[0]
    return nnx.merge(graphdef, critic, generator, copy=True)


@partial(jax.jit, static_argnames=("game", "batch", "critic_steps"), donate_argnames=("state",))
def advance(
    state: GameState, data: Data, key: Array, stop: Array, *, game: Adversarial, batch: int, critic_steps: int
) -> tuple[GameState, Figures]:
    """Train from `state.step` towards the run's end, `stop`, at most BLOCK steps; returns state and figures [BLOCK].

    A step is `critic_steps` updates of the critic, then one of the generator (Gulrajani et al. 2017, algorithm 1), each
    on rows drawn evenly with replacement.  The critic's figures are means over its updates; those of steps not taken
    are NaN.
    """
    optimiser = game.optimiser()
    first = state.step

    def draw(name: str, step: Array, number: Array | int) -> tuple[Array, Array, Array]:
        here = jax.random.fold_in(jax.random.fold_in(random.stream(key, name), step), number)
        chosen = jax.random.randint(random.stream(here, "rows"), (batch,), 0, data.n)
        return data.x[chosen], data.y[chosen], random.stream(here, "noise")

    def turn(state: GameState) -> tuple[GameState, Figures]:
        def teach_critic(
            carry: tuple[nnx.State, optax.OptState], number: Array
        ) -> tuple[tuple[nnx.State, optax.OptState], Figures]:
            critic, opt = carry
            x, y, noise = draw("critic", state.step, number)

            def loss_of(critic: nnx.State) -> tuple[Array, Figures]:
                return game.critic_loss(players(game, critic, state.generator), x, y, noise)

            (loss, figures), gradient = jax.value_and_grad(loss_of, has_aux=True)(critic)
            updates, opt = optimiser.update(gradient, opt, critic)
            critic = game.constrain(jax.tree.map(jnp.add, critic, updates))
            return (critic, opt), {"critic_loss": loss, **figures}

        (critic, critic_opt), each = jax.lax.scan(
            teach_critic, (state.critic, state.critic_opt), jnp.arange(critic_steps)
        )
        x, y, noise = draw("generator", state.step, 0)

        def loss_of(generator: nnx.State) -> tuple[Array, Figures]:
            return game.generator_loss(players(game, critic, generator), x, y, noise, state.step / stop)

        (loss, figures), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.generator)
        updates, generator_opt = optimiser.update(gradient, state.generator_opt, state.generator)
        generator = jax.tree.map(jnp.add, state.generator, updates)
        figures = {**{name: values.mean() for name, values in each.items()}, "generator_loss": loss, **figures}
        return GameState(critic, generator, critic_opt, generator_opt, state.step + 1), figures

    def body(step: Array, carry: tuple[GameState, Figures]) -> tuple[GameState, Figures]:
        state, figures = turn(carry[0])
        return state, {name: carry[1][name].at[step - first].set(value) for name, value in figures.items()}

    kept = {name: jnp.full((BLOCK,), jnp.nan) for name in jax.eval_shape(turn, state)[1]}
    return jax.lax.fori_loop(first, jnp.minimum(stop, first + BLOCK), body, (state, kept))


def train(
    game: Adversarial,
    data: Data,
    key: Array,
    *,
    steps: int,
    batch: int,
    critic_steps: int,
    progress: str | None = None,
) -> tuple[GameState, dict[str, np.ndarray]]:
    """Train for so many steps of the generator; returns the state and every figure of every step [steps].

    `progress` names the bar on standard error.

    Raises:
      TrainingError: a figure is not finite; the message names it, the step and the column with the largest values.
    """
    state = initial_state(random.stream(key, "init"), game=game)
    stop = jnp.asarray(steps, jnp.int32)
    blocks: list[dict[str, np.ndarray]] = []
    with training.progress_bar(progress, steps, "step") as bar:
        for done in range(0, steps, BLOCK):
            state, figures = advance(state, data, key, stop, game=game, batch=batch, critic_steps=critic_steps)
            blocks.append({name: np.asarray(values)[: steps - done] for name, values in figures.items()})
            _check_finite(blocks[-1], done, data)
            bar.update(min(BLOCK, steps - done))
            bar.set_postfix({name: f"{values[-1]:.3g}" for name, values in blocks[-1].items()})
    return state, {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _check_finite(figures: dict[str, np.ndarray], first: int, data: Data) -> None:
    bad = {name: int(np.argmin(np.isfinite(v))) for name, v in figures.items() if not np.isfinite(v).all()}
    if not bad:
        return
    name, place = min(bad.items(), key=lambda item: item[1])
    magnitude = np.abs(np.asarray(data.x[: int(data.n)])).max(axis=0)
    column = int(magnitude.argmax())
    raise training.TrainingError(
        f"the {name.replace('_', ' ')} became {figures[name][place]} in step {first + place + 1}; the largest training"
        f" value is {magnitude[column]:.4g} in column {column}: lower the learning rate or use a bounded scaling"
    )
