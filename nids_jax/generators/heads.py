"""From the last layer of a generator to rows: numbers, and categories drawn from blocks of logits.

A categorical feature is a block of columns, +1 for the category that holds and -1 for the others (`data.scaling`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nids_jax.errors import InputError

Blocks = tuple[tuple[int, int], ...]  # of each categorical feature, in order: its first column, the one past its last

TEMPERATURE = 0.5  # τ of the softmax through which a drawn category is differentiated


@jax.custom_vjp
def one_of(logits: Array) -> Array:
    """+1 where the logits [B, k] are largest, −1 elsewhere; the gradient is that of 2 softmax(logits / τ) − 1.

    With Gumbel noise in the logits this is the straight-through estimator of Jang et al. 2017: the critic is shown
    whole categories, as real rows have them, and synthetic rows are in training what they are afterwards.
    """
    largest = jnp.where(jnp.arange(logits.shape[1]) == logits.argmax(axis=1, keepdims=True), 1.0, -1.0)
    # Else the loss would stay finite where the logits do not, and training would go on.
    return jnp.where(jnp.isfinite(logits).all(axis=1, keepdims=True), largest, jnp.nan)


def _one_of_forward(logits: Array) -> tuple[Array, Array]:
    return one_of(logits), jax.nn.softmax(logits / TEMPERATURE)


def _one_of_backward(p: Array, gradient: Array) -> tuple[Array]:
    return (2.0 / TEMPERATURE * p * (gradient - (p * gradient).sum(axis=1, keepdims=True)),)


one_of.defvjp(_one_of_forward, _one_of_backward)


@dataclass(frozen=True)
class Heads:
    """What becomes of the d outputs of the last layer."""

    bounded: bool  # numbers lie within [-1, 1], by tanh
    blocks: Blocks = ()

    def rows(self, out: Array, gumbels: Array) -> Array:
        """Outputs [B, d] → rows [B, d]; of each block the category with the largest logit + Gumbel noise.

        That is a draw from the logits' softmax.  The likeliest category instead would be the same in all rows whose z
        says nothing of it, however often others occur.

        Args:
          gumbels: [B, width] as `noise` gives them.
        """
        parts: list[Array] = []
        used = 0
        for start, stop, block in self._runs(out.shape[1]):
            part = out[:, start:stop]
            if block:
                part = one_of(part + gumbels[:, used : used + stop - start])
                used += stop - start
            elif self.bounded:
                part = jnp.tanh(part)
            parts.append(part)
        return jnp.concatenate(parts, axis=1)

    def error(self, out: Array, x: Array) -> Array:
        """How far outputs [B, d] are from rows x [B, d], mean over rows and features.

        Of a number (x − x̂)², of a category the cross-entropy −log softmax(logits)_x.
        """
        total, features = jnp.zeros(()), 0
        for start, stop, block in self._runs(out.shape[1]):
            part, wanted = out[:, start:stop], x[:, start:stop]
            if block:
                total -= (0.5 * (wanted + 1.0) * jax.nn.log_softmax(part)).sum()
            else:
                total += jnp.square(wanted - (jnp.tanh(part) if self.bounded else part)).sum()
            features += 1 if block else stop - start
        return total / (len(x) * features)

    def noise(self, key: Array, rows: int) -> Array:
        """Gumbel noise of so many rows, [rows, width]."""
        return jax.random.gumbel(key, (rows, self.width))

    @property
    def width(self) -> int:
        """Columns of all blocks together."""
        return sum(stop - start for start, stop in self.blocks)

    def _runs(self, columns: int) -> Iterator[tuple[int, int, bool]]:
        """All columns in order: the blocks, and the numbers between them."""
        place = 0
        for start, stop in self.blocks:
            if place < start:
                yield place, start, False
            yield start, stop, True
            place = stop
        if place < columns:
            yield place, columns, False


def in_blocks(blocks: Blocks, columns: int) -> np.ndarray:
    """Whether a column belongs to a category, [columns] bool."""
    inside = np.zeros(columns, bool)
    for start, stop in blocks:
        inside[start:stop] = True
    return inside


def check_blocks(x: np.ndarray, blocks: Blocks) -> None:
    """Refuse rows x [n, d] in which a block holds anything but one +1 and else −1.

    Raises:
      InputError: there is such a row, or no such column.
    """
    for start, stop in blocks:
        block = x[:, start:stop]
        if stop > x.shape[1] or not (np.abs(block) == 1).all() or not ((block == 1).sum(axis=1) == 1).all():
            raise InputError(
                f"columns {start} to {stop - 1} of the training rows do not hold one +1 and else -1, as a category's"
                " do; take rows and blocks from the same scaler"
            )
