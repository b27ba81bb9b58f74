"""What a labelled flow is worth, with flows of simulated tools and without.

    python -m experiments.learning_curve --dataset=cicids2017_improved --data_dir=DATA --output_dir=out/curve

See docs/results/simulated.md.
`nids_jax learning_curve` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["learning_curve", *sys.argv[1:]]))
