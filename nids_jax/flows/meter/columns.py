"""Flow records as columns of a table, with what names each flow."""

import numpy as np

from nids_jax.flows.capture.hosts import Hosts
from nids_jax.flows.meter.flows import Flows
from nids_jax.flows.schema import FEATURES
from nids_jax.sheets import Kind

_NAMES: dict[str, Kind] = {
    "timestamp": "time",
    "source_ip": "few texts",
    "source_port": "integer",
    "destination_ip": "few texts",
}
_FEATURES: dict[str, Kind] = {each.name: "integer" if each.integer else "number" for each in FEATURES}
COLUMNS: dict[str, Kind] = _NAMES | _FEATURES


def values(flows: Flows, hosts: Hosts) -> list[np.ndarray]:
    """The start and end points of each flow, then its features: [n] for each of COLUMNS."""
    named = [flows.start, hosts.names(flows.source), flows.source_port, hosts.names(flows.destination)]
    return [*named, *flows.x.T]
