"""What synthetic rows are worth to a detector that is trained on them and tested on real rows."""

from typing import NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from nids_jax.evaluation.comparison.mixed import Column, Mixed
from nids_jax.evaluation.fidelity import two_sample_auc

MOST_CLASSES = 100


class Utility(NamedTuple):
    """Macro F1, and the accuracy, of a random forest on real test rows."""

    macro_f1: float
    accuracy: float

    def shown(self) -> dict[str, float]:
        return {"macro F1": self.macro_f1, "accuracy": self.accuracy}


def told_apart(tables: Mixed, a: int, b: int, seed: int) -> float:
    """AUC of the classifier two-sample test (see `fidelity.two_sample_auc`) on cells, missing ones included."""
    cells = tables.cells()
    return two_sample_auc(cells[a], cells[b], seed)


def as_labels(column: Column) -> list[np.ndarray] | str:
    """Each table's labels as codes, −1 where missing; or why the column holds none."""
    if column.kind == "category":
        codes, count = [each.astype(int) for each in column.values], len(column.names)
    else:
        known = [column.known(table) for table in range(len(column.values))]
        values = np.unique(np.concatenate([v[k] for v, k in zip(column.values, known, strict=True)]))
        count = len(values)
        codes = [np.where(k, np.searchsorted(values, v), -1) for v, k in zip(column.values, known, strict=True)]
    if not 2 <= count <= MOST_CLASSES:
        return f"{column.name!r} holds {count:,} different values, and labels are 2 to {MOST_CLASSES}"
    return codes


def utility(x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, seed: int) -> Utility:
    """Train a random forest on rows x [n, d] with labels y [n], and test it.

    The macro F1 is the mean over the classes of the test rows; classes that training lacks have an F1 of 0.
    """
    forest = RandomForestClassifier(100, random_state=seed, class_weight="balanced").fit(x, y)
    found = forest.predict(test_x)
    classes = np.unique(test_y)
    f1 = f1_score(test_y, found, labels=classes, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]
    return Utility(float(f1), float((found == test_y).mean()))
