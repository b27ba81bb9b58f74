"""A bundle's folder: written whole or not at all, read file by file with every size and checksum compared.

Reading opens only regular files of known names directly inside the folder, follows no link out of it, and allocates for
a file what `model.json` says and the disk confirms.
"""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nids_jax.bundle.fields import entry
from nids_jax.bundle.tensors import parse_json
from nids_jax.errors import InputError
from nids_jax.files import flush_folder, own_checksum, remove_leftovers, temporary_folder, temporary_name, writing

MANIFEST, WEIGHTS, CARD, PROGRAM, CURVES = (
    "model.json",
    "weights.safetensors",
    "MODEL_CARD.md",
    "model.stablehlo",
    "curves.csv",
)
KIND = "nids_jax detector"
FORMAT = 1
_LARGEST_MANIFEST = 1 << 26
_NAMES = frozenset({WEIGHTS, CARD, PROGRAM, CURVES})
_ATTEMPTS = 5


def write(folder: str | os.PathLike[str], manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a bundle: into a folder of a temporary name, flushed to the disk, then renamed.

    A bundle that is there is renamed away first and removed last; killed at any time, this leaves the old bundle, the
    new one, or none under the name, never a mixture.

    Args:
      manifest: what `model.json` says, but for the format and the checksums.
      files: further files of the bundle, by name.

    Raises:
      InputError: the folder holds something else than a bundle, or cannot be written.
    """
    path = Path(folder)
    refuse_other(path)
    content = {
        "kind": KIND,
        "format": FORMAT,
        **manifest,
        "files": {name: {"bytes": len(files[name]), "sha256": _sha256(files[name])} for name in sorted(files)},
    }
    content["sha256"] = own_checksum(content)
    text = (json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
    with writing(path, "output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path) as temporary:
            for name, each in {**files, MANIFEST: text}.items():
                with (temporary / name).open("wb") as file:
                    file.write(each)
                    file.flush()
                    os.fsync(file.fileno())
            flush_folder(temporary)
            _put_in_place(temporary, path)
        remove_leftovers(path)
        flush_folder(path.parent)


def _put_in_place(temporary: Path, path: Path) -> None:
    old = temporary_name(path, "old")
    for attempt in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            os.rename(path, old)
        try:
            os.rename(temporary, path)
        except OSError as error:
            others = error.errno in (errno.EEXIST, errno.ENOTEMPTY)  # another process has put a bundle there meanwhile
            if not others or attempt == _ATTEMPTS - 1:
                with suppress(OSError):
                    os.rename(old, path)
                raise
        else:
            shutil.rmtree(old, ignore_errors=True)
            return
        shutil.rmtree(old, ignore_errors=True)


def refuse_other(path: Path) -> None:
    """Refuse a place where something else is than a bundle or an empty folder.

    Raises:
      InputError: something is there that must not be replaced.
    """
    if not os.path.lexists(path):
        return
    if not path.is_dir() or path.is_symlink():
        raise InputError(f"{path} is no folder, so no model can be written there; choose another `output`")
    try:
        inside = os.listdir(path)
        if inside and not _is_bundle(path):
            raise InputError(
                f"{path} holds {sorted(inside)[0]!r} and is no model, so it is not replaced; choose another `output`"
            )
    except OSError as error:
        raise InputError(f"{path} cannot be looked into: {error.strerror}; choose another `output`") from error


def _is_bundle(path: Path) -> bool:
    try:
        return parse_json(_content(path, MANIFEST, _LARGEST_MANIFEST)).get("kind") == KIND
    except InputError:
        return False


def read(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest of a bundle, and the content of each of its files, checked against it.

    Raises:
      InputError: it is no bundle, of a later format, incomplete or damaged.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path} is no folder; name one that `nids_jax train` wrote")
    if not os.path.lexists(path / MANIFEST):
        raise InputError(f"{path} holds no {MANIFEST}, so it is no model; name a folder that `nids_jax train` wrote")
    with naming(path / MANIFEST):
        manifest = parse_json(_content(path, MANIFEST, _LARGEST_MANIFEST))
        if manifest.get("kind") != KIND:
            raise InputError("it does not describe a detector of nids_jax")
        newest = entry(manifest, "format", int)
    if newest > FORMAT:
        raise InputError(
            f"{path / MANIFEST} has format {newest}, and this version of nids_jax reads formats up to {FORMAT};"
            " update nids_jax"
        )
    with naming(path / MANIFEST):
        if manifest.get("sha256") != own_checksum(manifest):
            raise InputError("its checksum is not that of its content: it was changed or damaged")
        listed = entry(manifest, "files", dict)
        if not {WEIGHTS, CARD} <= {*listed} <= _NAMES:
            raise InputError(f"it lists other files than a model's: {', '.join(map(repr, sorted(listed)[:9]))}")
        sizes = {name: _size(name, each) for name, each in listed.items()}
    files = {}
    for name, size in sizes.items():
        with naming(path / name):
            content = _content(path, name, size, exactly=True)
            if _sha256(content) != listed[name].get("sha256"):
                raise InputError("its checksum is not the one in model.json: it was changed or damaged")
            files[name] = content
    return manifest, files


class naming:  # noqa: N801 (a context manager)
    """Let an InputError name the file that it is about."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self._path} cannot be used: {error}; copy the model again, or train it again") from None


def _size(name: str, listed: Any) -> int:
    if not isinstance(listed, dict):
        raise InputError(f"it does not say how long {name} is")
    size = entry(listed, "bytes", int)
    if not 0 <= size < 2**48:
        raise InputError(f"it says that {name} has {size} bytes")
    return size


def _content(folder: Path, name: str, size: int, *, exactly: bool = False) -> bytes:
    """The bytes of a regular file in the folder: at most `size` of them, or exactly as many.

    Raises:
      InputError: it is missing, a link, no regular file, of another size, or cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    path = folder / name
    try:
        if path.is_symlink():
            raise InputError("it is a link, which a model's files never are")
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError("it is no regular file")
            if status.st_size > size or (exactly and status.st_size != size):
                raise InputError(f"it has {status.st_size:,} bytes, and {size:,} are expected")
            content = file.read(size + 1)
    except FileNotFoundError:
        raise InputError("it is missing") from None
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})") from None
    if exactly and len(content) != size:
        raise InputError(f"it has {len(content):,} bytes, and {size:,} are expected")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
