"""Packet columns → flow records: `splitting` finds the flows, `statistics` sums over them, `records` has features."""

from nids_jax.flows.meter.records import TIMEOUT, Compat, Flows, meter

__all__ = ["TIMEOUT", "Compat", "Flows", "meter"]
