"""Units of work on the machines of a Ray cluster: what a worker does (`cluster` is the driver's side)."""

import os
import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nids_jax
from nids_jax import store
from nids_jax.errors import InputError
from nids_jax.pipeline.runner import Runner
from nids_jax.runtime import CompileClock, enable_compilation_cache, use_all_cores
from nids_jax.training import callbacks

MARK = ".driver"  # in the output folder, by which a worker knows whether it sees this folder or another of that name


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a worker has of its machine."""

    cores: int
    devices: int  # of JAX, on CPUs; 0: JAX is not used
    gpus: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all units share."""

    work: Callable[..., Any]
    shared: Sequence[Any]
    share: Share
    output_dir: Path
    mark: str
    command: Sequence[str]
    version: str
    classifiers: Sequence[str]  # that other packages bring, and were named for this experiment
    generators: Sequence[str]


def carry_out(task: Task, desk: Any, unit: Hashable) -> Any:
    """In a worker: one unit of work.

    Raises:
      InputError: the unit refuses its input, or this machine has another version of this package.
    """
    import ray  # pyright: ignore[reportMissingImports]

    if nids_jax.__version__ != task.version:
        raise InputError(
            f"this machine has nids_jax {task.version}, and one of the cluster {nids_jax.__version__}; install the same"
        )

    def tell(name: str, *arguments: Any) -> None:
        _answer(ray, desk.tell.remote(name, arguments))

    def trained(run: str, step: int, figures: Mapping[str, float]) -> None:
        tell("trained", run, step, {name: float(value) for name, value in figures.items()})

    _prepare(task.share)
    _bring_plugins(task)
    with tempfile.TemporaryDirectory(prefix="nids_jax-") as scratch, callbacks.attached([trained]):
        sees = _sees(task)
        runner = _Worker(
            output_dir=task.output_dir if sees else Path(scratch),
            command=task.command,
            progress=False,
            say=lambda line: tell("say", line),
            tell=tell,
            known=_answer(ray, desk.known.remote()),
            sends_files=not sees,
        )
        result = task.work(runner, unit, *task.shared)
        runner.send_files()
        return result


def _answer(ray: Any, asked: Any) -> Any:
    """What the driver's desk answers.

    While the main thread of a unit waits, Ray lends the unit's cores to another one, and both would go on together,
    with the memory of two; while another thread waits it does not.
    """
    with ThreadPoolExecutor(1) as waiting:
        return waiting.submit(ray.get, asked).result()


@dataclass(kw_only=True)
class _Worker(Runner):
    """A runner that tells the driver what it would write."""

    tell: Callable[..., None]
    known: tuple[set[store.RunKey], dict[str, dict[str, float]]]
    sends_files: bool
    _sent: dict[Path, tuple[int, int]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the machine that the worker is on, looked up once."""
        return _environment(tuple(self.command))

    @property
    def clock(self) -> CompileClock:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One for all units of this worker."""
        return _clock()

    def recorded(self) -> tuple[set[store.RunKey], dict[str, dict[str, float]]]:
        """What the driver knew when the unit began."""
        return self.known

    def keep(self, key: store.RunKey, entry: dict[str, Any]) -> None:
        """Tell of a record, after the files that it speaks of."""
        self.send_files()
        self.tell("keep", key, entry)
        self.done.add(key)

    def keep_score(self, entry: str, candidate: str, score: float) -> None:
        """Tell of a candidate's score."""
        self.tell("keep_score", entry, candidate, float(score))
        self.scores.setdefault(entry, {})[candidate] = score

    def failed(self, title: str, why: str) -> None:
        """Tell that a unit failed."""
        self.tell("failed", title, why)

    def send_files(self) -> None:
        """Send what was written since, where the driver does not see it."""
        for path in sorted(self.output_dir.rglob("*")) if self.sends_files else []:
            state = path.stat()
            if path.is_file() and self._sent.get(path) != (seen := (state.st_mtime_ns, state.st_size)):
                self.tell("file", path.relative_to(self.output_dir).as_posix(), path.read_bytes())
                self._sent[path] = seen


def _sees(task: Task) -> bool:
    """Whether this machine sees the driver's output folder."""
    try:
        return (task.output_dir / MARK).read_text() == task.mark
    except OSError:
        return False


@cache
def _prepare(share: Share) -> None:
    """This worker's settings, before JAX starts: as many threads and devices as are its own."""
    for name in ("NPROC", "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):  # of XLA, of OpenMP and BLAS, of joblib
        os.environ[name] = str(share.cores)
    if share.devices:
        enable_compilation_cache()
        use_all_cores(share.devices)


def _bring_plugins(task: Task) -> None:
    """Make known what other packages bring; the registries import much, which most units need and some do not."""
    if task.classifiers:
        from nids_jax.classifiers import registry as classifiers

        classifiers.known(task.classifiers)
    if task.generators:
        from nids_jax.generators import registry as generators

        generators.known(task.generators)


@cache
def _environment(command: tuple[str, ...]) -> dict[str, Any]:
    return store.environment(command)


@cache
def _clock() -> CompileClock:
    return CompileClock()
