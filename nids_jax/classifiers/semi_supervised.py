"""Detectors that learn from unlabelled rows too: the yardstick for whatever else these rows are used for."""

import warnings
from typing import Self

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from nids_jax.classifiers.base import ClassifierOptions, ClassifierSpec
from nids_jax.classifiers.shallow import forest
from nids_jax.errors import InputError

UNLABELLED = -1  # scikit-learn's sign for it


class SelfTraining:
    """A forest that labels what it is sure of and learns from that again (Yarowsky 1995)."""

    def __init__(self, forest: RandomForestClassifier, unlabelled: np.ndarray):
        """`unlabelled` [m, d], scaled like the rows to come."""
        self.forest, self.unlabelled = forest, unlabelled

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d], y [n] class indices; it takes no row weights."""
        _refuse_weights(sample_weight)
        # Few labelled rows make few sure votes: half of the trees count as sure, in three rounds.
        self._model = SelfTrainingClassifier(self.forest, threshold=0.5, max_iter=3)
        self._model.fit(*_joined(x, y, self.unlabelled))
        self.classes_ = np.asarray(self._model.classes_)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [m, d] → probabilities [m, c]."""
        return np.asarray(self._model.predict_proba(x))


class Spreading:
    """Labels spread over the graph of 7 nearest neighbours (Zhou et al. 2004), and a forest learns from all rows."""

    def __init__(self, forest: RandomForestClassifier, unlabelled: np.ndarray):
        """`unlabelled` [m, d], scaled like the rows to come."""
        self.forest, self.unlabelled = forest, unlabelled

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d], y [n] class indices; `spread_` rows of all got a label; it takes no row weights."""
        _refuse_weights(sample_weight)
        rows, labels = _joined(x, y, self.unlabelled)
        # Each round carries labels one edge farther.  Only the largest of a row's scores counts, so none has to settle.
        graph = LabelSpreading(kernel="knn", n_neighbors=min(7, len(rows)), alpha=0.9, max_iter=200, tol=0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            spread = graph.fit(rows, labels)
        # A row that no label reaches would count for the first class.
        reached = spread.label_distributions_.sum(axis=1) > 0
        self.spread_ = int(reached.sum())
        self.forest.fit(rows[reached], spread.transduction_[reached])
        self.classes_ = np.asarray(self.forest.classes_)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [m, d] → probabilities [m, c]."""
        return np.asarray(self.forest.predict_proba(x))


def _refuse_weights(weights: np.ndarray | None) -> None:
    if weights is not None:
        raise InputError("self_training and label_spreading take no row weights; choose another classifier")


def _rows(options: ClassifierOptions) -> np.ndarray:
    assert options.unlabelled is not None  # the registry sees to it
    return options.unlabelled


def _joined(x: np.ndarray, y: np.ndarray, unlabelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([x, unlabelled]), np.concatenate([y, np.full(len(unlabelled), UNLABELLED)])


SPECS = (
    ClassifierSpec(
        name="self_training",
        make=lambda options: SelfTraining(forest(options), _rows(options)),
        summary="random forest that labels what it is sure of and learns from it again",
        needs="unlabelled",
        weighs_rows=False,
    ),
    ClassifierSpec(
        name="label_spreading",
        make=lambda options: Spreading(forest(options), _rows(options)),
        summary="labels spread over the nearest neighbours, then a random forest",
        needs="unlabelled",
        weighs_rows=False,
    ),
)
