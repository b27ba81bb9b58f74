"""What a model says of some flows, beside what names them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nids_jax.bundle.explanation import Contribution
from nids_jax.bundle.model import Model
from nids_jax.detection.observed import Observed


@dataclass(frozen=True, kw_only=True)
class Judged:
    """`n` flows and their verdicts."""

    observed: Observed
    names: Sequence[str]  # [n] the class of each
    probability: np.ndarray  # [n] of that class
    score: np.ndarray  # [n] probability of an attack, whichever
    alert: np.ndarray  # [n] bool
    unknown: np.ndarray  # [n] bool: less certain than nearly all rows of classes that the model knows
    incomplete: np.ndarray  # [n] bool: a value was missing, and the training rows' median stood in
    reasons: Sequence[Sequence[Contribution]] | None  # of alerts: what speaks for the class, strongest first
    row: np.ndarray | None  # [n] of a table: the number of its data row, from 1 on


def judge(
    model: Model,
    x: np.ndarray,
    observed: Observed,
    *,
    max_false_positives: float,
    reasons: int = 0,
    row: np.ndarray | None = None,
) -> Judged:
    """The model's verdicts on raw rows x [n, d] in its own order.

    Args:
      max_false_positives: share of benign flows that may raise an alert.
      reasons: features to name for each alert.
    """
    found = model.verdicts(x, max_false_positives)
    why: list[Sequence[Contribution]] | None = None
    if reasons:
        alerts = np.flatnonzero(found.alert)
        explained = iter(model.explain(x[alerts], reasons, found.label[alerts]) if len(alerts) else ())
        why = [next(explained) if alert else () for alert in found.alert.tolist()]
    return Judged(
        observed=observed,
        names=[model.classes[label] for label in found.label.tolist()],
        probability=found.probability,
        score=found.score,
        alert=found.alert,
        unknown=found.unknown,
        incomplete=found.incomplete,
        reasons=why,
        row=row,
    )
