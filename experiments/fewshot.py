r"""Few-shot detection: do synthetic flows help, and what does the detector look at?

    python -m experiments.fewshot --dataset=cicids2017_improved --data_dir=DATA --shots=5 \
        --seeds=3 --output_dir=out/fewshot

Corrected CIC-IDS2017, 3 splits: 17 minutes on one CPU core.  No generator is shown to help:
see docs/results/few-shot.md.
`nids_jax fewshot` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["fewshot", *sys.argv[1:]]))
