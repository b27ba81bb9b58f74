"""What several benchmarks time: an untrained diffusion model, and some steps of a training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nids_jax import parallel
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.training import loop


def diffusion_model(config: CDDPMConfig, features: int, classes: int) -> CDDPM:
    """A CDDPM as it is before its first step, of columns from -1 to 1."""
    model = CDDPM(config)
    model.n_classes_, model.features_ = classes, features
    model._set_range(-np.ones(features), np.ones(features))
    objective = config.objective(classes)
    model.state_ = loop.initial_state(jax.random.key(0), objective=objective, optimiser=config.optimiser)
    return model


def training(
    objective: Any, optimiser: loop.OptimiserConfig, state: loop.TrainState, rows: loop.Data, *, batch: int, steps: int
) -> Callable[[], None]:
    """Some steps from a state, which stays as it is; each call goes on from the one before."""
    mesh = parallel.mesh(batch)
    data, key = parallel.everywhere((rows, jax.random.key(0)), mesh)
    held = [parallel.everywhere(jax.tree.map(jnp.copy, state), mesh)]  # training takes its state over

    def run() -> None:
        held[0], losses = loop.advance(
            held[0], data, key, held[0].step + steps, objective=objective, optimiser=optimiser, batch=batch
        )
        jax.block_until_ready(losses)

    return run
