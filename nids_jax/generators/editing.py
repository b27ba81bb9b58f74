"""Variations of the training rows: noised in part and denoised by a diffusion model (SDEdit, Meng et al. 2022)."""

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.generators import cddpm
from nids_jax.generators.cddpm_config import PRESETS, CDDPMConfig
from nids_jax.generators.diffusion_model import DiffusionModel
from nids_jax.generators.neighbours import ClassRows
from nids_jax.generators.spec import GeneratorSpec, Request
from nids_jax.generators.transfer import AdaptationConfig, Adapted


class Edited:
    """Row i is a training row of its class, drawn by (key, i), noised to a level t_0 and denoised from there.

    t_0 sets how far the rows go, from copies to plain samples.  It is the highest level of the sampler from which the
    rows come out no farther from the nearest training row of their class than training rows lie from the nearest other
    one (medians): found from the training rows alone, by leaving one out, as `Calibrated` finds its factor.  Where
    training rows have no neighbour, or every level leads too far, it is the lowest.
    """

    PROBES = 20  # rows per class by which a level is judged

    def __init__(self, model: DiffusionModel):
        self.model = model

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """x [n, d] scaled rows, y [n] class indices; `levels_` counts the sampler's levels from t_0 down."""
        self.model.fit(x, y, key)
        self.losses_ = self.model.losses_
        self._training = ClassRows(x, y)
        labels = np.repeat(np.unique(y), self.PROBES)
        probe, wanted = random.stream(key, "probe"), self._training.apart()
        # Rows go farther the higher they start, so the highest level that will do is found by bisection.
        config = self.model.config
        self.levels_, beyond = 1, config.sampler.levels_in(config.schedule) + 1
        while wanted is not None and beyond - self.levels_ > 1:
            middle = (self.levels_ + beyond) // 2
            near = self._training.away(self._varied(labels, probe, middle), labels) <= wanted
            self.levels_, beyond = (middle, beyond) if near else (self.levels_, middle)
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d]; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label without a training row.
        """
        return self._varied(np.asarray(labels, np.int32), key, self.levels_)

    def _varied(self, labels: np.ndarray, key: Array, levels: int) -> np.ndarray:
        self._training.check_labels(labels)
        keys = random.rows(random.stream(key, "seed"), jnp.arange(len(labels)))
        places = np.asarray(jax.vmap(jax.random.uniform)(keys), np.float64)
        seeds = np.empty((len(labels), self.model.features_), np.float32)
        for k, rows in self._training.rows.items():
            mine = labels == k
            seeds[mine] = rows[(places[mine] * len(rows)).astype(int)]
        return self.model.vary(seeds, labels, key, levels=levels)


def _make(request: Request) -> Edited:
    if request.pretrained is None:
        return Edited(cddpm.make(request))
    # The seeds carry the classes, so the pre-trained model is left as it is.
    config = request.settings or CDDPMConfig()
    return Edited(Adapted(config, request.pretrained, AdaptationConfig(steps=0), progress=request.progress))


SPEC = GeneratorSpec(
    name="cddpm_edit",
    make=_make,
    summary="Training rows noised in part and denoised by a CDDPM (SDEdit).",
    family="cddpm",
    presets=PRESETS,
    samples_model_of="cddpm",
    starts_from_auxiliary=True,
)
