"""How far long work has come: a bar on a terminal, and a plain line now and then in a log file.

Nothing is shown where `hush` has been called (`--quiet`), or where the environment has TQDM_DISABLE.
"""

import os
import sys
import time
from types import TracebackType
from typing import Protocol, Self

EVERY_S = 10.0  # between two lines; work that takes less is not spoken of


class Progress(Protocol):
    """Something that is told how far the work has come."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def update(self, count: int, /) -> object:
        """So many more units are done."""
        ...

    def set_postfix_str(self, text: str, /) -> object:
        """What else there is to say, such as the loss."""
        ...


_hushed = False


def hush(wanted: bool = True) -> None:
    """Show nothing from now on (or again, with False)."""
    global _hushed
    _hushed = wanted


def hushed() -> bool:
    """Whether nothing is to be shown."""
    return _hushed


def follow(title: str | None, total: int, unit: str, done: int = 0) -> Progress:
    """What shows the progress of work on standard error, to be used with `with`; without a title nothing is shown.

    Args:
      total: units in all, of which `done` are done.  Units of "B" are bytes, with prefixes.
    """
    from tqdm import tqdm  # here: not every command shows anything

    if title is None or _hushed or os.environ.get("TQDM_DISABLE", "0").lower() not in ("", "0", "false"):
        return tqdm(disable=True)
    if sys.stderr.isatty():
        return tqdm(total=total, initial=done, desc=title, unit=unit, unit_scale=unit == "B", leave=False)
    return Lines(title, total, unit, done)


class Lines:
    """Plain lines: `CDDPM: 450 of 2,000 steps, 8.1 steps/s, 3:11 left; loss 1.234`."""

    def __init__(self, title: str, total: int, unit: str, done: int = 0):
        self._title, self._total, self._done = title, total, done
        self._units = {"B": "bytes"}.get(unit, f"{unit}s")
        self._first, self._more = done, ""
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        return None

    def update(self, count: int, /) -> None:
        """A line, if the last one is `EVERY_S` seconds ago."""
        self._done += count
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        self._last = now
        rate = (self._done - self._first) / (now - self._start)
        left = f", {_clock((self._total - self._done) / rate)} left" if rate else ""
        so_far = f"{self._title}: {self._done:,} of {self._total:,} {self._units}, {rate:,.3g} {self._units}/s{left}"
        print(f"{so_far}{f'; {self._more}' if self._more else ''}", file=sys.stderr, flush=True)

    def set_postfix_str(self, text: str, /) -> None:
        """Said in the next line."""
        self._more = text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
