"""CTGAN and TVAE (Xu et al. 2019) as generators, where the package ctgan is installed:
`--generators=benchmarks.rivals.synthesizers:CTGAN_ROWS,benchmarks.rivals.synthesizers:TVAE_ROWS`.

They are trained on scaled rows with their class as one more column, categories as such, by their own defaults.
"""

from typing import Any

import ctgan
import jax
import numpy as np
import pandas as pd

from nids_jax.generators.foreign import coded, one_hot
from nids_jax.generators.spec import GeneratorSpec, Request

_BLOCK = 1024  # labels that are answered from one pool
_POOL = 16_384  # rows of all classes; where a class has too few among them, they are repeated


class Synthesized:
    """A synthesizer of that package; a class's rows are those of what it makes that have the class."""

    def __init__(self, kind: type, request: Request):
        self._kind, self._blocks = kind, request.columns.blocks

    def fit(self, x: np.ndarray, y: np.ndarray, key: Any) -> "Synthesized":
        """x [n, d] scaled rows, y [n] class indices."""
        self._width = x.shape[1]
        codes = coded(x, self._blocks)
        frame = pd.DataFrame(codes, columns=[f"c{place}" for place in range(codes.shape[1])])
        self._names = list(frame.columns)
        discrete = self._names[len(self._names) - len(self._blocks) :]
        frame = frame.astype(dict.fromkeys(discrete, int)).assign(label=y)
        self._model = self._kind()
        self._model.set_random_state(_seed(key))
        self._model.fit(frame, discrete_columns=[*discrete, "label"])
        return self

    def sample(self, labels: np.ndarray, key: Any) -> np.ndarray:
        """labels [m] → rows [m, d]; row i depends on (key, i, labels[i]) alone."""
        found = np.zeros((len(labels), self._width), np.float32)
        for first in range(0, len(labels), _BLOCK):
            wanted = labels[first : first + _BLOCK]
            self._model.set_random_state(_seed(jax.random.fold_in(key, first // _BLOCK)))
            made = self._model.sample(_POOL)
            for label in np.unique(wanted):
                places = np.flatnonzero(wanted == label)
                rows = made.loc[made["label"] == label, self._names].to_numpy(np.float32)
                if not len(rows):
                    raise ValueError(f"none of {_POOL:,} rows is of class {label}")
                found[first + places] = one_hot(rows[places % len(rows)], self._blocks, self._width)
        return found


def _seed(key: Any) -> int:
    return int(np.asarray(jax.random.key_data(key))[-1]) >> 1


def _spec(name: str, kind: type) -> GeneratorSpec:
    return GeneratorSpec(
        name=name, make=lambda request: Synthesized(kind, request), summary=f"{name} (Xu et al. 2019)."
    )


CTGAN_ROWS = _spec("ctgan", ctgan.CTGAN)
TVAE_ROWS = _spec("tvae", ctgan.TVAE)
