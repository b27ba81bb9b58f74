"""Transfer: a CDDPM learns from plentiful rows first, and then the classes of which there are only a few rows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.generators.base import checked_rows
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.generators.denoising import DenoisingObjective
from nids_jax.nn.layers import Uniforms
from nids_jax.nn.unet1d import UNet1d
from nids_jax.training import loop
from nids_jax.training.loop import OptimiserConfig, TrainState


class Pretrained(NamedTuple):
    """A CDDPM of plentiful rows; it knows "no label" and, if they are of one class, that label."""

    model: CDDPM
    label: int | None  # the class of those rows; None: they have no labels


def pretrain(
    config: CDDPMConfig,
    x: np.ndarray,
    label: int | None,
    key: Array,
    *,
    checkpoint_dir: str | Path | None = None,
    progress: bool = False,
) -> Pretrained:
    """Train on rows x [m, d], scaled as those of the few will be, all of class `label` or without labels (None).

    Rows without labels train the unconditional branch of classifier-free guidance alone, rows with one also their own.
    Nothing depends on how many classes there are, so that one pre-training serves every split.
    """
    dropout = 1.0 if label is None else config.label_dropout or 0.1  # without any, "no label" would mean nothing
    config = replace(config, label_dropout=dropout)
    model = CDDPM(config, checkpoint_dir=checkpoint_dir, progress=progress)
    return Pretrained(model.fit(x, np.zeros(len(x), np.int32), key), label)


@dataclass(frozen=True, kw_only=True)
class AdaptationConfig:
    """How the few rows are learnt."""

    steps: int = 600  # 0: every label means "no label", and only the seeds of `editing.Edited` tell classes apart
    rank: int | None = None  # of the weights' updates (0: labels alone are learnt); None: all weights are trained
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=2e-3, decay=True, ema_decay=0.99)


class Fixed(nnx.Variable):
    """A weight that is not trained."""


class LowRank(nnx.Module):
    """`network` with weights W + A B, W fixed, A [rows, rank] and B [rank, columns] learnt (Hu et al. 2022, eq. 3).

    B starts at 0.  Biases and norms are fixed, the labels' embedding is learnt itself.
    """

    def __init__(self, network: UNet1d, rank: int, *, init: Uniforms):
        labels = network.labels
        for _, module in list(nnx.iter_modules(network)):
            for name, value in list(vars(module).items()):
                if isinstance(value, nnx.Param) and value is not labels:
                    setattr(module, name, Fixed(value[...]))
        self.network = network
        matrices = [w.reshape(-1, w.shape[-1]) for w in jax.tree.leaves(nnx.state(network, Fixed)) if w.ndim > 1]
        self.a = nnx.List([init((len(w), rank), len(w) ** -0.5) for w in matrices])
        self.b = nnx.List([nnx.Param(jnp.zeros((rank, w.shape[1]))) for w in matrices])

    def merged(self) -> UNet1d:
        """The network with its updates added in."""
        graphdef, fixed, rest = nnx.split(self.network, Fixed, ...)
        updates = (a[...] @ b[...] for a, b in zip(self.a, self.b, strict=True))
        weights = [w + next(updates).reshape(w.shape) if w.ndim > 1 else w for w in jax.tree.leaves(fixed)]
        return nnx.merge(graphdef, jax.tree.unflatten(jax.tree.structure(fixed), weights), rest)

    def __call__(self, x: Array, t: Array, labels: Array) -> Array:
        """As `UNet1d`."""
        return self.merged()(x, t, labels)


@dataclass(frozen=True, kw_only=True)
class LowRankObjective(DenoisingObjective):
    """The same loss, over the labels' embedding and updates of this rank."""

    rank: int

    def build(self, init: Uniforms) -> nnx.Module:
        network = super().build(init)
        assert isinstance(network, UNet1d)
        return LowRank(network, self.rank, init=init)


class Adapted(CDDPM):
    """The pre-trained model, taught the classes of a few rows: their embedding, and all weights or low-rank updates.

    A class starts from the embedding of "no label" plus a random one, the class of the plentiful rows from its own.
    """

    def __init__(
        self,
        config: CDDPMConfig,
        pretrained: Pretrained,
        adaptation: AdaptationConfig | None = None,
        *,
        progress: bool = False,
    ):
        """`config` differs from the pre-trained model's in its sampler, guidance and label dropout at most."""
        super().__init__(config, progress=progress)
        self.pretrained = pretrained
        self.adaptation = adaptation or AdaptationConfig()

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Learn scaled rows x [n, d] with labels y [n]; `losses_` are those of the adaptation.

        Raises:
          InputError: no rows, a negative label, or another number of columns than the plentiful rows have.
          TrainingError: the loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        model, label = self.pretrained
        if x.shape[1] != model.features_:
            raise InputError(f"the rows have {x.shape[1]} columns, the pre-trained model knows {model.features_}")
        self.features_ = model.features_
        self.classes_ = max(int(y.max()), -1 if label is None else label) + 1
        low, high = np.asarray(model.low_), np.asarray(model.high_)
        self._set_range(np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0)))
        self.state_, self.losses_ = self._adapted(loop.pad(x, y), key)
        return self

    def _adapted(self, rows: loop.Data, key: Array) -> tuple[TrainState, np.ndarray]:
        """Train on from the pre-trained weights: the state to sample from, and the losses."""
        how, objective, weights = self.adaptation, self._objective(), dict(self.pretrained.model.state_.ema)
        if how.rank is not None:
            objective = LowRankObjective(**vars(objective), rank=how.rank)
        start = loop.initial_state(random.stream(key, "init"), objective=objective, optimiser=how.optimiser)
        labels = (start.params if how.rank is None else start.params["network"])["labels"]
        own, none = weights.pop("labels")[...]
        # Classes that start apart are told apart sooner; without any step, each means "no label".
        table = jnp.tile(none, (self.classes_ + 1, 1)) + (labels[...] if how.steps else 0.0)
        table = table.at[self.classes_].set(none)
        labels[...] = table if self.pretrained.label is None else table.at[self.pretrained.label].set(own)
        if how.rank is None:
            start = start._replace(params=_filled(start.params, {**weights, "labels": labels}))
        else:
            start = start._replace(rest=_filled(start.rest, weights))
        state, losses = loop.train(
            objective,
            how.optimiser,
            rows,
            key,
            steps=how.steps,
            batch=self.config.batch,
            state=start._replace(ema=jax.tree.map(jnp.copy, start.params)),
            progress="adapting" if self.progress else None,
        )
        if how.rank is not None:
            merged = nnx.state(loop.network(objective, state.ema, state.rest).merged())
            plain = self.pretrained.model.state_
            state = plain._replace(params=_filled(plain.params, merged), ema=_filled(plain.ema, merged))
        return state, losses


def _filled(like: nnx.State, values: object) -> nnx.State:
    """`like` with copies of other values, which lie in the order of the same paths."""
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.copy(leaf) for leaf in jax.tree.leaves(values)])
