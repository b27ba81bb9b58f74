"""Shapley values of a trained detector on test rows, as a run keeps them in `shap.json`."""

from pathlib import Path
from typing import Any

import numpy as np

from nids_jax import store
from nids_jax.classifiers.base import Classifier
from nids_jax.classifiers.neural import NeuralClassifier
from nids_jax.data.scaling import Scaler
from nids_jax.data.split import Split
from nids_jax.evaluation import explain, shapley
from nids_jax.evaluation.explain import Explanation

TREES = ("random_forest", "extra_trees", "forests", "xgboost", "decision_tree")  # whose values are exact


def explained(classifier: Classifier, scaler: Scaler, split: Split, rows: np.ndarray, samples: int) -> Explanation:
    """Shapley values of test rows (their numbers in the split's test table), against the training rows.

    Args:
      classifier: neural, or made of trees, trained on rows of every class.
      samples: predictions for each row, of a neural one; at least four times the columns are made.
    """
    background, x = scaler.transform(split.train.x), scaler.transform(split.test.x[rows])
    if not isinstance(classifier, NeuralClassifier):
        return shapley.of_trees(classifier, background, x)
    return shapley.estimate(
        classifier.predict_proba,
        background,
        x,
        samples=max(samples, 4 * x.shape[1]),
        masked=classifier.predict_masked,
    )


def keep_explanations(
    explanation: Explanation, single: Explanation, scaler: Scaler, split: Split, rows: np.ndarray, path: Path
) -> dict[str, Any]:
    """Write the mean |φ| of an explanation, and single rows (their numbers in the split's test table); what is written.

    Args:
      single: the explanation of `rows`.
    """
    test = split.test
    # One-hot columns explain themselves in scaled values; a number is shown as it was measured.
    plain = len(scaler.columns) == len(test.features)
    raw = test.x[rows] if plain else scaler.transform(test.x[rows])
    local = explain.local_explanations(single, test.y[rows], raw, test.classes)
    content = explain.as_json(scaler.columns, test.classes, explanation, local)
    store.write_json(path, content)
    return content


def shown_error(explanation: Explanation) -> str:
    """How far the values may be off, for people."""
    error = explanation.relative_error
    return "Shapley values exact" if not error else f"standard error of a Shapley value {error:.0%} of their size"
