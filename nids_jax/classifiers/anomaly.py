"""Anomaly detectors: what can be had from benign rows alone, the controls of detectors of simulated attacks."""

import warnings
from collections.abc import Callable
from typing import Protocol, Self

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import QuantileTransformer


class AnomalyDetector(Protocol):
    """Says how unlike the rows are to those that it was fitted on."""

    def fit(self, x: np.ndarray) -> Self:
        """x [n, d] benign rows, in any units."""
        ...

    def suspicion(self, x: np.ndarray) -> np.ndarray:
        """x [m, d] → [m], higher for stranger rows."""
        ...


class IsolatedRows:
    """An isolation forest of 300 trees (Liu et al. 2008): strange rows are soon alone under random splits."""

    def __init__(self, seed: int):
        self._model = IsolationForest(n_estimators=300, random_state=seed, n_jobs=-1)

    def fit(self, x: np.ndarray) -> Self:
        """x [n, d] benign rows."""
        self._model.fit(x)
        return self

    def suspicion(self, x: np.ndarray) -> np.ndarray:
        """x [m, d] → [m]: scikit-learn's score with its sign changed."""
        return -self._model.score_samples(x)


class NearestRow:
    """Distance to the nearest benign row, with every column as its share of benign rows below."""

    def __init__(self, seed: int):
        self._seed = seed

    def fit(self, x: np.ndarray) -> Self:
        """x [n, d] benign rows."""
        self._ranks = _ranks(x, self._seed)
        self._rows = NearestNeighbors(n_neighbors=1).fit(self._ranks.transform(x))
        return self

    def suspicion(self, x: np.ndarray) -> np.ndarray:
        """x [m, d] → [m]: Euclidean distances."""
        distances, _ = self._rows.kneighbors(self._ranks.transform(x))
        return distances[:, 0]


class Autoencoder:
    """What a network with a bottleneck of 8 units, trained to repeat benign rows, gets wrong (mean square error)."""

    def __init__(self, seed: int):
        self._seed = seed

    def fit(self, x: np.ndarray) -> Self:
        """x [n, d] benign rows."""
        self._ranks = _ranks(x, self._seed)
        ranks = self._ranks.transform(x)
        self._model = MLPRegressor(
            hidden_layer_sizes=(32, 8, 32), max_iter=500, early_stopping=len(x) >= 50, random_state=self._seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 500 passes are what it gets
            self._model.fit(ranks, ranks)
        return self

    def suspicion(self, x: np.ndarray) -> np.ndarray:
        """x [m, d] → [m]."""
        ranks = np.asarray(self._ranks.transform(x))
        return np.square(self._model.predict(ranks) - ranks).mean(axis=1)


def _ranks(x: np.ndarray, seed: int) -> QuantileTransformer:
    return QuantileTransformer(n_quantiles=min(200, len(x)), random_state=seed).fit(x)


ANOMALY_DETECTORS: dict[str, Callable[[int], AnomalyDetector]] = {
    "isolation_forest": IsolatedRows,
    "nearest_neighbour": NearestRow,
    "autoencoder": Autoencoder,
}
