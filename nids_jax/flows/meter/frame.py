"""Flow records as a data frame, with what names each flow."""

import numpy as np
import pandas as pd

from nids_jax.flows.capture import Capture
from nids_jax.flows.meter.records import Flows
from nids_jax.flows.schema import FEATURES


def as_frame(capture: Capture, flows: Flows) -> pd.DataFrame:
    """The end points and start of each flow, then its features; whole numbers as such where all are finite."""
    hosts = np.array(capture.hosts, object)
    columns = {
        "timestamp": pd.to_datetime(flows.start, unit="us", utc=True),
        "source_ip": hosts[flows.source],
        "source_port": flows.source_port,
        "destination_ip": hosts[flows.destination],
    }
    for feature, values in zip(FEATURES, flows.x.T, strict=True):
        whole = feature.integer and bool(np.isfinite(values).all())
        columns[feature.name] = values.astype(np.int64) if whole else values
    return pd.DataFrame(columns)
