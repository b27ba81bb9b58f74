"""Few-shot detection: do generated flows help, and what does the detector look at?

    python -m experiments.fewshot --dataset=cicids2017_improved --data_dir=DATA --shots=5 --output_dir=out/fewshot

For each split seed it draws a few real flows per class, trains the CDDPM on them, generates further flows, and trains
each detector on four sets: the few real rows (`real`), the same rows repeated (`copies`: equally many optimiser steps,
nothing new), real and generated rows (`cddpm`), and as many real rows as those (`real_all`).  It writes the generated
flows as Parquet in raw units, checkpoints, SHAP explanations and a report; run again, it goes on where it stopped.
"""

import sys

from absl import flags

from experiments import common, generating
from nids_jax import fewshot
from nids_jax.report import records

flags.adopt_module_key_flags(common)
flags.adopt_module_key_flags(generating)


def main(argv: list[str]) -> None:
    job = fewshot.FewShot(
        dataset=common.dataset_name(),
        preset=generating.preset(),
        shots=common.numbers(common.SHOTS),
        split_seeds=common.SEEDS.value,
        generations=generating.GENERATIONS.value,
        generated=generating.GENERATED.value,
        arms=tuple(generating.GENERATORS.value),
        classifiers=tuple(common.CLASSIFIERS.value),
    )
    output_dir = common.prepare(argv, job.preset)
    table, found = common.read_table(output_dir)
    records.write_json(output_dir / "data.json", {**fewshot.describe(table, job), **found})
    fewshot.run(table, job, output_dir, ["python", "-m", "experiments.fewshot", *sys.argv[1:]], print)
    common.report(output_dir)


if __name__ == "__main__":
    common.run(main)
