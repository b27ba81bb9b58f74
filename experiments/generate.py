"""`nids_jax generate`, beside the other experiments.

python -m experiments.generate --checkpoint=out/demo/runs/shots5-split0/cddpm --rows=1000000 --output_dir=flows
"""

from absl import flags

from nids_jax.cli import frame, generate

flags.adopt_module_key_flags(generate)

if __name__ == "__main__":
    frame.run(generate.main)
