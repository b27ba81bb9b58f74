"""CNN-BiGRU as a classifier."""

from dataclasses import replace

import numpy as np
import pytest

from nids_jax import checkpoint
from nids_jax.classifiers.neural import PREDICT_ROWS, DetectorConfig, NeuralClassifier
from nids_jax.classifiers.registry import ClassifierOptions, make_classifier
from nids_jax.errors import InputError
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.training import OptimiserConfig

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
    x, y = rows(PREDICT_ROWS + 3, 1)
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


def test_bad_input_is_refused(detector: NeuralClassifier):
    x, y = rows(8, 0)
    with pytest.raises(InputError, match="a detector needs two classes"):
        NeuralClassifier(TINY).fit(x, np.full(8, 4))
    with pytest.raises(InputError, match=r"expected \[n, d\]"):
        NeuralClassifier(TINY).fit(x, y[:3])
    x[3, 2] = np.nan
    with pytest.raises(InputError, match="missing or infinite"):
        detector.predict_proba(x)
    with pytest.raises(InputError, match=r"unknown classifier 'svm'; choose from \['cnn_bigru', 'random_forest'\]"):
        make_classifier("svm", ClassifierOptions())
