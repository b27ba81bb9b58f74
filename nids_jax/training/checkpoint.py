"""Checkpoints: arrays through Orbax, everything else as JSON beside them; never pickle.

A checkpoint is a folder with `description.json` (what was trained, on which rows, with which settings) and one Orbax
step.  Orbax writes a step under a temporary name and renames it, so a killed run leaves the last whole step behind.
"""

import dataclasses
import hashlib
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.training.loop import Data, Objective, OptimiserConfig, TrainState, initial_state, train

# Orbax reports every file it touches; what a user needs to know, this module says itself.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname or record.levelno >= logging.ERROR)


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 over the arrays' shapes, types and bytes: tells whether a checkpoint was trained on these rows."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def plain(value: Any) -> Any:
    """A (nested) dataclass as JSON types; each carries its class's name, to be read back by."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def from_plain(value: Any, types: dict[str, type]) -> Any:
    """The inverse of `plain` for dataclasses among `types` (name → class); lists come back as tuples."""
    if isinstance(value, dict) and "type" in value:
        fields = {key: from_plain(item, types) for key, item in value.items() if key != "type"}
        return types[value["type"]](**fields)
    if isinstance(value, list):
        return tuple(from_plain(item, types) for item in value)
    return value


class Checkpoint:
    """One training run's folder."""

    def __init__(self, directory: str | Path, description: dict[str, Any]):
        """Opens or creates the folder.

        Raises:
          InputError: the folder holds a checkpoint with another description (other rows, settings or seed).
        """
        self.directory = Path(directory).resolve()
        path = self.directory / "description.json"
        if path.exists():
            found = read_description(self.directory)
            # Through JSON, so that tuples and lists compare equal.
            wanted = json.loads(json.dumps(description))
            differing = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            if differing:
                raise InputError(
                    f"{self.directory} holds a checkpoint of another run (different {', '.join(differing)});"
                    " choose another output directory or delete this one"
                )
        else:
            write_atomic(path, (json.dumps(description, indent=1, allow_nan=False) + "\n").encode())
        self._manager = _manager(self.directory)

    def save(self, state: TrainState, losses: np.ndarray, total_steps: int) -> None:
        """Keep this state and the losses of the steps so far [state.step]; replaces what was kept before."""
        padded = np.full((total_steps,), np.nan, np.float32)
        padded[: len(losses)] = losses
        tree = {"state": _pack(state), "losses": padded}
        self._manager.save(int(state.step), args=ocp.args.StandardSave(tree))  # pyright: ignore[reportCallIssue]

    def restore(self, like: TrainState, total_steps: int) -> tuple[TrainState, np.ndarray] | None:
        """The last state kept and its losses, or None; `like` (arrays or shapes) gives the structure."""
        return _restore(self._manager, like, total_steps)

    def close(self) -> None:
        """Release Orbax's threads."""
        self._manager.close()


def train_resumably(
    objective: Objective,
    optimiser: OptimiserConfig,
    data: Data,
    key: jax.Array,
    *,
    steps: int,
    batch: int,
    directory: str | Path | None,
    description: dict[str, Any],
    progress: str | None,
) -> tuple[TrainState, np.ndarray]:
    """`training.train`, kept in `directory` after every block of steps and continued from what is found there.

    Without a directory nothing is kept.

    Raises:
      InputError: the folder holds a checkpoint with another description.
      TrainingError: the loss is no longer finite.
    """
    if directory is None:
        return train(objective, optimiser, data, key, steps=steps, batch=batch, progress=progress)
    checkpoint = Checkpoint(directory, description)
    try:
        found = checkpoint.restore(state_shapes(objective, optimiser), steps)
        state, losses = found if found else (None, None)
        return train(
            objective,
            optimiser,
            data,
            key,
            steps=steps,
            batch=batch,
            state=state,
            losses=losses,
            on_block=lambda state, losses: checkpoint.save(state, losses, steps),
            progress=progress,
        )
    finally:
        checkpoint.close()


def state_shapes(objective: Objective, optimiser: OptimiserConfig) -> TrainState:
    """The shapes of the training state, without computing it."""
    return jax.eval_shape(partial(initial_state, objective=objective, optimiser=optimiser), jax.random.key(0))


def read_description(directory: str | Path) -> dict[str, Any]:
    """The description of the checkpoint in `directory`.

    Raises:
      InputError: there is none, or it is not JSON.
    """
    path = Path(directory) / "description.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no checkpoint in {directory}: {path.name} is missing") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); train again or restore the file") from None


def restore_trained(directory: str | Path, like: TrainState, total_steps: int) -> tuple[TrainState, np.ndarray]:
    """The finished run in `directory`, for use after training.

    Raises:
      InputError: no step was kept, or training has not reached `total_steps`.
    """
    manager = _manager(Path(directory).resolve())
    try:
        found = _restore(manager, like, total_steps)
    finally:
        manager.close()
    done = 0 if found is None else int(found[0].step)
    if found is None or done < total_steps:
        raise InputError(f"the training in {directory} stopped at step {done} of {total_steps}; finish it first")
    return found


def _manager(directory: Path) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
    return ocp.CheckpointManager(directory / "steps", options=options)


def _restore(manager: ocp.CheckpointManager, like: TrainState, total: int) -> tuple[TrainState, np.ndarray] | None:
    latest = manager.latest_step()
    if latest is None:
        return None
    sizes: dict[str, int] = {}
    for leaf in jax.tree.leaves(like):
        sizes[leaf.dtype.name] = sizes.get(leaf.dtype.name, 0) + leaf.size
    tree = {
        "state": {name: np.zeros(size, name) for name, size in sizes.items()},
        "losses": np.zeros((total,), np.float32),
    }
    restored: Any = manager.restore(latest, args=ocp.args.StandardRestore(tree))  # pyright: ignore[reportCallIssue]
    state = _unpack(restored["state"], like)
    return state, np.asarray(restored["losses"])[: int(state.step)]


def _pack(state: TrainState) -> dict[str, np.ndarray]:
    """All arrays of one type as one: Orbax takes milliseconds for each array, and a state has hundreds."""
    groups: dict[str, list[np.ndarray]] = {}
    for leaf in jax.tree.leaves(state):
        groups.setdefault(leaf.dtype.name, []).append(np.asarray(leaf).ravel())
    return {name: np.concatenate(parts) for name, parts in groups.items()}


def _unpack(packed: dict[str, Any], like: TrainState) -> TrainState:
    """The inverse of `_pack`, on the device."""
    used = dict.fromkeys(packed, 0)

    def take(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        name = leaf.dtype.name
        start, used[name] = used[name], used[name] + leaf.size
        return jnp.array(packed[name][start : used[name]].reshape(leaf.shape))  # a copy: training donates it

    return jax.tree.map(take, like)
