"""Classifiers of other packages: scikit-learn's and their like, or a specification."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from nids_jax.classifiers.base import ClassifierOptions, ClassifierSpec
from nids_jax.classifiers.neural import repeated
from nids_jax.classifiers.shallow import class_weights
from nids_jax.errors import InputError
from nids_jax.plugins import Plugin

GROUP = "nids_jax.classifiers"


def spec_of(plugin: Plugin) -> ClassifierSpec:
    """The specification of a classifier that another package brings.

    Raises:
      InputError: it is neither a specification nor a class with the methods of a classifier.
    """
    if isinstance(plugin.found, ClassifierSpec):
        return replace(plugin.found, name=plugin.name or plugin.found.name)
    plugin.methods(("fit", "predict_proba"))
    return ClassifierSpec(
        name=plugin.name or plugin.found.__name__,
        make=lambda options: ForeignClassifier(plugin, options),
        summary=f"{plugin.source}, a plug-in",
    )


class ForeignClassifier:
    """A class with `fit(x, y)` and `predict_proba(x)`; what it gives is checked.

    It gets labels without gaps, and a `random_state` if it has that parameter.  Weights are handed over if `fit` takes
    `sample_weight`; else heavy rows are repeated.

    Fitted attributes: `classes_` [c], `model_` (the other package's).
    """

    def __init__(self, plugin: Plugin, options: ClassifierOptions):
        self._plugin, self._options = plugin, options

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """x [n, d] scaled rows, y [n] integer labels, weights [n].

        Raises:
          InputError: the class cannot be made, or failed.
        """
        self.classes_, codes = np.unique(y, return_inverse=True)
        chosen, weights = class_weights(self._options), sample_weight
        if chosen is not None:
            weights = compute_sample_weight(chosen, y) * (1.0 if weights is None else weights)
        self.model_ = self._plugin.make(random_state=self._options.seed)
        with self._plugin.speaking("`fit`"):
            if weights is None:
                self.model_.fit(x, codes)
            elif has_fit_parameter(self.model_, "sample_weight"):
                self.model_.fit(x, codes, sample_weight=weights)
            else:
                rows, _ = repeated(np.asarray(weights, np.float64))
                self.model_.fit(x[rows], codes[rows])
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """x [n, d] → probabilities [n, c].

        Raises:
          InputError: the class failed, or gave something else.
        """
        with self._plugin.speaking("`predict_proba`"):
            found: Any = np.asarray(self.model_.predict_proba(x), np.float64)
        if found.shape != (len(x), len(self.classes_)) or not np.isfinite(found).all():
            raise InputError(
                f"{self._plugin.source} gave probabilities of shape {found.shape}, or some that are not finite;"
                f" {(len(x), len(self.classes_))} were asked for"
            )
        return found
