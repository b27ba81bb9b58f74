"""Work split over the devices of this process; training over those of all processes (`join`).

A CPU counts as one device, whose cores share single operations: that leaves most of them idle while a recurrent
network takes its many small steps.  `runtime.use_all_cores` makes every core a device, before JAX starts.
"""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
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


def join(coordinator: str | None = None, processes: int | None = None, process_id: int | None = None) -> None:
    """Make this process one of several that train together; to be called before JAX does anything.

    Without arguments they are taken from Slurm, Open MPI or Kubernetes, where these started the processes
    (`jax.distributed.initialize`).  Each process then makes the same calls on the same rows.

    Args:
      coordinator: address and port of process 0, `10.0.0.1:1234`.
      processes: how many there are.
      process_id: which of them this is, from 0.
    """
    jax.distributed.initialize(coordinator, processes, process_id)


def shared_mesh(rows: int) -> Mesh:
    """As `mesh(rows)`, of the devices of all processes, equally many of each.

    Raises:
      ValueError: the rows cannot be divided among the processes.
    """
    processes = jax.process_count()
    if processes == 1:
        return mesh(rows)
    if rows % processes:
        raise ValueError(f"a batch of {rows} rows cannot be divided among {processes} processes")
    own = mesh(rows // processes).size
    devices = [[d for d in jax.devices() if d.process_index == p][:own] for p in range(processes)]
    return Mesh(np.array(devices).ravel(), (ROWS,))


def here(tree: Any) -> Any:
    """The arrays of `tree`, whole on every device of a mesh, on the first of this process's devices."""
    return jax.tree.map(lambda array: array.addressable_data(0), tree)


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """The arrays of `tree`, whole, on each device of `mesh`; where it spans processes, each has the same ones."""
    whole = NamedSharding(mesh, PartitionSpec())
    if whole.is_fully_addressable:
        return jax.device_put(tree, whole)

    def put(array: jax.Array) -> jax.Array:
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(array)), impl=jax.random.key_impl(array))
        copies = [jax.device_put(array, device) for device in mesh.local_devices]
        return jax.make_array_from_single_device_arrays(array.shape, whole, copies)

    return jax.tree.map(put, tree)
