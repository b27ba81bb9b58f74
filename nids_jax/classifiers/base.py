"""What a classifier of flows is, and what its entry in the registry says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np


class Classifier(Protocol):
    """Labels scaled rows."""

    classes_: np.ndarray  # [c] the labels seen in training, rising

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d] scaled rows, y [n] integer labels; how much each row counts [n], None: all alike."""
        ...

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → [n, c], columns in the order of `classes_`."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """What any classifier may need; each takes what concerns it."""

    detector: Any = None  # a neural classifier's `DetectorConfig`; None: its defaults
    # True: every class gets the same weight in all; numbers: weight of a row of class 0, 1, ….
    class_weights: bool | tuple[float, ...] = False
    seed: int = 0
    checkpoint_dir: Path | None = None
    progress: str | None = None
    unlabelled: np.ndarray | None = None  # [m, d] scaled rows beside the labelled ones


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """A classifier by name; specs are listed in the registry in the order in which reports show them."""

    name: str
    make: Callable[[ClassifierOptions], Classifier]
    summary: str  # one line for `--help` and the documentation
    neural: bool = False  # it is trained by gradient steps: it has losses, checkpoints and a learning rate
    weighs_classes: bool = True  # class weights change what it learns
    weighs_rows: bool = True  # `fit` takes row weights
    needs: str = ""  # "unlabelled": it is no use without such rows
    compared_in: frozenset[str] = frozenset()  # experiments that run it unless told otherwise
