"""What a command prints: whole lines that neither a closed pipe nor a strange name can spoil."""

import contextlib
import os
import sys


def prepare() -> None:
    """Show what the terminal's encoding lacks as an escape, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]


def visible(text: str) -> str:
    """The text with control characters as escapes, so that a file's name or a class's cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def say(*lines: str) -> None:
    """Print lines on standard output; once nobody reads them any more, the work goes on in silence."""
    try:
        print(visible("\n".join(lines)), flush=True)
    except BrokenPipeError:
        _silence()
    except OSError as error:  # a full disk, say
        _silence()
        warn(f"standard output cannot be written ({error.strerror}); the work goes on without it")


def emit(text: str) -> None:
    """Write whole lines that other programs read, as they are.

    Raises:
      BrokenPipeError: nobody reads them any more.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise


def warn(line: str) -> None:
    """Print a line on standard error."""
    with contextlib.suppress(OSError):
        print(visible(line), file=sys.stderr, flush=True)


def _silence() -> None:
    """Let standard output lead nowhere: Python would flush it at the end, and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
