"""Searching folders: the files that a command reads, and those that it passes over, so that it can say so."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from nids_jax.errors import InputError

_SHOWN = 5  # names of files that are passed over


def search(folder: Path, is_read: Callable[[str], bool]) -> tuple[list[Path], list[Path]]:
    """The files below a folder, at any depth, whose name `is_read` accepts, and the others, each sorted by path.

    Hidden files and folders are left out of both, and so are what macOS adds to archives and files whose name begins
    with `_`, which tell of the others (`_manifest.json`).

    Raises:
      InputError: a folder cannot be read, or a name to be read leads nowhere.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    read, passed_over = [], []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        for name in names:
            if not name.startswith((".", "_")):
                (read if is_read(name) else passed_over).append(Path(parent, name))
    broken = [path for path in read if not path.is_file()]
    if broken:
        raise InputError(f"{min(broken)} is no file that can be read (a link to nowhere?); remove it or restore it")
    return sorted(read), sorted(passed_over)


def passed_over(paths: Sequence[Path]) -> str:
    """A sentence that names files which were not read; empty where there are none."""
    if not paths:
        return ""
    others = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return f"files passed over, by their extension or content: {', '.join(map(str, paths[:_SHOWN]))}{others}"
