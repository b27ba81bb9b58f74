"""Checkpoints: arrays through Orbax, everything else as JSON beside them; never pickle.

A checkpoint is a folder with `description.json` (the version of its format, what was trained, on which rows, with which
settings, and checksums of these and of the step) and one Orbax step.  Orbax writes a step under a temporary name and
renames it, so a killed run leaves the last whole step behind; its arrays' checksum is written before it, that of its
files after it.  Files are compared before Orbax sees them, as it answers damage with tracebacks of its threads.
"""

import gc
import hashlib
import json
import logging
import shutil
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from nids_jax.errors import InputError, reason
from nids_jax.files import own_checksum, write_atomic
from nids_jax.locks import hold
from nids_jax.training.description import brief, entry, read_json, reading
from nids_jax.training.loop import Data, Objective, OptimiserConfig, TrainState, initial_state, train

FORMAT = 2  # of the description; one without the field is of format 1, which has no checksums
_DESCRIPTION = "description.json"
_OF_THE_FILE = ("format", "steps", "sha256")  # what does not tell one training from another


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 over the arrays' shapes, types and bytes: tells whether a checkpoint was trained on these rows."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@contextmanager
def _quiet_orbax() -> Iterator[None]:
    """Keep Orbax from reporting every file that it touches, and errors that it raises as well.

    The rest of the program's log stays as it is.
    """

    def worth_reporting(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    logger = logging.getLogger("absl")
    logger.addFilter(worth_reporting)
    try:
        yield
    finally:
        logger.removeFilter(worth_reporting)


class Checkpoint:
    """One training run's folder."""

    def __init__(self, directory: str | Path, description: dict[str, Any]):
        """Opens or creates the folder.

        Raises:
          InputError: the folder holds a checkpoint with another description (other rows, settings or seed), or one that
            cannot be read.
        """
        self.directory = Path(directory).resolve()
        with ExitStack() as stack:
            stack.enter_context(hold(self.directory, "output_dir", sys.argv, may_be_read_only=True))
            self._open(description)
            self._held = stack.pop_all()

    def _open(self, description: dict[str, Any]) -> None:
        if (self.directory / _DESCRIPTION).exists():
            self._description = found = read_description(self.directory)
            # Through JSON, so that tuples and lists compare equal.
            wanted = json.loads(json.dumps(description))
            names = {*found, *wanted}.difference(_OF_THE_FILE)
            differing = sorted(name for name in names if found.get(name) != wanted.get(name))
            if differing:
                raise InputError(
                    f"{self.directory} holds a checkpoint of another run (different {', '.join(differing)});"
                    " choose another output directory or delete this one"
                )
        else:
            self._description = description
            self._describe({})
        _compare_files(self.directory, self._description)
        with self._writing():
            self._manager = _manager(self.directory)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around Orbax's writing: whatever it raises is an InputError, and half a step is removed."""
        try:
            with _quiet_orbax():
                yield
        except Exception as error:
            _forget(error)
            for half in (self.directory / "steps").glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(half, ignore_errors=True)
            raise InputError(f"cannot write {self.directory}: {reason(error)}; choose another `output_dir`") from error

    def save(self, state: TrainState, losses: np.ndarray, total_steps: int) -> None:
        """Keep this state and the losses of the steps so far [state.step]; replaces what was kept before."""
        padded = np.full((total_steps,), np.nan, np.float32)
        padded[: len(losses)] = losses
        tree = {"state": _pack(state), "losses": padded}
        latest = self._manager.latest_step()
        before = {step: each for step, each in self._description["steps"].items() if step == str(latest)}
        step, checksums = int(state.step), {"arrays": _arrays_checksum(tree)}
        self._describe({**before, str(step): checksums})
        with self._writing():
            self._manager.save(step, args=ocp.args.StandardSave(tree))  # pyright: ignore[reportCallIssue]
        files = _files_checksum(self.directory / "steps" / str(step))
        self._describe({str(step): {**checksums, "files": files}})

    def restore(self, like: TrainState, total_steps: int) -> tuple[TrainState, np.ndarray] | None:
        """The last state kept and its losses, or None; `like` (arrays or shapes) gives the structure."""
        return _restore(self._manager, self._description, like, total_steps)

    def _describe(self, steps: dict[str, dict[str, str]]) -> None:
        """Write the description with these steps' checksums."""
        self._description = {**self._description, "format": FORMAT, "steps": steps}
        self._description["sha256"] = own_checksum(self._description)
        text = json.dumps(self._description, indent=1, allow_nan=False) + "\n"
        write_atomic(self.directory / _DESCRIPTION, text.encode())

    def close(self) -> None:
        """Release Orbax's threads."""
        with self._held, _quiet_orbax():
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
    title: str | None,
) -> tuple[TrainState, np.ndarray]:
    """`training.loop.train`, kept in `directory` after every block of steps and continued from what is found there.

    Without a directory nothing is kept.

    Raises:
      InputError: the folder holds a checkpoint with another description.
      TrainingError: the loss is no longer finite.
    """
    if directory is None:
        return train(objective, optimiser, data, key, steps=steps, batch=batch, title=title)
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
            title=title,
        )
    finally:
        checkpoint.close()


def state_shapes(objective: Objective, optimiser: OptimiserConfig) -> TrainState:
    """The shapes of the training state, without computing it."""
    return jax.eval_shape(partial(initial_state, objective=objective, optimiser=optimiser), jax.random.key(0))


def read_description(directory: str | Path) -> dict[str, Any]:
    """The description of the checkpoint in `directory`, its `format` included.

    Raises:
      InputError: there is none, it is no JSON object, of a later format, or its checksum is another.
    """
    path = Path(directory) / _DESCRIPTION
    if not path.exists():
        raise InputError(f"no checkpoint in {directory}: {path.name} is missing; train a model there first")
    description = {"format": 1, **read_json(path)}
    with reading(path):
        if not 1 <= entry(description, "format", int) <= FORMAT:
            raise InputError(
                f"the checkpoint's format is {brief(description['format'])}, and this version of nids_jax reads"
                f" formats 1 to {FORMAT}; update nids_jax"
            )
        if description["format"] == 1:
            warnings.warn(
                f"{directory} holds a checkpoint of an earlier version, without checksums: damage to it goes unseen",
                stacklevel=2,
            )
            return {**description, "steps": {}}
        if entry(description, "sha256", str) != own_checksum(description):
            raise InputError("its checksum is not that of its content; restore the file or train again")
        for step, checksums in entry(description, "steps", dict).items():
            if not (step.isdigit() and isinstance(checksums, dict)):
                raise InputError(f"'steps' has {brief({step: checksums})}; restore the file or train again")
    return description


def restore_trained(directory: str | Path, like: TrainState, total_steps: int) -> tuple[TrainState, np.ndarray]:
    """The finished run in `directory`, for use after training.

    Raises:
      InputError: no step was kept, its arrays are damaged or not those of `like`, or training has not reached
        `total_steps`.
    """
    description = read_description(directory)
    _compare_files(Path(directory), description)
    manager = _manager(Path(directory).resolve(), read_only=True)
    try:
        found = _restore(manager, description, like, total_steps)
    finally:
        with _quiet_orbax():
            manager.close()
    done = 0 if found is None else int(found[0].step)
    if found is None or done < total_steps:
        raise InputError(f"the training in {directory} stopped at step {done} of {total_steps}; finish it first")
    return found


def _manager(directory: Path, *, read_only: bool = False) -> ocp.CheckpointManager:
    kept = None if read_only else 1  # what only reads removes nothing, temporary files of a training least of all
    with _quiet_orbax():
        options = ocp.CheckpointManagerOptions(max_to_keep=kept, enable_async_checkpointing=False, read_only=read_only)
        return ocp.CheckpointManager(directory / "steps", options=options)


def _forget(error: Exception) -> None:
    """End the coroutines that Orbax left in the middle: they would complain when they are collected."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
    finally:
        sys.unraisablehook = hook


def _files_checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of the files in a step's folder."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _compare_files(directory: Path, description: dict[str, Any]) -> None:
    """Compare the steps' files with their checksums; a killed run may leave a step without.

    Raises:
      InputError: they are others.
    """
    for step, checksums in description["steps"].items():
        folder = directory / "steps" / step
        if "files" in checksums and folder.is_dir() and checksums["files"] != _files_checksum(folder):
            raise InputError(_damaged(folder))


def _damaged(folder: Path) -> str:
    return (
        f"step {folder.name} in {folder.parent} is damaged: its checksum is not the one in {_DESCRIPTION}; restore the"
        " folder or train again"
    )


def _arrays_checksum(tree: dict[str, Any]) -> str:
    """Of a step's arrays, as `save` keeps them."""
    return fingerprint(*(np.asarray(tree["state"][name]) for name in sorted(tree["state"])), np.asarray(tree["losses"]))


def _restore(
    manager: ocp.CheckpointManager, description: dict[str, Any], like: TrainState, total: int
) -> tuple[TrainState, np.ndarray] | None:
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
    unfit = f"step {latest} in {manager.directory} does not hold the arrays that its description asks for"
    try:
        with _quiet_orbax():
            restored: Any = manager.restore(latest, args=ocp.args.StandardRestore(tree))  # pyright: ignore[reportCallIssue]
    except Exception as error:
        raise InputError(f"{unfit} ({reason(error)}); restore the folder or train again") from error
    # Orbax gives arrays of the sizes that were stored.
    if jax.tree.map(np.shape, restored) != jax.tree.map(np.shape, tree):
        raise InputError(f"{unfit}; restore the folder or train again")
    if description["format"] == 1:
        description["steps"][str(latest)] = {"arrays": _arrays_checksum(restored)}  # for that of the next step
    elif description["steps"].get(str(latest), {}).get("arrays") != _arrays_checksum(restored):
        raise InputError(_damaged(Path(manager.directory) / str(latest)))
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
