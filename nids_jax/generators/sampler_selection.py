"""Sampler selection: the sampler with the fewest calls of the network whose rows pass for those of ancestral sampling.

The reference takes every step of the schedule (DDPM, P1's algorithm 2).  A classifier two-sample test (C2ST; Lopez-Paz
& Oquab 2017) of the two samplers' rows says whether they are of one distribution; real rows are not needed.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nids_jax.diffusion.samplers import DDIM, DDPM, DPMpp2M, Heun, Sampler, SDEDPMpp2M
from nids_jax.diffusion.schedule import Schedule
from nids_jax.evaluation.fidelity import FOLDS, two_sample_auc

Sample = Callable[[Sampler, int], np.ndarray]  # (sampler, seed) → rows [n, d], of the same labels in the same order

_CANDIDATES: tuple[Sampler, ...] = (
    *(DPMpp2M(steps=n) for n in (5, 8, 12, 20, 50)),
    *(SDEDPMpp2M(steps=n) for n in (5, 6, 8, 10, 12, 20, 50)),
    *(DDIM(steps=n) for n in (10, 20, 50)),
    *(Heun(steps=n) for n in (5, 10)),
    *(DDPM(steps=n) for n in (20, 50, 100)),
)
_QUANTILE = 1.645  # of a standard normal, one-sided 5 %


class Trial(NamedTuple):
    """A sampler's rows against the reference's."""

    sampler: Sampler
    auc: float  # of the C2ST; 0.5: the classifier does not see a difference, 1: it sees one in every row
    threshold: float  # which equal distributions exceed once in twenty times

    @property
    def indistinguishable(self) -> bool:
        """Whether the C2ST finds no difference between the rows."""
        return self.auc <= self.threshold


def reference(schedule: Schedule) -> Sampler:
    """Ancestral sampling with all steps of the schedule."""
    return DDPM(steps=schedule.steps)


def candidates(schedule: Schedule) -> list[Sampler]:
    """The samplers to choose from, those with fewest calls first; the reference last."""
    fitting = [each for each in _CANDIDATES if each.steps < schedule.steps]
    return [*sorted(fitting, key=lambda each: each.calls(schedule)), reference(schedule)]


def compare(rows: np.ndarray, wanted: np.ndarray, sampler: Sampler) -> Trial:
    """The `sampler`'s rows [n, d] against the reference's [n, d].

    The threshold is 0.5 + 1.645 s; s² = (2m + 1)/(12 m² k) is the variance of the mean over k folds of the AUC of m and
    m rows from one distribution (Mann & Whitney 1947).
    """
    m = len(rows) / FOLDS
    deviation = math.sqrt((2 * m + 1) / (12 * m**2 * FOLDS))
    return Trial(sampler, two_sample_auc(wanted, rows), 0.5 + _QUANTILE * deviation)


def select_sampler(sample: Sample, schedule: Schedule) -> Trial:
    """The trial of the first candidate whose rows are indistinguishable from the reference's.

    Where there is none, that of the reference, compared with itself on other noise.
    """
    *fewer, every = candidates(schedule)
    wanted = sample(every, 0)
    for sampler in fewer:
        trial = compare(sample(sampler, 1), wanted, sampler)
        if trial.indistinguishable:
            return trial
    return compare(sample(every, 1), wanted, every)
