"""Named key streams: every random draw is addressed by a name and an index, never by the order of calls.

`stream(key, "noise")` is one generator, `rows(stream, ids)` one key per generated row.  A row's draws therefore depend
on the seed and the row's number alone; batch size, chunking and device count cannot change them.
"""

import zlib

import jax
from jax import Array


def stream(key: Array, name: str) -> Array:
    """An independent key for the purpose `name`: fold_in(key, crc32(name))."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def rows(key: Array, ids: Array) -> Array:
    """One key per row: ids [n] int → keys [n], key_i = fold_in(key, ids_i)."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, ids)


def row_normals(keys: Array, index: Array | int, width: int) -> Array:
    """Standard normals [n, width]; row i draws from fold_in(keys[i], index) and from nothing else."""
    return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, index), (width,)))(keys)
