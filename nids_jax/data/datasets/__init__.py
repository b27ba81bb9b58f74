"""The datasets that are known by name, an entry each, and the class that is no attack.

| name | features | classes | source |
|---|---|---|---|
| `cicids2017` | 77 (78 with the port) | 15 | Sharafaldin et al. 2018 |
| `cicids2017_improved` | 82 (83) | 16 | Engelen et al. 2021, Liu et al. 2022 |
| `cicddos2019` | 78 (79) | 14 | Sharafaldin et al. 2019 |
| `cicids2018_sample` | 77, in the package | 15 | Sharafaldin et al. 2018 |
| `gas_pipeline` | 26, 13 of them codes | 8 | Morris & Gao 2014 |
| `simulated` | 77 (78) | 15 | `nids_jax.flows.simulate` |
"""

from dataclasses import replace

from nids_jax import plugins
from nids_jax.data.datasets import (
    cicddos2019,
    cicids2017,
    cicids2017_improved,
    cicids2018_sample,
    gas_pipeline,
    simulated,
)
from nids_jax.data.datasets.entry import Cell, Dataset, Printed
from nids_jax.errors import InputError
from nids_jax.flows.compat import DEFAULT, Compat

__all__ = ["DATASETS", "NAMES", "Cell", "Dataset", "Printed", "meter_of", "printed"]

DATASETS: dict[str, Dataset] = {
    module.DATASET.name: module.DATASET
    for module in (cicids2017, cicids2017_improved, cicddos2019, cicids2018_sample, gas_pipeline, simulated)
}


def _entry_of(plugin: plugins.Plugin) -> Dataset:
    if not isinstance(plugin.found, Dataset):
        raise InputError(f"it is no `Dataset`, but of the type {type(plugin.found).__name__}")
    return replace(plugin.found, name=plugin.name or plugin.found.name)


plugins.advertised(DATASETS, "nids_jax.datasets", _entry_of)

NAMES: tuple[str, ...] = tuple(DATASETS)


def meter_of(dataset: str) -> Compat:
    """How a dataset was metered; one that is not known: as `nids_jax meter` does."""
    return DATASETS[dataset].meter if dataset in DATASETS else DEFAULT


def printed(dataset: str) -> Printed:
    """The papers' figures on a dataset; of one that is not known, none."""
    return DATASETS[dataset].printed if dataset in DATASETS else Printed()
