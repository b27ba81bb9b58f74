"""Several processes train as one does with as many devices."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from nids_jax import parallel
from nids_jax.generators.cddpm import CDDPM
from tests.generators.test_cddpm import KEY, TINY, rows


def trained(path: str, checkpoint: str | None = None) -> None:
    """Train a tiny CDDPM on batches of 64 rows; keep its losses, weights and some rows."""
    x, y = rows(90)
    model = CDDPM(replace(TINY, steps=60, batch=64), checkpoint_dir=checkpoint).fit(x, y, jax.random.key(1))
    weights = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(model.state_.params)])
    np.savez(path, losses=model.losses_, weights=weights, rows=model.sample(np.arange(100) % 3, KEY))


@pytest.mark.slow
def test_two_processes_train_as_one_with_two_devices(tmp_path: Path):
    if parallel.mesh(64).size != 2:
        pytest.skip(f"{jax.local_device_count()} devices: a batch is not split in two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = Path(__file__).with_name("two_processes.py")
    root = script.parents[1]
    started = [
        subprocess.Popen(
            [sys.executable, str(script), port, str(process), str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(root)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in (0, 1)
    ]
    trained(str(tmp_path / "alone.npz"))
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    alone, *both = (np.load(tmp_path / f"{name}.npz") for name in ("alone", 0, 1))
    for name in alone:
        np.testing.assert_array_equal(both[0][name], both[1][name], err_msg=name)
        np.testing.assert_allclose(both[0][name], alone[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_batch_that_processes_cannot_share(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(ValueError, match="a batch of 64 rows cannot be divided among 3 processes"):
        parallel.shared_mesh(64)
