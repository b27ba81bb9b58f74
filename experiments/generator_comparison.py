r"""Every generator beside its controls: P1's Table V and Fig. 7, and rare attacks (--benign_rows).

    python -m experiments.generator_comparison --dataset=cicids2017_improved --data_dir=DATA \
        --output_dir=out/generators

10 splits of 3 generations with four shallow detectors: two and a half hours a dataset on one core of a busy machine;
see docs/results/few-shot.md and docs/results/rare-attacks.md.
`nids_jax generator_comparison` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["generator_comparison", *sys.argv[1:]]))
