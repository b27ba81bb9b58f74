"""Few-shot detection: do generated flows help, and what does the detector look at?

    python -m experiments.fewshot --dataset=cicids2017_improved --data_dir=DATA --shots=5 --output_dir=out/fewshot

For each split seed it draws a few real flows per class, trains the CDDPM on them, generates further flows, and trains
each detector on four sets: the few real rows (`real`), the same rows repeated (`copies`: equally many optimiser steps,
nothing new), real and generated rows (`cddpm`), and as many real rows as those (`real_all`).  It writes the generated
flows as Parquet in raw units, checkpoints, SHAP explanations and a report; run again, it goes on where it stopped.
"""

import sys
from dataclasses import replace

from absl import flags

from experiments import common
from nids_jax import fewshot
from nids_jax.diffusion.samplers import SAMPLERS, make_sampler
from nids_jax.errors import InputError
from nids_jax.presets import Preset
from nids_jax.report import records

_GENERATORS = flags.DEFINE_list(
    "generators", ["real", "copies", "cddpm", "real_all"], "Training sets to compare: generators, real and real_all."
)
_GENERATED = flags.DEFINE_integer("generated", 50, "Rows to generate per class.", lower_bound=1)
_GENERATIONS = flags.DEFINE_integer("generations", 1, "Times to generate per split.", lower_bound=1)
_SAMPLER = flags.DEFINE_enum("sampler", None, sorted(SAMPLERS), "Reverse process; default: the preset's.")
_SAMPLER_STEPS = flags.DEFINE_integer("sampler_steps", None, "Steps of the reverse process.", lower_bound=2)
_GUIDANCE = flags.DEFINE_float("guidance", None, "Weight w of classifier-free guidance; default: the preset's (1).")
flags.adopt_module_key_flags(common)


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
    return replace(chosen, cddpm=cddpm)


def main(argv: list[str]) -> None:
    job = fewshot.FewShot(
        dataset=common.dataset_name(),
        preset=preset(),
        shots=common.numbers(common.SHOTS),
        split_seeds=common.SEEDS.value,
        generations=_GENERATIONS.value,
        generated=_GENERATED.value,
        arms=tuple(_GENERATORS.value),
        classifiers=tuple(common.CLASSIFIERS.value),
    )
    output_dir = common.prepare(argv, job.preset)
    sampler = job.preset.cddpm.sampler
    if sampler.calls < sampler.minimum_calls:
        print(f"warning: {sampler.calls} calls of the network; quality falls below {sampler.minimum_calls}")
    table, found = common.read_table(output_dir)
    records.write_json(output_dir / "data.json", {**fewshot.describe(table, job), **found})
    fewshot.run(table, job, output_dir, ["python", "-m", "experiments.fewshot", *sys.argv[1:]], print)
    common.report(output_dir)


if __name__ == "__main__":
    common.run(main)
