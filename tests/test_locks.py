"""Locks on folders, between real processes: who holds them, that killed ones hold none, shares, other file systems."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nids_jax import locks
from nids_jax.__main__ import main
from nids_jax.errors import InputError
from nids_jax.files import open_temporary, remove_leftovers, temporary_folder, whole_or_absent, write_atomic
from nids_jax.locks import hold

ROOT = Path(__file__).parents[1]


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen]:
    """A Python process that has run the code, and waits until it is killed."""
    code = f"{code}\n    print('ready', flush=True); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as going:
        assert going.stdout is not None
        assert going.stdout.readline() == b"ready\n"
        yield going
        going.kill()


def holder(path: Path, options: str = "") -> str:
    return f"""
from pathlib import Path
from nids_jax.locks import hold
with hold(Path({str(path)!r}), "output_dir", ["nids_jax", "fewshot", "--seeds=2 3"]{options}):"""


@pytest.mark.parametrize("beside", [False, True])
def test_the_second_process_is_told_of_the_first_until_that_one_dies(tmp_path: Path, beside: bool):
    path = tmp_path / "new" / "out"
    with process(holder(path, f", beside={beside}")) as other:
        said = (
            rf"{path} is in use by process {other.pid} on {os.uname().nodename} since 20[-0-9]+ [:0-9]+[+-][:0-9]+ "
            r"\(nids_jax fewshot '--seeds=2 3'\); let it end, or choose another `output_dir`$"
        )
        for _ in range(2):  # being refused takes nothing from the holder
            with pytest.raises(InputError, match=said), hold(path, "output_dir", beside=beside):
                pass
        other.kill()
        other.wait()
        with hold(path, "output_dir", beside=beside):
            pass
    assert list(path.parent.iterdir()) == ([] if beside else [path])
    assert beside or list(path.iterdir()) == []


def test_processes_with_shares_work_beside_each_other(tmp_path: Path):
    with process(holder(tmp_path, ", share=(0, 3)")) as other:
        with hold(tmp_path, "output_dir", share=(1, 3)), hold(tmp_path, "output_dir", share=(2, 3)):
            pass
        for share in ((0, 3), (0, 1)):
            with pytest.raises(InputError, match=f"in use by process {other.pid} "):  # noqa: SIM117
                with hold(tmp_path, "output_dir", share=share):
                    pass
        assert len(list(tmp_path.iterdir())) == 2
    mine = pytest.raises(InputError, match=f"in use by process {os.getpid()} ")
    with mine, hold(tmp_path, "output_dir"), hold(tmp_path, "output_dir", share=(0, 2)):
        pass


def test_a_file_system_without_locks_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.warns(UserWarning, match=f"the file system of {tmp_path} knows no locks"):  # noqa: SIM117
        with hold(tmp_path, "output_dir"):
            write_atomic(tmp_path / "file", b"content")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_is_refused_unless_nothing_need_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(locks, "_taken", read_only)
    with hold(tmp_path, "output_dir", may_be_read_only=True):
        pass
    with pytest.raises(InputError, match="Read-only file system; choose another `output`"), hold(tmp_path, "output"):
        pass


def test_a_holder_that_has_not_signed_is_another_process(tmp_path: Path):
    with hold(tmp_path, "output_dir"):
        (tmp_path / ".lock").write_bytes(b"")
        with pytest.raises(InputError, match="in use by another process; let it end"), hold(tmp_path, "output_dir"):
            pass


def test_temporary_files_of_living_processes_stay_and_those_of_dead_ones_go(tmp_path: Path):
    path = tmp_path / "table.csv"
    code = f"""
from pathlib import Path
from nids_jax.files import open_temporary, temporary_folder
path = Path({str(path)!r})
temporary, file = open_temporary(path, "output")
with temporary_folder(path):"""
    (tmp_path / ".table.csv.1.tmp").write_bytes(b"of an earlier version")
    with process(code) as other:
        mine, file = open_temporary(path, "output")
        names = sorted(each.name for each in tmp_path.iterdir())
        assert [name.split("-")[0] for name in names] == sorted(
            [f".table.csv.{other.pid}"] * 2 + [mine.name.split("-")[0]]
        )
        write_atomic(path, b"whole")
        assert path.read_bytes() == b"whole"
        assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*names, "table.csv"])
        other.kill()
        other.wait()
        remove_leftovers(path)
        assert {*tmp_path.iterdir()} == {mine, path}
        file.close()
    remove_leftovers(path)
    assert [*tmp_path.iterdir()] == [path]


def test_a_temporary_folder_goes_or_gets_its_name(tmp_path: Path):
    with temporary_folder(tmp_path / "model") as folder:
        (folder / "file").write_bytes(b"content")
        remove_leftovers(tmp_path / "model")
        assert (folder / "file").exists()
    assert not folder.exists()
    with temporary_folder(tmp_path / "model") as folder:
        os.rename(folder, tmp_path / "model")
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("command", "flag", "beside"),
    [
        (["fewshot", "--preset=demo", "--generators=real", "--classifiers=decision_tree"], "output_dir", False),
        (["train", "--dataset=cicids2018_sample"], "output", True),
        (["report", "there"], "output_dir", False),
    ],
)
def test_a_second_command_on_a_folder_says_who_is_there(
    command: list[str], flag: str, beside: bool, tmp_path: Path, capsys: pytest.CaptureFixture
):
    path = tmp_path / "out"
    with hold(path, flag, ["nids_jax", "first"], beside=beside):
        before = sorted(tmp_path.rglob("*"))
        assert main([*command, f"--{flag}={path}"]) == 2
        assert sorted(tmp_path.rglob("*")) == before
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path} is in use by process {os.getpid()} on ")
    assert error.endswith(f" (nids_jax first); let it end, or choose another --{flag}\n")
    assert error.count("\n") == 1


def test_two_writers_of_one_file_both_end_and_the_last_one_wins(tmp_path: Path):
    path = tmp_path / "table.csv"
    with whole_or_absent(path, "output") as first:
        with whole_or_absent(path, "output") as second:
            first.write(b"first")
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert [*tmp_path.iterdir()] == [path]
