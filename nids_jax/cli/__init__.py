"""The commands of `nids_jax`: flags and mains."""
