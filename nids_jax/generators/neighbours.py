"""Training rows by class: the nearest one, and how far they lie apart."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from nids_jax.errors import InputError


class ClassRows:
    """Scaled rows x [n, d] with labels y [n]."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.rows = {int(k): np.asarray(x[y == k], np.float32) for k in np.unique(y)}
        self._nearest = {k: NearestNeighbors(n_neighbors=1).fit(rows) for k, rows in self.rows.items()}

    def check_labels(self, labels: np.ndarray) -> None:
        """Refuse labels [m] without a training row.

        Raises:
          InputError: there is such a label.
        """
        unknown = sorted({*labels.tolist()} - {*self.rows})
        if unknown:
            known = ", ".join(map(str, sorted(self.rows)))
            raise InputError(f"class {unknown[0]} has no training row; ask for the classes that have some: {known}")

    def nearest(self, synthetic: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The training rows [m, d] nearest to synthetic rows [m, d], each of the row's own class labels[i]."""
        anchors = np.empty_like(synthetic)
        for k in np.unique(labels):
            mine = labels == k
            anchors[mine] = self.rows[int(k)][
                self._nearest[int(k)].kneighbors(synthetic[mine], return_distance=False)[:, 0]
            ]
        return anchors

    def away(self, synthetic: np.ndarray, labels: np.ndarray) -> float:
        """Median distance of synthetic rows to the nearest training row of their class."""
        return float(np.median(np.linalg.norm(synthetic - self.nearest(synthetic, labels), axis=1)))

    def apart(self) -> float | None:
        """Median over training rows of the distance to the nearest other row of the class; None if there is none."""
        several = [rows for rows in self.rows.values() if len(rows) > 1]
        if not several:
            return None
        distances = [NearestNeighbors(n_neighbors=2).fit(rows).kneighbors(rows)[0][:, 1] for rows in several]
        return float(np.median(np.concatenate(distances)))
