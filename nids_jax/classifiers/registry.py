"""Classifiers by name."""

from collections.abc import Callable
from typing import cast

from sklearn.ensemble import RandomForestClassifier

from nids_jax.classifiers.base import Classifier
from nids_jax.classifiers.neural import DetectorConfig, NeuralClassifier
from nids_jax.errors import InputError


def _cnn_bigru(config: DetectorConfig, seed: int) -> Classifier:
    return NeuralClassifier(config, seed=seed)


def _random_forest(config: DetectorConfig, seed: int) -> Classifier:
    # scikit-learn calls the argument X; by position it is the same interface.
    return cast(Classifier, RandomForestClassifier(n_estimators=300, random_state=seed, n_jobs=-1))


CLASSIFIERS: dict[str, Callable[[DetectorConfig, int], Classifier]] = {
    "cnn_bigru": _cnn_bigru,
    "random_forest": _random_forest,
}


def make_classifier(name: str, config: DetectorConfig, *, seed: int) -> Classifier:
    """The classifier called `name`; `config` concerns the neural ones only.

    Raises:
      InputError: unknown name.
    """
    if name not in CLASSIFIERS:
        raise InputError(f"unknown classifier {name!r}; choose from {sorted(CLASSIFIERS)}")
    return CLASSIFIERS[name](config, seed)
