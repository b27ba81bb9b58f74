"""The frame around every command: one error policy and one table of exit codes.

| status | meaning |
|---|---|
| 0 | done |
| 2 | bad input, or a training that diverged: one sentence on standard error |
| 130 | interrupted (Ctrl-C, or SIGTERM): what was finished is kept |
"""

import contextlib
import re
import signal
from collections.abc import Callable, Collection, Sequence

from nids_jax.cli import output
from nids_jax.errors import InputError, TrainingError

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130


def as_flags(sentence: str, names: Collection[str]) -> str:
    """A library's sentence with the arguments that it names (`shots`, `rows=10`) written as flags (--shots)."""
    return re.sub(
        r"`(\w+)(=[^`]*)?`", lambda found: f"--{found[1]}{found[2] or ''}" if found[1] in names else found[0], sentence
    )


def run(command: Callable[[Sequence[str]], object], arguments: Sequence[str], names: Callable[[], set[str]]) -> int:
    """Run a command on its arguments; the exit status.

    Args:
      names: the command's flags, for its errors.
    """
    output.prepare()
    before = None
    with contextlib.suppress(ValueError):  # not in the main thread
        before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        command(arguments)
    except (InputError, TrainingError) as error:
        return _refuse(as_flags(str(error), names()))
    except MemoryError as error:
        return _refuse(f"not enough memory ({error}); ask for fewer rows")
    except OSError as error:
        return _refuse(f"{error.strerror}: {error.filename}" if error.filename else str(error) or repr(error))
    except KeyboardInterrupt:
        output.warn("interrupted; what was finished is kept, so run the same command again")
        return INTERRUPTED
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    return DONE


def _refuse(sentence: str) -> int:
    output.warn(f"error: {sentence}")
    return BAD_INPUT


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def start_jax() -> None:
    """The process's JAX settings, for commands that compute: compiled functions on disk, each core a device."""
    from absl import logging

    from nids_jax.runtime import enable_compilation_cache, use_all_cores

    logging.set_verbosity(logging.WARNING)  # JAX reports absent accelerators at INFO
    enable_compilation_cache()
    use_all_cores()
