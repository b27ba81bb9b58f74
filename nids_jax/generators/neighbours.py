"""Training rows by class: the nearest one, and how far they lie apart."""

import numpy as np
from sklearn.neighbors import NearestNeighbors


class ClassRows:
    """Scaled rows x [n, d] with labels y [n]."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.rows = {int(k): np.asarray(x[y == k], np.float32) for k in np.unique(y)}
        self._nearest = {k: NearestNeighbors(n_neighbors=1).fit(rows) for k, rows in self.rows.items()}

    def nearest(self, made: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """For each row made [m, d] the training row [m, d] of its class labels[i] that is nearest to it."""
        anchors = np.empty_like(made)
        for k in np.unique(labels):
            mine = labels == k
            anchors[mine] = self.rows[int(k)][self._nearest[int(k)].kneighbors(made[mine], return_distance=False)[:, 0]]
        return anchors

    def away(self, made: np.ndarray, labels: np.ndarray) -> float:
        """Median distance of made rows to the nearest training row of their class."""
        return float(np.median(np.linalg.norm(made - self.nearest(made, labels), axis=1)))

    def apart(self) -> float | None:
        """Median over training rows of the distance to the nearest other row of the class; None if there is none."""
        several = [rows for rows in self.rows.values() if len(rows) > 1]
        if not several:
            return None
        distances = [NearestNeighbors(n_neighbors=2).fit(rows).kneighbors(rows)[0][:, 1] for rows in several]
        return float(np.median(np.concatenate(distances)))
