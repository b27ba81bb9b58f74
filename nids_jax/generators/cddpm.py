"""CDDPM: the conditional denoising diffusion model that generates flows (P1 III.C)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jax import Array

from nids_jax.diffusion.samplers import SAMPLERS
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.generators.base import checked_rows
from nids_jax.generators.cddpm_config import PRESETS, CDDPMConfig
from nids_jax.generators.diffusion_model import DiffusionModel
from nids_jax.generators.spec import GeneratorSpec, Request
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.training import loop
from nids_jax.training.checkpoint import fingerprint, read_description, restore_trained, state_shapes, train_resumably
from nids_jax.training.description import entry, from_plain, plain, reading
from nids_jax.training.loop import OptimiserConfig

_TYPES: dict[str, type] = {
    kind.__name__: kind for kind in (CDDPMConfig, Schedule, UNetConfig, OptimiserConfig, *SAMPLERS.values())
}


class CDDPM(DiffusionModel):
    """Conditional diffusion model over scaled flow features, trained from scratch."""

    def __init__(
        self,
        config: CDDPMConfig | None = None,
        *,
        checkpoint_dir: str | Path | None = None,
        about: Mapping[str, Any] | None = None,
        progress: bool = False,
    ):
        """With `checkpoint_dir`, progress is kept there after every block of steps, and an interrupted training goes on
        from it to bit-identical weights; `about` (JSON types: feature names, class names, scaler) is stored beside it.
        """
        super().__init__(config, progress=progress)
        self.checkpoint_dir = checkpoint_dir
        self.about = dict(about or {})

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Train on scaled rows x [n, d] with labels y [n] = 0, 1, ….

        Raises:
          InputError: no rows, a negative label, settings that count epochs (take `CDDPMConfig.fitted`), or a checkpoint
            of another run.
          TrainingError: the loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        if self.config.epochs:
            raise InputError(
                f"`epochs` is {self.config.epochs}, and training counts steps; give the settings that"
                " CDDPMConfig.fitted returns for these rows"
            )
        self.n_classes_ = int(y.max()) + 1
        self.features_ = x.shape[1]
        self._set_range(x.min(axis=0), x.max(axis=0))
        config = self.config
        description = {
            "kind": "cddpm",
            "config": plain(config),
            "classes": self.n_classes_,
            "low": x.min(axis=0).tolist(),
            "high": x.max(axis=0).tolist(),
            "rows": fingerprint(x, y),
            "key": np.asarray(jax.random.key_data(key)).tolist(),
            "about": self.about,
        }
        self.state_, self.losses_ = train_resumably(
            self._objective(),
            config.optimiser,
            loop.pad(x, y),
            key,
            steps=config.steps,
            batch=config.batch,
            directory=self.checkpoint_dir,
            description=description,
            title="CDDPM" if self.progress else None,
        )
        if config.choose_sampler:
            self.choose_sampler(self.checkpoint_dir)
        return self

    @classmethod
    def load(cls, directory: str | Path) -> tuple[Self, dict[str, Any]]:
        """A trained model and what was stored about it.

        Raises:
          InputError: no checkpoint there, one of another kind, one that cannot be read, or an unfinished one.
        """
        description = read_description(directory)
        if description.get("kind") != "cddpm":
            raise InputError(
                f"{directory} holds a checkpoint of kind {description.get('kind')!r}, not 'cddpm'; name the folder of a"
                " trained CDDPM"
            )
        with reading(Path(directory) / "description.json"):
            # Descriptions without a format lack the epochs, which were turned into steps before training.
            config = {"epochs": 0, **entry(description, "config", dict)}
            self = cls(from_plain(config, _TYPES, CDDPMConfig))
            self.n_classes_ = entry(description, "classes", int)
            low, high = (np.asarray(entry(description, side, list[float]), np.float32) for side in ("low", "high"))
            about = entry(description, "about", dict)
            self.features_ = len(low)
            if self.n_classes_ < 1 or not 0 < len(low) == len(high):
                raise InputError(
                    f"there are {self.n_classes_} 'classes', {len(low)} columns in 'low' and {len(high)} in 'high',"
                    " which do not go together; restore the file or train again"
                )
        self._set_range(low, high)
        self.state_, self.losses_ = restore_trained(
            directory, state_shapes(self._objective(), self.config.optimiser), self.config.steps
        )
        if self.config.choose_sampler:
            self.choose_sampler(directory)
        return self, about


def make(request: Request) -> CDDPM:
    """The model that a request asks for."""
    return CDDPM(
        request.settings, checkpoint_dir=request.checkpoint_dir, about=request.about, progress=request.progress
    )


SPEC = GeneratorSpec(
    name="cddpm",
    make=make,
    summary="Conditional denoising diffusion model, trained on the few rows (P1).",
    family="cddpm",
    presets=PRESETS,
    timesteps=True,
    compared_in=frozenset({"few_shot", "generator_comparison", "imbalance"}),
)
