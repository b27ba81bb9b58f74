"""Finished runs on media that cannot be written: their results are shown, and nothing is tried there."""

import errno
import os
from pathlib import Path

import pytest

from nids_jax import files, locks
from nids_jax.__main__ import main

EXPERIMENT = ["fewshot", "--preset=demo", "--generators=real", "--classifiers=decision_tree"]


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """All folders; by the functions that open files there, as permissions do not bind every user."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(locks, "_taken", refused)
    monkeypatch.setattr(files, "open_temporary", refused)
    monkeypatch.setattr(os, "access", lambda *_: False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert main([*EXPERIMENT, "--seeds=1", f"--output_dir={folder}"]) == 0
    return folder


@pytest.mark.usefixtures("read_only")
def test_a_finished_experiment_shows_its_results(finished: Path, capsys: pytest.CaptureFixture):
    for command in ([*EXPERIMENT, "--seeds=1", f"--output_dir={finished}"], ["report", str(finished)]):
        assert main(command) == 0
        shown = capsys.readouterr()
        assert (finished / "summary.md").read_text() in shown.out
        assert shown.err.startswith(f"{finished} cannot be written, so the report there stays as it is")
        assert shown.err.count("\n") == 1


@pytest.mark.usefixtures("read_only")
def test_what_must_be_written_is_refused(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main([*EXPERIMENT, "--seeds=1", f"--output_dir={tmp_path}"]) == 2
    said = f"error: cannot write {tmp_path}: Read-only file system; choose another --output_dir\n"
    assert capsys.readouterr().err == said
    assert main(["report", str(finished), f"--output_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err == said
    assert main(["train", "--dataset=cicids2018_sample", f"--output={tmp_path / 'model'}"]) == 2
    assert capsys.readouterr().err.endswith(": Read-only file system; choose another --output\n")
