"""Transfer: a CDDPM learns from auxiliary rows first, and then the classes of which there are only a few rows."""

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
from nids_jax.generators.cddpm import CDDPM
from nids_jax.generators.cddpm_config import PRESETS, CDDPMConfig
from nids_jax.generators.diffusion_model import DiffusionModel
from nids_jax.generators.spec import GeneratorSpec, Request
from nids_jax.training import loop
from nids_jax.training.loop import OptimiserConfig, TrainState


class Pretrained(NamedTuple):
    """A CDDPM of auxiliary rows; it knows "no label" and, if they are of one class, that label."""

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
    """Train on auxiliary rows x [m, d], scaled as the few rows will be, all of class `label` or without labels (None).

    Rows without labels train the unconditional branch of classifier-free guidance alone, rows with one also their own.
    Nothing depends on how many classes there are, so that one pre-training serves every split.
    """
    dropout = 1.0 if label is None else config.label_dropout or 0.1  # without any, "no label" would mean nothing
    # A sampler is chosen after the adaptation, which is what is sampled.
    config = replace(config, label_dropout=dropout, choose_sampler=False)
    model = CDDPM(config, checkpoint_dir=checkpoint_dir, progress=progress)
    return Pretrained(model.fit(x, np.zeros(len(x), np.int32), key), label)


@dataclass(frozen=True, kw_only=True)
class AdaptationConfig:
    """How the few rows are learnt."""

    steps: int = 600  # 0: every label means "no label", and only the seeds of `editing.Edited` tell classes apart
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=2e-3, decay=True, ema_decay=0.99)


class Adapted(DiffusionModel):
    """The pre-trained model, taught the classes of a few rows: all weights train on.

    A class starts from the embedding of "no label" plus a random one, the class of the auxiliary rows from its own.
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
          InputError: no rows, a negative label, or another number of columns than the auxiliary rows have.
          TrainingError: the loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        model, label = self.pretrained
        if x.shape[1] != model.features_:
            raise InputError(
                f"the rows have {x.shape[1]} columns, the pre-trained model knows {model.features_}; give both the same"
            )
        self.features_ = model.features_
        self.n_classes_ = max(int(y.max()), -1 if label is None else label) + 1
        low, high = np.asarray(model.low_), np.asarray(model.high_)
        self._set_range(np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0)))
        self.state_, self.losses_ = self._adapted(loop.pad(x, y), key)
        if self.config.choose_sampler:
            self.choose_sampler()
        return self

    def _adapted(self, rows: loop.Data, key: Array) -> tuple[TrainState, np.ndarray]:
        """Train on from the pre-trained weights: the state to sample from, and the losses."""
        how, objective, weights = self.adaptation, self._objective(), dict(self.pretrained.model.state_.ema)
        start = loop.initial_state(random.stream(key, "init"), objective=objective, optimiser=how.optimiser)
        labels = start.params["labels"]
        own, none = weights.pop("labels")[...]
        # Classes whose embeddings start apart separate sooner; without any step, each means "no label".
        table = jnp.tile(none, (self.n_classes_ + 1, 1)) + (labels[...] if how.steps else 0.0)
        table = table.at[self.n_classes_].set(none)
        labels[...] = table if self.pretrained.label is None else table.at[self.pretrained.label].set(own)
        start = start._replace(params=_filled(start.params, {**weights, "labels": labels}))
        return loop.train(
            objective,
            how.optimiser,
            rows,
            key,
            steps=how.steps,
            batch=self.config.batch,
            state=start._replace(ema=jax.tree.map(jnp.copy, start.params)),
            title="adapting" if self.progress else None,
        )


def _filled(like: nnx.State, values: object) -> nnx.State:
    """`like` with copies of other values, which lie in the order of the same paths."""
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.copy(leaf) for leaf in jax.tree.leaves(values)])


def _make(request: Request) -> Adapted:
    if request.pretrained is None:
        raise InputError("cddpm_adapted starts from a model of auxiliary rows, and there are none; set some aside")
    return Adapted(request.settings or CDDPMConfig(), request.pretrained, progress=request.progress)


SPEC = GeneratorSpec(
    name="cddpm_adapted",
    make=_make,
    summary="CDDPM pre-trained on auxiliary rows and adapted to the few.",
    family="cddpm",
    presets=PRESETS,
    needs="auxiliary",
    starts_from_auxiliary=True,
)
