"""CDDPM: the conditional denoising diffusion model that generates flows (P1 III.C)."""

import json
from collections import deque
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from nids_jax import parallel, random, training
from nids_jax.checkpoint import (
    fingerprint,
    from_plain,
    plain,
    read_description,
    restore_trained,
    state_shapes,
    train_resumably,
)
from nids_jax.diffusion.objective import drop_labels, guide, q_sample, velocity
from nids_jax.diffusion.samplers import SAMPLERS, Sampler, SDEDPMpp2M, make_sampler
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.generators import economy
from nids_jax.generators.base import Labels, check_labels, checked_rows
from nids_jax.nn.layers import Uniforms
from nids_jax.nn.unet1d import UNet1d, UNetConfig
from nids_jax.training import OptimiserConfig

Prediction = Literal["noise", "velocity"]

AUTO = "auto"  # in the place of a sampler's name: see `CDDPM.choose_sampler`
_COMPARED = 512  # rows of each sampler, to choose one by


@dataclass(frozen=True, kw_only=True)
class CDDPMConfig:
    """Settings of training and sampling."""

    schedule: Schedule = Schedule()
    network: UNetConfig = UNetConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    steps: int = 4000  # optimiser steps
    batch: int = 64
    prediction: Prediction = "noise"  # what the network puts out; "velocity" learns in fewer steps
    label_dropout: float = 0.1  # 0: P1's algorithm, which has no unconditional branch to guide with
    sampler: Sampler = SDEDPMpp2M()
    guidance: float = 1.0  # w of eq. 11; 1 needs no unconditional pass
    choose_sampler: bool = False  # after training, the cheapest that does (`economy`) instead of `sampler`
    clip: bool = True  # keep x̂_0 within each column's training range; for bounded scalings only

    def __post_init__(self) -> None:
        if self.prediction not in get_args(Prediction):
            raise ValueError(f"unknown prediction {self.prediction!r}; choose from {list(get_args(Prediction))}")
        if self.guidance != 1.0 and self.label_dropout == 0.0:
            raise ValueError(
                f"guidance {self.guidance} needs a trained unconditional branch: set label_dropout above 0 (say 0.1)"
            )

    def precise(self, precision: str | None) -> Self:
        """The same with the network's activations and products in this precision; None leaves what there is."""
        return replace(self, network=replace(self.network, precision=precision)) if precision else self

    def sampled(self, name: str | None, steps: int | None, guidance: float | None) -> Self:
        """The same with another reverse process: sampler, its steps, weight of guidance; None leaves what there is.

        The name `auto` leaves the choice to `CDDPM.choose_sampler`.

        Raises:
          InputError: these do not go together.
        """
        if name == AUTO:
            if steps is not None:
                raise InputError("--sampler=auto chooses the steps as well; leave --sampler_steps out")
            return replace(self.sampled(None, None, guidance), choose_sampler=True)
        sampler = make_sampler(name) if name else self.sampler
        try:
            sampler = replace(sampler, steps=steps) if steps is not None else sampler
            guidance = self.guidance if guidance is None else guidance
            changed = replace(self, sampler=sampler, choose_sampler=self.choose_sampler and not name, guidance=guidance)
            sampler.grid(self.schedule)
        except ValueError as error:
            raise InputError(str(error)) from None
        return changed


_TYPES: dict[str, type] = {c.__name__: c for c in (CDDPMConfig, Schedule, UNetConfig, OptimiserConfig)}
_TYPES |= {c.__name__: c for c in SAMPLERS.values()}


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


def tile_rows() -> int:
    """Rows computed together.  A row's place in its tile follows from its number, so this fixes all rounding."""
    return 64 if jax.default_backend() == "cpu" else 1024


class _Fitted(NamedTuple):
    params: nnx.State  # the moving average
    rest: nnx.State
    low: Array  # [d] the training rows' range, ±inf without clipping
    high: Array


@partial(jax.jit, static_argnames=("process", "mesh"))
def _sample_tiles(
    model: _Fitted, key: Array, first: Array, labels: Array, seeds: Array | None, *, process: "_Process", mesh: Mesh
) -> Array:
    """A tile on each device: first row numbers [devices], labels [devices, tile] → rows [devices, tile, d]."""

    def part(model: _Fitted, key: Array, first: Array, labels: Array, seeds: Array | None) -> Array:
        return _sample_tile(model, key, first[0], labels[0], None if seeds is None else seeds[0], process)[None]

    whole, split = PartitionSpec(), PartitionSpec(parallel.ROWS)
    in_specs = (whole, whole, split, split, split)
    each = jax.shard_map(part, mesh=mesh, in_specs=in_specs, out_specs=split, check_vma=False)
    return each(model, key, first, labels, seeds)


class _Process(NamedTuple):
    """The reverse process."""

    objective: DenoisingObjective
    sampler: Sampler
    guidance: float
    levels: int | None  # the last so many of the sampler's, None for all


def _sample_tile(
    model: _Fitted, key: Array, first: Array, labels: Array, seeds: Array | None, process: _Process
) -> Array:
    """Rows number first, first + 1, … with these labels [tile] → [tile, d]; with seeds [tile, d], `vary` of those."""
    objective, sampler, guidance, levels = process
    network = training.network(objective, model.params, model.rest)
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


class CDDPM:
    """Conditional diffusion model over scaled flow features.

    Fitted attributes: `state_` (training state), `losses_` [steps], `classes_` (their number), `features_` (d).
    """

    def __init__(
        self,
        config: CDDPMConfig | None = None,
        *,
        checkpoint_dir: str | Path | None = None,
        about: dict[str, Any] | None = None,
        progress: bool = False,
    ):
        """With `checkpoint_dir`, progress is kept there after every block of steps, and an interrupted training goes on
        from it to bit-identical weights; `about` (JSON types: feature names, class names, scaler) is stored beside it.
        """
        self.config = config or CDDPMConfig()
        self.checkpoint_dir = checkpoint_dir
        self.about = about or {}
        self.progress = progress

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Train on scaled rows x [n, d] with labels y [n] = 0, 1, ….

        Raises:
          InputError: no rows, a negative label, or a checkpoint of another run.
          TrainingError: the loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        self.classes_ = int(y.max()) + 1
        self.features_ = x.shape[1]
        self._set_range(x.min(axis=0), x.max(axis=0))
        config = self.config
        description = {
            "kind": "cddpm",
            "config": plain(config),
            "classes": self.classes_,
            "low": x.min(axis=0).tolist(),
            "high": x.max(axis=0).tolist(),
            "rows": fingerprint(x, y),
            "key": np.asarray(jax.random.key_data(key)).tolist(),
            "about": self.about,
        }
        self.state_, self.losses_ = train_resumably(
            self._objective(),
            config.optimiser,
            training.pad(x, y),
            key,
            steps=config.steps,
            batch=config.batch,
            directory=self.checkpoint_dir,
            description=description,
            progress="CDDPM" if self.progress else None,
        )
        if config.choose_sampler:
            self.choose_sampler(self.checkpoint_dir)
        return self

    def choose_sampler(self, directory: str | Path | None = None) -> economy.Trial:
        """Sample from now on with the cheapest sampler whose rows are not told from ancestral sampling's (`economy`).

        The choice depends on the trained model alone.  With `directory` it is kept there and found again.
        """
        kept = None if directory is None else Path(directory) / "sampler.json"
        if kept is not None and kept.exists():
            found = json.loads(kept.read_bytes())
            chosen = economy.Trial(from_plain(found["sampler"], _TYPES), found["auc"], found["threshold"])
        else:
            labels, key = np.arange(_COMPARED) % self.classes_, random.stream(jax.random.key(0), "economy")
            chosen = economy.cheapest(
                lambda sampler, seed: self.with_sampler(sampler).sample(labels, jax.random.fold_in(key, seed)),
                self.config.schedule,
            )
            if kept is not None:
                write_atomic(kept, json.dumps({**chosen._asdict(), "sampler": plain(chosen.sampler)}).encode())
        self.config = replace(self.config, sampler=chosen.sampler)
        return chosen

    def with_sampler(self, sampler: Sampler) -> Self:
        """The same trained model with another reverse process."""
        other = copy(self)
        other.config = replace(self.config, sampler=sampler)
        return other

    @classmethod
    def load(cls, directory: str | Path) -> tuple[Self, dict[str, Any]]:
        """A trained model and what was stored about it.

        Raises:
          InputError: no checkpoint there, one of another kind, or an unfinished one.
        """
        description = read_description(directory)
        if description.get("kind") != "cddpm":
            raise InputError(f"{directory} holds a checkpoint of kind {description.get('kind')!r}, not 'cddpm'")
        self = cls(from_plain(description["config"], _TYPES))
        self.classes_ = description["classes"]
        low, high = (np.asarray(description[side], np.float32) for side in ("low", "high"))
        self.features_ = len(low)
        self._set_range(low, high)
        self.state_, self.losses_ = restore_trained(
            directory, state_shapes(self._objective(), self.config.optimiser), self.config.steps
        )
        if self.config.choose_sampler:
            self.choose_sampler(directory)
        return self, description["about"]

    def sample(self, labels: np.ndarray, key: Array, *, chunk: int = 4096) -> np.ndarray:
        """One row per label: labels [m] → [m, d] float32; row i depends on (key, i, labels[i]) alone."""
        return self._gathered(self.stream(labels, key, chunk=chunk), len(labels))

    def vary(self, seeds: np.ndarray, labels: np.ndarray, key: Array, *, levels: int) -> np.ndarray:
        """Seeds x_0 [m, d] noised to the first of the sampler's last `levels` levels and denoised from there → [m, d].

        SDEdit (Meng et al. 2022, algorithm 1): the lower that level, the closer a row stays to its seed.  Row i depends
        on (key, i, seeds[i], labels[i]) alone.

        Raises:
          InputError: a label outside the classes trained on, or not one seed per label.
        """
        labels, seeds = np.asarray(labels, np.int32), np.asarray(seeds, np.float32)
        if seeds.shape != (len(labels), self.features_):
            raise InputError(f"seeds have shape {seeds.shape}; expected [{len(labels)}, {self.features_}]")
        check_labels(labels, self.classes_)
        return self._gathered(self._pieces(labels, key, 4096, seeds=seeds, levels=levels), len(labels))

    def _gathered(self, pieces: Iterator[np.ndarray], rows: int) -> np.ndarray:
        parts = [np.zeros((0, self.features_), np.float32)]
        with training.progress_bar("sampling" if self.progress else None, rows, "row") as bar:
            for part in pieces:
                parts.append(part)
                bar.update(len(part))
        return np.concatenate(parts)

    def stream(
        self, labels: np.ndarray | Labels, key: Array, *, chunk: int, first: int = 0, stop: int | None = None
    ) -> Iterator[np.ndarray]:
        """The rows number `first` to `stop` of `sample`, in pieces of `chunk` rows; few more are held at a time.

        Args:
          labels: [m], of all rows; an array, or what gives one for a slice (of 100,000,000 rows, say).

        Raises:
          InputError: a label outside the classes trained on, or a chunk below 1.
        """
        if chunk < 1:
            raise InputError(f"chunk is {chunk}; it must be at least 1 row")
        if not isinstance(labels, Labels):
            labels = np.asarray(labels, np.int32)
            check_labels(labels, self.classes_)
        return self._pieces(labels, key, chunk, first, stop)

    def _pieces(
        self,
        labels: np.ndarray | Labels,
        key: Array,
        chunk: int,
        first: int = 0,
        stop: int | None = None,
        *,
        seeds: np.ndarray | None = None,
        levels: int | None = None,
    ) -> Iterator[np.ndarray]:
        stop = len(labels) if stop is None else stop
        tile, mesh = tile_rows(), parallel.mesh()
        step = tile * mesh.size
        begin = first - first % tile  # a row's place in its tile follows from its number
        ahead = -(-chunk // step)  # calls in flight: the devices work on while the host copies
        model = parallel.everywhere(_Fitted(self.state_.ema, self.state_.rest, self.low_, self.high_), mesh)
        process = _Process(self._objective(), self.config.sampler, self.config.guidance, levels)

        def call(start: int) -> Array:
            rows = slice(start, min(start + step, len(labels)))
            space = (0, start + step - rows.stop)
            own = np.pad(labels[rows], space).reshape(mesh.size, tile)
            begun = None if seeds is None else np.pad(seeds[rows], (space, (0, 0))).reshape(*own.shape, -1)
            numbers = np.arange(start, start + step, tile, dtype=np.int32)
            return _sample_tiles(model, key, numbers, own, begun, process=process, mesh=mesh)

        starts = iter(range(begin, stop, step))
        waiting: deque[tuple[int, Array]] = deque()
        held = np.zeros((0, self.features_), np.float32)
        given = first
        while given < stop:
            while len(waiting) <= ahead and (start := next(starts, None)) is not None:
                waiting.append((start, call(start)))
            while len(held) < min(chunk, stop - given):
                start, rows = waiting.popleft()
                made = np.asarray(rows).reshape(step, -1)
                held = np.concatenate([held, made[max(first - start, 0) : stop - start]])
            piece, held = held[:chunk], held[chunk:]
            if not np.isfinite(piece).all():
                raise training.TrainingError("the model generated values that are not finite; train it longer or clip")
            given += len(piece)
            yield piece

    def _objective(self) -> DenoisingObjective:
        c = self.config
        return DenoisingObjective(
            network=c.network,
            schedule=c.schedule,
            classes=self.classes_,
            prediction=c.prediction,
            label_dropout=c.label_dropout,
        )

    def _set_range(self, low: np.ndarray, high: np.ndarray) -> None:
        edge = jnp.full((self.features_,), jnp.inf)
        self.low_ = jnp.asarray(low, jnp.float32) if self.config.clip else -edge
        self.high_ = jnp.asarray(high, jnp.float32) if self.config.clip else edge
