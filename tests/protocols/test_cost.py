"""The table of costs, measured in processes of their own."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nids_jax import store
from nids_jax.data.table import FlowTable
from nids_jax.errors import TrainingError
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from nids_jax.protocols.cost import Cost
from tests.plugins.examples import registries_kept


class Twice:
    """Another package's generator."""

    def fit(self, x: np.ndarray, y: np.ndarray, key: Any) -> "Twice":
        self.row_ = 2 * x[0]
        return self

    def sample(self, labels: np.ndarray, key: Any) -> np.ndarray:
        return np.tile(self.row_, (len(labels), 1))


class Killed(Twice):
    """Its process is ended, as the system does where memory runs out."""

    def fit(self, x: np.ndarray, y: np.ndarray, key: Any) -> "Killed":
        os.kill(os.getpid(), signal.SIGKILL)
        return self


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_process_that_is_killed_costs_its_own_generator_alone(tmp_path: Path):
    said: list[str] = []
    rows = np.random.default_rng(0).normal(size=(40, 2))
    table = FlowTable(x=rows, y=np.arange(40) % 2, features=("a", "b"), classes=("benign", "attack"))
    with registries_kept():
        names = (f"{__name__}:Killed", f"{__name__}:Twice")
        job = Cost(dataset="simulated", preset=get_preset("demo"), generators=names, generated=3)
        with pytest.raises(TrainingError, match="Killed: its process was ended from outside, for want of memory"):
            job.run(table, Runner(output_dir=tmp_path, say=said.append, progress=False))
    (record,) = store.read(tmp_path)
    assert record["generator"] == "Twice"
    assert record["rows"] == {"train": 10, "generated": 6, "test": 0}
    assert 0 < record["metrics"]["fit_peak_host_mib"] <= record["metrics"]["sample_peak_host_mib"]
    assert record["metrics"]["sample_s"] < 1
    assert said[-1].startswith("Twice: fitted in 0.0")
