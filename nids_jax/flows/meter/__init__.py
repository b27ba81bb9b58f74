"""Packet columns → flow records.

`stream` meters packets as they come, on `connections` (which packets make a flow) and `record` (its features), which
are compiled; `cicflowmeter` does what that program does, on `splitting` (the flows) and `statistics` (sums
over them); `modes` chooses between them.
"""

from nids_jax.flows.compat import STREAMED, Compat
from nids_jax.flows.meter.flows import ENDS, Flows
from nids_jax.flows.meter.modes import meter, meter_mended
from nids_jax.flows.meter.stream import TIMEOUT, Ordered, StreamMeter

__all__ = ["ENDS", "STREAMED", "TIMEOUT", "Compat", "Flows", "Ordered", "StreamMeter", "meter", "meter_mended"]
