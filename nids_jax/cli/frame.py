"""The frame around every command: one error policy and one table of exit codes.

| status | meaning |
|---|---|
| 0 | done |
| 2 | bad input, or a training that diverged: one sentence on standard error |
| 130 | interrupted (Ctrl-C, or SIGTERM): what was finished is kept |
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ClassVar, Self

from nids_jax.cli import ending, output
from nids_jax.cli.ending import INTERRUPTED
from nids_jax.errors import InputError, TrainingError

DONE, BAD_INPUT = 0, 2


def as_flags(sentence: str, names: Collection[str]) -> str:
    """A library's sentence with the arguments that it names (`shots`, `rows=10`) written as flags (--shots)."""
    return re.sub(
        r"`(\w+)(=[^`]*)?`", lambda found: f"--{found[1]}{found[2] or ''}" if found[1] in names else found[0], sentence
    )


Main = Callable[[Sequence[str]], object]


def run(load: Callable[[], Main], arguments: Sequence[str], names: Callable[[], set[str]]) -> int:
    """Run a command on its arguments; the exit status.

    Args:
      load: imports the command and gives its main.
      names: the command's flags, for its errors.
    """
    output.prepare()
    output.hush(False)
    if os.environ.get("HOME") == "":  # which libraries take for the root: as one that is not set, it means the user's
        del os.environ["HOME"]
    with _Interruptions() as interruptions:
        try:
            with interruptions.held():
                main = load()
            main(arguments)
        except (InputError, TrainingError) as error:
            return _refuse(as_flags(str(error), names()))
        except ModuleNotFoundError as error:
            if (error.name or "nids_jax").partition(".")[0] == "nids_jax":
                raise
            return _refuse(
                f"this needs {error.name}, which is not installed; install this package with all that it needs"
            )
        except MemoryError as error:
            return _refuse(f"not enough memory ({error}); ask for fewer rows")
        except OSError as error:
            return _refuse(f"{error.strerror}: {error.filename}" if error.filename else str(error) or repr(error))
        except KeyboardInterrupt:
            output.warn(ending.SENTENCE)
            return INTERRUPTED
    return DONE


def importing() -> AbstractContextManager[None]:
    """Around a command's late imports: no interruption within, but at the end."""
    return _Interruptions.active[-1].held() if _Interruptions.active else nullcontext()


class _Interruptions:
    """Around a command: SIGTERM ends it as Ctrl-C does, and neither is lost.

    Python drops an exception that is raised within a callback of the garbage collector, and JAX has one: so the
    interruption is raised again every second until the command has ended.  An extension module that is interrupted
    while it is imported may crash the process: so it is held back for so long, or ends the process at once if that is
    the command's own.  There, `ending.Watch` also ends what does not end by itself.
    """

    active: ClassVar[list["_Interruptions"]] = []

    def __enter__(self) -> Self:
        self.active.append(self)
        self._held = self._received = False
        self._hook = sys.unraisablehook
        signals = [*ending.SIGNALS, *([signal.SIGALRM] if hasattr(signal, "setitimer") else [])]
        try:
            self._before = {each: signal.signal(each, self._interrupt) for each in signals}
        except ValueError:  # not in the main thread, which alone gets signals
            self._before = {}
        self._watch = ending.Watch() if ending.Process.ours and os.name != "nt" else None
        return self

    def __exit__(self, *_: object) -> None:
        self.active.pop()
        self._again_in(0.0)
        if self._watch is not None:
            self._watch.close()
        for each, handler in self._before.items():
            signal.signal(each, handler)
        sys.unraisablehook = self._hook

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block no interruption is raised, but at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._received:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> None:
        self._received = True
        if self._held:
            if ending.Process.ours:
                ending.at_once()
            return
        hook = self._hook
        sys.unraisablehook = lambda dropped: None if dropped.exc_type is KeyboardInterrupt else hook(dropped)
        self._again_in(1.0)
        raise KeyboardInterrupt

    def _again_in(self, seconds: float) -> None:
        if self._before and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _refuse(sentence: str) -> int:
    output.warn(f"error: {sentence}")
    return BAD_INPUT


def start_jax() -> None:
    """The process's JAX settings, for commands that compute: compiled functions on disk, each core a device."""
    from absl import logging

    from nids_jax.runtime import enable_compilation_cache, use_all_cores

    logging.set_verbosity(logging.WARNING)  # JAX reports absent accelerators at INFO
    enable_compilation_cache()
    use_all_cores()
