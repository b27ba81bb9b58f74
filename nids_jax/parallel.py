"""Work split over the devices of this process.

A CPU counts as one device, whose cores share single operations: that leaves most of them idle while a recurrent
network takes its many small steps.  `runtime.use_all_cores` makes every core a device, before JAX starts.
"""

from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

ROWS = "rows"  # the mesh's axis
LEAST_ROWS = 32  # of a batch on one device; fewer cost more in fixed overhead than they save


@lru_cache
def mesh(rows: int | None = None, least: int = LEAST_ROWS) -> Mesh:
    """All local devices; for so many rows, as many of them as divide these into equal parts of at least `least`."""
    devices = jax.local_devices()
    count = len(devices)
    if rows is not None:
        count = max(n for n in range(1, count + 1) if n == 1 or (rows % n == 0 and rows // n >= least))
    return Mesh(np.array(devices[:count]), (ROWS,))


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """The arrays of `tree`, whole, on each device of `mesh`."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
