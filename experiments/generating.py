"""What the experiments that generate rows share: their flags, and running the job that these describe."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from absl import flags

from experiments import common
from nids_jax import store
from nids_jax.cli import sampling
from nids_jax.data.table import FlowTable
from nids_jax.presets import Preset
from nids_jax.protocols import few_shot

Reader = Callable[[Path], tuple[FlowTable, dict]]

flags.adopt_module_key_flags(sampling)
GENERATORS = flags.DEFINE_list(
    "generators",
    ["real", "copies", "cddpm", "real_all"],
    "Training sets to compare: generators (NAME_base: on base columns), real, real_weighted and real_all.",
)
GENERATED = flags.DEFINE_integer("generated", 50, "Rows to generate per class.", lower_bound=1)
GENERATIONS = flags.DEFINE_integer("generations", 1, "Times to generate per split.", lower_bound=1)


def preset() -> Preset:
    """The preset with the flags' changes.

    Raises:
      InputError: settings that do not go together.
    """
    chosen = common.preset()
    cddpm = sampling.chosen(chosen.cddpm)
    if cddpm.sampler.calls < cddpm.sampler.minimum_calls:
        print(f"warning: {cddpm.sampler.calls} calls of the network; quality falls below {cddpm.sampler.minimum_calls}")
    return replace(chosen, cddpm=cddpm)


def run(
    argv: list[str],
    program: str,
    *,
    dataset: str | None = None,
    read: Reader = common.read_table,
    constants: Any = None,
    **settings: Any,
) -> None:
    """Do the job that the flags describe, with the further `settings` of `FewShot`, and report.

    Args:
      program: as in `python -m experiments.PROGRAM`.
      dataset: what the records call the data; None: what the flags name.
      read: output folder → the deduplicated table, and what to add to data.json.
      constants: what no flag says and yet must not change between runs in one folder, beside the preset.

    Raises:
      InputError: flags that do not go together, or whatever the reading and the runs refuse.
    """
    job = few_shot.FewShot(
        dataset=dataset or common.dataset_name(),
        preset=preset(),
        shots=common.numbers(common.SHOTS),
        split_seeds=common.SEEDS.value,
        generations=GENERATIONS.value,
        generated=GENERATED.value,
        classifiers=tuple(common.CLASSIFIERS.value),
        **settings,
    )
    output_dir = common.prepare(argv, (job.preset, constants) if constants else job.preset, dataset)
    table, found = read(output_dir)
    store.write_json(output_dir / "data.json", {**few_shot.describe(table, job), **found})
    few_shot.run(table, job, output_dir, ["python", "-m", f"experiments.{program}", *sys.argv[1:]], print)
    common.report(output_dir)
