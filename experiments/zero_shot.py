"""Attacks found without a single attack row: benign rows of one's own network, and simulated attacks.

    python -m experiments.zero_shot --dataset=cicids2017_improved --data_dir=DATA --output_dir=out/zero_shot

See docs/results/zero-shot.md.
`nids_jax zero_shot` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["zero_shot", *sys.argv[1:]]))
