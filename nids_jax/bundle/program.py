"""A model as one StableHLO program: raw rows in, probabilities out, scaler included; it runs without this package.

    import jax, numpy as np
    jax.config.update("jax_enable_x64", True)
    with open("model/model.stablehlo", "rb") as file:
        program = jax.export.deserialize(bytearray(file.read()))
    probabilities = program.call(np.asarray(rows, np.float64))   # [n, features] → [n, classes]

Rows are finite numbers in the order of `features` in model.json.  The numbers are those of the package to the last
digits: the scaler and the trees' sums are computed in float64, as there.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nids_jax.bundle.forest import Forest
from nids_jax.bundle.model import Model
from nids_jax.bundle.parts import Network, Trees
from nids_jax.data.scaling import Minmax, Quantile, Scaler, SignedLog, Zscore

PLATFORMS = ("cpu", "cuda")


def export(model: Model) -> bytes:
    """The program, for any number of rows, on CPUs and on CUDA."""
    with jax.enable_x64(True):
        (rows,) = jax.export.symbolic_shape("rows")
        given = jax.ShapeDtypeStruct((rows, len(model.features)), jnp.float64)

        def probabilities(x: Array) -> Array:
            z = scaled(model.scaler, x)
            return sum(_part(part, z) for part in model.parts) / len(model.parts)  # pyright: ignore[reportReturnType]

        return bytes(jax.export.export(jax.jit(probabilities), platforms=PLATFORMS)(given).serialize())


def scaled(scaler: Scaler, x: Array) -> Array:
    """`Scaler.transform` of raw rows x [n, d] float64, in JAX: [n, width] float32."""
    numeric = [place for place, names in enumerate(scaler.categories) if not names]
    z = _numbers(scaler.numeric, x[:, np.array(numeric, int)])
    where = {place: column for column, place in enumerate(numeric)}
    parts = []
    for place, names in enumerate(scaler.categories):
        if names:
            parts.append(jnp.where(x[:, place, None] == np.arange(len(names)), 1.0, -1.0))
        else:
            parts.append(z[:, where[place], None])
    largest = float(np.finfo(np.float32).max)
    return jnp.clip(jnp.concatenate(parts, axis=1), -largest, largest).astype(jnp.float32)


def _numbers(scaler: Any, x: Array) -> Array:
    if isinstance(scaler, SignedLog):
        x = jnp.sign(x) * jnp.log1p(jnp.abs(x))
    if isinstance(scaler, Minmax | Zscore):
        varies = scaler.spread > 0
        return jnp.where(varies, (x - scaler.centre) / np.where(varies, scaler.spread, 1.0), 0.0)
    assert isinstance(scaler, Quantile)
    columns = []
    for place, (values, scores) in enumerate(zip(scaler.values, scaler.scores, strict=True)):
        column = x[:, place]
        if len(values) == 1:
            columns.append(jnp.zeros_like(column))
            continue
        slope = max(float((values[-1] - values[0]) / (scores[-1] - scores[0])), float(np.finfo(float).tiny))
        beyond = jnp.where(column > values[-1], column - values[-1], jnp.minimum(column - values[0], 0))
        tail = jnp.sign(beyond) * jnp.log1p(jnp.abs(beyond) / slope)
        columns.append(jnp.interp(column, values, scores) + tail)
    return jnp.stack(columns, axis=1)


def _part(part: Any, z: Array) -> Array:
    if isinstance(part, Trees):
        return _trees(part.forest, z)
    assert isinstance(part, Network)
    from nids_jax.classifiers.neural import CrossEntropyObjective
    from nids_jax.training import loop

    classifier = part.classifier
    objective = CrossEntropyObjective(
        network=classifier.config.network, features=len(part.places), classes=len(classifier.classes_)
    )
    params, rest = jax.tree.map(np.asarray, (classifier.state_.params, classifier.state_.rest))
    network = loop.network(objective, params, rest)
    return jax.nn.softmax(network(z[:, part.places]).astype(jnp.float32), axis=1).astype(jnp.float64)


def _trees(forest: Forest, z: Array) -> Array:
    """`Forest.predict_proba`, tree by tree: every row steps from node to node until all have reached a leaf."""
    feature, threshold, left, right = (
        jnp.asarray(array) for array in (forest.feature, forest.threshold, forest.left, forest.right)
    )
    values = np.zeros((len(forest.values), forest.classes))
    wide = forest.values.shape[1] == forest.classes
    values[:, : forest.values.shape[1]] = forest.values
    table = jnp.asarray(values)

    def tree(sums: Array, place: tuple[Array, Array]) -> tuple[Array, None]:
        root, output = place

        def step(node: Array) -> Array:
            column = feature[node]
            x = jnp.take_along_axis(z, jnp.maximum(column, 0)[:, None], axis=1)[:, 0]
            onward = jnp.where(x <= threshold[node], left[node], right[node])
            return jnp.where(column >= 0, onward, node)

        start = jnp.full(z.shape[:1], root, jnp.int32)
        node = jax.lax.while_loop(lambda node: jnp.any(feature[node] >= 0), step, start)
        leaf = table[left[node]]
        if not wide:  # one number, for one class
            leaf = leaf[:, :1] * (jnp.arange(forest.classes) == output)
        return sums + leaf, None

    base = jnp.zeros((z.shape[0], 1)) + jnp.asarray(forest.base)
    sums, _ = jax.lax.scan(tree, base, (jnp.asarray(forest.roots), jnp.asarray(forest.output)))
    return sums / len(forest.roots) if forest.link == "mean" else jax.nn.softmax(sums, axis=1)
