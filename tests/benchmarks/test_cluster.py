"""The benchmark of a Ray cluster: it spares folders that are there, and its records are those of one machine."""

import os
from pathlib import Path

import pytest

from benchmarks import cluster
from nids_jax.errors import InputError


def test_a_folder_that_is_there_is_spared(tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match=r"`output_dir` is .*, which is there already"):
        cluster.main([f"--output_dir={tmp_path}"])
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:os.fork")  # where tests before it have started JAX in this process
def test_a_sweep_over_two_machines(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(os, "environ", os.environ.copy())
    cluster.main(["--nodes=1,2", "--seeds=2", "--timesteps=50", f"--output_dir={tmp_path / 'new'}"])
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [(line[1].strip(), line[5].strip(), line[6].strip()) for line in lines] == [
        ("1", "6", "the same"),
        ("2", "6", "the same"),
    ]
