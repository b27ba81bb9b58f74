"""Captured flows with their packets varied and metered again.

    python -m experiments.packet_augmentation --seeds=10 --output_dir=out/packets

See docs/results/packets.md.
`nids_jax packet_augmentation` does the same from an installed package.
"""

import sys

from nids_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["packet_augmentation", *sys.argv[1:]]))
