"""One fit: raw rows → scaler and parts of a model, with simulated flows where there are few real rows or none."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from nids_jax.bundle import conversion
from nids_jax.bundle.parts import Network, Part, Trees
from nids_jax.classifiers.base import Classifier, ClassifierOptions
from nids_jax.classifiers.registry import make_classifier
from nids_jax.classifiers.shallow import Boosting, Forests
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.pipeline.alignment import Aligned
from nids_jax.pipeline.simulation import Simulation
from nids_jax.pipeline.training_sets import SIMULATION_SEED
from nids_jax.presets import get_preset

DETECTORS = ("cnn_bigru", "random_forest", "extra_trees", "forests", "xgboost", "decision_tree")
STEPS = (400, 1500)  # of a neural detector's training: 100 passes over the rows within these limits


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A detector of raw rows."""

    scaler: Scaler
    parts: tuple[Part, ...]
    background: np.ndarray  # [m, width] scaled training rows

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """P(class | row) of raw rows x [n, d] → [n, classes]."""
        z = self.scaler.transform(x)
        return np.mean([part.predict_proba(z) for part in self.parts], axis=0)


@dataclass(frozen=True, kw_only=True)
class Fitter:
    """How detectors are trained; the same for every fold and for the final model."""

    detector: str
    simulation: Simulation
    augmented: tuple[int, ...] = ()  # classes to which simulated flows are added
    without_attacks: bool = False  # every attack row is simulated; see `pipeline.alignment`
    merged: tuple[str, ...] = ()  # tools whose flows are then one class, the second of two; none: each a class
    seed: int = 0
    progress: bool = False

    def fit(self, table: FlowTable) -> Fitted:
        """Train on all rows of a table.

        Raises:
          InputError: rows that cannot be trained on.
          TrainingError: the training diverged.
        """
        if self.without_attacks:
            return self._fit_without_attacks(table)
        scaler = fit_scaler(get_preset("cpu").scaler, table)
        z, y, weights = scaler.transform(table.x), table.y, None
        background = _background(z, y, self.seed)
        if self.augmented:
            counts = np.zeros(len(table.classes), np.int64)
            counts[[*self.augmented]] = self.simulation.rows or 0
            more, labels, shares = self.simulation.beside(table, z, scaler, counts, SIMULATION_SEED + 1000 * self.seed)
            weights = np.concatenate([np.ones(len(y)), shares])
            z, y = np.concatenate([z, more]), np.concatenate([y, labels])
        classifier = self._make()
        classifier.fit(z, y, *(() if weights is None else (weights,)))
        if len(classifier.classes_) != len(table.classes):
            raise InputError(f"of {len(table.classes)} classes only {len(classifier.classes_)} have rows to train on")
        return Fitted(scaler=scaler, parts=_parts(classifier, z), background=background)

    def _fit_without_attacks(self, table: FlowTable) -> Fitted:
        from nids_jax.pipeline.alignment import simulated_attacks

        scaler = fit_scaler(get_preset("cpu").scaler, table)
        z = scaler.transform(table.x)
        benign = table.classes[0]
        like = table.regroup({benign: benign}, (benign, *self.merged)) if self.merged else table
        found = simulated_attacks(self.simulation, like, scaler, z, SIMULATION_SEED + 1000 * self.seed)
        labels = np.minimum(found.y, 1) if self.merged else found.y
        # Each level's classifier is let go once it is converted: one of many classes takes a gigabyte.
        model = Aligned(lambda: _Converted(self._make()), found.distances)
        model.fit(np.concatenate([z, found.x]), np.concatenate([table.y, labels]))
        parts = tuple(_over(part, columns) for columns, each in model.parts_ for part in _kept(each))
        return Fitted(scaler=scaler, parts=parts, background=_background(z, table.y, self.seed))

    def _make(self) -> Classifier:
        detector = replace(get_preset("cpu").table, limits=STEPS)
        options = ClassifierOptions(
            detector=detector, seed=self.seed, progress=self.detector if self.progress else None
        )
        return make_classifier(self.detector, options)


class _Converted:
    """A classifier that is kept as parts of a model only."""

    def __init__(self, classifier: Classifier):
        self._classifier: Classifier | None = classifier

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """As the classifier's own."""
        assert self._classifier is not None
        weights = () if sample_weight is None else (sample_weight,)
        self.parts = _parts(self._classifier.fit(x, y, *weights), x)
        self.classes_ = self._classifier.classes_
        self._classifier = None
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → probabilities [n, c]."""
        return np.mean([part.predict_proba(x) for part in self.parts], axis=0)


def _kept(classifier: Classifier) -> tuple[Part, ...]:
    assert isinstance(classifier, _Converted)
    return classifier.parts


def _parts(classifier: Any, z: np.ndarray) -> tuple[Part, ...]:
    """A classifier fitted on scaled rows z [n, k], as parts of a model of such rows."""
    if isinstance(classifier, Forests):
        return tuple(part for each in classifier.parts for part in _parts(each, z))
    if isinstance(classifier, Boosting):
        return (Trees(conversion.of_boosting(classifier.model, len(classifier.classes_))),)
    if hasattr(classifier, "estimators_"):
        return (Trees(conversion.of_trees(classifier.estimators_)),)
    if hasattr(classifier, "tree_"):
        return (Trees(conversion.of_trees([classifier])),)
    varying = (z != z[:1]).any(axis=0)
    return (Network(classifier, np.arange(z.shape[1], dtype=np.int32), varying),)


def _over(part: Part, columns: np.ndarray) -> Part:
    """The part, where its j-th column is the j-th of these of wider rows."""
    if isinstance(part, Trees):
        return Trees(part.forest.over(columns))
    assert isinstance(part, Network)
    return Network(part.classifier, columns[part.places].astype(np.int32), part.varying)


def _background(z: np.ndarray, y: np.ndarray, seed: int, most: int = 200) -> np.ndarray:
    """Some of the rows, of every class as many as it has up to its share."""
    draws = np.random.default_rng([seed, 1])
    labels = np.unique(y)
    each = max(most // len(labels), 1)
    rows = [draws.permutation(np.flatnonzero(y == label))[:each] for label in labels]
    return np.ascontiguousarray(z[np.sort(np.concatenate(rows))], np.float32)
