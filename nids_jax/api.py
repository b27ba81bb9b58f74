"""The package's public functions that put several of its parts together; `import nids_jax` has them all."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nids_jax.classifiers import registry as classifiers
from nids_jax.classifiers.base import Classifier, ClassifierOptions
from nids_jax.data.io.sources import PathLike
from nids_jax.data.scaling import Scaler
from nids_jax.data.split import Split, few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.evaluation import explain as shap
from nids_jax.flows.capture import read_capture
from nids_jax.flows.meter import STREAMED, Compat
from nids_jax.flows.meter import meter as meter_packets
from nids_jax.flows.meter.columns import COLUMNS, values
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.generators import registry as generators
from nids_jax.generators.base import Generator
from nids_jax.generators.spec import Columns, Request
from nids_jax.presets import get_preset


def split(table: FlowTable, *, shots: int = 5, seed: int = 0, test_per_class: int = 1000, extra: int = 0) -> Split:
    """A few-shot split of deduplicated flows; see `data.split.few_shot`.

    Raises:
      InputError: an argument out of range, or a class with fewer than two rows.
    """
    return few_shot(table, shots, seed, test_per_class=test_per_class, extra=extra)


def make_generator(
    name: str,
    *,
    preset: str = "cpu",
    rows: int = 0,
    scaler: Scaler | None = None,
    checkpoint_dir: str | Path | None = None,
    progress: bool = False,
    **settings: Any,
) -> Generator:
    """A generator by name, with a preset's settings: `fit(x, y, key)`, then `sample(labels, key)`.

    Args:
      name: one of `GENERATORS`, or package.module:Class.
      rows: training rows, for presets that count passes over them (`paper`).
      scaler: of the rows, for what must know whether columns are bounded or categories; None: neither.
      settings: fields of the generator's settings to change (`steps=500`).

    Raises:
      InputError: an unknown name, preset or setting, or a generator that needs more than rows.
    """
    (name,) = generators.known([name])
    if name not in generators.GENERATORS:
        raise InputError(f"unknown generator {name!r}; choose from {', '.join(generators.GENERATORS)}")
    columns = Columns(scaler.bounded, scaler.blocks) if scaler else Columns()
    chosen = get_preset(preset).settings(generators.GENERATORS[name])
    unknown = [each for each in settings if not hasattr(chosen, each)]
    if unknown:
        known = ", ".join(vars(chosen)) if chosen else "none"
        raise InputError(f"{name} has no setting {unknown[0]!r}; there are: {known}")
    if chosen is not None:
        chosen = replace(chosen, **settings).fitted(max(rows, 1), columns)
    folder = None if checkpoint_dir is None else Path(checkpoint_dir)
    return generators.make_generator(
        name, Request(settings=chosen, checkpoint_dir=folder, progress=progress, columns=columns)
    )


def make_classifier(name: str, *, preset: str = "cpu", **options: Any) -> Classifier:
    """A classifier by name, with a preset's settings: `fit(x, y)`, then `predict_proba(x)`.

    Args:
      options: fields of `ClassifierOptions`: seed, class_weights, checkpoint_dir, …

    Raises:
      InputError: an unknown name or preset.
    """
    return classifiers.make_classifier(name, ClassifierOptions(**{"detector": get_preset(preset).detector, **options}))


def explain(
    predict_proba: Callable[[np.ndarray], np.ndarray],
    background: np.ndarray,
    rows: np.ndarray,
    *,
    clusters: int = 5,
    samples: int | None = None,
) -> shap.Explanation:
    """SHAP values of scaled rows [n, d] for any `predict_proba`, against the scaled background rows [m, d].

    See `evaluation.explain.explain`.
    """
    return shap.explain(predict_proba, background, rows, clusters=clusters, samples=samples)


def meter(capture: PathLike, *, compat: Compat = "none", decapsulate: bool = False) -> pd.DataFrame:
    """The flow records of a capture file: a row a flow, a column a feature, after the end points and the start.

    Args:
      capture: pcap or pcapng, plain or compressed.
      compat: whose rules count, see `flows.meter.meter`.
      decapsulate: read the packets inside tunnels instead of those outside.

    Returns:
      Records in order of their first packets; columns of whole numbers as such.

    Raises:
      InputError: what is no capture, or cannot be read.
    """
    found = read_capture(Path(capture), decapsulate=decapsulate, orphans=compat not in STREAMED)
    flows = meter_packets(found.packets, compat=compat)
    frame = pd.DataFrame(dict(zip(COLUMNS, values(flows, found.hosts), strict=True)))
    whole = [name for name, kind in COLUMNS.items() if kind == "integer"]
    frame[whole] = frame[whole].astype(np.int64)
    return frame.assign(timestamp=pd.to_datetime(frame["timestamp"], unit="us", utc=True))


def simulate(counts: Mapping[str, int], *, seed: int = 0) -> FlowTable:
    """Flows of simulated traffic: class name → conversations; the table has these classes alone.

    Raises:
      InputError: an unknown class, or a number below 0.
    """
    x, y = simulate_flows(dict(counts), seed)
    table = FlowTable(x=np.asarray(x, np.float64), y=y, features=CICIDS2017, classes=SIMULATED_CLASSES)
    asked = tuple(name for name in SIMULATED_CLASSES if name in counts)
    return table.regroup({name: name for name in asked}, asked)
