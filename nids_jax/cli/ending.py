"""How a process ends that is interrupted: by itself, or at once.

A command that is interrupted ends in order (see `frame`).  There are times when it cannot: while Python still imports,
where an exception may crash an extension module, and while a library computes or compiles and lets no Python run.  Then
the process ends at once, as if it were killed, which costs nothing that is on the disk.
"""

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

INTERRUPTED = 130
SENTENCE = "interrupted; what was finished is kept, so run the same command again"
GRACE_S = 5.0  # from an interruption to the end of a process that does not end by itself
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Process:
    """The process that runs a command."""

    ours = False  # whether it does nothing else, so that it may be ended at once


def own_process() -> None:
    """This process runs a command and nothing else: until the command takes over, an interruption ends it at once."""
    Process.ours = True
    for each in SIGNALS:
        signal.signal(each, at_once)


def at_once(*_: object) -> NoReturn:
    """End the process."""
    with suppress(OSError):
        os.write(2, f"{SENTENCE}\n".encode())
    os._exit(INTERRUPTED)


def without_taking_down(status: int) -> NoReturn:
    """End the process after what was printed, without waiting for libraries."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):
            stream.flush()
    os._exit(status)


class Watch:
    """While it is open, a second interruption ends the process at once, and so does one that is not heeded in time.

    A thread sees to it, which hears of signals although the main thread is deep in a library (`signal.set_wakeup_fd`).
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="interruptions", daemon=True).start()

    def close(self) -> None:
        """Watch no more."""
        signal.set_wakeup_fd(self._before)
        os.close(self._writing)

    def _watch(self) -> None:
        deadline = None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._reading], [], [], left)[0]:
                at_once()
            received = os.read(self._reading, 1)
            if not received:  # closed
                os.close(self._reading)
                return
            if received[0] in SIGNALS:
                if deadline is not None:
                    at_once()
                deadline = time.monotonic() + GRACE_S
