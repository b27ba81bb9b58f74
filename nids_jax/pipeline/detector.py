"""One detector: trained on a training set, tested, and what a record says of that."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nids_jax.classifiers.base import Classifier, ClassifierOptions
from nids_jax.classifiers.neural import EarlyStopping
from nids_jax.classifiers.registry import make_classifier
from nids_jax.data.table import FlowTable
from nids_jax.evaluation.metrics import attack_recall, confusion, detection_metrics
from nids_jax.evaluation.redraws import redraws
from nids_jax.pipeline.training_sets import TrainingRows
from nids_jax.runtime import CompileClock


class Fitted(NamedTuple):
    """A trained classifier, and how long its training took (`run` and `compile`)."""

    classifier: Classifier
    seconds: Mapping[str, float]


def fit(name: str, options: ClassifierOptions, rows: TrainingRows, clock: CompileClock) -> Fitted:
    """Train the classifier called `name` on scaled rows.

    Raises:
      InputError: an unknown classifier, or rows that it refuses.
      TrainingError: its training diverged.
    """
    with clock.timed() as seconds:
        # Two arguments where all rows count alike: a classifier of one's own need not know weights.
        weights = () if rows.weights is None else (rows.weights,)
        classifier = make_classifier(name, options).fit(rows.x, rows.y, *weights)
    return Fitted(classifier, seconds)


def probabilities(classifier: Classifier, x: np.ndarray, classes: int) -> np.ndarray:
    """P(class | row) of scaled rows x [n, d] → [n, classes]; 0 for a class without training rows."""
    known = classifier.predict_proba(x)
    found = np.zeros((len(x), classes), known.dtype)
    found[:, np.asarray(classifier.classes_, int)] = known
    return found


def test(
    fitted: Fitted, x: np.ndarray, table: FlowTable, clock: CompileClock, shares: np.ndarray | None
) -> dict[str, Any]:
    """What a record says of a detector on a table, but for its key: metrics, seconds, classes, confusion matrix.

    Args:
      x: the table's rows, scaled.
      shares: of each class, what share of the rows that splits draw from these are (`Split.test_shares`), for figures
        on test rows drawn again; None: none, where splits fill the table or share no test rows.
    """
    with clock.timed() as testing:
        scores = probabilities(fitted.classifier, x, len(table.classes))
    metrics = detection_metrics(table.y, scores, table.classes, table.benign)
    if table.benign is not None:
        metrics |= attack_recall(table.y, scores, table.classes, table.benign)
    redrawn = {} if shares is None else redraws(table.y, scores, table.classes, table.benign, shares)
    return {
        "metrics": metrics,
        **({"redraws": redrawn} if redrawn else {}),
        "timing": {
            "compile_s": fitted.seconds["compile"] + testing["compile"],
            "fit_s": fitted.seconds["run"],
            "classify_s": testing["run"],
        },
        "rows": {"test": len(table)},
        "classes": list(table.classes),
        "confusion": confusion(table.y, scores, table.classes).tolist(),
    }


def with_training(record: dict[str, Any], rows: TrainingRows) -> dict[str, Any]:
    """The record with what is to be said of the training set: its rows, seconds, and the synthetic rows' fidelity."""
    timing = {**record["timing"], **rows.timing}
    timing["compile_s"] += rows.timing["generator_compile_s"]
    counts = {"train": len(rows.y) - rows.synthetic, "generated": rows.synthetic, **record["rows"]}
    added = {"fidelity": rows.fidelity} if rows.fidelity else {}
    return {**record, "timing": timing, "rows": counts, **added}


def tuned(
    config: Any,
    rate: float | None = None,
    steps: int | None = None,
    early_stopping: bool = False,
    epochs: int | None = None,
) -> Any:
    """A neural detector's settings with another learning rate, with other steps at a falling rate, stopped early.

    `epochs` passes over the rows take the place of the settings' own steps and of limits on them.
    """
    if epochs:
        config = replace(config, epochs=epochs, steps=0, limits=(0, 0))
    if steps:
        config = replace(config, steps=steps, optimiser=replace(config.optimiser, learning_rate=3e-3, decay=True))
    if rate:
        config = replace(config, optimiser=replace(config.optimiser, learning_rate=rate))
    return replace(config, early_stopping=EarlyStopping()) if early_stopping else config
