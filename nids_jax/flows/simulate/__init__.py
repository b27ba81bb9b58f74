"""Packets of attack tools and of benign programs: `tools` describes each by class, `flows` meters what they send."""

from nids_jax.flows.simulate.flows import SIMULATED_CLASSES, simulate_flows, simulate_packets

__all__ = ["SIMULATED_CLASSES", "simulate_flows", "simulate_packets"]
