"""Detectors that learn from simulated attacks beside real benign rows, without learning what gives simulation away.

Trained naively, a detector of simulated attacks learns to tell simulated rows from real ones.  A column in which even
simulated *benign* rows differ from real benign rows says more about the simulation than about attacks; it is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.stats import ks_2samp

from nids_jax.classifiers.base import Classifier
from nids_jax.data.scaling import Scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.pipeline.simulation import Simulation

# Greatest distances between simulated and real benign rows.  No single one was best on each of three datasets; see
# docs/results/zero-shot.md.
LEVELS = (0.3, 0.4, 0.5)


EVERYDAY = 60  # flows of each benign tool, whatever stands behind the benign class


class SimulatedRows(NamedTuple):
    """Scaled flows of tools, for training without attack rows."""

    x: np.ndarray  # [m, width] of the attacks
    y: np.ndarray  # [m] their classes
    everyday: np.ndarray  # [k, width] of every benign tool
    distances: np.ndarray  # [width] how much each column of these differs from the real benign rows


def simulated_attacks(
    simulation: Simulation, train: FlowTable, scaler: Scaler, scaled: np.ndarray, seed: int
) -> SimulatedRows:
    """Flows of the tools behind the attack classes and of every benign tool, beside real benign rows.

    Without what some meters leave over of a connection's close, as records of their own: an attack's are like those of
    any other connection, and a detector that takes them for attacks flags the benign ones first.

    Args:
      train: the benign rows, with all classes; `scaled` [n, width] are the same.

    Raises:
      InputError: nothing can be simulated, or no class is benign.
    """
    if train.benign is None:
        raise InputError(f"no class is benign: {', '.join(train.classes)}")
    counts = np.full(len(train.classes), simulation.rows or 0)
    counts[train.classes.index(train.benign)] = 0
    x, y = simulation.flows(train, counts, seed, left_over=False)
    everyday = scaler.transform(simulation.everyday(train, EVERYDAY, seed))
    return SimulatedRows(scaler.transform(x), y, everyday, distances(scaled, everyday))


def distances(real: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    """The two-sample Kolmogorov–Smirnov statistic of each column of real [n, d] and simulated [m, d] rows: [d].

    1 for a column with a single value in both, from which there is nothing to learn.
    """
    found = np.array([ks_2samp(a, b)[0] for a, b in zip(real.T, simulated.T, strict=True)])
    both = np.concatenate([real, simulated])
    return np.where((both == both[:1]).all(axis=0), 1.0, found)


@dataclass
class Aligned:
    """A classifier for each level, on the columns whose distance is less; the mean of their probabilities.

    Attributes: `columns`, by level the numbers of its columns; levels with the same ones count once, those with none do
    not.  Fitted: `classes_` [c], `parts_`, the columns and the classifier of each.
    """

    make: Callable[[], Classifier]
    distances: np.ndarray  # [d]
    levels: Sequence[float] = LEVELS

    def __post_init__(self) -> None:
        self.columns = {level: np.flatnonzero(self.distances < level) for level in self.levels}

    @property
    def possible(self) -> bool:
        """Whether any level has columns."""
        return any(len(columns) for columns in self.columns.values())

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d] scaled rows, y [n] classes, weights [n].

        Raises:
          InputError: every column is too different, or there are not as many as distances.
        """
        if x.shape[1] != len(self.distances):
            raise InputError(f"there are {len(self.distances)} distances for {x.shape[1]} columns")
        if not self.possible:
            raise InputError(
                f"in every column simulated benign rows differ from real ones by {min(self.distances):.2f} or more "
                f"(Kolmogorov–Smirnov), and less than {max(self.levels):g} is allowed"
            )
        known = {columns.tobytes(): columns for columns in self.columns.values() if len(columns)}
        weights = () if sample_weight is None else (sample_weight,)
        self.parts_ = [(columns, self.make().fit(x[:, columns], y, *weights)) for columns in known.values()]
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → probabilities [n, c]."""
        return np.mean([part.predict_proba(x[:, columns]) for columns, part in self.parts_], axis=0)
