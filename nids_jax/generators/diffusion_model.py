"""A trained diffusion model of flows: sampling, variations of given rows, and the choice of a sampler.

`cddpm.CDDPM` trains one from scratch, `transfer.Adapted` from a model of auxiliary rows.
"""

import json
import warnings
from collections import deque
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from nids_jax import parallel, random
from nids_jax.diffusion.samplers import SAMPLERS, Sampler
from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.generators import sampler_selection
from nids_jax.generators.base import Labels, check_labels
from nids_jax.generators.cddpm_config import CDDPMConfig
from nids_jax.generators.denoising import DenoisingObjective, Fitted, Process, Tiles, sample_tiles, tiles
from nids_jax.progress import follow
from nids_jax.training import loop
from nids_jax.training.description import entry, from_plain, plain, read_json, reading

_COMPARED = 512  # rows of each sampler, to choose one by


class DiffusionModel:
    """What every trained diffusion model of scaled flow features can do; subclasses train it.

    Fitted attributes: `state_` (training state), `losses_` [steps], `n_classes_`, `features_` (d).
    """

    state_: loop.TrainState
    losses_: np.ndarray
    n_classes_: int
    features_: int

    def __init__(self, config: CDDPMConfig | None = None, *, progress: bool = False):
        self.config = config or CDDPMConfig()
        self.progress = progress

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Train on scaled rows x [n, d] with labels y [n]."""
        raise NotImplementedError

    def choose_sampler(self, directory: str | Path | None = None) -> sampler_selection.Trial:
        """Sample from now on with the sampler that `sampler_selection.select_sampler` finds.

        The choice depends on the trained model alone.  With `directory` it is kept there and found again.

        Raises:
          InputError: the choice found there cannot be read, or does not fit the schedule.
        """
        path = None if directory is None else Path(directory) / "sampler.json"
        if path is not None and path.exists():
            with reading(path):
                chosen = _trial(read_json(path))
                self.config = replace(self.config, sampler=chosen.sampler)
            return chosen
        # The name of the stream is that of earlier versions: another would change the choice.
        labels, key = np.arange(_COMPARED) % self.n_classes_, random.stream(jax.random.key(0), "economy")
        chosen = sampler_selection.select_sampler(
            lambda sampler, seed: self.with_sampler(sampler).sample(labels, jax.random.fold_in(key, seed)),
            self.config.schedule,
        )
        if path is not None:
            text = json.dumps({**chosen._asdict(), "sampler": plain(chosen.sampler)})
            try:
                write_atomic(path, text.encode(), "directory")
            except InputError as error:  # the checkpoint itself is only read
                reason = str(error).rpartition(";")[0]
                warnings.warn(f"the sampler that was chosen is not kept: {reason}", stacklevel=2)
        self.config = replace(self.config, sampler=chosen.sampler)
        return chosen

    def with_sampler(self, sampler: Sampler) -> Self:
        """The same trained model with another reverse process."""
        other = copy(self)
        other.config = replace(self.config, sampler=sampler)
        return other

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
            raise InputError(f"seeds have shape {seeds.shape}; give one per label, [{len(labels)}, {self.features_}]")
        check_labels(labels, self.n_classes_)
        return self._gathered(self._pieces(labels, key, 4096, seeds=seeds, levels=levels), len(labels))

    def compile(self) -> None:
        """Compile sampling of the first rows now, ahead of time: JAX keeps it for the calls that follow."""
        tile, mesh = self._tiles().small, parallel.mesh()
        numbers, labels = np.zeros(mesh.size, np.int32), np.zeros((mesh.size, tile), np.int32)
        call = partial(sample_tiles.lower, process=self._process(), mesh=mesh)
        call(self._on(mesh), jax.random.key(0), numbers, labels, None).compile()

    def _tiles(self) -> Tiles:
        return tiles(self._objective(), self.features_, self.config.guidance)

    def _process(self, levels: int | None = None) -> Process:
        return Process(self._objective(), self.config.sampler, self.config.guidance, levels)

    def _on(self, mesh: Mesh) -> Fitted:
        return parallel.everywhere(Fitted(self.state_.ema, self.state_.rest, self.low_, self.high_), mesh)

    def _gathered(self, pieces: Iterator[np.ndarray], rows: int) -> np.ndarray:
        parts = [np.zeros((0, self.features_), np.float32)]
        with follow("sampling" if self.progress else None, rows, "row") as bar:
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
            raise InputError(f"`chunk` is {chunk}; it must be at least 1 row")
        if not isinstance(labels, Labels):
            labels = np.asarray(labels, np.int32)
            check_labels(labels, self.n_classes_)
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
        mesh, sizes = parallel.mesh(), self._tiles()
        ahead = -(-chunk // (sizes.small * mesh.size))  # calls in flight: the devices work on while the host copies
        model, process = self._on(mesh), self._process(levels)

        def call(start: int, tile: int) -> Array:
            step = tile * mesh.size
            rows = slice(start, min(start + step, len(labels)))
            space = (0, start + step - rows.stop)
            own = np.pad(labels[rows], space).reshape(mesh.size, tile)
            begun = None if seeds is None else np.pad(seeds[rows], (space, (0, 0))).reshape(*own.shape, -1)
            numbers = np.arange(start, start + step, tile, dtype=np.int32)
            return sample_tiles(model, key, numbers, own, begun, process=process, mesh=mesh)

        calls = sizes.calls(first, stop, mesh.size)
        waiting: deque[tuple[int, int, Array]] = deque()
        ready = np.zeros((0, self.features_), np.float32)
        given = first
        while given < stop:
            while len(waiting) <= ahead and (one := next(calls, None)) is not None:
                start, end, tile = one
                waiting.append((start, end, call(start, tile)))
            while len(ready) < min(chunk, stop - given):
                start, end, rows = waiting.popleft()
                made = np.asarray(rows).reshape(-1, self.features_)
                ready = np.concatenate([ready, made[max(first - start, 0) : end - start]])
            piece, ready = ready[:chunk], ready[chunk:]
            if not np.isfinite(piece).all():
                raise loop.TrainingError("the model generated values that are not finite; train it longer or clip")
            given += len(piece)
            yield piece

    def _objective(self) -> DenoisingObjective:
        return self.config.objective(self.n_classes_)

    def _set_range(self, low: np.ndarray, high: np.ndarray) -> None:
        edge = jnp.full((self.features_,), jnp.inf)
        self.low_ = jnp.asarray(low, jnp.float32) if self.config.clip else -edge
        self.high_ = jnp.asarray(high, jnp.float32) if self.config.clip else edge


def _trial(stored: dict[str, Any]) -> sampler_selection.Trial:
    types = {kind.__name__: kind for kind in SAMPLERS.values()}
    sampler = from_plain(entry(stored, "sampler", dict), types, Sampler)
    return sampler_selection.Trial(sampler, entry(stored, "auc", float), entry(stored, "threshold", float))
