"""Units of work on the machines of a Ray cluster: the driver's side (`worker` is the other).

The process that runs an experiment, the driver, alone writes records and choices; workers tell it of them as they find
them.  So nothing is written twice, and a worker that is lost costs the run that it was busy with: the unit is handed
out again with what is recorded, and goes on from there.  A worker has as many cores, and as many of them as JAX's
devices, as the driver has; so on equal machines it finds the same to the last bit.  Where the cluster has GPUs, each
worker has one.  Units that do not compute with JAX (the metering of captures) get one core each.

Workers write the files of a unit (checkpoints, synthetic rows, flow records) into the output folder where they see it,
and send them to the driver, with every record and at the end, where they do not.
"""

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import nids_jax
from nids_jax import plugins, store
from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.worker import MARK, Share, Task, carry_out
from nids_jax.runtime import cores
from nids_jax.training import callbacks

ATTEMPTS = 4  # to carry out a unit whose worker is lost
PAUSE_S = 2.0  # before the second, and twice as long before each further one: a dead machine is not known at once
POLL_S = 0.5  # how often the driver looks for what workers tell


class Cluster:
    """An executor on a Ray cluster, within a `with` block.

    Args:
      address: `auto`: the cluster that this machine belongs to (or RAY_ADDRESS), or else a new one of this machine
        alone; or `ray://host:10001`, a cluster that this machine does not belong to.
      computes: units compute with JAX; others get a core each, and JAX is not imported.

    Raises:
      InputError: Ray is not installed, or there is no cluster at that address.
    """

    def __init__(self, address: str = "auto", *, computes: bool = True):
        if address != "auto" and not address.startswith("ray://"):
            raise InputError(f"`cluster` is {address[:80]!r}; give auto, or ray://host:10001")
        try:
            import ray  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise InputError(
                "`cluster` needs Ray: pip install 'nids-jax[ray]' here and on every machine of the cluster"
            ) from error
        self._ray: Any = ray
        self._address, self._computes = address, computes
        self._connected = False

    def __enter__(self) -> Self:
        ray = self._ray
        if self._computes and not os.environ.get("JAX_PLATFORMS"):
            import jax

            jax.config.update("jax_platforms", "cpu")  # a driver that took the GPUs' memory would leave none to workers
        if ray.is_initialized():
            return self
        where = {} if self._address == "auto" else {"address": self._address}
        try:
            with _own_signals():
                ray.init(**where, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
            why = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(f"`cluster` is {self._address}, and there is no cluster to be reached: {why}") from error
        self._connected = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def run(
        self,
        runner: Runner,
        units: Sequence[Any],
        work: Callable[..., Any],
        shared: Sequence[Any],
        title: Callable[[Any], str],
    ) -> list[Any]:
        """As `Runner.each`, on the machines of the cluster.

        A unit whose worker is lost ATTEMPTS times is given up and named at the end.

        Raises:
          InputError: a unit refuses its input, or a machine lacks this version of the package.
        """
        mark = secrets.token_hex(8)
        write_atomic(runner.output_dir / MARK, mark.encode())
        task = Task(
            work=work,
            shared=shared,
            share=self._share(runner.say),
            output_dir=runner.output_dir.resolve(),
            mark=mark,
            command=runner.command,
            version=nids_jax.__version__,
            classifiers=plugins.in_use("classifiers"),
            generators=plugins.in_use("generators"),
        )
        try:
            with _Rounds(self._ray, runner, task) as rounds:
                return rounds.run(units, title)
        finally:
            with suppress(OSError):
                (runner.output_dir / MARK).unlink()

    def _share(self, say: Callable[[str], object]) -> Share:
        """What each worker asks for; it is said where no machine has as much at present."""
        if not self._computes:
            return Share(cores=1, devices=0, gpus=0)
        import jax

        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = [machine for machine in machines if machine.get("GPU", 0) >= 1]
        if gpus:
            each = min(int(machine.get("CPU", 1) // machine["GPU"]) for machine in gpus)
            return Share(cores=max(1, each), devices=1, gpus=1)
        share = Share(cores=cores(), devices=jax.local_device_count(), gpus=0)
        most = int(max((machine.get("CPU", 0) for machine in machines), default=0))
        if most < share.cores:
            say(
                f"a worker takes {share.cores} cores, as many as this process has, and no machine of the cluster has "
                f"more than {most}: units wait for one that does (under `taskset -c 0-{max(most, 1) - 1}` they take "
                f"{max(most, 1)})"
            )
        return share


class _Rounds:
    """The driver's side: units are handed out, what workers tell is taken, lost units are handed out again."""

    def __init__(self, ray: Any, runner: Runner, task: Task):
        self._ray, self._runner = ray, runner
        self._task = ray.put(task)  # once, whatever the number of units
        # On the driver's machine, or on that which answers for it: where it goes, all goes.
        desk = ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001})(Desk)
        self._desk = desk.remote(runner.done, runner.scores)
        # Ray would try again with what was recorded when the unit was first handed out.
        self._carry_out = ray.remote(num_cpus=task.share.cores, num_gpus=task.share.gpus, max_retries=0)(carry_out)
        self._taken = 0
        self._waiting: dict[Any, int] = {}  # the number of the unit that each result is of

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._hear()  # of what was found before an interruption
        for reference in self._waiting:
            with suppress(Exception):
                self._ray.cancel(reference, force=True)
        with suppress(Exception):
            self._ray.kill(self._desk)

    def run(self, units: Sequence[Any], title: Callable[[Any], str]) -> list[Any]:
        """What each unit returned; None where it was given up."""
        errors = self._ray.exceptions
        results: list[Any] = [None] * len(units)
        tries = [0] * len(units)
        due = dict.fromkeys(range(len(units)), 0.0)  # when each that waits to be handed out is
        while due or self._waiting:
            for number in [number for number, moment in due.items() if moment <= time.monotonic()]:
                del due[number]
                tries[number] += 1
                self._waiting[self._carry_out.remote(self._task, self._desk, units[number])] = number
            ready = self._ray.wait([*self._waiting], timeout=POLL_S)[0] if self._waiting else []
            if not ready:
                time.sleep(POLL_S / 10)
            self._hear()
            for reference in ready:
                number = self._waiting.pop(reference)
                try:
                    results[number] = self._ray.get(reference)
                except errors.RayTaskError as error:
                    raise _refusal(error.cause) or error from error
                except errors.RayError as error:
                    why = next(iter(str(error).splitlines()), "").strip() or type(error).__name__
                    if tries[number] < ATTEMPTS:
                        self._runner.say(f"{title(units[number])} is handed out again, as its worker was lost: {why}")
                        due[number] = time.monotonic() + PAUSE_S * 2 ** (tries[number] - 1)
                    else:
                        self._runner.failed(title(units[number]), f"its worker was lost {ATTEMPTS} times: {why}")
        return results

    def _hear(self) -> None:
        """Take what workers have told since."""
        runner = self._runner
        for name, arguments in self._ray.get(self._desk.take.remote(self._taken)):
            if name == "file":
                path, content = arguments
                write_atomic(runner.output_dir / path, content)
            elif name == "trained":
                callbacks.report(*arguments)
            elif name != "keep" or not runner.is_done(arguments[0]):  # a worker given up for lost may yet tell of a run
                getattr(runner, name)(*arguments)
            self._taken += 1


def _refusal(cause: BaseException) -> InputError | None:
    """What a worker's error means to the user, where it is not a fault of the program."""
    if isinstance(cause, InputError):
        return InputError(str(cause))
    if isinstance(cause, ModuleNotFoundError):
        return InputError(f"a machine of the cluster lacks {cause.name}; install nids-jax there as it is here")
    return None


class Desk:
    """Where workers leave what they have to tell until the driver takes it: an actor."""

    def __init__(self, done: Collection[store.RunKey], scores: dict[str, dict[str, float]]):
        self._done, self._scores = set(done), scores
        self._told: list[tuple[str, tuple[Any, ...]]] = []
        self._taken = 0  # how many there were before these

    def tell(self, name: str, arguments: tuple[Any, ...]) -> None:
        """From a worker: a method of the driver's runner, and its arguments."""
        if name == "keep":
            self._done.add(arguments[0])
        elif name == "keep_score":
            entry, candidate, score = arguments
            self._scores.setdefault(entry, {})[candidate] = score
        self._told.append((name, arguments))

    def take(self, taken: int) -> list[tuple[str, tuple[Any, ...]]]:
        """For the driver: what was told since; `taken` is how much of it all it has dealt with."""
        del self._told[: taken - self._taken]
        self._taken = taken
        return self._told

    def known(self) -> tuple[set[store.RunKey], dict[str, dict[str, float]]]:
        """For a worker that begins: the keys of the runs that are recorded, and the scores of choices."""
        return self._done, self._scores


@contextmanager
def _own_signals() -> Iterator[None]:
    """Around what takes over a process's signals: afterwards they are handled as before."""
    main = threading.current_thread() is threading.main_thread()  # which alone may say how
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)} if main else {}
    try:
        yield
    finally:
        for each, handler in before.items():
            if handler is not None:
                signal.signal(each, handler)
