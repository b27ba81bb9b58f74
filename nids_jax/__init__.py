"""nids_jax: few-shot network intrusion detection with generated flows, in JAX."""
