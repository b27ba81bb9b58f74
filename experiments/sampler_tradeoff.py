r"""How few calls of the network do: samplers and their steps against ancestral sampling.

    python -m experiments.sampler_tradeoff --dataset=cicddos2019 --data_dir=DATA --preset=demo \
        --output_dir=out/sampler_tradeoff

5 splits: 30 minutes on two cores, in part beside other work; see docs/results/samplers.md.
`nids_jax sampler_tradeoff` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sampler_tradeoff", *sys.argv[1:]]))
