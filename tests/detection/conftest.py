"""A small model, trained on simulated flows, and a capture of the same tools."""

from pathlib import Path

import numpy as np
import pytest

from nids_jax.__main__ import main
from nids_jax.bundle.model import Model
from nids_jax.cli.frame import DONE
from nids_jax.data.table import FlowTable
from nids_jax.flows.simulate.tools import TOOLS, tool_flows
from nids_jax.modelling.job import train

CLASSES = {"Benign": "benign", "DoS Hulk": "hulk", "PortScan": "nmap_syn"}


@pytest.fixture(scope="session")
def model() -> Model:
    parts = [tool_flows(TOOLS[tool], 150, 3, compat="none") for tool in CLASSES.values()]
    features = parts[0][1]
    kept = [place for place, name in enumerate(features) if name != "destination_port"]
    x = np.concatenate([rows[:, kept] for rows, _ in parts])
    y = np.repeat(np.arange(len(CLASSES)), 150).astype(np.int32)
    names = tuple(features[place] for place in kept)
    table = FlowTable(x=x, y=y, features=names, classes=tuple(CLASSES), benign="Benign")
    return train(table, detector="random_forest", folds=2, simulate_below=0, meter="none")


@pytest.fixture(scope="session")
def saved(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "lab.pcap"
    tools = ",".join(CLASSES.values())
    assert main(["simulate", f"--tools={tools}", "--conversations=40", f"--output={path}", "--seed=9"]) == DONE
    return path
