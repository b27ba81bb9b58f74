"""Rows → logits of a neural detector, on all devices, in tiles that suit them."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nids_jax import machine, parallel
from nids_jax.nn.layers import Uniforms
from nids_jax.training import loop
from nids_jax.training.loop import TrainState

if TYPE_CHECKING:
    from nids_jax.classifiers.neural import CrossEntropyObjective


def _tiling(objective: "CrossEntropyObjective", rows: int) -> tuple[int, int]:
    """Rows per tile, and tiles per device and call at most, where so many rows are left for each device.

    On CPUs, whatever their number, a tile is what the cache holds, and between calls the cores would wait for the host.
    Elsewhere a step of a recurrence takes as long for few rows as for thousands: a tile is what the memory that JAX may
    use holds (`machine.tile`), or one of two smaller ones that hold all that is left.
    """
    if jax.default_backend() == "cpu":
        return 64, 8
    largest = _largest_tile(objective)
    return next((size for size in (1024, 8192) if rows <= size < largest), largest), 1


@lru_cache
def _largest_tile(objective: "CrossEntropyObjective") -> int:
    def network(x: Array) -> Array:
        return objective.build(Uniforms())(x)  # pyright: ignore[reportCallIssue]

    return machine.tile(machine.row_bytes(network, ((objective.features,), jnp.float32)), cpu=64, most=2**16)


@partial(jax.jit, static_argnames=("objective", "mesh", "tile"))
def tiled_logits(
    params: nnx.State,
    rest: nnx.State,
    x: Array,
    tiles: Array,
    *,
    objective: "CrossEntropyObjective",
    mesh: Mesh,
    tile: int,
) -> Array:
    """Logits of the first `tiles` tiles of each device's rows: x [devices, rows, d] → [devices, rows, classes]."""
    whole, split = PartitionSpec(), PartitionSpec(parallel.ROWS)

    def part(params: nnx.State, rest: nnx.State, x: Array, tiles: Array) -> Array:
        network = loop.network(objective, params, rest)

        def turn(i: Array, logits: Array) -> Array:
            rows = jax.lax.dynamic_slice_in_dim(x[0], i * tile, tile)
            return jax.lax.dynamic_update_slice_in_dim(logits, network(rows).astype(jnp.float32), i * tile, 0)

        return jax.lax.fori_loop(0, tiles, turn, jnp.zeros((x.shape[1], objective.classes)))[None]

    each = jax.shard_map(part, mesh=mesh, in_specs=(whole, whole, split, whole), out_specs=split, check_vma=False)
    return each(params, rest, x, tiles)


@partial(jax.jit, static_argnames="sharding")
def mixed(row: Array, background: Array, present: Array, place: Array, *, sharding: NamedSharding) -> Array:
    """The row's values [d] where they are present [devices, rows, d], elsewhere the background's [k, d] at a place."""
    return jax.lax.with_sharding_constraint(jnp.where(present, row, background[place]), sharding)


def logits_of(objective: "CrossEntropyObjective", state: TrainState, x: np.ndarray) -> np.ndarray:
    """Logits of scaled rows, x [n, d] → [n, classes]."""
    return in_calls(objective, state, len(x), lambda share: share(x))


def _shared(whole: np.ndarray, *, places: slice, devices: int, used: int, room: int) -> np.ndarray:
    """Some rows of an array [n, …], shared out: [devices, room, …], of which `used` rows each, and zeros behind."""
    own = whole[places]
    padded = np.zeros((devices * used, *whole.shape[1:]), whole.dtype)
    padded[: len(own)] = own
    shares = np.zeros((devices, room, *whole.shape[1:]), whole.dtype)
    shares[:, :used] = padded.reshape(devices, used, *whole.shape[1:])
    return shares


def in_calls(
    objective: "CrossEntropyObjective",
    state: TrainState,
    n: int,
    rows: Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray | Array],
) -> np.ndarray:
    """Logits of n rows [n, classes], some at each call of the devices.

    Args:
      rows: the rows of a call [devices, rows, d], from a function that shares an array [n, …] out among the devices.
    """
    mesh = parallel.mesh()
    params, rest = parallel.everywhere((state.params, state.rest), mesh)
    calls = []
    # Dispatch every call before reading the first: the devices never wait for the host.
    start = 0
    while start < n:
        tile, most = _tiling(objective, -(-(n - start) // mesh.size))
        count = min(n - start, mesh.size * most * tile)
        tiles = -(-count // (mesh.size * tile))

        share = partial(
            _shared, places=slice(start, start + count), devices=mesh.size, used=tiles * tile, room=most * tile
        )
        logits = tiled_logits(params, rest, rows(share), jnp.asarray(tiles), objective=objective, mesh=mesh, tile=tile)
        calls.append((logits, count, tiles * tile))
        start += count
    done = [np.asarray(logits)[:, :size].reshape(-1, objective.classes)[:count] for logits, count, size in calls]
    return np.concatenate([np.zeros((0, objective.classes), np.float32), *done])
