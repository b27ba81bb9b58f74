"""Who is told of every training's course: files, TensorBoard, MLflow, or a function of one's own.

A callback is called after each block of steps (`training.loop.BLOCK`) with the run's name, the steps taken and the
figures of the block (the mean loss; of adversarial networks each figure of the last step). By returning True it stops
that training, whose model is then what has been learnt so far.

    with attached([lambda run, step, figures: step >= 200]):
        nids_jax.train_generator(…)
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nids_jax.errors import InputError
from nids_jax.files import writing

WRITERS = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}  # what each needs installed


# Called with the training's name (the unit of work and what is trained, such as `split 2: cnn_bigru on real`), the
# optimiser steps taken, and figures such as the loss; it returns True to stop this training.
Callback = Callable[[str, int, Mapping[str, float]], bool | None]

_attached: ContextVar[tuple[Callback, ...]] = ContextVar("attached", default=())
_unit: ContextVar[str] = ContextVar("unit", default="")


@contextmanager
def attached(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Within the block the callbacks hear of every training, beside those that are attached already."""
    token = _attached.set((*_attached.get(), *callbacks))
    try:
        yield
    finally:
        _attached.reset(token)


@contextmanager
def unit(name: str) -> Iterator[None]:
    """Within the block runs are named after this unit of work."""
    token = _unit.set(name)
    try:
        yield
    finally:
        _unit.reset(token)


def report(title: str | None, step: int, figures: Mapping[str, float]) -> bool:
    """Tell all that are attached; whether one of them wants the training to stop."""
    run = ": ".join(part for part in (_unit.get(), title) if part) or "training"
    answers = [callback(run, step, figures) for callback in _attached.get()]
    return True in answers


@contextmanager
def writers(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Within the block every training's course goes to `training.jsonl` in the folder, and to the writers named.

    Args:
      names: of WRITERS.  TensorBoard's files lie in `tensorboard/` in the folder; MLflow's runs go to
        MLFLOW_TRACKING_URI, or to `mlflow.db` in the folder.

    Raises:
      InputError: a writer that is unknown or not installed.
    """
    for name in names:
        if name not in WRITERS:
            raise InputError(f"`log_to` names {name!r}; choose from {', '.join(WRITERS)}")
        if find_spec(WRITERS[name]) is None:
            raise InputError(
                f"`log_to` names {name}, which needs {WRITERS[name]}: pip install 'nids-jax[{name}]', or leave it out"
            )
    with ExitStack() as stack:
        told: list[Callback] = [stack.enter_context(_JsonLines(folder / "training.jsonl"))]
        told += [stack.enter_context({"tensorboard": _TensorBoard, "mlflow": _MLflow}[name](folder)) for name in names]
        stack.enter_context(attached(told))
        yield


class _JsonLines:
    """A line of JSON for each block of steps.  It is a log: a crash may cost its last lines, and no result."""

    def __init__(self, path: Path):
        self._path, self._file = path, None

    def __enter__(self) -> "_JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # of a full disk, which was told of when the line was written
                self._file.close()

    def __call__(self, run: str, step: int, figures: Mapping[str, float]) -> None:
        with writing(self._path, "output_dir"):
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(json.dumps({"run": run, "step": step, **figures}, ensure_ascii=False) + "\n")
            self._file.flush()


class _TensorBoard:
    """A TensorBoard run for each training."""

    def __init__(self, folder: Path):
        self._folder = folder / "tensorboard"
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> "_TensorBoard":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def __call__(self, run: str, step: int, figures: Mapping[str, float]) -> None:
        if run not in self._writers:
            from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

            name = "".join(letter if letter.isalnum() or letter in "-. " else "_" for letter in run)
            self._writers[run] = SummaryWriter(str(self._folder / name))
        for name, value in figures.items():
            self._writers[run].add_scalar(name, value, step)


class _MLflow:
    """An MLflow run for each training."""

    def __init__(self, folder: Path):
        import mlflow  # pyright: ignore[reportMissingImports]

        if not os.environ.get("MLFLOW_TRACKING_URI"):
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
        mlflow.set_experiment("nids_jax")
        self._client, self._runs = mlflow.MlflowClient(), {}
        self._experiment = mlflow.get_experiment_by_name("nids_jax").experiment_id

    def __enter__(self) -> "_MLflow":
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs.values():
            self._client.set_terminated(run)

    def __call__(self, run: str, step: int, figures: Mapping[str, float]) -> None:
        if run not in self._runs:
            self._runs[run] = self._client.create_run(self._experiment, run_name=run).info.run_id
        for name, value in figures.items():
            self._client.log_metric(self._runs[run], name, value, step=step)
