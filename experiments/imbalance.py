r"""Rare attack classes raised by over-samplers, learned generators and class weights: P2's Tables 1 to 4.

    python -m experiments.imbalance --dataset=cicids2017 --merge_dos --data_dir=DATA \
        --output_dir=out/imbalance

See docs/results/balancing.md.
`nids_jax imbalance` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["imbalance", *sys.argv[1:]]))
