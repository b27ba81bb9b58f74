"""Packet columns → flow records.

`stream` meters packets as they come, on `connections` (which packets make a flow) and `record` (its features), which
are compiled; `records` does what CICFlowMeter does, on `splitting` (the flows) and `statistics` (sums over them).
"""

from nids_jax.flows.meter.flows import ENDS, Flows
from nids_jax.flows.meter.records import Compat, meter
from nids_jax.flows.meter.stream import TIMEOUT, Ordered, StreamMeter

__all__ = ["ENDS", "TIMEOUT", "Compat", "Flows", "Ordered", "StreamMeter", "meter"]
