"""Classifiers by name."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight

from nids_jax.classifiers.base import Classifier
from nids_jax.classifiers.neural import DetectorConfig, NeuralClassifier
from nids_jax.classifiers.semi_supervised import SelfTraining, Spreading
from nids_jax.errors import InputError
from nids_jax.nn.detector import NETWORKS


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """What any classifier may need; each takes what concerns it."""

    # `cnn_bigru` has the network given here, its rivals have their own.
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    # True: every class gets the same weight in all; numbers: weight of a row of class 0, 1, ….  Nearest neighbours know
    # no weights.
    class_weights: bool | tuple[float, ...] = False
    seed: int = 0
    checkpoint_dir: Path | None = None
    progress: str | None = None
    unlabelled: np.ndarray | None = None  # [m, d] scaled rows; `self_training` and `label_spreading` need them


def _neural(name: str) -> Callable[[ClassifierOptions], Classifier]:
    def make(options: ClassifierOptions) -> Classifier:
        o = options
        config = replace(o.detector, class_weights=o.class_weights or o.detector.class_weights)
        if name != "cnn_bigru":
            config = replace(config, network=NETWORKS[name])
        return NeuralClassifier(config, seed=o.seed, checkpoint_dir=o.checkpoint_dir, progress=o.progress)

    return make


# scikit-learn calls the argument X; by position it is the same interface.
def _trees(kind: type[RandomForestClassifier | ExtraTreesClassifier]) -> Callable[[ClassifierOptions], Classifier]:
    def make(options: ClassifierOptions) -> Classifier:
        weights = _weights(options)
        return cast(Classifier, kind(n_estimators=300, random_state=options.seed, n_jobs=-1, class_weight=weights))

    return make


def _semi_supervised(kind: type[SelfTraining | Spreading]) -> Callable[[ClassifierOptions], Classifier]:
    def make(options: ClassifierOptions) -> Classifier:
        if options.unlabelled is None:
            raise InputError("self_training and label_spreading learn from unlabelled rows too; set some aside")
        forest = RandomForestClassifier(
            n_estimators=300, random_state=options.seed, n_jobs=-1, class_weight=_weights(options)
        )
        return kind(forest, options.unlabelled)

    return make


def _decision_tree(options: ClassifierOptions) -> Classifier:
    return cast(Classifier, DecisionTreeClassifier(random_state=options.seed, class_weight=_weights(options)))


def _weights(options: ClassifierOptions) -> Literal["balanced"] | dict[int, float] | None:
    weights = options.class_weights
    if isinstance(weights, bool):
        return "balanced" if weights else None
    return dict(enumerate(weights))


class _Neighbours:
    """The five nearest rows vote, or all rows where there are fewer."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        self._model = KNeighborsClassifier(n_neighbors=min(5, len(x))).fit(x, y)
        self.classes_ = np.asarray(self._model.classes_)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.predict_proba(x))


class _Boosting:
    """XGBoost with its own defaults; it wants labels without gaps."""

    def __init__(self, options: ClassifierOptions):
        self.options = options

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        from xgboost import XGBClassifier  # here: it takes a second to import, and few runs need it

        self.classes_, codes = np.unique(y, return_inverse=True)
        chosen = _weights(self.options)
        weights = None if chosen is None else compute_sample_weight(chosen, y)
        self._model: Any = XGBClassifier(random_state=self.options.seed, n_jobs=-1)
        self._model.fit(x, codes, sample_weight=weights)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.predict_proba(x))


CLASSIFIERS: dict[str, Callable[[ClassifierOptions], Classifier]] = {
    **{name: _neural(name) for name in NETWORKS},
    "random_forest": _trees(RandomForestClassifier),
    "extra_trees": _trees(ExtraTreesClassifier),
    "knn": lambda options: _Neighbours(),
    "xgboost": lambda options: _Boosting(options),
    "decision_tree": _decision_tree,
}


# These need unlabelled rows beside the labelled ones.
SEMI_SUPERVISED: dict[str, Callable[[ClassifierOptions], Classifier]] = {
    "self_training": _semi_supervised(SelfTraining),
    "label_spreading": _semi_supervised(Spreading),
}


def make_classifier(name: str, options: ClassifierOptions) -> Classifier:
    """The classifier called `name`.

    Raises:
      InputError: unknown name.
    """
    known = {**CLASSIFIERS, **SEMI_SUPERVISED}
    if name not in known:
        raise InputError(f"unknown classifier {name!r}; choose from {sorted(known)}")
    return known[name](options)
