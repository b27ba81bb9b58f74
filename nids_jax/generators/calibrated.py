"""Generated rows drawn in until they lie as close to the training rows as those lie to each other."""

from typing import Self

import numpy as np
from jax import Array
from sklearn.neighbors import NearestNeighbors

from nids_jax import random
from nids_jax.generators.base import Generator


class Calibrated:
    """x' = n + s (x − n), x a row of another generator, n the training row of its class that is nearest to x.

    A diffusion model trained on five rows spreads its rows several times as far as real ones lie apart.  s, one number
    for all classes, is the median over training rows of the distance to the nearest other row of the class, over the
    median over generated rows of |x − n|; at most 1, and 1 where no class has two rows.  So it is found from the
    training rows alone, by leaving one out.
    """

    PROBES = 50  # rows per class by which the generator's spread is judged

    def __init__(self, generator: Generator):
        self.generator = generator

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] scaled rows, y [n] class indices; `factor_` is s."""
        self.generator.fit(x, y, key)
        self.losses_ = getattr(self.generator, "losses_", None)
        self._nearest = {k: NearestNeighbors(n_neighbors=1).fit(x[y == k]) for k in np.unique(y)}
        self._rows = {k: np.asarray(x[y == k], np.float32) for k in np.unique(y)}
        apart = [
            NearestNeighbors(n_neighbors=2).fit(r).kneighbors(r)[0][:, 1] for r in self._rows.values() if len(r) > 1
        ]
        labels = np.repeat(np.unique(y), self.PROBES)
        made = self.generator.sample(labels, random.stream(key, "probe"))
        away = np.linalg.norm(made - self._anchors(made, labels), axis=1)
        spread = float(np.median(away))
        wanted = float(np.median(np.concatenate(apart))) if apart else spread
        self.factor_ = min(1.0, wanted / spread) if spread > 0 else 1.0
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d]; row i depends on (key, i, labels[i]) alone."""
        made = self.generator.sample(labels, key)
        anchors = self._anchors(made, np.asarray(labels))
        return anchors + np.float32(self.factor_) * (made - anchors)

    def _anchors(self, made: np.ndarray, labels: np.ndarray) -> np.ndarray:
        anchors = np.empty_like(made)
        for k in np.unique(labels):
            mine = labels == k
            anchors[mine] = self._rows[k][self._nearest[k].kneighbors(made[mine], return_distance=False)[:, 0]]
        return anchors
