"""The flags of the experiments that generate rows."""

from dataclasses import replace

from absl import flags

from experiments import common
from nids_jax.diffusion.samplers import SAMPLERS, make_sampler
from nids_jax.errors import InputError
from nids_jax.presets import Preset

GENERATORS = flags.DEFINE_list(
    "generators",
    ["real", "copies", "cddpm", "real_all"],
    "Training sets to compare: generators, real, real_weighted (class weights) and real_all.",
)
GENERATED = flags.DEFINE_integer("generated", 50, "Rows to generate per class.", lower_bound=1)
GENERATIONS = flags.DEFINE_integer("generations", 1, "Times to generate per split.", lower_bound=1)
_SAMPLER = flags.DEFINE_enum("sampler", None, sorted(SAMPLERS), "Reverse process; default: the preset's.")
_SAMPLER_STEPS = flags.DEFINE_integer("sampler_steps", None, "Steps of the reverse process.", lower_bound=2)
_GUIDANCE = flags.DEFINE_float("guidance", None, "Weight w of classifier-free guidance; default: the preset's (1).")


def preset() -> Preset:
    """The preset with the flags' changes.

    Raises:
      InputError: settings that do not go together.
    """
    chosen = common.preset()
    cddpm = chosen.cddpm
    try:
        if _SAMPLER.value:
            cddpm = replace(cddpm, sampler=make_sampler(_SAMPLER.value))
        if _SAMPLER_STEPS.value:
            cddpm = replace(cddpm, sampler=replace(cddpm.sampler, steps=_SAMPLER_STEPS.value))
        if _GUIDANCE.value is not None:
            cddpm = replace(cddpm, guidance=_GUIDANCE.value)
        cddpm.sampler.grid(cddpm.schedule)
    except ValueError as error:
        raise InputError(str(error)) from None
    if cddpm.sampler.calls < cddpm.sampler.minimum_calls:
        print(f"warning: {cddpm.sampler.calls} calls of the network; quality falls below {cddpm.sampler.minimum_calls}")
    return replace(chosen, cddpm=cddpm)
