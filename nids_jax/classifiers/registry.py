"""Classifiers by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sklearn.ensemble import RandomForestClassifier

from nids_jax.classifiers.base import Classifier
from nids_jax.classifiers.neural import DetectorConfig, NeuralClassifier
from nids_jax.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """What any classifier may need; each takes what concerns it."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    seed: int = 0
    checkpoint_dir: Path | None = None
    progress: str | None = None


def _cnn_bigru(options: ClassifierOptions) -> Classifier:
    o = options
    return NeuralClassifier(o.detector, seed=o.seed, checkpoint_dir=o.checkpoint_dir, progress=o.progress)


def _random_forest(options: ClassifierOptions) -> Classifier:
    # scikit-learn calls the argument X; by position it is the same interface.
    return cast(Classifier, RandomForestClassifier(n_estimators=300, random_state=options.seed, n_jobs=-1))


CLASSIFIERS: dict[str, Callable[[ClassifierOptions], Classifier]] = {
    "cnn_bigru": _cnn_bigru,
    "random_forest": _random_forest,
}


def make_classifier(name: str, options: ClassifierOptions) -> Classifier:
    """The classifier called `name`.

    Raises:
      InputError: unknown name.
    """
    if name not in CLASSIFIERS:
        raise InputError(f"unknown classifier {name!r}; choose from {sorted(CLASSIFIERS)}")
    return CLASSIFIERS[name](options)
