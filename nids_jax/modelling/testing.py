"""Rows tested by models that were not trained on them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.modelling.evaluation import HeldOut
from nids_jax.modelling.fitting import Fitter
from nids_jax.modelling.folds import ALWAYS_TRAINED, cross_validation

Say = Callable[[str], object]


def silent(line: str) -> None:
    """Tells nobody."""


def cross_validated(fitter: Fitter, table: FlowTable, count: int, seed: int, say: Say = silent) -> HeldOut:
    """Every row tested by a model of the other folds' rows, but for classes whose rows are all equal.

    Raises:
      InputError: nothing can be tested, or rows that the fitter refuses.
      TrainingError: a training diverged.
    """
    folds = cross_validation(table.x, table.y, count, seed)
    if folds.untested:
        names = ", ".join(table.classes[k] for k in folds.untested)
        say(f"warning: {names}: fewer than two different rows, so these are only trained on, never tested")
    p = np.zeros((len(table), len(table.classes)))
    for number in range(count):
        own = folds.fold == number
        if own.any():
            say(f"fold {number + 1} of {count}: {int((~own).sum()):,} rows train, {int(own.sum()):,} are tested")
            p[own] = tested(fitter, table.take(~own), table.x[own])
    kept = folds.fold != ALWAYS_TRAINED
    benign = table.classes.index(table.benign or "")
    return HeldOut(y=table.y[kept], p=p[kept], fold=folds.fold[kept], classes=table.classes, benign=benign)


def tested(fitter: Fitter, train: FlowTable, x: np.ndarray) -> np.ndarray:
    """P(class | row) of raw rows x [n, d] by a model of the training rows: [n, classes], 0 for classes without any.

    Raises:
      InputError: the training rows are all benign, or none is.
    """
    known = [k for k, count in enumerate(train.counts.values()) if count or fitter.without_attacks]
    names = tuple(train.classes[k] for k in known)
    if train.benign not in names or len(names) < 2:
        raise InputError(
            f"the rows to train on are all of {', '.join(names)}: both benign and attack rows are needed; add some, or"
            " use `split=folds`"
        )
    augmented = tuple(place for place, k in enumerate(known) if k in fitter.augmented)
    fitted = replace(fitter, augmented=augmented).fit(train.regroup({name: name for name in names}, names))
    p = np.zeros((len(x), len(train.classes)))
    p[:, known] = fitted.probabilities(x)
    return p
