"""Small models for the tests, made of simulated rows."""

from functools import lru_cache

import numpy as np

from nids_jax.bundle.model import Model
from nids_jax.data.table import FlowTable
from nids_jax.modelling.job import train

FEATURES = ("flow_duration", "total_fwd_packets", "packet_length_mean", "protocol", "syn_flag_count")


def rows(each: int = 40, seed: int = 0) -> FlowTable:
    """Three classes that differ in every column; `protocol` is a category, `syn_flag_count` never varies."""
    draws = np.random.default_rng(seed)
    parts = []
    for label in range(3):
        numbers = draws.lognormal([8 + 2 * label, 1 + label, 4 - label], 0.6, (each, 3))
        protocol = draws.choice(3, each, p=np.roll([0.8, 0.1, 0.1], label))
        parts.append(np.column_stack([numbers, protocol, np.ones(each)]))
    return FlowTable(
        x=np.concatenate(parts),
        y=np.repeat(np.arange(3, dtype=np.int32), each),
        features=FEATURES,
        classes=("BENIGN", "Scan", "Worm"),
        categories={"protocol": ("1", "17", "6")},
    )


@lru_cache
def model(detector: str = "random_forest") -> Model:
    """A model of these rows."""
    return train(rows(), detector=detector, folds=2, meter="corrected")
