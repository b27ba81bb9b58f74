"""How fast this machine simulates and meters flows, trains, and generates.

    python -m experiments.throughput --what=flows,generator,detector

Prints one Markdown table: compilation apart, then the median of repeated steady runs.  A plain float32 matrix product
is timed in the same process, as the yardstick of the hardware.
"""

import platform
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import common
from nids_jax import training
from nids_jax.classifiers.neural import PREDICT_ROWS, CrossEntropyObjective, NeuralClassifier
from nids_jax.errors import InputError
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.generators.cddpm import CDDPM, DenoisingObjective
from nids_jax.presets import get_preset
from nids_jax.training import BLOCK, TrainState

_WHAT = flags.DEFINE_list("what", ["flows", "generator", "detector"], "What to time: flows, generator, detector.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Steady runs, of which the median counts.", lower_bound=1)

FEATURES, CLASSES = 77, 15
Row = tuple[str, float, float, str]  # what, first run in s, steady run in s, rate


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the first run, compilation included, and the median of the steady ones."""
    seconds = []
    for _ in range(1 + _REPEATS.value):
        start = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - start)
    return seconds[0], statistics.median(seconds[1:])


def matrix_product() -> list[Row]:
    n = 2048
    a = jax.random.normal(jax.random.key(0), (n, n))
    product = jax.jit(jnp.matmul)
    first, steady = timed(lambda: product(a, a))
    return [(f"matrix product {n}³", first, steady, f"{2 * n**3 / steady / 1e9:.0f} GFLOP/s")]


def flow_meter() -> list[Row]:
    rows = 1500
    first, steady = timed(lambda: simulate_flows(dict.fromkeys(SIMULATED_CLASSES, rows), seed=0))
    return [("simulate and meter flows", first, steady, f"{rows * CLASSES / steady:,.0f} flows/s")]


def _fitting(fit: Callable[[TrainState], tuple[TrainState, jax.Array]], state: TrainState) -> tuple[float, float]:
    held = [state]

    def block() -> jax.Array:
        held[0], losses = fit(held[0])
        return losses

    return timed(block)


def _data(rows: int) -> training.Data:
    rng = np.random.default_rng(0)
    return training.pad(rng.uniform(-1, 1, (rows, FEATURES)), np.arange(rows) % CLASSES)


def generator() -> list[Row]:
    config = get_preset(common.PRESET.value).cddpm
    objective = DenoisingObjective(
        network=config.network,
        schedule=config.schedule,
        classes=CLASSES,
        prediction=config.prediction,
        label_dropout=config.label_dropout,
    )
    key, data = jax.random.key(0), _data(75)
    state = training.initial_state(key, objective=objective, optimiser=config.optimiser)
    model = CDDPM(config)
    model.state_ = jax.tree.map(jnp.copy, state)  # training donates its state
    model.classes_, model.features_ = CLASSES, FEATURES
    model._set_range(-np.ones(FEATURES), np.ones(FEATURES))
    first, steady = _fitting(
        lambda s: training.advance(
            s, data, key, s.step + BLOCK, objective=objective, optimiser=config.optimiser, batch=config.batch
        ),
        state,
    )
    rows = [("CDDPM, training", first, steady, f"{steady / BLOCK * 1e3:.1f} ms/step, batch {config.batch}")]
    labels = np.arange(512) % CLASSES
    first, steady = timed(lambda: model.sample(labels, key))
    calls = config.sampler.calls
    return [*rows, ("CDDPM, sampling", first, steady, f"{len(labels) / steady:,.0f} rows/s, {calls} calls a row")]


def detector() -> list[Row]:
    config = get_preset(common.PRESET.value).detector
    objective = CrossEntropyObjective(network=config.network, classes=CLASSES)
    key, data = jax.random.key(0), _data(825)
    state = training.initial_state(key, objective=objective, optimiser=config.optimiser)
    model = NeuralClassifier(config)
    model.state_, model.classes_ = jax.tree.map(jnp.copy, state), np.arange(CLASSES)
    first, steady = _fitting(
        lambda s: training.advance(
            s, data, key, s.step + BLOCK, objective=objective, optimiser=config.optimiser, batch=config.batch
        ),
        state,
    )
    rows = [("CNN-BiGRU, training", first, steady, f"{steady / BLOCK * 1e3:.1f} ms/step, batch {config.batch}")]
    x = np.asarray(data.x)[: 4 * PREDICT_ROWS]
    first, steady = timed(lambda: model.predict_proba(x))
    return [*rows, ("CNN-BiGRU, inference", first, steady, f"{len(x) / steady:,.0f} rows/s")]


PARTS: dict[str, Callable[[], list[Row]]] = {"flows": flow_meter, "generator": generator, "detector": detector}


def main(argv: list[str]) -> None:
    common.no_arguments(argv)
    unknown = [name for name in _WHAT.value if name not in PARTS]
    if unknown:
        raise InputError(f"--what names {unknown[0]!r}; choose from {', '.join(PARTS)}")
    device = jax.devices()[0]
    print(f"{device.device_kind}, {platform.machine()}, JAX {jax.__version__}, preset {common.PRESET.value}\n")
    print("| what | first run, s | steady run, s | rate |\n|---|---|---|---|")
    for part in (matrix_product, *(PARTS[name] for name in _WHAT.value)):
        for what, first, steady, rate in part():
            print(f"| {what} | {first:.2f} | {steady:.3f} | {rate} |", flush=True)


if __name__ == "__main__":
    common.run(main)
