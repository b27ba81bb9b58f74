"""How fast a device can multiply: a large product that is timed, and the figure of its data sheet."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nids_jax import parallel

_A100 = {"float32": 19.5, "tf32": 156.0, "bfloat16": 312.0}
_V100 = {"float32": 15.7}
# TFLOP/s of dense products by NVIDIA's data sheets, which give twice as much for sparse matrices.  Names are whole: a
# slice of a GPU (MIG), or a card of another make-up, has another peak.
SHEETS: dict[str, dict[str, float]] = {
    "Tesla T4": {"float32": 8.1},
    "Tesla V100-SXM2-16GB": _V100,
    "Tesla V100-SXM2-32GB": _V100,
    "NVIDIA A100-SXM4-40GB": _A100,
    "NVIDIA A100-SXM4-80GB": _A100,
    "NVIDIA A100-PCIE-40GB": _A100,
    "NVIDIA A100 80GB PCIe": _A100,
    "NVIDIA L4": {"float32": 30.3, "tf32": 60.0, "bfloat16": 121.0},
    "NVIDIA H100 PCIe": {"float32": 51.0, "tf32": 378.0, "bfloat16": 756.0},
    "NVIDIA H100 80GB HBM3": {"float32": 67.0, "tf32": 494.5, "bfloat16": 989.5},
    "NVIDIA H200": {"float32": 67.0, "tf32": 494.5, "bfloat16": 989.5},
}


def of_sheet(device_kind: str, precision: str) -> float | None:
    """FLOP/s of one device at a precision; None where it has none, or it is not known for certain."""
    rate = SHEETS.get(device_kind, {}).get(precision)
    return None if rate is None else rate * 1e12


def product(mesh: Mesh, side: int, precision: str) -> tuple[Callable[[], jax.Array], float]:
    """A run that multiplies two square matrices on each device of the mesh, and its operations."""
    kind = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    split = NamedSharding(mesh, PartitionSpec(parallel.ROWS))
    keys = jax.random.split(jax.random.key(0), mesh.size)
    draw = jax.jit(lambda keys: jax.vmap(lambda key: jax.random.normal(key, (side, side), kind))(keys))
    left = jax.device_put(draw(keys), split)

    @jax.jit
    def multiply(a: jax.Array) -> jax.Array:
        each = jax.shard_map(
            lambda own: jnp.matmul(own[0], own[0])[None],
            mesh=mesh,
            in_specs=PartitionSpec(parallel.ROWS),
            out_specs=PartitionSpec(parallel.ROWS),
        )
        return each(a)

    return lambda: multiply(left), 2.0 * side**3 * mesh.size
