"""Files that are whole or absent."""

import errno
import os
from pathlib import Path

import pytest

from nids_jax.errors import InputError
from nids_jax.files import write_atomic


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its content is flushed, then it is renamed, then the folder is flushed."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), replace(*names)))
    path = tmp_path / "new" / "file"
    write_atomic(path, b"first")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert done == ["fsync", "replace", "fsync"] * 2
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*file: No space left on device; choose another `output`"):
        write_atomic(path, b"new", "output")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("error", "said"), [(OSError("the disk is gone"), "the disk is gone"), (OSError(), "OSError")])
def test_an_error_without_a_number_says_what_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
):
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(InputError, match=f"{said}; choose another `output_dir`"):
        write_atomic(tmp_path / "file", b"")


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "open", refused)
    write_atomic(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
