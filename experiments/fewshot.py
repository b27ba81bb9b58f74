"""Few-shot detection: do generated flows help, and what does the detector look at?

    python -m experiments.fewshot --dataset=cicids2017_improved --data_dir=DATA --shots=5 --output_dir=out/fewshot

For each split seed it draws a few real flows per class, trains the CDDPM on them, generates further flows, and trains
each detector on four sets: the few real rows (`real`), the same rows repeated (`copies`: equally many optimiser steps,
nothing new), real and generated rows (`cddpm`), and as many real rows as those (`real_all`).  It writes the generated
flows as Parquet in raw units, checkpoints, SHAP explanations and a report; run again, it goes on where it stopped.
"""

from absl import flags

from experiments import common, generating
from nids_jax.cli import frame

flags.adopt_module_key_flags(common)
flags.adopt_module_key_flags(generating)


def main(argv: list[str]) -> None:
    generating.run(argv, "fewshot", arms=tuple(generating.GENERATORS.value))


if __name__ == "__main__":
    frame.run(main)
