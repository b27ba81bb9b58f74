"""Settings of the conditional diffusion model (CDDPM), and its presets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

import numpy as np

from nids_jax.diffusion.samplers import DDPM, Sampler, SDEDPMpp2M, make_sampler
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.generators.denoising import DenoisingObjective, Prediction
from nids_jax.generators.spec import Columns
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.training.loop import OptimiserConfig

AUTO = "auto"  # in the place of a sampler's name: see `DiffusionModel.choose_sampler`


@dataclass(frozen=True, kw_only=True)
class CDDPMConfig:
    """Settings of training and sampling."""

    schedule: Schedule = Schedule()
    network: UNetConfig = UNetConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    steps: int = 4000  # optimiser steps
    epochs: int = 0  # above 0, replaces `steps` by so many passes over the rows (`fitted`)
    batch: int = 64
    prediction: Prediction = "noise"  # what the network puts out; "velocity" learns in fewer steps
    label_dropout: float = 0.1  # 0: P1's algorithm, which has no unconditional branch to guide with
    sampler: Sampler = SDEDPMpp2M()
    guidance: float = 1.0  # w of eq. 11; 1 needs no unconditional pass
    choose_sampler: bool = False  # after training, choose the sampler (`sampler_selection`) instead of using `sampler`
    clip: bool = True  # keep x̂_0 within each column's training range; for bounded scalings only

    def __post_init__(self) -> None:
        if self.prediction not in get_args(Prediction):
            raise InputError(f"unknown `prediction` {self.prediction!r}; choose from {', '.join(get_args(Prediction))}")
        for name, least in (("steps", 0), ("epochs", 0), ("batch", 1)):
            if getattr(self, name) < least:
                raise InputError(f"`{name}` is {getattr(self, name)}; give at least {least}")
        if not 0.0 <= self.label_dropout <= 1.0:
            raise InputError(f"`label_dropout` is {self.label_dropout}; give a share from 0 to 1")
        if not np.isfinite(self.guidance):
            raise InputError(f"`guidance` is {self.guidance}; give a finite weight, such as 1.5")
        if self.guidance != 1.0 and self.label_dropout == 0.0:
            raise InputError(
                f"`guidance` {self.guidance} needs a trained unconditional branch; set `label_dropout` above 0, say 0.1"
            )
        self.sampler.grid(self.schedule)  # refuses steps that do not go together

    def objective(self, classes: int) -> DenoisingObjective:
        """What is trained for rows of so many classes."""
        return DenoisingObjective(
            network=self.network,
            schedule=self.schedule,
            classes=classes,
            prediction=self.prediction,
            label_dropout=self.label_dropout,
        )

    def fitted(self, rows: int, columns: Columns) -> Self:
        """The same for so many training rows with these columns: epochs turned into steps, clipping where it can be."""
        steps = self.epochs * -(-rows // self.batch) if self.epochs else self.steps
        return replace(self, steps=steps, epochs=0, clip=self.clip and columns.bounded)

    def with_timesteps(self, timesteps: int) -> Self:
        """The same with T = `timesteps` steps of the forward process.

        Raises:
          InputError: the sampler is to take more steps than that, or there is no such schedule.
        """
        return replace(self, schedule=replace(self.schedule, steps=timesteps))

    def changed(
        self,
        *,
        sampler: str | None = None,
        sampler_steps: int | None = None,
        guidance: float | None = None,
        precision: str | None = None,
        schedule: str | None = None,
        scale_schedule: bool | None = None,
        variance: str | None = None,
    ) -> Self:
        """The same with other settings where an argument is given; None leaves what there is.

        Args:
          sampler: name of the reverse process; `auto` leaves the choice to `DiffusionModel.choose_sampler`.
          sampler_steps: steps of the reverse process.
          guidance: w of eq. 11.
          precision: of the network's activations and products, "float32" or "bfloat16".
          schedule: of the forward process, "linear" or "cosine".
          scale_schedule: whether a linear schedule's β is scaled by 1000/T.
          variance: of the sampler `ddpm`, "posterior" or "beta".

        Raises:
          InputError: an unknown value, or settings that do not go together.
        """
        if sampler == AUTO and sampler_steps is not None:
            raise InputError("`sampler` auto chooses the steps as well; leave `sampler_steps` out")
        if sampler == AUTO and variance is not None:
            raise InputError("`sampler` auto chooses the sampler with its options; leave `variance` out")
        reverse = make_sampler(sampler) if sampler not in (None, AUTO) else self.sampler
        if sampler_steps is not None:
            reverse = replace(reverse, steps=sampler_steps)
        if variance is not None:
            if not isinstance(reverse, DDPM):
                raise InputError(
                    f"`variance` {variance!r} is an option of the sampler ddpm alone; choose `sampler` ddpm or leave"
                    " `variance` out"
                )
            reverse = replace(reverse, **_given(variance=variance))
        chosen = sampler == AUTO or (self.choose_sampler and sampler is None)
        return replace(
            self,
            sampler=reverse,
            choose_sampler=chosen,
            schedule=replace(self.schedule, **_given(kind=schedule, scaled=scale_schedule)),
            network=replace(self.network, **_given(precision=precision)),
            **_given(guidance=guidance),
        )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _falling(rate: float) -> OptimiserConfig:
    return OptimiserConfig(learning_rate=rate, decay=True, ema_decay=0.995)


# A few minutes per split on two cores.
_CPU = CDDPMConfig(
    network=UNetConfig(widths=(16, 32, 64, 64), deep=128, embedding=64),
    prediction="velocity",
    optimiser=_falling(2e-3),
    steps=1500,
    batch=64,
)
# P1's own: full width, 2,000 rounds, every step of the schedule; neither label dropout, averaged weights nor clipping,
# which its algorithms do not have; batches of 64 and what is left.
_PAPER = CDDPMConfig(
    optimiser=OptimiserConfig(learning_rate=1e-4, ema_decay=0.0, even_batches=False),
    epochs=2000,
    batch=64,
    label_dropout=0.0,
    sampler=DDPM(),
    clip=False,
)

PRESETS: Mapping[str, CDDPMConfig] = {
    # Minutes on two cores: everything small, to show the idea.
    "demo": CDDPMConfig(
        network=UNetConfig(widths=(8, 16, 32, 32), deep=64, embedding=32),
        prediction="velocity",
        optimiser=_falling(4e-3),
        steps=600,
        batch=64,
    ),
    "cpu": _CPU,
    "paper": _PAPER,
    "paper_narrow": replace(_PAPER, network=_CPU.network),
}
