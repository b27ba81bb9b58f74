"""`FewShotClassifier`: a few real flows of each class, beside them flows of the tools that stand behind the classes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.classifiers.registry import make_classifier
from nids_jax.data.scaling import fit_scaler
from nids_jax.estimators.inputs import (
    CELLS,
    Columns,
    RandomState,
    cells,
    column_names,
    labelled,
    rows_and_labels,
    seed_of,
)
from nids_jax.estimators.neural import ProbabilityClassifier
from nids_jax.flows.meter import Compat
from nids_jax.flows.simulate.tools import read_tools
from nids_jax.modelling.fitting import STEPS
from nids_jax.pipeline.simulation import Simulation, Weighting
from nids_jax.pipeline.training_sets import SIMULATION_SEED
from nids_jax.presets import get_preset


class FewShotClassifier(ProbabilityClassifier):
    """A detector of flow records as published, for a few rows of each class.

    Columns are cleaned and scaled as `FlowPreprocessor` does.  Where a class's name says which attack tool stands
    behind it, and the columns are those of flow records, simulated flows of the tool are trained on too; all of a class
    weigh as much as `simulated_weight` real rows.  Elsewhere nothing is added: generators that learn from a few rows do
    not help a forest (docs/results/few-shot.md).

    Fitted attributes: `classes_` [c], `tools_` (class → name of the tool whose flows were added), `not_simulated_` (why
    nothing was, or None), `model_`, `scaler_`, `columns_`, `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        detector: str = "random_forest",
        *,
        simulated_rows: int = 1600,
        simulated_weight: float = 1.0,
        simulated_weighting: Weighting = "agreement",
        compat: Compat = "corrected",
        tool_of: Mapping[str, str] | None = None,
        own_tools: str | Path | None = None,
        scaler: str = "signed_log",
        random_state: RandomState = None,
    ):
        """
        Args:
          detector: one of `CLASSIFIERS`.
          simulated_rows: flows to simulate of each class; 0: none.
          simulated_weight: how much those of a class weigh together, in real rows.
          simulated_weighting: "agreement": less, where a forest on simulated flows does not know the real rows.
          compat: how the rows were metered (see `nids_jax.meter`).
          tool_of: class → tool, where the class's name does not say it.
          own_tools: TOML file with tools of one's own.
          scaler: one of `data.scaling.SCALERS`.
          random_state: of the simulation and the detector.
        """
        self.detector = detector
        self.simulated_rows = simulated_rows
        self.simulated_weight = simulated_weight
        self.simulated_weighting: Weighting = simulated_weighting
        self.compat: Compat = compat
        self.tool_of = tool_of
        self.own_tools = own_tools
        self.scaler = scaler
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on flow records X [n, d] with class names y [n]; a row of weight w counts as w rows.

        Raises:
          ValueError: rows, labels or weights that scikit-learn refuses.
          InputError: labels of one class, an unknown detector, scaler or tool.
          TrainingError: the detector's training diverged.
        """
        found, y = rows_and_labels(self, X, y, **CELLS)
        rows, weights, self.classes_, codes = labelled(found, y, sample_weight)
        seed = seed_of(self.random_state)
        self.columns_ = Columns.found(X, found[rows], column_names(self), flows=True)
        table = self.columns_.table(self.columns_.read(found[rows], "impute"), codes, self.classes_)
        self.scaler_ = fit_scaler(self.scaler, table)
        z, labels = self.scaler_.transform(table.x), table.y
        simulation = Simulation(
            rows=self.simulated_rows,
            weight=self.simulated_weight,
            weighting=self.simulated_weighting,
            compat=self.compat,
            tool_of=self.tool_of or {},
            own=read_tools(self.own_tools),
        )
        self.not_simulated_ = simulation.obstacle(table) if self.simulated_rows else "no flows were asked for"
        self.tools_ = {}
        if self.not_simulated_ is None:
            names = self.classes_.tolist()
            self.tools_ = {names[k]: tool.name for k, tool in simulation.behind(table.classes).items()}
            counts = np.full(len(table.classes), self.simulated_rows)
            more, simulated, shares = simulation.beside(
                table, z, self.scaler_, counts, SIMULATION_SEED + 1000 * seed, weights
            )
            z, labels = np.concatenate([z, more]), np.concatenate([labels, simulated])
            weights = np.concatenate([weights, shares])
        options = ClassifierOptions(detector=replace(get_preset("cpu").table, limits=STEPS), seed=seed)
        even = () if (weights == 1).all() else (weights,)
        self.model_ = make_classifier(self.detector, options).fit(z, labels, *even)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(class | row) of flow records X [n, d]: [n, c] float64, columns in the order of `classes_`.

        Raises:
          NotFittedError: it is not fitted.
          ValueError: rows of other columns than it was fitted on.
        """
        check_is_fitted(self)
        x = self.columns_.read(cells(self, X), "impute")
        found = np.asarray(self.model_.predict_proba(self.columns_.scaled(self.scaler_, x)), np.float64)
        return found / found.sum(axis=1, keepdims=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags
