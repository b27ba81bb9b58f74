"""Training and inference of the detector beside the same network in PyTorch, and SHAP values of its verdicts."""

import jax
import numpy as np

from benchmarks import untrained
from benchmarks.speed.generators import CLASSES, FEATURES
from benchmarks.speed.stopwatch import THREADS, Figure, Run, Stopwatch, Work, baseline
from nids_jax.classifiers.neural import CrossEntropyObjective, DetectorConfig, NeuralClassifier
from nids_jax.data.loading import load
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.split import few_shot
from nids_jax.evaluation.explain import Explanation, explain
from nids_jax.evaluation.shapley import estimate
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.presets import Preset
from nids_jax.training import loop

_ROWS, _BATCH, _STEPS = 1024, 64, 10
_EXPLAINED, _CLUSTERS, _COALITIONS, _LONG = 2, 10, 800, 16_384


def detector(watch: Stopwatch, preset: Preset) -> list[Figure]:
    """CNN-BiGRU."""
    config = preset.detector
    model, x, y = _model(config)
    objective = CrossEntropyObjective(network=config.network, features=FEATURES, classes=CLASSES)
    rows = loop.pad(x, y)
    train = untrained.training(objective, config.optimiser, model.state_, rows, batch=_BATCH, steps=_STEPS)
    theirs = _torch(config, x, y)
    assert isinstance(config.network, RecurrentConfig)
    per_row = 2.0 * _multiplications(config.network, CLASSES, FEATURES)
    works = {
        # Going back takes two products for each one forth.
        "training": (
            train,
            Work(amount=_STEPS, unit="steps", flop=3 * per_row * _STEPS * _BATCH, note=f"batch {_BATCH}"),
        ),
        "inference": (lambda: model.predict_proba(x), Work(amount=_ROWS, unit="rows", flop=per_row * _ROWS)),
    }
    found = []
    for what, (run, work) in works.items():
        rivals = {f"the same in PyTorch, {THREADS} threads": (theirs[what], work)} if theirs else None
        found += watch.time(f"CNN-BiGRU, {what}", run, work, rivals)
    return found


def shapley(watch: Stopwatch, preset: Preset) -> list[Figure]:
    """Shapley values of verdicts on the embedded real rows, at equal error, beside Kernel SHAP.

    Errors are against long estimates of the same rows, the root mean square over all of them and their classes.
    """
    table, _ = load("cicids2018_sample")
    split = few_shot(table, 5, 0, test_per_class=1)
    scaler = fit_scaler(preset.scaler, split.train)
    background, rows = scaler.transform(split.train.x), scaler.transform(split.test.x)[:_EXPLAINED]
    model = NeuralClassifier(preset.detector).fit(background, split.train.y)

    def ours(samples: int, seed: int = 0) -> Explanation:
        return estimate(model.predict_proba, background, rows, samples=samples, seed=seed, masked=model.predict_masked)

    def theirs() -> Explanation:
        return explain(model.predict_proba, background, rows, samples=_COALITIONS, clusters=_CLUSTERS)

    exact = np.mean([ours(_LONG, seed).values for seed in (1, 2)], axis=0)

    def off(found: Explanation) -> float:
        return float(np.sqrt(np.mean((found.values - exact) ** 2) / np.mean(exact**2)))

    aim, samples = off(theirs()), 512
    while samples < _LONG and np.mean([off(ours(samples, seed)) for seed in (3, 4, 5)]) > aim:
        samples += 256
    work = Work(amount=_EXPLAINED, unit="rows", note=f"{samples} predictions each, as near as the next line's")
    kernel = Work(
        amount=_EXPLAINED,
        unit="rows",
        note=f"{_COALITIONS} coalitions × {_CLUSTERS} background rows each, off by {aim:.0%}",
    )
    rivals = {"shap.KernelExplainer": (theirs, kernel)}
    return watch.time("Shapley values of CNN-BiGRU", lambda: ours(samples), work, rivals)


def _model(config: DetectorConfig) -> tuple[NeuralClassifier, np.ndarray, np.ndarray]:
    """An untrained detector with rows and labels."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (_ROWS, FEATURES)).astype(np.float32), np.arange(_ROWS) % CLASSES
    objective = CrossEntropyObjective(network=config.network, features=FEATURES, classes=CLASSES)
    model = NeuralClassifier(config)
    model.state_ = loop.initial_state(jax.random.key(0), objective=objective, optimiser=config.optimiser)
    model.classes_, model.features_ = np.arange(CLASSES), FEATURES
    return model, x, y


def _torch(config: DetectorConfig, x: np.ndarray, y: np.ndarray) -> dict[str, Run]:
    torch_detector = baseline("torch_detector", "PyTorch")
    if torch_detector is None:
        return {}
    train, classify, _ = torch_detector.build(config.network, CLASSES, x, y, threads=THREADS)
    return {"training": lambda: train(_STEPS), "inference": classify}


def _multiplications(config: RecurrentConfig, classes: int, length: int) -> int:
    """Multiplications of matrix products to classify one row; XLA counts the body of a scan but once."""
    (c1, c2), (h1, h2) = config.channels, config.hidden
    convolutions = 3 * c1 + 3 * c1 * c2
    recurrent = 2 * 3 * h1 * (c2 + h1) + 2 * 3 * h2 * (2 * h1 + h2)
    return length * (convolutions + recurrent) + 2 * h2 * classes
