"""What a diffusion model of flows is trained on, and a tile of its samples, as functions of weights, key and labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from nids_jax import machine, parallel, random
from nids_jax.diffusion.objective import drop_labels, guide, q_sample, velocity
from nids_jax.diffusion.samplers import Sampler
from nids_jax.diffusion.schedule import Schedule
from nids_jax.nn.layers import Uniforms
from nids_jax.nn.unet1d import UNet1d, UNetConfig
from nids_jax.training import loop

Prediction = Literal["noise", "velocity"]


@dataclass(frozen=True, kw_only=True)
class DenoisingObjective:
    """E ‖ε − ε_θ(x_t, t, y)‖², t uniform in 1..T, ε ~ N(0, I), mean over columns  (P1 eq. 10).

    With `prediction="velocity"` the target is v = √ᾱ_t ε − √(1−ᾱ_t) x_0 instead (Salimans & Ho 2022, appendix D): where
    there is almost only noise, that asks for x_0 itself, and errors are not multiplied by √(1−ᾱ_t)/√ᾱ_t.
    """

    network: UNetConfig
    schedule: Schedule
    classes: int
    prediction: Prediction
    label_dropout: float

    def build(self, init: Uniforms) -> nnx.Module:
        return UNet1d(self.network, self.classes, init=init)

    def loss(self, network: UNet1d, x: Array, y: Array, weight: Array, key: Array) -> Array:
        t_key, eps_key, label_key = jax.random.split(key, 3)
        t = jax.random.randint(t_key, y.shape, 1, self.schedule.steps + 1)
        eps = jax.random.normal(eps_key, x.shape)
        alpha_bar = jnp.asarray(self.schedule.alpha_bar, jnp.float32)[t]
        labels = drop_labels(y, self.label_dropout, label_key, self.classes)
        target = eps if self.prediction == "noise" else velocity(x, eps, alpha_bar)
        predicted = network(q_sample(x, eps, alpha_bar), t, labels)
        return jnp.sum(weight * jnp.square(predicted - target).mean(axis=1))


class Tiles(NamedTuple):
    """Rows computed together: a row's place in its tile follows from its number, so this fixes all rounding.

    Rows number 0 to `large` are computed in tiles of `small` rows, so that few rows cost little, and those from there
    on in tiles of `large`.
    """

    small: int
    large: int

    def calls(self, first: int, stop: int, devices: int) -> Iterator[tuple[int, int, int]]:
        """The calls that make the rows number `first` to `stop`, a tile on each device.

        Each is told by the number of its first row, which begins a tile, that of the row after its last (those beyond
        are of another call, or of none), and its tiles' size.
        """
        border = self.large if self.small < self.large else 0
        for tile, begin, end in ((self.small, first, min(stop, border)), (self.large, max(first, border), stop)):
            for start in range(begin - begin % tile, end, tile * devices):
                yield start, min(start + tile * devices, end), tile


@lru_cache
def tiles(objective: DenoisingObjective, features: int, guidance: float = 1.0) -> Tiles:
    """The tiles of rows of so many features, by the kind of device and, off CPUs, the memory that JAX may use of it."""
    if jax.default_backend() == "cpu":
        return Tiles(64, 64)

    def network(x: Array, t: Array, y: Array) -> Array:
        return objective.build(Uniforms())(x, t, y)  # pyright: ignore[reportCallIssue]

    taken = machine.row_bytes(network, ((features,), jnp.float32), ((), jnp.int32), ((), jnp.int32))
    large = machine.tile(taken * (1 if guidance == 1.0 else 2), cpu=64, most=2**16)
    return Tiles(min(1024, large), large)


class Fitted(NamedTuple):
    """A trained network and the bounds of its rows."""

    params: nnx.State  # the moving average
    rest: nnx.State
    low: Array  # [d] the training rows' range, ±inf without clipping
    high: Array


@partial(jax.jit, static_argnames=("process", "mesh"))
def sample_tiles(
    model: Fitted, key: Array, first: Array, labels: Array, seeds: Array | None, *, process: "Process", mesh: Mesh
) -> Array:
    """A tile on each device: first row numbers [devices], labels [devices, tile] → rows [devices, tile, d]."""

    def part(model: Fitted, key: Array, first: Array, labels: Array, seeds: Array | None) -> Array:
        return _sample_tile(model, key, first[0], labels[0], None if seeds is None else seeds[0], process)[None]

    whole, split = PartitionSpec(), PartitionSpec(parallel.ROWS)
    in_specs = (whole, whole, split, split, split)
    each = jax.shard_map(part, mesh=mesh, in_specs=in_specs, out_specs=split, check_vma=False)
    return each(model, key, first, labels, seeds)


class Process(NamedTuple):
    """The reverse process."""

    objective: DenoisingObjective
    sampler: Sampler
    guidance: float
    levels: int | None  # the last so many of the sampler's, None for all


def _sample_tile(
    model: Fitted, key: Array, first: Array, labels: Array, seeds: Array | None, process: Process
) -> Array:
    """Rows number first, first + 1, … with these labels [tile] → [tile, d]; with seeds [tile, d], `vary` of those."""
    objective, sampler, guidance, levels = process
    network = loop.network(objective, model.params, model.rest)
    ids = first + jnp.arange(labels.shape[0])
    width = model.low.shape[0]

    def predict(x: Array, t: Array) -> Array:
        steps = jnp.full(labels.shape, t)
        if guidance == 1.0:
            return network(x, steps, labels)
        both = jnp.concatenate([jnp.full_like(labels, objective.classes), labels])
        twice = network(jnp.concatenate([x, x]), jnp.concatenate([steps, steps]), both)
        return guide(twice[: len(labels)], twice[len(labels) :], guidance)

    def denoise(x: Array, t: Array, alpha: Array, sigma: Array) -> Array:
        out = predict(x, t)
        x0 = (x - sigma * out) / alpha if objective.prediction == "noise" else alpha * x - sigma * out
        return jnp.clip(x0, model.low, model.high)

    start = random.row_normals(random.rows(random.stream(key, "start"), ids), 0, width)
    if seeds is not None:
        alpha_bar = sampler.last(objective.schedule, levels).alpha[0] ** 2
        start = q_sample(seeds, start, jnp.full(labels.shape, alpha_bar))
    return sampler(denoise, start, random.rows(random.stream(key, "noise"), ids), objective.schedule, levels)
