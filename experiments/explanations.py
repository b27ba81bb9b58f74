"""Which features do a detector's verdicts rest on?  P1's Fig. 8.

    python -m experiments.explanations --dataset=cicids2017 --data_dir=DATA --output_dir=out/explanations

See docs/results/explanations.md.
`nids_jax explanations` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["explanations", *sys.argv[1:]]))
