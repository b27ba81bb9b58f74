"""CDDPM: the conditional denoising diffusion model that generates flows (P1 III.C)."""

import json
from collections import deque
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from nids_jax import parallel, random
from nids_jax.diffusion.samplers import SAMPLERS, Sampler, SDEDPMpp2M, make_sampler
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.generators import sampler_selection
from nids_jax.generators.base import Labels, check_labels, checked_rows
from nids_jax.generators.denoising import DenoisingObjective, Fitted, Prediction, Process, sample_tiles, tile_rows
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.training import loop
from nids_jax.training.checkpoint import (
    fingerprint,
    from_plain,
    plain,
    read_description,
    restore_trained,
    state_shapes,
    train_resumably,
)
from nids_jax.training.loop import OptimiserConfig

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
        if not np.isfinite(self.guidance):
            raise ValueError(f"--guidance is {self.guidance}; give a finite weight, such as 1.5")
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
            loop.pad(x, y),
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

    def choose_sampler(self, directory: str | Path | None = None) -> sampler_selection.Trial:
        """Sample from now on with the cheapest sampler whose rows are not told from ancestral sampling's (`economy`).

        The choice depends on the trained model alone.  With `directory` it is kept there and found again.
        """
        kept = None if directory is None else Path(directory) / "sampler.json"
        if kept is not None and kept.exists():
            found = json.loads(kept.read_bytes())
            chosen = sampler_selection.Trial(from_plain(found["sampler"], _TYPES), found["auc"], found["threshold"])
        else:
            labels, key = np.arange(_COMPARED) % self.classes_, random.stream(jax.random.key(0), "economy")
            chosen = sampler_selection.cheapest(
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

    def compile(self) -> None:
        """Compile sampling for its fixed shapes now, ahead of time: JAX keeps it for the calls that follow."""
        tile, mesh = tile_rows(), parallel.mesh()
        numbers, labels = np.zeros(mesh.size, np.int32), np.zeros((mesh.size, tile), np.int32)
        call = partial(sample_tiles.lower, process=self._process(), mesh=mesh)
        call(self._on(mesh), jax.random.key(0), numbers, labels, None).compile()

    def _process(self, levels: int | None = None) -> Process:
        return Process(self._objective(), self.config.sampler, self.config.guidance, levels)

    def _on(self, mesh: Mesh) -> Fitted:
        return parallel.everywhere(Fitted(self.state_.ema, self.state_.rest, self.low_, self.high_), mesh)

    def _gathered(self, pieces: Iterator[np.ndarray], rows: int) -> np.ndarray:
        parts = [np.zeros((0, self.features_), np.float32)]
        with loop.progress_bar("sampling" if self.progress else None, rows, "row") as bar:
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
        model, process = self._on(mesh), self._process(levels)

        def call(start: int) -> Array:
            rows = slice(start, min(start + step, len(labels)))
            space = (0, start + step - rows.stop)
            own = np.pad(labels[rows], space).reshape(mesh.size, tile)
            begun = None if seeds is None else np.pad(seeds[rows], (space, (0, 0))).reshape(*own.shape, -1)
            numbers = np.arange(start, start + step, tile, dtype=np.int32)
            return sample_tiles(model, key, numbers, own, begun, process=process, mesh=mesh)

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
                raise loop.TrainingError("the model generated values that are not finite; train it longer or clip")
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
