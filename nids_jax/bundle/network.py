"""The parameters of a neural detector as named arrays, and back.  Imported for neural models alone: it needs JAX."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from nids_jax.bundle.fields import entry
from nids_jax.classifiers.neural import CrossEntropyObjective, DetectorConfig, NeuralClassifier
from nids_jax.errors import InputError
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.nn.layers import Uniforms
from nids_jax.nn.recurrent import CELLS

_WIDEST, _DEEPEST = 4096, 16


def described(classifier: NeuralClassifier) -> dict[str, Any]:
    """The network's settings as JSON."""
    network: Any = classifier.config.network
    return {
        "channels": [*network.channels],
        "cells": [*network.cells],
        "hidden": [*network.hidden],
        "dropout": network.dropout,
    }


def arrays_of(classifier: NeuralClassifier) -> dict[str, np.ndarray]:
    """The trained parameters by their place in the network, such as `layers.0.forward.kernel`."""
    return {name: np.asarray(leaf, np.float32) for name, leaf in _named(classifier.state_.params).items()}


def restored(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], columns: int, classes: int) -> Any:
    """The classifier with stored settings and parameters.

    Raises:
      InputError: settings that make no network, or arrays of other names, shapes or types than it has.
    """
    network = _config(settings)
    objective = CrossEntropyObjective(network=network, features=columns, classes=classes)
    skeleton = nnx.eval_shape(lambda: objective.build(Uniforms()))
    _, params, rest = nnx.split(skeleton, nnx.Param, ...)
    expected = _named(params)
    if sorted(arrays) != sorted(expected):
        raise InputError("its arrays are not those of its network")
    for name, leaf in expected.items():
        if arrays[name].shape != leaf.shape or arrays[name].dtype != np.float32:
            raise InputError(f"its array {name!r} has shape {arrays[name].shape}, and {leaf.shape} is expected")
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"its array {name!r} holds values that are not finite")
    leaves = [arrays[name] for name in expected]
    filled = jax.tree.unflatten(jax.tree.structure(params), leaves)
    return NeuralClassifier.trained(DetectorConfig(network=network), filled, rest, columns, classes)


def _named(params: nnx.State) -> dict[str, Any]:
    """The leaves of a state by their path, in its order."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        parts = [getattr(key, "key", getattr(key, "idx", getattr(key, "name", None))) for key in path]
        found[".".join(str(part) for part in parts if part != "value")] = leaf
    return found


def _config(settings: Mapping[str, Any]) -> RecurrentConfig:
    channels, cells, hidden = (entry(settings, name, list) for name in ("channels", "cells", "hidden"))
    dropout = entry(settings, "dropout", float)
    for sizes in (channels, hidden):
        if len(sizes) > _DEEPEST or not all(type(size) is int and 0 < size <= _WIDEST for size in sizes):
            raise InputError("its network has sizes that this version cannot build")
    if not all(isinstance(cell, str) and cell in CELLS for cell in cells) or len(cells) != len(hidden) or not cells:
        raise InputError("its network has layers that this version cannot build")
    if not 0 <= dropout < 1 or sorted(settings) != ["cells", "channels", "dropout", "hidden"]:
        raise InputError("its network has settings that this version does not know")
    return RecurrentConfig(channels=tuple(channels), cells=tuple(cells), hidden=tuple(hidden), dropout=dropout)
