"""What each generator costs: P1's Table VI.

    python -m experiments.cost --dataset=cicddos2019 --data_dir=DATA --output_dir=out/cost

See docs/results/cost.md.
`nids_jax cost` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["cost", *sys.argv[1:]]))
