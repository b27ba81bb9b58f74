"""The neural detectors as scikit-learn classifiers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from nids_jax.classifiers.neural import DetectorConfig, NeuralClassifier
from nids_jax.data.scaling import fit_scaler
from nids_jax.estimators.inputs import RandomState, labelled, rows_and_labels, seed_of
from nids_jax.modelling.fitting import STEPS
from nids_jax.nn.detector import NETWORKS
from nids_jax.presets import get_preset


class ProbabilityClassifier(ClassifierMixin, BaseEstimator):
    """`predict` and `predict_log_proba` of a classifier with `predict_proba`; `classes_` [c] are the labels, rising."""

    classes_: np.ndarray

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(class | row) of X [n, d]: [n, c], columns in the order of `classes_`."""
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row of X [n, d]: [n]."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log P(class | row) of X [n, d]: [n, c]."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class NeuralFlowClassifier(ProbabilityClassifier):
    """A neural detector of rows of numbers; its subclasses name the network.

    A row of weight w counts as w rows.  Rows are sorted before training, so that their order does not matter.

    Fitted attributes: `classes_` [c], `model_` (`NeuralClassifier`), `scaler_`, `n_features_in_`, `feature_names_in_`.
    """

    _network: ClassVar[str]  # its name in `nn.detector.NETWORKS`

    def __init__(
        self,
        channels: tuple[int, ...] | None = None,
        hidden: tuple[int, ...] | None = None,
        dropout: float = 0.2,
        *,
        steps: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        class_weight: Mapping[Any, float] | str | None = None,
        scaler: str | None = "signed_log",
        random_state: RandomState = None,
    ):
        """
        Args:
          channels: of the convolutions; None: the paper's, where the network has any.
          hidden: units of each recurrent layer and direction; None: the paper's.
          dropout: share of the recurrent layers' outputs that training leaves out.
          steps: optimiser steps; None: 100 passes over the rows, within 400 and 1,500 steps, as `nids_jax train` does.
          learning_rate: of Adam at the start; it falls to 0 with half a cosine.
          class_weight: as of scikit-learn's classifiers: class → weight, "balanced", or None.
          scaler: one of `data.scaling.SCALERS`, fitted on the training rows; None: the rows are scaled already.
          random_state: of the first parameters, the batches and dropout.
        """
        self.channels = channels
        self.hidden = hidden
        self.dropout = dropout
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.scaler = scaler
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X [n, d] with labels y [n] of any type; `sample_weight` [n] says how much each row counts.

        Raises:
          ValueError: rows, labels or weights that scikit-learn refuses.
          InputError: labels of one class, or an unknown scaler.
          TrainingError: the loss is no longer finite.
        """
        X, y = rows_and_labels(self, X, y, dtype=np.float64)
        rows, weights, self.classes_, codes = labelled(X, y, sample_weight)
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y[rows])
        self.scaler_ = None if self.scaler is None else fit_scaler(self.scaler, X[rows])
        z = self._scaled(X[rows])
        order = np.lexsort((weights, codes, *z.T))
        uneven = None if (weights == weights[0]).all() else weights[order]
        self.model_ = NeuralClassifier(self._config(), seed=seed_of(self.random_state))
        self.model_.fit(z[order], codes[order], uneven)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(class | row) of X [n, d]: [n, c] float64, columns in the order of `classes_`.

        Raises:
          NotFittedError: it is not fitted.
          ValueError: rows of other columns than it was fitted on, or not finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        found = self.model_.predict_proba(self._scaled(X)).astype(np.float64)
        return found / found.sum(axis=1, keepdims=True)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return X.astype(np.float32) if self.scaler_ is None else self.scaler_.transform(X)

    def _config(self) -> DetectorConfig:
        base = get_preset("cpu").table
        sizes = {"channels": self.channels, "hidden": self.hidden}
        network: Any = NETWORKS[self._network]
        network = replace(network, **{k: tuple(v) for k, v in sizes.items() if v is not None})
        return replace(
            base,
            network=replace(network, dropout=self.dropout),
            optimiser=replace(base.optimiser, learning_rate=self.learning_rate),
            batch=self.batch_size,
            steps=self.steps or 0,
            limits=STEPS,
        )


class CNNBiGRUClassifier(NeuralFlowClassifier):
    """Convolutions and a bidirectional GRU over a flow's features (P1): channels (128, 64), hidden (64, 32)."""

    _network = "cnn_bigru"


class CNNBiLSTMClassifier(NeuralFlowClassifier):
    """Convolutions and a bidirectional LSTM: channels (128, 64), hidden (64, 32)."""

    _network = "cnn_bilstm"


class BiLSTMBiGRUClassifier(NeuralFlowClassifier):
    """A bidirectional LSTM and a bidirectional GRU: no channels, hidden (64, 32)."""

    _network = "bilstm_bigru"


class BiLSTMClassifier(NeuralFlowClassifier):
    """Two bidirectional LSTMs: no channels, hidden (64, 32)."""

    _network = "bilstm"
