"""How fast this machine simulates and meters flows, trains, and generates.

    python -m experiments.throughput --what=flows,generator,detector,gan

Prints one Markdown table: compilation apart, then the median of repeated steady runs.  A plain float32 matrix product
is timed in the same process, as the yardstick of the hardware.  Where PyTorch is installed (`make bench` sees to it),
the detector and the GANs are timed beside the same networks in PyTorch, in turns; the ratio is the median of the turns'
ratios.  The detector gets as many threads there as here, a GAN one or all, whichever is faster: its operations are
small.
"""

import importlib
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx

from experiments import common
from nids_jax import parallel, training
from nids_jax.classifiers.neural import CrossEntropyObjective, DetectorConfig, NeuralClassifier
from nids_jax.commands import frame
from nids_jax.errors import InputError
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.generators import adversarial
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig, DenoisingObjective
from nids_jax.generators.gan import GANConfig, Method, make_game
from nids_jax.generators.wasserstein import Wasserstein
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.presets import get_preset
from nids_jax.runtime import cores
from nids_jax.training import BLOCK

_WHAT = flags.DEFINE_list("what", ["flows", "generator", "detector", "gan"], "What to time; all by default.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Steady runs, of which the median counts.", lower_bound=1)

FEATURES, CLASSES = 77, 15
TOGETHER = 8  # models of single classes, trained at once
SIDE = 2048  # of the matrices whose product is the yardstick
THREADS = cores()
Row = tuple[str, float, float, str]  # what, first run in s, steady run in s, rate


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the first run, compilation included, and the median of the steady ones."""
    seconds = []
    for _ in range(1 + _REPEATS.value):
        start = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - start)
    return seconds[0], statistics.median(seconds[1:])


def _baseline(name: str) -> Any:
    """That module of `baselines`, or None where PyTorch is not installed."""
    try:
        return importlib.import_module(f"experiments.baselines.{name}")
    except ImportError:
        print("PyTorch is not installed, so nothing is timed beside it; `make bench` installs it.", file=sys.stderr)
        return None


def matrix_product() -> list[Row]:
    n = SIDE
    a = jax.random.normal(jax.random.key(0), (n, n))
    product = jax.jit(jnp.matmul)
    first, steady = timed(lambda: product(a, a))
    return [(f"matrix product {n}³", first, steady, f"{2 * n**3 / steady / 1e9:.0f} GFLOP/s")]


def flow_meter() -> list[Row]:
    rows = 1500
    first, steady = timed(lambda: simulate_flows(dict.fromkeys(SIMULATED_CLASSES, rows), seed=0))
    return [("simulate and meter flows", first, steady, f"{rows * CLASSES / steady:,.0f} flows/s")]


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
    key = jax.random.key(0)
    data, there = parallel.everywhere((_data(75), key), parallel.mesh(config.batch))
    state = training.initial_state(key, objective=objective, optimiser=config.optimiser)
    model = CDDPM(config)
    model.state_ = jax.tree.map(jnp.copy, state)  # training donates its state
    model.classes_, model.features_ = CLASSES, FEATURES
    model._set_range(-np.ones(FEATURES), np.ones(FEATURES))
    rows = [_forward(objective, state)]
    held = [parallel.everywhere(state, parallel.mesh(config.batch))]

    def train() -> None:
        held[0], losses = training.advance(
            held[0],
            data,
            there,
            held[0].step + BLOCK,
            objective=objective,
            optimiser=config.optimiser,
            batch=config.batch,
        )
        jax.block_until_ready(losses)

    labels = np.arange(512) % CLASSES
    calls = config.sampler.calls
    theirs = _torch_cddpm(config, labels)
    per_step = f"ms/step, batch {config.batch}"
    first, steady, ratios = _beside(train, theirs.get("training"))
    rows += _compared("CDDPM, training", first, steady, ratios, lambda s: f"{s / BLOCK * 1e3:.1f} {per_step}")

    def rate(seconds: float) -> str:
        return f"{len(labels) / seconds:,.0f} rows/s, {calls} calls a row"

    for what in ("batched", "compiled"):
        first, steady, ratios = _beside(lambda: model.sample(labels, key), theirs.get(what))
        rows += _compared(f"CDDPM, sampling ({what} in PyTorch)", first, steady, ratios, rate)
    if "step" in theirs:
        # The paper makes 50 rows of one class after the other, T calls of the network from the host for each.
        whole = config.schedule.steps * CLASSES
        labels = np.arange(50 * CLASSES) % CLASSES
        first, steady, ratios = _beside(lambda: model.sample(labels, key), theirs["step"])
        ratio = statistics.median(ratios) * whole
        rows.append((f"50 rows of each class, {calls} calls", first, steady, f"{len(labels) / steady:,.0f} rows/s"))
        own = ratio * steady
        what = f"the paper's loop in PyTorch, from one of its {whole:,} calls"
        rows.append((what, float("nan"), own, f"{len(labels) / own:,.2f} rows/s; {ratio:,.0f} times as long"))
    return rows


def _forward(objective: DenoisingObjective, state: training.TrainState) -> Row:
    """The network's forward pass on 512 rows, and what share of a matrix product's speed it reaches."""
    key = jax.random.key(1)
    x, t, y = jax.random.normal(key, (512, FEATURES)), jnp.ones(512), jnp.zeros(512, jnp.int32)

    @jax.jit
    def forward(params: nnx.State, x: jax.Array) -> jax.Array:
        return training.network(objective, params, state.rest)(x, t, y, method="lax")

    start = time.perf_counter()
    compiled = forward.lower(state.params, x).compile()
    first = time.perf_counter() - start
    _, seconds = timed(lambda: compiled(state.params, x))
    cost: Any = compiled.cost_analysis()
    product = matrix_product()[0][2]
    rate = cost["flops"] / seconds
    share = rate * product / (2 * SIDE**3)
    return (
        "CDDPM, one forward pass of 512 rows",
        first,
        seconds,
        f"{rate / 1e9:.0f} GFLOP/s, {share:.0%} of the product's",
    )


def _compared(what: str, first: float, steady: float, ratios: list[float], rate: Callable[[float], str]) -> list[Row]:
    """Our row of the table, and PyTorch's below it where it was timed."""
    if not ratios:
        return [(what, first, steady, rate(steady))]
    ratio = statistics.median(ratios)
    ours = (what, first, steady, f"{rate(steady)}; PyTorch takes {ratio:.2f} times as long")
    return [ours, (f"the same in PyTorch, {what}", float("nan"), ratio * steady, rate(ratio * steady))]


def _torch_cddpm(config: CDDPMConfig, labels: np.ndarray) -> dict[str, Callable[[], object]]:
    """A block of training steps; rows of these labels in one batch, eager and compiled; a step of the paper's loop."""
    torch_cddpm = _baseline("torch_cddpm")
    if torch_cddpm is None:
        return {}
    torch_cddpm.torch.set_num_threads(THREADS)
    network = torch_cddpm.UNet1d(config.network, CLASSES)
    compiled = torch_cddpm.torch.compile(network, dynamic=False)
    data = _data(75)
    train = torch_cddpm.training(
        network,
        config.schedule,
        np.asarray(data.x)[:75],
        np.asarray(data.y)[:75],
        batch=config.batch,
        label_dropout=config.label_dropout,
    )

    def sampling(predict: Callable[..., Any]) -> Callable[[], object]:
        return lambda: torch_cddpm.scanned(predict, config.schedule, config.sampler, labels.tolist(), FEATURES)

    return {
        "training": lambda: train(BLOCK),
        "batched": sampling(network),
        "compiled": sampling(compiled),
        "step": lambda: torch_cddpm.ancestral(network, config.schedule, [0] * 50, FEATURES, 1),
    }


def detector() -> list[Row]:
    config = get_preset(common.PRESET.value).detector
    objective = CrossEntropyObjective(network=config.network, classes=CLASSES)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (1024, FEATURES)).astype(np.float32), np.arange(1024) % CLASSES
    mesh = parallel.mesh(64)
    data, key = parallel.everywhere((training.pad(x, y), jax.random.key(0)), mesh)
    state = training.initial_state(key, objective=objective, optimiser=config.optimiser)
    model = NeuralClassifier(config)
    model.state_, model.classes_ = jax.tree.map(jnp.copy, state), np.arange(CLASSES)  # training takes its state over
    held = [parallel.everywhere(state, mesh)]
    steps = 10

    def train() -> None:
        held[0], losses = training.advance(
            held[0], data, key, held[0].step + steps, objective=objective, optimiser=config.optimiser, batch=64
        )
        jax.block_until_ready(losses)

    ours = {"training": train, "inference": lambda: model.predict_proba(x)}
    theirs = _torch(config, x, y, steps)
    operations = {"training": 3 * steps * 64, "inference": len(x)}  # going back takes two products for each one forth
    peak = matrix_product()[0][2]
    rows = []
    for what, run in ours.items():
        first, seconds, ratios = _beside(run, theirs.get(what))
        rate = (
            f"{seconds / steps * 1e3:.1f} ms/step, batch 64"
            if what == "training"
            else f"{len(x) / seconds:,.0f} rows/s"
        )
        flops = 2 * _multiplications(config.network, CLASSES, FEATURES) * operations[what] / seconds
        share = f"{flops / 1e9:.0f} GFLOP/s, {flops * peak / (2 * SIDE**3):.0%} of the product's"
        beside = f", {statistics.median(ratios):.2f} × PyTorch's" if ratios else ""
        rows.append((f"CNN-BiGRU, {what}", first, seconds, f"{rate}; {share}{beside}"))
        if ratios:
            own = statistics.median(r * seconds for r in ratios)
            rows.append((f"the same in PyTorch, {what}", float("nan"), own, f"{THREADS} threads"))
    return rows


def _torch(config: DetectorConfig, x: np.ndarray, y: np.ndarray, steps: int) -> dict[str, Callable[[], object]]:
    torch_detector = _baseline("torch_detector")
    if torch_detector is None:
        return {}
    train, classify = torch_detector.build(config.network, CLASSES, x, y, threads=THREADS)
    return {"training": lambda: train(steps), "inference": classify}


def gan() -> list[Row]:
    config = replace(get_preset(common.PRESET.value).gan, bounded=True)
    steps = 20
    rows: list[Row] = []

    def per_step(seconds: float) -> str:
        return f"{seconds / steps * 1e3:.1f} ms/step, batch {config.batch}"

    methods: dict[Method, str] = {"wcgan_gp": "WCGAN-GP", "vae_wgan_gp": "VAE-WGAN-GP"}
    for method, name in methods.items():
        game = make_game(method, config, FEATURES, CLASSES)
        first, seconds, ratios = _beside(_gan_training(game, config, 1, steps), _torch_gan(game, config, steps))
        rows += _compared(f"{name}, training", first, seconds, ratios, per_step)
        game = make_game(method, config, FEATURES, 0)
        one = _gan_training(game, config, 1, steps)
        first, seconds, ratios = _beside(
            _gan_training(game, config, TOGETHER, steps), lambda one=one: [one() for _ in range(TOGETHER)]
        )
        rate = f"{seconds / steps / TOGETHER * 1e3:.1f} ms/step of one model"
        beside = f"; one after the other they take {statistics.median(ratios):.2f} times as long"
        rows.append((f"{name}, {TOGETHER} models of one class at once", first, seconds, rate + beside))
    return rows


def _torch_gan(game: Wasserstein, config: GANConfig, steps: int) -> Callable[[], object] | None:
    torch_gan = _baseline("torch_gan")
    if torch_gan is None:
        return None
    data = _data(1024)
    train = torch_gan.build(
        game, np.asarray(data.x), np.asarray(data.y), batch=config.batch, critic_steps=config.critic_steps
    )

    def seconds(threads: int) -> float:
        train(1, threads)
        return _seconds(lambda: train(3, threads))

    fastest = min({1, THREADS}, key=seconds)
    return lambda: train(steps, fastest)


def _gan_training(game: Wasserstein, config: GANConfig, models: int, steps: int) -> Callable[[], object]:
    """Takes so many steps with each of the models, on 1,024 rows."""
    keys = jax.random.split(jax.random.key(0), models)
    state, *given = adversarial.begin(game, _data(1024), [(0, 1024)] * models, keys)
    held = [state]

    def train() -> None:
        held[0], figures = adversarial.advance(
            held[0], *given, held[0].step + steps, game=game, batch=config.batch, critic_steps=config.critic_steps
        )
        jax.block_until_ready(figures)

    return train


def _beside(ours: Callable[[], object], theirs: Callable[[], object] | None) -> tuple[float, float, list[float]]:
    """Seconds of our first run and our median, and how many times as long theirs took in each turn."""
    first, own, ratios = _seconds(ours), [], []
    ours()
    if theirs:
        theirs()
    for _ in range(_REPEATS.value):
        own.append(_seconds(ours))
        if theirs:
            ratios.append(_seconds(theirs) / own[-1])
    return first, statistics.median(own), ratios


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _multiplications(config: RecurrentConfig, classes: int, length: int) -> int:
    """Multiplications of matrix products to classify one row."""
    (c1, c2), (h1, h2) = config.channels, config.hidden
    convolutions = 3 * c1 + 3 * c1 * c2
    recurrent = 2 * 3 * h1 * (c2 + h1) + 2 * 3 * h2 * (2 * h1 + h2)
    return length * (convolutions + recurrent) + 2 * h2 * classes


PARTS: dict[str, Callable[[], list[Row]]] = {
    "flows": flow_meter,
    "generator": generator,
    "detector": detector,
    "gan": gan,
}


def main(argv: list[str]) -> None:
    frame.no_arguments(argv)
    unknown = [name for name in _WHAT.value if name not in PARTS]
    if unknown:
        raise InputError(f"--what names {unknown[0]!r}; choose from {', '.join(PARTS)}")
    device = jax.devices()[0]
    print(f"{device.device_kind}, {platform.machine()}, JAX {jax.__version__}, preset {common.PRESET.value}\n")
    print("| what | first run, s | steady run, s | rate |\n|---|---|---|---|")
    for part in (matrix_product, *(PARTS[name] for name in _WHAT.value)):
        for what, first, steady, rate in part():
            shown = "–" if math.isnan(first) else f"{first:.2f}"
            print(f"| {what} | {shown} | {steady:.3f} | {rate} |", flush=True)


if __name__ == "__main__":
    frame.run(main)
