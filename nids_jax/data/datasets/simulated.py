"""The embedded dataset: packets simulated per attack tool, metered by this package's own flow meter."""

from nids_jax.data.datasets.entry import Dataset
from nids_jax.flows.simulate import SIMULATED_CLASSES

DATASET = Dataset(
    name="simulated",
    classes=SIMULATED_CLASSES,
    benign="BENIGN",
    simulated_rows=400,
    source="nids_jax.flows.simulate",
)
