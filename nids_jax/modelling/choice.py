"""Which kind of detector: the best of a few by cross-validation on some of the rows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.evaluation.metrics import detection_metrics
from nids_jax.modelling.fitting import Fitter
from nids_jax.modelling.testing import cross_validated

CANDIDATES = ("random_forest", "forests", "xgboost", "cnn_bigru")
ROWS = 300  # of each class at most
FOLDS = 3
RATE = 0.01


def choose(fitter: Fitter, table: FlowTable, seed: int, say: Callable[[str], object]) -> Fitter:
    """The fitter with the detector whose mean of macro F1 and attack recall at 1 % false positives is highest.

    By cross-validation in three parts, on at most ROWS rows of each class; of equal ones the first is taken.

    Raises:
      InputError: rows that cannot be tested on.
      TrainingError: a training diverged.
    """
    draws = np.random.default_rng([seed, 2])
    places = [draws.permutation(np.flatnonzero(table.y == k))[:ROWS] for k in range(len(table.classes))]
    some = table.take(np.sort(np.concatenate(places)))
    say(f"choosing a detector by {FOLDS}-fold cross-validation on {len(some):,} of the rows")
    best, highest = "", -1.0
    for name in CANDIDATES:
        held = cross_validated(replace(fitter, detector=name), some, FOLDS, seed)
        f1 = detection_metrics(held.y, held.p, some.classes, some.benign)["macro_f1"]
        alerts = held.alerts(RATE)
        if alerts is None:
            raise InputError("no benign row could be held out, so detectors cannot be compared; add benign rows")
        recalls = [alerts[held.y == k].mean() for k in np.unique(held.y) if k != held.benign]
        recall = float(np.mean(recalls)) if recalls else 0.0
        say(f"  {name}: macro F1 {f1:.4f}, attack recall at {RATE:.0%} false positives {recall:.4f}")
        if (f1 + recall) / 2 > highest:
            best, highest = name, (f1 + recall) / 2
    say(f"detector: {best}")
    return replace(fitter, detector=best)
