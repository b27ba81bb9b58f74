"""Bidirectional gated recurrent layer over the features of one flow (P1 III.D, eqs. 13–16)."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nids_jax.nn.layers import Uniforms


class BiGRU(nnx.Module):
    """A GRU in each direction, their outputs side by side.

    With `reset_after` (the cuDNN form, which PyTorch also uses)
        r = σ(x W_r + h U_r + b_r),  z = σ(x W_z + h U_z + b_z),  n = tanh(x W_n + c_n + r (h U_n + b_n)),
        h' = (1 − z) n + z h;
    otherwise P1's eqs. 13–16, where the reset gate acts before the product, n = tanh(x W_n + (r h) U_n + b_n), and z
    weighs the candidate instead of the past: h' = (1 − z) h + z n.
    """

    def __init__(self, features_in: int, hidden: int, *, reset_after: bool = True, init: Uniforms):
        bound = 1.0 / math.sqrt(hidden)
        # Axis 0 is the direction; the last axis holds the gates r, z, n.
        self.input_kernel = init((2, features_in, 3 * hidden), bound)
        self.state_kernel = init((2, hidden, 3 * hidden), bound)
        self.input_bias = init((2, 3 * hidden), bound)
        # The input bias already covers the gates r and z; only the candidate needs one inside the reset.
        self.candidate_bias = init((2, hidden), bound) if reset_after else None
        self.hidden = hidden
        self.reset_after = reset_after

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """x [L, B, C] → outputs [L, B, 2H] and the two directions' final states side by side [B, 2H]."""
        w, u, b = (p[...].astype(x.dtype) for p in (self.input_kernel, self.state_kernel, self.input_bias))
        c = None if self.candidate_bias is None else self.candidate_bias[...].astype(x.dtype)
        batch, h = x.shape[1], self.hidden

        def cell(direction: int, state: Array, projected: Array) -> Array:
            if c is not None:
                gates = state @ u[direction]
                r, z = jnp.split(jax.nn.sigmoid(projected[:, : 2 * h] + gates[:, : 2 * h]), 2, axis=-1)
                n = jnp.tanh(projected[:, 2 * h :] + r * (gates[:, 2 * h :] + c[direction]))
                return n + z * (state - n)
            gates = state @ u[direction, :, : 2 * h]
            r, z = jnp.split(jax.nn.sigmoid(projected[:, : 2 * h] + gates), 2, axis=-1)
            n = jnp.tanh(projected[:, 2 * h :] + (r * state) @ u[direction, :, 2 * h :])
            return state + z * (n - state)

        def step(states: tuple[Array, Array], inputs: tuple[Array, Array]):
            # The projection stays inside the loop: its result then never leaves the cache.
            forward = cell(0, states[0], inputs[0] @ w[0] + b[0])
            backward = cell(1, states[1], inputs[1] @ w[1] + b[1])
            return (forward, backward), (forward, backward)

        start = jnp.zeros((batch, h), x.dtype)
        final, outputs = jax.lax.scan(step, (start, start), (x, x[::-1]))
        forward, backward = outputs
        return jnp.concatenate([forward, backward[::-1]], axis=-1), jnp.concatenate(final, axis=-1)
