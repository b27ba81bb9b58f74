"""Works of any size, for `growth`: what is prepared for each is not timed."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nids_jax.data.table import FlowTable

Run = Callable[[], object]
_FEATURES, _CLASSES = 77, 15
_ROWS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_STEPS = 5


class Workload(NamedTuple):
    """Something that can be done with any size."""

    title: str
    axis: str  # what its size counts
    sizes: tuple[int, ...]
    prepare: Callable[[int], Run]


def flows(rows: int) -> FlowTable:
    """Labelled flows: embedded real rows, nine in ten changed by a hundredth, so that few are equal."""
    from nids_jax.data.loading import load

    table, _ = load("cicids2018_sample", progress=False)
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(table), rows)
    x = table.x[chosen]
    x *= np.where(random.random((rows, 1)) < 0.9, 1 + 0.01 * random.standard_normal((rows, 1)), 1)
    return FlowTable(x=x, y=table.y[chosen], features=table.features, classes=table.classes)


def _duplicates(rows: int) -> Run:
    from nids_jax.data.duplicates import repeats

    table = flows(rows)
    return lambda: repeats(table.x, table.y)


def _leaks(rows: int) -> Run:
    from nids_jax.data.audit import leakage_report

    table = flows(rows)
    return lambda: leakage_report(table)


def _near(rows: int) -> Run:
    from nids_jax.data.audit import near_duplicates

    table = flows(rows)
    train, test = table.take(np.arange(rows) % 2 == 0), table.take(np.arange(rows) % 2 == 1)
    return lambda: near_duplicates(train, test)


def _file(rows: int, ending: str) -> Path:
    """A file of so many rows, written piece by piece; it is gone when the process ends."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tempfile.TemporaryDirectory()
    _KEPT.append(folder)
    path = Path(folder.name) / f"flows.{ending}"
    piece = flows(min(rows, 10_000)).to_frame()
    if ending == "csv":
        whole, rest = divmod(rows, len(piece))
        body = piece.to_csv(index=False, header=False)
        with path.open("w") as file:
            file.write(piece.iloc[:0].to_csv(index=False))
            for _ in range(whole):
                file.write(body)
            file.write(piece.iloc[:rest].to_csv(index=False, header=False))
        return path
    schema = pa.Table.from_pandas(piece, preserve_index=False)
    with pq.ParquetWriter(path, schema.schema) as writer:
        for start in range(0, rows, len(piece)):
            writer.write_table(schema.slice(0, min(len(piece), rows - start)))
    return path


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _read(ending: str) -> Callable[[int], Run]:
    def prepare(rows: int) -> Run:
        from nids_jax.data.io.readers import read_flows

        path = _file(rows, ending)
        return lambda: read_flows(path, progress=False)

    return prepare


def _meter(packets: int) -> Run:
    from nids_jax.flows.meter import meter
    from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_packets

    flows_each = max(1, round(packets / 45 / len(SIMULATED_CLASSES)))  # some 45 packets a flow
    found, _ = simulate_packets(dict.fromkeys(SIMULATED_CLASSES, flows_each), seed=0)
    return lambda: meter(found)


def _data(rows: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (rows, features)).astype(np.float32), np.arange(rows) % classes


def _trained(method: str, features: int, classes: int) -> Run:
    """Some steps of training; the first run compiles."""
    import jax

    from benchmarks.untrained import training
    from nids_jax.classifiers.neural import CrossEntropyObjective
    from nids_jax.presets import get_preset
    from nids_jax.training import loop

    preset = get_preset("demo")
    if method == "detector":
        config = preset.detector
        objective = CrossEntropyObjective(network=config.network, features=features, classes=classes)
    else:
        config = preset.generators["cddpm"]
        objective = config.objective(classes)
    rows = loop.pad(*_data(1024, features, classes))
    state = loop.initial_state(jax.random.key(0), objective=objective, optimiser=config.optimiser)
    return training(objective, config.optimiser, state, rows, batch=config.batch, steps=_STEPS)


def _sampled(rows: int, features: int, classes: int) -> Run:
    """Rows of an untrained CDDPM."""
    import jax

    from benchmarks.untrained import diffusion_model
    from nids_jax.presets import get_preset

    model = diffusion_model(get_preset("demo").generators["cddpm"], features, classes)
    labels = np.arange(rows) % classes
    return lambda: model.sample(labels, jax.random.key(1))


def _judged(rows: int) -> Run:
    """A forest of 100 trees as a bundle keeps it."""
    from sklearn.ensemble import RandomForestClassifier

    from nids_jax.bundle.conversion import of_trees

    small, table = flows(5_000), flows(rows)
    forest = of_trees(
        [*RandomForestClassifier(100, random_state=0).fit(small.x.astype(np.float32), small.y).estimators_]
    )
    x = table.x.astype(np.float32)
    return lambda: forest.predict_proba(x)


_FEATURE_SIZES, _CLASS_SIZES, _DEVICES = (10, 30, 77, 200, 500), (2, 8, 30, 100, 200), (1, 2, 4, 8)
WORKS = {
    "metering": Workload("metering packets", "packets", _ROWS, _meter),
    "csv": Workload("reading CSV", "rows", _ROWS, _read("csv")),
    "parquet": Workload("reading Parquet", "rows", _ROWS, _read("parquet")),
    "duplicates": Workload("deduplication", "rows", _ROWS, _duplicates),
    "leaks": Workload("leakage report", "rows", _ROWS, _leaks),
    "near": Workload("near duplicates", "rows", _ROWS, _near),
    "judging": Workload("verdicts of 100 trees", "rows", _ROWS, _judged),
    "sampling": Workload(
        "CDDPM, sampling", "rows", (128, 512, 2_048, 8_192, 32_768), lambda n: _sampled(n, _FEATURES, _CLASSES)
    ),
    "cddpm-features": Workload("CDDPM, training", "features", _FEATURE_SIZES, lambda n: _trained("cddpm", n, _CLASSES)),
    "detector-features": Workload(
        "CNN-BiGRU, training", "features", _FEATURE_SIZES, lambda n: _trained("detector", n, _CLASSES)
    ),
    "sampling-features": Workload(
        "CDDPM, sampling 512 rows", "features", _FEATURE_SIZES, lambda n: _sampled(512, n, _CLASSES)
    ),
    "cddpm-classes": Workload("CDDPM, training", "classes", _CLASS_SIZES, lambda n: _trained("cddpm", _FEATURES, n)),
    "detector-classes": Workload(
        "CNN-BiGRU, training", "classes", _CLASS_SIZES, lambda n: _trained("detector", _FEATURES, n)
    ),
    "sampling-classes": Workload(
        "CDDPM, sampling 512 rows", "classes", _CLASS_SIZES, lambda n: _sampled(512, _FEATURES, n)
    ),
    "cddpm-devices": Workload("CDDPM, training", "devices", _DEVICES, lambda _: _trained("cddpm", _FEATURES, _CLASSES)),
    "detector-devices": Workload(
        "CNN-BiGRU, training", "devices", _DEVICES, lambda _: _trained("detector", _FEATURES, _CLASSES)
    ),
    "sampling-devices": Workload(
        "CDDPM, sampling 2,048 rows", "devices", _DEVICES, lambda _: _sampled(2048, _FEATURES, _CLASSES)
    ),
}
