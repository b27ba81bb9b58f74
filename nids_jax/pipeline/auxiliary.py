"""Auxiliary rows beside the few: set aside before all splits, and what is learnt from them once for every split."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from nids_jax import random
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.split import set_aside
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.generators.transfer import Pretrained, pretrain
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import Preset

Kind = Literal["benign", "unlabelled"]


@dataclass(frozen=True, kw_only=True)
class Auxiliary:
    """Rows of the benign class, or rows of all classes whose labels are not looked at."""

    table: FlowTable
    kind: Kind
    preset: Preset
    directory: Path  # of the pre-trained model
    progress: bool

    @property
    def label(self) -> int | None:
        """The class of all rows; None where they count as unlabelled."""
        return int(self.table.y[0]) if self.kind == "benign" else None

    @cached_property
    def scaler(self) -> Scaler:
        """Fitted on these rows, so that it is the same for every split."""
        return fit_scaler(self.preset.scaler, self.table)

    @cached_property
    def x(self) -> np.ndarray:
        """The rows, scaled [m, d]."""
        return self.scaler.transform(self.table.x)

    @cached_property
    def pretrained(self) -> Pretrained:
        """A CDDPM of these rows; an interrupted training goes on from its checkpoint."""
        config = self.preset.fitted(self.preset.generators["cddpm"], self.scaler, len(self.x))
        key = random.stream(jax.random.key(0), "pretrain")
        return pretrain(config, self.x, self.label, key, checkpoint_dir=self.directory, progress=self.progress)

    def drawn(self, count: int, seed: int) -> np.ndarray:
        """`count` of the rows, scaled, or all if there are fewer."""
        return self.x[np.random.default_rng(seed).permutation(len(self.x))[:count]]


def separate(
    table: FlowTable, kind: Kind, preset: Preset, directory: Path, *, progress: bool
) -> tuple[FlowTable, Auxiliary]:
    """The rows left for the splits, and the auxiliary ones (`split.set_aside`).

    Raises:
      InputError: no class is benign though `kind` asks for it, or none has enough rows.
    """
    benign = table.benign
    if kind == "benign" and benign is None:
        raise InputError(f"`auxiliary` is 'benign', but no class is: {', '.join(table.classes)}")
    rest, rows = set_aside(table, classes=[benign] if kind == "benign" and benign else None)
    made = Auxiliary(table=rows, kind=kind, preset=preset, directory=directory, progress=progress)
    return rest, made


def trained(auxiliary: Auxiliary, runner: Runner) -> Auxiliary:
    """The same with its pre-trained model, wherever the runner's units are carried out; as it is if that diverges."""
    (found,) = runner.each(["pre-training"], _pretrain, auxiliary)
    return found or auxiliary


def _pretrain(runner: Runner, title: str, auxiliary: Auxiliary) -> Auxiliary:
    auxiliary = replace(auxiliary, directory=runner.output_dir / "runs" / "pretrained")
    with runner.unit(title):
        auxiliary.pretrained  # noqa: B018 (trained when it is first asked for, and kept)
    return auxiliary
