"""Settings by name: what a whole few-shot experiment trains with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.data.datasets import DATASETS
from nids_jax.data.scaling import Scaler
from nids_jax.data.table import FlowTable
from nids_jax.diffusion.samplers import DDPM
from nids_jax.errors import InputError
from nids_jax.flows.consistency import whole_columns
from nids_jax.generators.cddpm import CDDPMConfig
from nids_jax.generators.gan import GANConfig
from nids_jax.generators.registry import GeneratorOptions
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.training.loop import OptimiserConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Sizes, steps and rates."""

    cddpm: CDDPMConfig
    detector: DetectorConfig
    table: DetectorConfig  # the detector's training where the number of rows varies a hundredfold (detection tables)
    gan: GANConfig = field(default_factory=GANConfig)
    cddpm_epochs: int = 0  # above 0, replaces the CDDPM's number of steps by passes over the rows
    scaler: str = "signed_log"
    repair: bool = True  # generated rows are made consistent (whole counts, min ≤ mean ≤ max) before use
    test_rows: int | None = 1000  # per class; None: as many as P1 took from the dataset
    shap_rows: int = 2  # per class, for the global ranking
    shap_samples: int | None = None  # coalitions per row; None: SHAP's own choice

    def tested(self, dataset: str) -> int:
        """Test rows per class at most."""
        if self.test_rows is not None:
            return self.test_rows
        return DATASETS[dataset].test_per_class if dataset in DATASETS else 1000

    def cddpm_config(self, rows: int) -> CDDPMConfig:
        """The generator's settings for this many training rows."""
        if not self.cddpm_epochs:
            return self.cddpm
        return replace(self.cddpm, steps=self.cddpm_epochs * -(-rows // self.cddpm.batch))

    def about(self, scaler: Scaler, train: FlowTable, classes: Sequence[str], dataset: str) -> dict[str, Any]:
        """What is stored with a generator's checkpoint, for `nids_jax.generate`: its training rows, scaled so."""
        whole = np.array(train.features)[whole_columns(train.x)].tolist() if self.repair else None
        return {"scaler": scaler.to_json(), "classes": list(classes), "dataset": dataset, "whole": whole}

    def generator_options(self, scaler: Scaler, *, rows: int, **further: Any) -> GeneratorOptions:
        """What generators need for this many training rows, scaled so; and `further` fields."""
        config = self.cddpm_config(rows)
        return GeneratorOptions(
            cddpm=replace(config, clip=config.clip and scaler.bounded),
            gan=replace(self.gan, bounded=scaler.bounded, blocks=scaler.blocks),
            **further,
        )


def _falling(rate: float) -> OptimiserConfig:
    return OptimiserConfig(learning_rate=rate, decay=True, ema_decay=0.995)


_TINY_UNET = UNetConfig(widths=(8, 16, 32, 32), deep=64, embedding=32)
_SMALL_UNET = UNetConfig(widths=(16, 32, 64, 64), deep=128, embedding=64)

PRESETS: dict[str, Preset] = {
    # Minutes on two cores: everything small, to show the idea.
    "demo": Preset(
        cddpm=CDDPMConfig(network=_TINY_UNET, prediction="velocity", optimiser=_falling(4e-3), steps=600, batch=64),
        gan=GANConfig(hidden=(64, 64), noise=16, steps=500, wgan_rate=5e-4, gp_rate=1e-3),
        detector=DetectorConfig(steps=150, batch=32, optimiser=OptimiserConfig(learning_rate=2e-3)),
        table=DetectorConfig(steps=150, batch=32, optimiser=OptimiserConfig(learning_rate=2e-3)),
        test_rows=100,
        shap_rows=1,
        shap_samples=200,
    ),
    # A few minutes per split on two cores; every arm takes the same number of steps.
    "cpu": Preset(
        cddpm=CDDPMConfig(network=_SMALL_UNET, prediction="velocity", optimiser=_falling(2e-3), steps=1500, batch=64),
        gan=GANConfig(hidden=(128, 128, 128), noise=32, steps=1500, wgan_rate=3e-4, gp_rate=5e-4),
        detector=DetectorConfig(steps=300),
        table=DetectorConfig(
            limits=(200, 400), optimiser=OptimiserConfig(learning_rate=5e-3, decay=True, clip_norm=1.0)
        ),
        shap_samples=800,
    ),
    # P1's own: full width, 2,000 rounds, 1,000 ancestral steps, no label dropout, Adam 1e-4 for 100 epochs.
    "paper": Preset(
        cddpm=CDDPMConfig(
            optimiser=OptimiserConfig(learning_rate=1e-4), batch=64, label_dropout=0.0, sampler=DDPM(steps=1000)
        ),
        cddpm_epochs=2000,
        gan=GANConfig(),  # the rates, clip and λ of the papers on GANs
        detector=DetectorConfig(epochs=100, optimiser=OptimiserConfig(learning_rate=1e-4)),
        table=DetectorConfig(epochs=100, optimiser=OptimiserConfig(learning_rate=1e-4)),
        scaler="minmax",
        repair=False,
        test_rows=None,
    ),
}


def get_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
      InputError: unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose from {sorted(PRESETS)}")
    return PRESETS[name]
