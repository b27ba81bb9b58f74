"""Flows: simulated and metered, read from CSV, and oversampled."""

import tempfile
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks.speed.stopwatch import Figure, Stopwatch, Work, baseline
from nids_jax.data.loading import load
from nids_jax.flows.meter import meter
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows, simulate_packets
from nids_jax.generators.registry import make_generator
from nids_jax.generators.spec import Request
from nids_jax.presets import Preset

_PER_CLASS = 1500
_RARE, _COMMON, _COLUMNS = 200, 5000, 77


def flows(watch: Stopwatch, _: Preset) -> list[Figure]:
    """Simulation with metering, and metering alone."""
    counts = dict.fromkeys(SIMULATED_CLASSES, _PER_CLASS)
    work = Work(amount=sum(counts.values()), unit="flows")
    found = watch.time("simulate and meter flows", lambda: simulate_flows(counts, seed=0), work)
    packets, _owner = simulate_packets(counts, seed=0)
    work = Work(amount=len(packets.time), unit="packets")
    return found + watch.time("meter packets", lambda: meter(packets), work)


def reading(watch: Stopwatch, _: Preset) -> list[Figure]:
    """A CSV of labelled flows; pandas, which checks nothing, beside."""
    x, y = simulate_flows(dict.fromkeys(SIMULATED_CLASSES, _PER_CLASS), seed=0)
    frame = pd.DataFrame(x, columns=list(CICIDS2017)).assign(Label=np.array(SIMULATED_CLASSES)[y])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flows.csv"
        frame.to_csv(path, index=False)
        note = f"{path.stat().st_size / 2**20:.0f} MiB, {frame.shape[1]} columns"
        work = Work(amount=len(frame), unit="rows", note=note)
        rivals = {"pandas.read_csv, nothing checked": (lambda: pd.read_csv(path), work)}
        return watch.time("read a CSV", lambda: load(None, data=[path], progress=False), work, rivals)


def oversampling(watch: Stopwatch, _: Preset) -> list[Figure]:
    """SMOTE beside imbalanced-learn's, and CTGAN's training for an epoch."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [_COMMON, _RARE, _RARE])
    x = rng.normal(size=(len(y), _COLUMNS)).astype(np.float32)
    labels = np.repeat([1, 2], _COMMON - _RARE)
    work = Work(amount=len(labels), unit="rows", note=f"{_RARE} rows of two classes raised to {_COMMON:,}")

    def smote() -> object:
        generator = make_generator("smote", Request()).fit(x, y, jax.random.key(0))
        return generator.sample(labels, jax.random.key(1))

    rivals = {}
    if theirs := baseline("imblearn_smote", "imbalanced-learn"):
        rivals["imbalanced-learn's SMOTE"] = (lambda: theirs.resample(x, y), work)
    if ctgan := baseline("ctgan_rows", "CTGAN"):
        epoch = Work(amount=len(labels), unit="rows", note="trained for one of its 300 epochs, then sampled")
        rivals["CTGAN"] = (lambda: ctgan.fit_and_sample(x, y, len(labels)), epoch)
    return watch.time("SMOTE", smote, work, rivals)
