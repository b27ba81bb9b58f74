"""CNN-BiGRU as a classifier."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.linear_model import LogisticRegression

from nids_jax import parallel
from nids_jax.classifiers.neural import (
    CrossEntropyObjective,
    DetectorConfig,
    EarlyStopping,
    NeuralClassifier,
    fit_together,
)
from nids_jax.errors import InputError
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.nn.layers import Dense, Uniforms
from nids_jax.training import checkpoint, loop
from nids_jax.training.loop import BLOCK, OptimiserConfig

TINY = DetectorConfig(
    network=RecurrentConfig(channels=(8, 8), hidden=(8, 4), dropout=0.1),
    optimiser=OptimiserConfig(learning_rate=5e-3),
    batch=16,
    steps=200,
)


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.array([2, 5, 9])[rng.integers(0, 3, n)]
    return (y[:, None] / 5 - 1 + 0.1 * rng.normal(size=(n, 6))).astype(np.float32), y


@pytest.fixture(scope="module")
def detector() -> NeuralClassifier:
    return NeuralClassifier(TINY).fit(*rows(60, 0))


def test_learns_separate_classes_with_arbitrary_labels(detector: NeuralClassifier):
    x, y = rows(133, 1)  # more than two tiles
    np.testing.assert_array_equal(detector.classes_, [2, 5, 9])
    assert (detector.predict(x) == y).mean() > 0.95
    probabilities = detector.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(detector.predict_proba(x[:5]), probabilities[:5], atol=1e-6)
    assert detector.predict_proba(x[:0]).shape == (0, 3)


def test_same_seed_same_bits_other_seed_other_bits(detector: NeuralClassifier):
    x, _ = rows(20, 1)
    again = NeuralClassifier(TINY).fit(*rows(60, 0))
    np.testing.assert_array_equal(detector.predict_proba(x), again.predict_proba(x))
    other = NeuralClassifier(TINY, seed=1).fit(*rows(60, 0))
    assert not np.array_equal(detector.predict_proba(x), other.predict_proba(x))


def test_resumes_from_its_checkpoint(tmp_path, detector: NeuralClassifier):
    x, y = rows(60, 0)
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path, x, y)
    resumed = NeuralClassifier(TINY, checkpoint_dir=tmp_path).fit(x, y)
    np.testing.assert_array_equal(resumed.losses_, detector.losses_)
    with pytest.raises(InputError, match="different seed"):
        NeuralClassifier(TINY, seed=3, checkpoint_dir=tmp_path).fit(x, y)


def _interrupted(directory, x, y) -> None:
    class Interrupting(checkpoint.Checkpoint):
        def save(self, state, losses, total_steps):
            super().save(state, losses, total_steps)
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "Checkpoint", Interrupting)
        NeuralClassifier(TINY, checkpoint_dir=directory).fit(x, y)


def test_steps_from_epochs():
    assert DetectorConfig(batch=64, epochs=100).total_steps(75) == 200
    assert replace(TINY, steps=7).total_steps(10_000) == 7
    limited = DetectorConfig(batch=64, epochs=100, limits=(300, 500))
    assert [limited.total_steps(rows) for rows in (75, 250, 8000)] == [300, 400, 500]


def test_bad_input_is_refused(detector: NeuralClassifier):
    x, y = rows(8, 0)
    with pytest.raises(InputError, match="a detector needs two classes"):
        NeuralClassifier(TINY).fit(x, np.full(8, 4))
    with pytest.raises(InputError, match=r"expected \[n, d\]"):
        NeuralClassifier(TINY).fit(x, y[:3])
    x[3, 2] = np.nan
    with pytest.raises(InputError, match="missing or infinite"):
        detector.predict_proba(x)


@pytest.mark.parametrize("n", [1, 64, 133, 2100])
def test_probabilities_are_the_softmax_of_a_plain_forward_pass(detector: NeuralClassifier, n: int):
    """Splitting over devices, padding, tiles and calls change nothing (2,100 rows are more than two calls take)."""
    x, _ = rows(n, 1)
    network = loop.network(detector._objective(), detector.state_.params, detector.state_.rest)
    plain = jax.nn.softmax(network(jnp.asarray(x)), axis=-1)
    np.testing.assert_allclose(detector.predict_proba(x), plain, atol=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_labels():
    objective = CrossEntropyObjective(network=TINY.network, features=6, classes=3)
    logits = np.random.default_rng(0).normal(size=(4, 3))
    y = np.array([0, 2, 1, 2])
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = objective.losses(jnp.asarray(logits), jnp.asarray(y))
    np.testing.assert_allclose(found, -log_p[np.arange(4), y], rtol=1e-5)


@dataclass(frozen=True)
class Linear:
    """A network of one's own: logistic regression."""

    def build(self, features: int, classes: int, init: Uniforms) -> nnx.Module:
        return _Linear(Dense(features, classes, init=init))


class _Linear(nnx.Module):
    def __init__(self, head: Dense):
        self.head = head

    def __call__(self, x, *, key=None):
        return self.head(x)


def test_any_module_can_be_the_network():
    """Trained to the end, logistic regression without a penalty has the coefficients that scikit-learn finds."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 2)).astype(np.float32), rng.integers(0, 2, 400)
    x[:, 0] += 0.7 * y
    config = DetectorConfig(network=Linear(), steps=1500, batch=400, optimiser=OptimiserConfig(learning_rate=0.03))
    found = NeuralClassifier(config).fit(x, y).predict_proba(x)
    wanted = LogisticRegression(C=np.inf).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_class_weights_give_every_class_the_same_say():
    """Features that say nothing: the detector can only learn the classes' weights in the loss."""
    y = np.repeat([0, 1], [90, 10])
    x = np.zeros((100, 6), np.float32)
    plain = NeuralClassifier(TINY).fit(x, y).predict_proba(x[:1])[0]
    weighted = NeuralClassifier(replace(TINY, class_weights=True)).fit(x, y).predict_proba(x[:1])[0]
    assert plain[1] == pytest.approx(0.1, abs=0.07)
    assert weighted[1] == pytest.approx(0.5, abs=0.15)


def test_early_stopping_keeps_the_parameters_that_did_best():
    """Labels that cannot be learnt: the longer it trains, the worse; the first look is the best one."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(80, 6)).astype(np.float32), rng.integers(0, 2, 80)
    config = replace(TINY, steps=2000, early_stopping=EarlyStopping(validation=0.25, patience=2))
    early = NeuralClassifier(config).fit(x, y)
    assert len(early.losses_) < 2000
    assert int(early.state_.step) == len(early.losses_) - 2 * BLOCK
    with pytest.raises(InputError, match="keep rows of every class"):
        NeuralClassifier(config).fit(x[:3], np.array([0, 0, 1]))


def test_several_at_once_equal_each_alone_on_one_device(monkeypatch: pytest.MonkeyPatch):
    one = parallel.mesh(1)
    config = replace(TINY, batch=16, steps=20)
    sets = [rows(60, seed) for seed in range(4)]
    together = [NeuralClassifier(config, seed=seed) for seed in range(4)]
    fit_together(together, sets)
    monkeypatch.setattr(parallel, "mesh", lambda *_: one)
    for seed in (0, 3):
        alone = NeuralClassifier(config, seed=seed).fit(*sets[seed])
        np.testing.assert_allclose(together[seed].losses_, alone.losses_, rtol=1e-3)
        np.testing.assert_allclose(together[seed].predict_proba(sets[0][0]), alone.predict_proba(sets[0][0]), atol=1e-2)
    with pytest.raises(ValueError, match="share one configuration"):
        fit_together([NeuralClassifier(config), NeuralClassifier(TINY)], sets[:2])
    with pytest.raises(ValueError, match="equally many rows"):
        fit_together(together[:2], [sets[0], rows(50, 1)])
