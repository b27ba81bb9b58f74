"""Neural detectors, trained by the shared loop."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from nids_jax import training
from nids_jax.checkpoint import fingerprint, plain, train_resumably
from nids_jax.errors import InputError
from nids_jax.nn.cnn_bigru import CNNBiGRU, CNNBiGRUConfig
from nids_jax.nn.layers import Uniforms, training_method
from nids_jax.training import OptimiserConfig

PREDICT_ROWS = 256  # rows per call at inference: one compilation for every table size


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Settings of a neural detector's training."""

    network: CNNBiGRUConfig = CNNBiGRUConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    batch: int = 64
    steps: int = 0  # optimiser steps; 0: `epochs` passes over the rows
    epochs: int = 100

    def total_steps(self, rows: int) -> int:
        """Optimiser steps of a training on this many rows."""
        return self.steps or self.epochs * -(-rows // self.batch)


@dataclass(frozen=True, kw_only=True)
class CrossEntropyObjective:
    """Mean of −log p(y | x)."""

    network: CNNBiGRUConfig
    classes: int

    def build(self, init: Uniforms) -> nnx.Module:
        return CNNBiGRU(self.network, self.classes, init=init)

    def loss(self, network: CNNBiGRU, x: Array, y: Array, weight: Array, key: Array) -> Array:
        logits = network(x, method=training_method(), key=key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), y)
        return jnp.sum(weight * losses) / jnp.sum(weight)


@partial(jax.jit, static_argnames=("objective",))
def _probabilities(params: nnx.State, rest: nnx.State, x: Array, *, objective: CrossEntropyObjective) -> Array:
    logits = training.network(objective, params, rest)(x, method="lax")
    return jax.nn.softmax(logits.astype(jnp.float32), axis=-1)


class NeuralClassifier:
    """CNN-BiGRU behind the classifier interface.

    Fitted attributes: `classes_` [c], `state_`, `losses_` [steps].
    """

    def __init__(
        self,
        config: DetectorConfig | None = None,
        *,
        seed: int = 0,
        checkpoint_dir: str | Path | None = None,
        progress: str | None = None,
    ):
        """`checkpoint_dir` keeps progress there and resumes from it; `progress` titles a bar on standard error."""
        self.config = config or DetectorConfig()
        self.seed = seed
        self.checkpoint_dir = checkpoint_dir
        self.progress = progress

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        """Train on scaled rows x [n, d] with integer labels y [n].

        Raises:
          InputError: no rows, shapes that do not match, fewer than two classes, or a checkpoint of another run.
          TrainingError: the loss is no longer finite.
        """
        x, y = np.asarray(x, np.float32), np.asarray(y)
        if x.ndim != 2 or len(x) != len(y) or len(x) == 0:
            raise InputError(f"training rows have shape {x.shape} and labels {y.shape}; expected [n, d] and [n], n > 0")
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"all {len(y)} training rows have label {self.classes_[0]}; a detector needs two classes")
        config = self.config
        description = {
            "kind": "cnn_bigru",
            "config": plain(config),
            "classes": self.classes_.tolist(),
            "rows": fingerprint(x, codes),
            "seed": self.seed,
        }
        self.state_, self.losses_ = train_resumably(
            self._objective(),
            config.optimiser,
            training.pad(x, codes),
            jax.random.key(self.seed),
            steps=config.total_steps(len(x)),
            batch=config.batch,
            directory=self.checkpoint_dir,
            description=description,
            progress=self.progress,
        )
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """P(class | row): x [n, d] → [n, c] float32.

        Raises:
          InputError: values that are not finite.
        """
        x = np.asarray(x, np.float32)
        if not np.isfinite(x).all():
            raise InputError("rows to classify hold missing or infinite values; clean them first")
        objective, n = self._objective(), len(x)
        padded = np.pad(x, ((0, -n % PREDICT_ROWS), (0, 0)))
        # Dispatch every piece before reading the first: the device never waits for the host.
        pieces = [
            _probabilities(self.state_.params, self.state_.rest, padded[i : i + PREDICT_ROWS], objective=objective)
            for i in range(0, len(padded), PREDICT_ROWS)
        ]
        return np.concatenate([np.zeros((0, len(self.classes_)), np.float32), *map(np.asarray, pieces)])[:n]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The likeliest class of each row: x [n, d] → [n]."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _objective(self) -> CrossEntropyObjective:
        return CrossEntropyObjective(network=self.config.network, classes=len(self.classes_))
