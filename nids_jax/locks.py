"""Advisory locks: which process works on a folder.

The kernel keeps them and drops them when the process ends, however it ends, so that a lock file which a killed process
left behind blocks nobody.
"""

import json
import os
import platform
import shlex
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from nids_jax.errors import InputError

LOCK = ".lock"
_ATTEMPTS = 100  # at a file that another process removes in between
_COMMAND_SHOWN = 200  # characters

if sys.platform == "win32":
    import msvcrt

    def lock(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool | None:
        """As below, but never shared nor waited for; of a byte far behind the content, so that this stays readable."""
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        except OSError:
            return None
        return True

else:
    import fcntl

    def lock(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool | None:
        """Lock an open file or folder until it is closed.

        Args:
          shared: together with others that share it.
          wait: until it is free.

        Returns:
          Whether it was free; None where the file system knows no locks.
        """
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True


@contextmanager
def hold(
    path: Path,
    argument: str,
    command: Sequence[str] = (),
    *,
    beside: bool = False,
    share: tuple[int, int] = (0, 1),
    may_be_read_only: bool = False,
) -> Iterator[bool]:
    """Around all work on a folder, which is made: no other process does the same there.

    Where the file system knows no locks, a warning says so and the work goes on.

    Args:
      path: the folder.
      argument: the caller's argument that names it, for errors.
      command: what works there, for those who come later.
      beside: keep the lock beside the folder, which is replaced as a whole.
      share: this is process K of N that may work there at once.
      may_be_read_only: go on without a lock where none can be written, as nothing may be left to do there.

    Returns:
      Whether the folder can be written.

    Raises:
      InputError: another process holds it, or the folder cannot be written.
    """
    place = path.with_name(f".{path.name}{LOCK}") if beside else path / LOCK
    number, processes = share
    wanted = [(place, processes > 1)]
    if processes > 1:
        wanted.append((place.with_name(f"{place.name}-{number}"), False))
    with ExitStack() as stack:
        for each, shared in wanted:
            try:
                each.parent.mkdir(parents=True, exist_ok=True)
                file = _taken(each, shared=shared)
            except OSError as error:
                if may_be_read_only and path.is_dir():
                    yield False
                    return
                raise InputError(f"cannot write {path}: {error.strerror}; choose another `{argument}`") from error
            if file is None:
                raise InputError(f"{path} is in use by {_holder(place)}; let it end, or choose another `{argument}`")
            stack.callback(_release, each, file)
            if not shared:
                _sign(file, command)
        yield True


def _taken(place: Path, *, shared: bool) -> BinaryIO | None:
    """The lock file, open and locked; None where another process holds it."""
    for _ in range(_ATTEMPTS):
        file = place.open("a+b")
        free = lock(file.fileno(), shared=shared)
        if free is False:
            file.close()
            return None
        if free is None:
            warnings.warn(
                f"the file system of {place.parent} knows no locks: see to it that no other process works there",
                stacklevel=2,
            )
            return file
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), place.stat()):
                return file
        file.close()  # its holder removed it before this process had the lock
    raise OSError(None, "its lock file does not stay")


def _sign(file: BinaryIO, command: Sequence[str]) -> None:
    """Say in the lock file who holds it; on a full disk nothing."""
    started = datetime.now().astimezone().isoformat(" ", "seconds")
    about = {"pid": os.getpid(), "host": platform.node(), "started": started, "command": shlex.join(command)}
    with suppress(OSError):
        file.truncate(0)
        file.write(json.dumps(about).encode())
        file.flush()


def _holder(place: Path) -> str:
    """Who holds the lock, as the end of a sentence."""
    for _ in range(10):  # it may not have signed yet
        for each in (place, *sorted(place.parent.glob(f"{place.name}-*"))):
            with suppress(OSError, ValueError, KeyError, TypeError):
                found: dict[str, Any] = json.loads(each.read_bytes())
                command = f" ({str(found['command'])[:_COMMAND_SHOWN]})" if found["command"] else ""
                return f"process {found['pid']} on {found['host']} since {found['started']}{command}"
        time.sleep(0.05)
    return "another process"


def _release(place: Path, file: BinaryIO) -> None:
    # Removed while it is locked: whoever opened it meanwhile sees that it is gone, and makes a new one.
    if lock(file.fileno()) is not False:  # others may share it
        with suppress(OSError):
            place.unlink()
    with suppress(OSError):
        file.close()
