"""Synthetic rows drawn in until they lie as close to the training rows as those lie to each other."""

from typing import Self

import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.generators import cddpm
from nids_jax.generators.base import Generator
from nids_jax.generators.cddpm_config import PRESETS
from nids_jax.generators.neighbours import ClassRows
from nids_jax.generators.spec import GeneratorSpec


class Calibrated:
    """x' = n + s (x − n), x a row of another generator, n the training row of its class that is nearest to x.

    A diffusion model trained on five rows spreads its rows several times as far as real ones lie apart.  s, one number
    for all classes, is the median over training rows of the distance to the nearest other row of the class, over the
    median over synthetic rows of |x − n|; at most 1, and 1 where no class has two rows.  It is found from the training
    rows alone, by leaving one out.
    """

    PROBES = 50  # rows per class by which the generator's spread is judged

    def __init__(self, generator: Generator):
        self.generator = generator

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] scaled rows, y [n] class indices; `factor_` is s."""
        self.generator.fit(x, y, key)
        self.losses_ = getattr(self.generator, "losses_", None)
        self._training = ClassRows(x, y)
        labels = np.repeat(np.unique(y), self.PROBES)
        spread = self._training.away(self.generator.sample(labels, random.stream(key, "probe")), labels)
        wanted = self._training.apart()
        self.factor_ = 1.0 if wanted is None or spread <= wanted else wanted / spread
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d]; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label without a training row.
        """
        labels = np.asarray(labels)
        self._training.check_labels(labels)
        synthetic = self.generator.sample(labels, key)
        anchors = self._training.nearest(synthetic, labels)
        return anchors + np.float32(self.factor_) * (synthetic - anchors)


SPEC = GeneratorSpec(
    name="cddpm_calibrated",
    make=lambda request: Calibrated(cddpm.make(request)),
    summary="CDDPM whose rows are drawn in towards the training rows.",
    family="cddpm",
    presets=PRESETS,
    samples_model_of="cddpm",
    repeated_rows=False,
    compared_in=frozenset({"generator_comparison"}),
)
