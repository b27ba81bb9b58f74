"""Trees, boosting and neighbours behind the classifier interface."""

from typing import Any, Literal, Self, cast

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight

from nids_jax.classifiers.base import Classifier, ClassifierOptions, ClassifierSpec


def class_weights(options: ClassifierOptions) -> Literal["balanced"] | dict[int, float] | None:
    """The options' class weights as scikit-learn takes them."""
    weights = options.class_weights
    if isinstance(weights, bool):
        return "balanced" if weights else None
    return dict(enumerate(weights))


# scikit-learn calls the argument X; by position it is the same interface.
def _trees(kind: type[RandomForestClassifier | ExtraTreesClassifier], options: ClassifierOptions) -> Classifier:
    weights = class_weights(options)
    return cast(Classifier, kind(n_estimators=300, random_state=options.seed, n_jobs=-1, class_weight=weights))


def forest(options: ClassifierOptions) -> RandomForestClassifier:
    """A random forest of 300 trees."""
    return cast(RandomForestClassifier, _trees(RandomForestClassifier, options))


class Forests:
    """The mean of a random forest's and of extremely randomised trees' probabilities; fitted, they are `parts`."""

    def __init__(self, options: ClassifierOptions):
        self.parts = [_trees(kind, options) for kind in (RandomForestClassifier, ExtraTreesClassifier)]

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d] scaled rows, y [n] integer labels, weights [n]."""
        for part in self.parts:
            part.fit(x, y, sample_weight)
        self.classes_ = self.parts[0].classes_
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → probabilities [n, c]."""
        return np.mean([part.predict_proba(x) for part in self.parts], axis=0)


def _decision_tree(options: ClassifierOptions) -> Classifier:
    return cast(Classifier, DecisionTreeClassifier(random_state=options.seed, class_weight=class_weights(options)))


class Neighbours:
    """The five nearest rows vote, or all rows where there are fewer; a row's vote counts as much as its weight."""

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d] scaled rows, y [n] integer labels, weights [n]."""
        self._model = KNeighborsClassifier(n_neighbors=min(5, len(x))).fit(x, y)
        self.classes_, self._codes = np.unique(y, return_inverse=True)
        self._weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → shares of the votes [n, c]."""
        if self._weights is None:
            return np.asarray(self._model.predict_proba(x))
        near = self._model.kneighbors(x, return_distance=False)
        votes = np.zeros((len(x), len(self.classes_)))
        np.add.at(votes, (np.arange(len(x))[:, None], self._codes[near]), self._weights[near])
        return votes / votes.sum(axis=1, keepdims=True)


class Boosting:
    """XGBoost with its own defaults, fitted as `model`; it wants labels without gaps."""

    def __init__(self, options: ClassifierOptions):
        self.options = options

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d] scaled rows, y [n] integer labels, weights [n]."""
        from xgboost import XGBClassifier  # here: it takes a second to import, and few runs need it

        self.classes_, codes = np.unique(y, return_inverse=True)
        chosen = class_weights(self.options)
        weights = (
            sample_weight
            if chosen is None
            else compute_sample_weight(chosen, y) * (1.0 if sample_weight is None else sample_weight)
        )
        self.model: Any = XGBClassifier(random_state=self.options.seed, n_jobs=-1)
        self.model.fit(x, codes, sample_weight=weights)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → probabilities [n, c]."""
        return np.asarray(self.model.predict_proba(x))


_ALL = frozenset({"detector_comparison", "generator_comparison"})

SPECS = (
    ClassifierSpec(
        name="random_forest",
        make=lambda options: cast(Classifier, forest(options)),
        summary="random forest, 300 trees",
        compared_in=_ALL | {"few_shot", "imbalance", "packet_augmentation"},
    ),
    ClassifierSpec(
        name="extra_trees",
        make=lambda options: _trees(ExtraTreesClassifier, options),
        summary="extremely randomised trees, 300",
        compared_in=_ALL | {"packet_augmentation"},
    ),
    ClassifierSpec(
        name="forests",
        make=Forests,
        summary="random forest and randomised trees, averaged",
        compared_in=frozenset({"detector_comparison"}),
    ),
    ClassifierSpec(
        name="knn",
        make=lambda options: Neighbours(),
        summary="five nearest neighbours",
        weighs_classes=False,
        compared_in=_ALL,
    ),
    ClassifierSpec(name="xgboost", make=Boosting, summary="XGBoost", compared_in=_ALL | {"imbalance"}),
    ClassifierSpec(
        name="decision_tree",
        make=_decision_tree,
        summary="decision tree",
        compared_in=frozenset({"detector_comparison", "imbalance"}),
    ),
)
