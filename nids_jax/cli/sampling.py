"""Flags of how a CDDPM samples, the same for the experiments that train one and the command that loads one."""

from typing import get_args

from absl import flags

from nids_jax.diffusion.samplers import SAMPLERS
from nids_jax.generators.cddpm import AUTO, CDDPMConfig
from nids_jax.nn.unet1d import Precision

_SAMPLER = flags.DEFINE_enum(
    "sampler",
    None,
    [AUTO, *sorted(SAMPLERS)],
    "Reverse process; auto: the cheapest that does; default: the preset's or the model's own.",
)
_SAMPLER_STEPS = flags.DEFINE_integer("sampler_steps", None, "Steps of the reverse process.", lower_bound=2)
_GUIDANCE = flags.DEFINE_float("guidance", None, "Weight w of classifier-free guidance; default: 1 or the model's own.")
_PRECISION = flags.DEFINE_enum(
    "precision",
    None,
    get_args(Precision),
    "Of the diffusion network's activations and products; default: float32 or the model's own.",
)


def chosen(config: CDDPMConfig) -> CDDPMConfig:
    """The settings with the flags' changes.

    Raises:
      InputError: settings that do not go together.
    """
    return config.sampled(_SAMPLER.value, _SAMPLER_STEPS.value, _GUIDANCE.value).precise(_PRECISION.value)
