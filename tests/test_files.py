"""Files that are whole or absent."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from nids_jax.errors import InputError, reason
from nids_jax.files import whole_or_absent, write_atomic
from nids_jax.sheets import Form, Sheet
from tests.full_disk import files_of_at_most


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


@pytest.mark.parametrize("full", ["first", "second"])
def test_of_two_files_the_one_that_cannot_be_written_is_named(tmp_path: Path, full: str):
    places = {name: tmp_path / name for name in ("first", "second")}
    said = rf"^cannot write {places[full]}: File too large; choose another `{full}`$"
    with (  # noqa: PT012
        files_of_at_most(100_000),
        pytest.raises(InputError, match=said),
        whole_or_absent(places["first"], "first") as first,
        whole_or_absent(places["second"], "second") as second,
    ):
        for _ in range(200):
            (first if full == "first" else second).write(b"x" * 1000)
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_elsewhere_while_a_file_is_written_is_not_blamed_on_it(tmp_path: Path):
    with pytest.raises(FileNotFoundError), whole_or_absent(tmp_path / "file", "output"):
        (tmp_path / "input").read_bytes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_on_a_full_disk_is_one_sentence(tmp_path: Path, form: Form):
    path = tmp_path / "table"
    write_atomic(path, b"old")
    said = rf"^cannot write {path}: File too large; choose another `output`$"
    with (  # noqa: PT012
        files_of_at_most(100_000),
        pytest.raises(InputError, match=said),
        whole_or_absent(path, "output") as file,
        Sheet(file, form, {"x": "number"}) as sheet,
    ):
        for _ in range(100):
            sheet.write([np.random.default_rng(0).normal(size=1000)])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_reasons_are_the_systems_own_words():
    assert reason(OSError(errno.ENOSPC, "No space left on device", "file")) == "No space left on device"
    assert reason(ValueError("EXHAUSTED: Failed writing: [errno 28] No space left on device\nat")) == (
        "No space left on device"
    )
    assert reason(OSError(0, "Error writing. Detail: [errno 28] No space left on device")) == "No space left on device"
    assert reason(ValueError("odd\nmore")) == "odd"
    assert reason(KeyError()) == "KeyError"
