r"""Every detector on few real rows, on another capture, and on unseen attacks: P1's Table IV.

    python -m experiments.detector_comparison --dataset=cicids2017_improved --data_dir=DATA \
        --shots=5,50,500 --seeds=5 --output_dir=out/table4

About 80 minutes for both CIC datasets, one process and core each; see docs/results/detectors.md.
`nids_jax detector_comparison` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["detector_comparison", *sys.argv[1:]]))
