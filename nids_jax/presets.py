"""Settings by name: sizes, steps and rates of all models that an experiment trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.data.datasets import DATASETS
from nids_jax.data.scaling import Scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.evaluation.shapley import MANY
from nids_jax.flows.consistency import whole_columns
from nids_jax.generators.registry import GENERATORS
from nids_jax.generators.spec import Columns, GeneratorSpec
from nids_jax.training.loop import OptimiserConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What an experiment's models are trained with."""

    generators: Mapping[str, Any] = field(default_factory=dict)  # settings of each family (`GeneratorSpec.family`)
    detector: DetectorConfig  # neural detectors on a few rows
    table: DetectorConfig  # neural detectors where the number of rows varies a hundredfold
    scaler: str = "signed_log"
    fractions: tuple[float, ...] = (0.03, 0.1, 0.3)  # of the way to balance, to choose from (`imbalance`)
    repair: bool = True  # synthetic rows are made consistent (whole counts, min ≤ mean ≤ max) before use
    test_rows: int | None = 1000  # per class; None: as many as P1 took from the dataset
    shap_rows: int = 2  # per class, for the global ranking
    shap_samples: int = MANY  # predictions for each row explained, at least four times the columns

    def tested(self, dataset: str) -> int:
        """Test rows per class at most."""
        if self.test_rows is not None:
            return self.test_rows
        return DATASETS[dataset].test_per_class if dataset in DATASETS else 1000

    def settings(self, spec: GeneratorSpec) -> Any:
        """A generator's settings; None for one that has none."""
        return self.generators[spec.family] if spec.family else None

    def fitted(self, settings: Any, scaler: Scaler, rows: int) -> Any:
        """A generator's settings for this many training rows, scaled so."""
        return settings.fitted(rows, Columns(bounded=scaler.bounded, blocks=scaler.blocks)) if settings else None

    def with_batches(self, *, even: bool) -> "Preset":
        """The same with even batches, or plain ones, wherever the shared loop trains (`OptimiserConfig`)."""

        def changed(config: Any) -> Any:
            return replace(config, optimiser=replace(config.optimiser, even_batches=even))

        cddpm = changed(self.generators["cddpm"])
        return replace(
            self,
            generators={**self.generators, "cddpm": cddpm},
            detector=changed(self.detector),
            table=changed(self.table),
        )

    def about(self, scaler: Scaler, train: FlowTable, classes: Sequence[str], dataset: str) -> dict[str, Any]:
        """What is stored with a generator's checkpoint, for `nids_jax.bulk`: its training rows, scaled so."""
        whole = np.array(train.features)[whole_columns(train.x)].tolist() if self.repair else None
        return {"scaler": scaler.to_json(), "classes": list(classes), "dataset": dataset, "whole": whole}


def _generators(name: str) -> dict[str, Any]:
    return {spec.family: spec.presets[name] for spec in GENERATORS.values() if spec.family}


def _paper(name: str) -> Preset:
    """P1's own: Adam 1e-4 for 100 epochs of plain batches, min-max scaling, nothing mended afterwards.

    `paper` has its full UNet; `paper_narrow` has the one of `cpu`, and all else as `paper`.
    """
    rate = OptimiserConfig(learning_rate=1e-4, even_batches=False)
    return Preset(
        generators=_generators(name),
        detector=DetectorConfig(epochs=100, optimiser=rate),
        table=DetectorConfig(epochs=100, optimiser=rate),
        scaler="minmax",
        repair=False,
        test_rows=None,
        fractions=(1.0,),
    )


PRESETS: dict[str, Preset] = {
    # Minutes on two cores: everything small, to show the idea.
    "demo": Preset(
        generators=_generators("demo"),
        detector=DetectorConfig(steps=150, batch=32, optimiser=OptimiserConfig(learning_rate=2e-3)),
        table=DetectorConfig(steps=150, batch=32, optimiser=OptimiserConfig(learning_rate=2e-3)),
        test_rows=100,
        shap_rows=1,
        shap_samples=1024,
    ),
    # A few minutes per split on two cores; every training set takes the same number of steps.
    "cpu": Preset(
        generators=_generators("cpu"),
        detector=DetectorConfig(steps=300),
        table=DetectorConfig(
            limits=(200, 400), optimiser=OptimiserConfig(learning_rate=5e-3, decay=True, clip_norm=1.0)
        ),
    ),
    "paper": _paper("paper"),
    "paper_narrow": _paper("paper_narrow"),
}


def get_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
      InputError: unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose from {', '.join(PRESETS)}")
    return PRESETS[name]


def with_family(preset: Preset, family: str, settings: Any) -> Preset:
    """The preset with other settings of one family of generators."""
    return replace(preset, generators={**preset.generators, family: settings})
