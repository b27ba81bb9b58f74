"""Files that are whole or absent."""

import os
from pathlib import Path

from nids_jax.errors import InputError


def write_atomic(path: str | os.PathLike[str], content: bytes, flag: str = "--output_dir") -> None:
    """Write a file whole or not at all: to a temporary name beside it, then renamed; `flag` says where to.

    Raises:
      InputError: the folder cannot be made or written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another {flag}") from error
