"""Bidirectional recurrent layers over a sequence: GRU and LSTM.

Every layer is one function with a hand-written gradient (`recurrence`), because what costs time here is not arithmetic:

- One turn of the loop takes several time steps (`block_size`).  A loop over single steps slices its input inside the
  same fused kernel as the gates, which on CPUs is compiled to scalar code; a turn slices a block once, its input
  projections are one matrix product that stays in the cache, and the turn's fixed costs are shared.
- Going back, the gates are not differentiated step by step: everything that does not depend on the incoming gradient
  is computed for the whole block, a step multiplies by it, and the weights' gradients are one product per block.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.nn.layers import Uniforms


class Weights(NamedTuple):
    """One direction's parameters; the last axis holds the gates."""

    input_kernel: Array  # [C, kH]
    state_kernel: Array  # [H, kH]
    input_bias: Array  # [kH]
    state_bias: Array  # [H], the GRU candidate's, inside the reset gate; zeros for an LSTM


class Cell(Protocol):
    """One step of a recurrent layer and its gradient; p = x W + b and g = h U are its two projections [B, kH]."""

    gates: int
    states: int  # arrays that make up the state

    def step(self, state: tuple[Array, ...], p: Array, g: Array, bias: Array) -> tuple[Array, ...]:
        """The next state; its first member is the output h [B, H]."""
        ...

    def factors(self, before: tuple[Array, ...], after: tuple[Array, ...], p: Array, g: Array, bias: Array) -> Any:
        """What the gradient needs of the steps of a block, arrays [T, B, ·]."""
        ...

    def back(self, gradient: tuple[Array, ...], factors: Any) -> tuple[tuple[Array, ...], Array]:
        """d loss / d state after a step → (d loss / d state before it, but for the way through g; d loss / d g)."""
        ...

    def input_gradient(self, dh: Array, dg: Array, factors: Any) -> Array:
        """d loss / d p [T, B, kH] of a block, from the gradients of its outputs h and of g."""
        ...


def _sigmoid(x: Array) -> Array:
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)


def _split(x: Array, parts: int) -> list[Array]:
    return jnp.split(x, parts, axis=-1)


class _GRU:
    """r = σ(p_r + g_r), z = σ(p_z + g_z), n = tanh(p_n + r (g_n + c)), h' = (1 − z) n + z h."""

    gates = 3
    states = 1

    def step(self, state: tuple[Array, ...], p: Array, g: Array, bias: Array) -> tuple[Array, ...]:
        (h,), (pr, pz, pn), (gr, gz, gn) = state, _split(p, 3), _split(g, 3)
        z, n = _sigmoid(pz + gz), jnp.tanh(pn + _sigmoid(pr + gr) * (gn + bias))
        return (n + z * (h - n),)

    def factors(self, before: tuple[Array, ...], after: tuple[Array, ...], p: Array, g: Array, bias: Array) -> Any:
        (h,), (pr, pz, pn), (gr, gz, gn) = before, _split(p, 3), _split(g, 3)
        r, z, inner = _sigmoid(pr + gr), _sigmoid(pz + gz), gn + bias
        n = jnp.tanh(pn + r * inner)
        to_n = (1.0 - z) * (1.0 - n * n)
        to_g = jnp.concatenate([to_n * inner * r * (1.0 - r), (h - n) * z * (1.0 - z), to_n * r], axis=-1)
        return to_g, z, to_n

    def back(self, gradient: tuple[Array, ...], factors: Any) -> tuple[tuple[Array, ...], Array]:
        (dh,), (to_g, z, _) = gradient, factors
        return (dh * z,), to_g * jnp.concatenate([dh, dh, dh], axis=-1)

    def input_gradient(self, dh: Array, dg: Array, factors: Any) -> Array:
        width = 2 * dh.shape[-1]
        return jnp.concatenate([dg[..., :width], dh * factors[2]], axis=-1)


class _LSTM:
    """i, f, o = σ(p + g), ĉ = tanh(p + g), c' = f c + i ĉ, h' = o tanh(c'); gates in the order i, f, ĉ, o."""

    gates = 4
    states = 2

    def step(self, state: tuple[Array, ...], p: Array, g: Array, bias: Array) -> tuple[Array, ...]:
        i, f, new, o = _split(p + g, 4)
        c = _sigmoid(f) * state[1] + _sigmoid(i) * jnp.tanh(new)
        return _sigmoid(o) * jnp.tanh(c), c

    def factors(self, before: tuple[Array, ...], after: tuple[Array, ...], p: Array, g: Array, bias: Array) -> Any:
        i, f, new, o = _split(p + g, 4)
        i, f, new, o, shown = _sigmoid(i), _sigmoid(f), jnp.tanh(new), _sigmoid(o), jnp.tanh(after[1])
        through_c = jnp.concatenate([new * i * (1.0 - i), before[1] * f * (1.0 - f), i * (1.0 - new * new)], axis=-1)
        return through_c, shown * o * (1.0 - o), o * (1.0 - shown * shown), f

    def back(self, gradient: tuple[Array, ...], factors: Any) -> tuple[tuple[Array, ...], Array]:
        (dh, dc), (through_c, to_o, to_c, f) = gradient, factors
        dc = dc + dh * to_c
        dg = jnp.concatenate([through_c * jnp.concatenate([dc, dc, dc], axis=-1), dh * to_o], axis=-1)
        return (jnp.zeros_like(dh), dc * f), dg

    def input_gradient(self, dh: Array, dg: Array, factors: Any) -> Array:
        return dg


CELLS: dict[str, Cell] = {"gru": _GRU(), "lstm": _LSTM()}


def block_size(length: int) -> int:
    """Time steps per turn: about eight, and a divisor of the length where there is one."""
    return next((size for size in (7, 8, 6, 9, 10, 5, 11) if length % size == 0), min(7, length))


class _Blocks:
    """The turns over a sequence, in the order of the recurrence or against it."""

    def __init__(self, length: int, backwards: bool):
        self.size = block_size(length)
        self.full, self.rest = divmod(length, self.size)
        self.backwards = backwards

    def run(self, turn: Callable[[Any, Any, int], Any], carry: Any) -> Any:
        """carry = turn(carry, start, size) over all blocks; the last one of the sequence may be shorter."""
        tail = self.full * self.size
        if self.backwards and self.rest:
            carry = turn(carry, tail, self.rest)

        def body(k: Array, carry: Any) -> Any:
            return turn(carry, (self.full - 1 - k if self.backwards else k) * self.size, self.size)

        carry = jax.lax.fori_loop(0, self.full, body, carry)
        if not self.backwards and self.rest:
            carry = turn(carry, tail, self.rest)
        return carry

    def order(self, size: int) -> range:
        """The steps of a block, first to last in the direction of travel."""
        return range(size - 1, -1, -1) if self.backwards else range(size)


def _take(array: Array, start: Any, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(array, start, size, 0)


def _put(array: Array, block: Array, start: Any, column: int = 0) -> Array:
    return jax.lax.dynamic_update_slice(array, block, (start, 0, column))


def _flat(block: Array) -> Array:
    return block.reshape(-1, block.shape[-1])


def _run(
    x: Array, weights: Weights, cell: Cell, side: int, y: Array | None, keep: bool
) -> tuple[Array, Array | None, Any]:
    """One direction: the final h, the outputs put into their half of y (if given), and what the gradient needs."""
    length, batch, _ = x.shape
    w, u, b, c = weights
    hidden, blocks = u.shape[0], _Blocks(length, side == 1)

    def turn(carry: Any, start: Any, size: int) -> Any:
        state, y, kept = carry
        p = (_flat(_take(x, start, size)) @ w + b).reshape(size, batch, -1)
        states, gs = [state] * size, [p[0]] * size
        for t in blocks.order(size):
            gs[t] = state[0] @ u
            state = cell.step(state, p[t], gs[t], c)
            states[t] = state
        columns = tuple(jnp.stack(column) for column in zip(*states, strict=True))
        if y is not None:
            y = _put(y, columns[0], start, side * hidden)
        if keep:
            kept = tuple(_put(a, block, start) for a, block in zip(kept, (*columns, p, jnp.stack(gs)), strict=True))
        return state, y, kept

    long, wide = (jnp.zeros((length, batch, width), x.dtype) for width in (hidden, cell.gates * hidden))
    kept = ((long,) * cell.states + (wide, wide)) if keep else ()
    state, y, kept = blocks.run(turn, ((jnp.zeros((batch, hidden), x.dtype),) * cell.states, y, kept))
    return state[0], y, kept


def _both(x: Array, weights: tuple[Weights, Weights], cell: str, sequence: bool, keep: bool) -> tuple[Array, Any]:
    hidden = weights[0].state_kernel.shape[0]
    # Each direction writes its half: the two are never copied together.
    y = jnp.zeros((*x.shape[:2], 2 * hidden), x.dtype) if sequence else None
    finals, saved = [], []
    for side, own in enumerate(weights):
        final, y, kept = _run(x, own, CELLS[cell], side, y, keep)
        finals.append(final)
        saved.append(kept)
    return jnp.concatenate(finals, axis=-1) if y is None else y, saved


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def recurrence(x: Array, weights: tuple[Weights, Weights], cell: str, sequence: bool) -> Array:
    """A layer in both directions; `cell` is "gru" or "lstm", `weights` those of the first-to-last direction first.

    x [L, B, C] → outputs of every step, side by side [L, B, 2H]; without `sequence`, the two final ones [B, 2H].
    """
    return _both(x, weights, cell, sequence, keep=False)[0]


def _forward(x: Array, weights: tuple[Weights, Weights], cell: str, sequence: bool) -> tuple[Array, Any]:
    y, saved = _both(x, weights, cell, sequence, keep=True)
    return y, (x, weights, saved)


def _backward(cell: str, sequence: bool, saved: Any, dy: Array) -> tuple[Array, tuple[Weights, ...]]:
    x, weights, kept = saved
    halves = jnp.split(dy, 2, axis=-1)
    gradients = [_run_back(x, weights[side], CELLS[cell], side, kept[side], halves[side], sequence) for side in (0, 1)]
    return gradients[0][0] + gradients[1][0], tuple(gradient for _, gradient in gradients)


def _run_back(
    x: Array, weights: Weights, cell: Cell, side: int, kept: Any, dy: Array, sequence: bool
) -> tuple[Array, Weights]:
    """The gradient of one direction: d loss / d x and d loss / d weights."""
    w, u, _, c = weights
    hidden, blocks = u.shape[0], _Blocks(len(x), side == 0)
    states, projections = kept[:-2], kept[-2:]
    # Row i of `before` is the state that step i started from; the sequence begins at rest.
    pad = ((1, 0), (0, 0), (0, 0)) if side == 0 else ((0, 1), (0, 0), (0, 0))
    padded = tuple(jnp.pad(s, pad) for s in states)
    w_t, u_t = w.T, u.T

    def product(a: Array, b: Array) -> Array:
        contracted = (((0,), (0,)), ((), ()))
        return jax.lax.dot_general(_flat(a), _flat(b), contracted, preferred_element_type=jnp.float32)

    def turn(carry: Any, start: Any, size: int) -> Any:
        gradient, dx, (dw, du, db, dc) = carry
        before = tuple(_take(s, start + side, size) for s in padded)
        after = tuple(_take(s, start, size) for s in states)
        here, p, g = (_take(a, start, size) for a in (x, *projections))
        factors = cell.factors(before, after, p, g, c)
        incoming = _take(dy, start, size) if sequence else None
        dhs, dgs = [after[0][0]] * size, [p[0]] * size
        for t in blocks.order(size):
            dhs[t] = gradient[0] if incoming is None else gradient[0] + incoming[t]
            gradient, dgs[t] = cell.back((dhs[t], *gradient[1:]), jax.tree.map(lambda a, t=t: a[t], factors))
            gradient = (gradient[0] + dgs[t] @ u_t, *gradient[1:])
        dg = jnp.stack(dgs)
        dp = cell.input_gradient(jnp.stack(dhs), dg, factors)
        dx = _put(dx, (_flat(dp) @ w_t).reshape(here.shape), start)
        sums = (dw + product(here, dp), du + product(before[0], dg), db + _total(dp))
        return gradient, dx, (*sums, dc + _total(dg[..., 2 * hidden : 3 * hidden]))

    zeros = jnp.zeros((x.shape[1], hidden), x.dtype)
    start = (zeros if sequence else dy,) + (zeros,) * (cell.states - 1)
    sums = tuple(jnp.zeros(a.shape, jnp.float32) for a in weights)
    _, dx, sums = blocks.run(turn, (start, jnp.zeros_like(x), sums))
    dw, du, db, dc = (s.astype(x.dtype) for s in sums)
    return dx, Weights(dw, du, db, dc if cell.gates == 3 else jnp.zeros_like(dc))


def _total(block: Array) -> Array:
    return block.sum(axis=(0, 1), dtype=jnp.float32)


recurrence.defvjp(_forward, _backward)


class Bidirectional(nnx.Module):
    """A recurrent layer in each direction, their outputs side by side (P1 III.D, eqs. 13–16).

    `cell` "gru" is the cuDNN form, which PyTorch also uses:
        r = σ(x W_r + h U_r + b_r),  z = σ(x W_z + h U_z + b_z),  n = tanh(x W_n + b_n + r (h U_n + c)),
        h' = (1 − z) n + z h;
    "gru_paper" is eqs. 13–16, where the reset gate acts before the product, n = tanh(x W_n + (r h) U_n + b_n), and z
    weighs the candidate instead of the past: h' = (1 − z) h + z n.  "lstm" has the gates i, f, ĉ, o:
        c' = σ(f) c + σ(i) tanh(ĉ),  h' = σ(o) tanh(c').
    """

    def __init__(self, cell: str, features_in: int, hidden: int, *, init: Uniforms):
        bound = 1.0 / math.sqrt(hidden)  # PyTorch's default
        gates = 4 if cell == "lstm" else 3
        # Axis 0 is the direction; the last axis holds the gates.
        self.input_kernel = init((2, features_in, gates * hidden), bound)
        self.state_kernel = init((2, hidden, gates * hidden), bound)
        self.input_bias = init((2, gates * hidden), bound)
        # The input bias already covers every other gate; only the cuDNN form's candidate needs one inside the reset.
        self.candidate_bias = init((2, hidden), bound) if cell == "gru" else None
        self.cell, self.hidden = cell, hidden

    def __call__(self, x: Array, *, sequence: bool = True) -> Array:
        """x [L, B, C] → outputs [L, B, 2H]; without `sequence`, the two directions' final outputs [B, 2H]."""
        kernels = (self.input_kernel, self.state_kernel, self.input_bias)
        w, u, b = (p[...].astype(x.dtype) for p in kernels)
        if self.cell == "gru_paper":
            forward, backward = (_paper_gru(x, w[i], u[i], b[i], backwards=i == 1) for i in (0, 1))
            pair = (forward, backward) if sequence else (forward[-1], backward[0])
            return jnp.concatenate(pair, axis=-1)
        bias = self.candidate_bias
        c = jnp.zeros((2, self.hidden), x.dtype) if bias is None else bias[...].astype(x.dtype)
        return recurrence(x, (Weights(w[0], u[0], b[0], c[0]), Weights(w[1], u[1], b[1], c[1])), self.cell, sequence)


def _paper_gru(x: Array, w: Array, u: Array, b: Array, *, backwards: bool) -> Array:
    hidden = u.shape[0]

    def step(h: Array, x: Array) -> tuple[Array, Array]:
        pr, pz, pn = _split(x @ w + b, 3)
        r, z = _sigmoid(pr + h @ u[:, :hidden]), _sigmoid(pz + h @ u[:, hidden : 2 * hidden])
        n = jnp.tanh(pn + (r * h) @ u[:, 2 * hidden :])
        h = h + z * (n - h)
        return h, h

    return jax.lax.scan(step, jnp.zeros((x.shape[1], hidden), x.dtype), x, reverse=backwards)[1]
