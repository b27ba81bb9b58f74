"""What a command prints: whole lines that neither a closed pipe nor a strange name can spoil."""

import contextlib
import os
import re
import sys
import warnings

from nids_jax import progress
from nids_jax.errors import InputError, reason, shown

_LONG = re.compile(r"\S{1000,}")


def hush(wanted: bool = True) -> None:
    """Say nothing from now on (or again, with False), and show no progress; warnings and errors are still printed."""
    progress.hush(wanted)


def prepare() -> None:
    """Show what the terminal's encoding lacks as an escape, instead of failing, and warnings as lines like others.

    Standard streams that are closed lead nowhere: or else the next file to be opened would take their place, and get
    what a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    warnings.showwarning = _warn_of
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]


def say(*lines: str) -> None:
    """Print lines on standard output; once nobody reads them any more, the work goes on in silence."""
    if progress.hushed():
        return
    try:
        print("\n".join(map(shown, lines)), flush=True)
    except BrokenPipeError:
        _silence()
    except OSError as error:  # a full disk, say
        _silence()
        warn(f"standard output cannot be written ({reason(error)}); the work goes on without it")


def emit(text: str) -> None:
    """Write whole lines that other programs read, as they are.

    Raises:
      BrokenPipeError: nobody reads them, or not any more.
      InputError: they cannot be written.
    """
    if sys.stdout is None:  # closed from the start
        raise BrokenPipeError
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise
    except OSError as error:  # a full disk, say
        _silence()
        raise InputError(f"standard output cannot be written ({reason(error)}); name a file with `output`") from error


def warn(line: str) -> None:
    """Print a line on standard error; words that fill a screen are cut."""
    if sys.stderr is None:  # closed from the start; `print` would take standard output instead
        return
    with contextlib.suppress(OSError):
        print(shown(_LONG.sub(_cut, line)), file=sys.stderr, flush=True)


def _cut(word: re.Match[str]) -> str:
    return f"{word[0][:100]}…{word[0][-20:]}"


def _warn_of(message: Warning | str, *_: object, **__: object) -> None:
    warn(f"warning: {message}")


def _silence() -> None:
    """Let standard output lead nowhere: Python would flush it at the end, and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
