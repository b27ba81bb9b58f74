"""SHAP values of a trained detector on test rows, as a run keeps them in `shap.json`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nids_jax import store
from nids_jax.evaluation import explain
from nids_jax.pipeline.training_sets import TrainingSets


def keep_explanations(predict_proba: Callable[[np.ndarray], np.ndarray], sets: TrainingSets, directory: Path) -> None:
    """Explain some test rows of each class, against the training rows; the first of each class also one by one."""
    preset, test, train = sets.preset, sets.split.test, sets.split.train
    picks = [explain.one_row_per_class(test.y, len(test.classes), seed=turn) for turn in range(preset.shap_rows)]
    rows = np.concatenate(picks)
    explanation = explain.explain(
        predict_proba,
        sets.scaler.transform(train.x),
        sets.test_x[rows],
        clusters=5,
        samples=preset.shap_samples and max(preset.shap_samples, 2 * sets.test_x.shape[1]),
    )
    columns = sets.scaler.columns
    first = slice(0, len(picks[0]))
    # One-hot columns explain themselves in scaled values; a number is shown as it was measured.
    raw = test.x[rows] if len(columns) == len(test.features) else sets.test_x[rows]
    local = explain.local_explanations(
        explain.Explanation(
            values=explanation.values[first], base=explanation.base, predictions=explanation.predictions[first]
        ),
        test.y[rows][first],
        raw[first],
        test.classes,
    )
    content = explain.as_json(columns, test.classes, explain.global_importance(explanation), local)
    store.write_json(directory / "shap.json", content)
