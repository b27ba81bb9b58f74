"""Checkpoints: arrays through Orbax, everything else as JSON beside them; never pickle.

A checkpoint is a folder with `description.json` (the version of its format, what was trained, on which rows, with which
settings, and checksums of these and of the step's arrays) and one Orbax step.  Orbax writes a step under a temporary
name and renames it, so a killed run leaves the last whole step behind; its checksum is written before it.
"""

import dataclasses
import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from nids_jax.errors import InputError
from nids_jax.files import own_checksum, write_atomic
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


def from_plain(value: Any, types: Mapping[str, type], expected: type = object) -> Any:
    """The inverse of `plain` for dataclasses among `types` (name → class); lists come back as tuples.

    Raises:
      InputError: a type that is not among `types`, a field too many or missing, a value of another type than the
        field's, or a result that is not `expected`.
    """
    found = value
    if isinstance(value, dict) and "type" in value:
        found = _dataclass(value, types)
    elif isinstance(value, list):
        found = tuple(from_plain(item, types) for item in value)
    if not isinstance(found, expected):
        raise InputError(f"a {expected.__name__} is stored as {_shown(value)}; restore the file or train again")
    return found


def _dataclass(value: dict[str, Any], types: Mapping[str, type]) -> Any:
    name = value["type"]
    if not isinstance(name, str) or name not in types:
        raise InputError(
            f"there are stored settings of the type {_shown(name)}, which is none of {', '.join(sorted(types))}; use"
            " the version of nids_jax that wrote them, or train again"
        )
    kind = types[name]
    fields = {key: from_plain(item, types) for key, item in value.items() if key != "type"}
    if differing := sorted({*fields} ^ {field.name for field in dataclasses.fields(kind)}):
        verb = "has no" if differing[0] in fields else "needs the"
        raise InputError(
            f"the stored settings do not fit: a {name} {verb} field {differing[0]!r}; use the version of nids_jax that"
            " wrote them, or train again"
        )
    hints = get_type_hints(kind)
    for key, item in fields.items():
        if not _fits(item, hints[key]):
            raise InputError(
                f"the stored {name} has {_shown(value[key])} for {key!r}, which is of another type; restore the file or"
                " train again"
            )
    return kind(**fields)


def entry(stored: dict[str, Any], name: str, hint: Any) -> Any:
    """The value `name` of a stored JSON object, of the annotated type `hint`.

    Raises:
      InputError: it is missing, or of another type.
    """
    if name not in stored:
        raise InputError(f"there is no {name!r}; restore the file or train again")
    if not _fits(stored[name], hint):
        raise InputError(
            f"{name!r} is {_shown(stored[name])}, which is of another type; restore the file or train again"
        )
    return stored[name]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is of an annotated type; whole numbers count as float, booleans not as numbers."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        hints = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(value) == len(hints) and all(map(_fits, value, hints))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def _shown(value: Any) -> str:
    """The value as JSON, cut to a line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let an InputError name the file that is being read."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


@contextmanager
def _quiet_orbax() -> Iterator[None]:
    """Keep Orbax from reporting every file it touches; the rest of the program's log stays as it is."""

    def worth_reporting(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname or record.levelno >= logging.ERROR

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
        self._manager = _manager(self.directory)

    def save(self, state: TrainState, losses: np.ndarray, total_steps: int) -> None:
        """Keep this state and the losses of the steps so far [state.step]; replaces what was kept before."""
        padded = np.full((total_steps,), np.nan, np.float32)
        padded[: len(losses)] = losses
        tree = {"state": _pack(state), "losses": padded}
        latest = self._manager.latest_step()
        before = {step: each for step, each in self._description["steps"].items() if step == str(latest)}
        self._describe({**before, str(int(state.step)): _checksum(tree)})
        with _quiet_orbax():
            self._manager.save(int(state.step), args=ocp.args.StandardSave(tree))  # pyright: ignore[reportCallIssue]

    def restore(self, like: TrainState, total_steps: int) -> tuple[TrainState, np.ndarray] | None:
        """The last state kept and its losses, or None; `like` (arrays or shapes) gives the structure."""
        return _restore(self._manager, self._description, like, total_steps)

    def _describe(self, steps: dict[str, str]) -> None:
        """Write the description with these steps' checksums."""
        self._description = {**self._description, "format": FORMAT, "steps": steps}
        self._description["sha256"] = own_checksum(self._description)
        text = json.dumps(self._description, indent=1, allow_nan=False) + "\n"
        write_atomic(self.directory / _DESCRIPTION, text.encode())

    def close(self) -> None:
        """Release Orbax's threads."""
        with _quiet_orbax():
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
    """`training.loop.train`, kept in `directory` after every block of steps and continued from what is found there.

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
                f"the checkpoint's format is {_shown(description['format'])}, and this version of nids_jax reads"
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
        entry(description, "steps", dict)
    return description


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
      InputError: it cannot be read, or is no JSON object.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); restore the file or train again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object; restore the file or train again")
    return found


def restore_trained(directory: str | Path, like: TrainState, total_steps: int) -> tuple[TrainState, np.ndarray]:
    """The finished run in `directory`, for use after training.

    Raises:
      InputError: no step was kept, its arrays are damaged or not those of `like`, or training has not reached
        `total_steps`.
    """
    description = read_description(directory)
    manager = _manager(Path(directory).resolve())
    try:
        found = _restore(manager, description, like, total_steps)
    finally:
        with _quiet_orbax():
            manager.close()
    done = 0 if found is None else int(found[0].step)
    if found is None or done < total_steps:
        raise InputError(f"the training in {directory} stopped at step {done} of {total_steps}; finish it first")
    return found


def _manager(directory: Path) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
    with _quiet_orbax():
        return ocp.CheckpointManager(directory / "steps", options=options)


def _checksum(tree: dict[str, Any]) -> str:
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
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{unfit} ({reason[:200]}); restore the folder or train again") from error
    # Orbax gives arrays of the sizes that were stored.
    if jax.tree.map(np.shape, restored) != jax.tree.map(np.shape, tree):
        raise InputError(f"{unfit}; restore the folder or train again")
    if description["format"] == 1:
        description["steps"][str(latest)] = _checksum(restored)  # for the description of the next step
    elif description["steps"].get(str(latest)) != _checksum(restored):
        raise InputError(
            f"the arrays of step {latest} in {manager.directory} are damaged: their checksum is not the one in"
            f" {_DESCRIPTION}; restore the folder or train again"
        )
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
