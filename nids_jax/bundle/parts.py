"""The parts of a model: each gives probabilities of scaled rows, and the model takes their mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nids_jax.bundle.fields import entry
from nids_jax.bundle.forest import Forest
from nids_jax.errors import InputError


class Part(Protocol):
    """What a model is made of."""

    @property
    def columns(self) -> np.ndarray: ...  # the scaled columns that it looks at
    def predict_proba(self, x: np.ndarray) -> np.ndarray: ...  # scaled [n, width] -> [n, classes]
    def arrays(self) -> dict[str, np.ndarray]: ...
    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Trees:
    """A part made of trees."""

    forest: Forest

    @property
    def columns(self) -> np.ndarray:
        """The scaled columns that any tree looks at."""
        return self.forest.columns

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Scaled rows x [n, width] → [n, classes]."""
        return self.forest.predict_proba(x)

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays."""
        return self.forest.arrays()

    def to_json(self) -> dict[str, Any]:
        """What is to be known beside the arrays."""
        return {"kind": "trees", "link": self.forest.link}


@dataclass(frozen=True, eq=False)
class Network:
    """A part that is a neural network over some of the scaled columns."""

    classifier: Any  # `NeuralClassifier`; its module needs JAX
    places: np.ndarray  # [k] int32 the scaled columns that it reads, in its order
    varying: np.ndarray  # [k] bool: columns that vary in training; the others say nothing

    @property
    def columns(self) -> np.ndarray:
        """The scaled columns that vary among those it reads."""
        return self.places[self.varying]

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Scaled rows x [n, width] → [n, classes]."""
        return np.asarray(self.classifier.predict_proba(x[:, self.places]), np.float64)

    def arrays(self) -> dict[str, np.ndarray]:
        """Its parameters and columns."""
        from nids_jax.bundle.network import arrays_of

        places = {"places": self.places.astype(np.int32), "varying": self.varying.astype(np.uint8)}
        return {**{f"network.{name}": array for name, array in arrays_of(self.classifier).items()}, **places}

    def to_json(self) -> dict[str, Any]:
        """What is to be known beside the arrays."""
        from nids_jax.bundle.network import described

        return {"kind": "network", "network": described(self.classifier)}


def restored(found: Any, arrays: Mapping[str, np.ndarray], columns: int, classes: int) -> Part:
    """A part as stored.

    Args:
      columns: number of scaled columns.

    Raises:
      InputError: a kind that this version does not know, or arrays that do not make it.
    """
    if not isinstance(found, dict):
        raise InputError("it describes no part of a model")
    kind = entry(found, "kind", str)
    if kind == "trees":
        return Trees(Forest.from_arrays(found.get("link"), arrays, columns, classes))
    if kind != "network":
        raise InputError(f"a part of it is of the kind {kind[:40]!r}, which this version does not know")
    from nids_jax.bundle.network import restored as network

    own = dict(arrays)
    places, varying = (own.pop(name, np.zeros(0)) for name in ("places", "varying"))
    fit = places.dtype == np.int32 and varying.dtype == np.uint8 and places.ndim == 1 and places.shape == varying.shape
    if not fit or not len(places) or places.min() < 0 or places.max() >= columns:
        raise InputError("its network reads columns that are not there")
    if not all(name.startswith("network.") for name in own):
        raise InputError("its arrays are not those of its network")
    parameters = {name.removeprefix("network."): array for name, array in own.items()}
    classifier = network(entry(found, "network", dict), parameters, len(places), classes)
    return Network(classifier, places, varying.astype(bool))
