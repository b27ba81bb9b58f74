"""Trees of scikit-learn and XGBoost, as they come out of training, → `Forest`."""

import json
from typing import Any

import numpy as np

from nids_jax.bundle.forest import Forest, float32_below, float32_not_above

_LIGHTEST = np.float32(1e-30)  # training weight of a node: not 0, which could not be divided by


def of_trees(trees: list[Any]) -> Forest:
    """Fitted scikit-learn decision trees of the same classes, whose probabilities are averaged."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "cover")}
    shares, roots, start, leaves = [], [], 0, 0
    for each in trees:
        tree = each.tree_
        inner = tree.children_left >= 0
        ends = np.flatnonzero(~inner)
        value = np.zeros(tree.node_count, np.int64)
        own = tree.value[ends, 0]
        # Most leaves hold one class, and many the same shares: each is kept once.
        own, place = np.unique(own / own.sum(axis=1, keepdims=True), axis=0, return_inverse=True)
        value[ends] = leaves + place.ravel()
        shares.append(own)
        parts["feature"].append(np.where(inner, tree.feature, -1))
        parts["threshold"].append(np.where(inner, float32_not_above(np.where(inner, tree.threshold, 0)), 0))
        parts["left"].append(np.where(inner, tree.children_left + start, value))
        parts["right"].append(np.where(inner, tree.children_right + start, value))
        parts["cover"].append(np.maximum(tree.weighted_n_node_samples.astype(np.float32), _LIGHTEST))
        roots.append(start)
        start += tree.node_count
        leaves += len(own)
    values, place = np.unique(np.concatenate(shares), axis=0, return_inverse=True)
    place = place.ravel()
    nodes = {name: np.concatenate(each) for name, each in parts.items()}
    leaf = nodes["feature"] < 0
    for side in ("left", "right"):
        nodes[side][leaf] = place[nodes[side][leaf]]
    classes = values.shape[1]
    return Forest(
        link="mean",
        **_typed(nodes),
        roots=np.array(roots, np.int32),
        output=np.full(len(roots), -1, np.int32),
        values=np.ascontiguousarray(values, np.float64),
        base=np.zeros(classes),
    )


def of_boosting(model: Any, classes: int) -> Forest:
    """A fitted `XGBClassifier` of trees (two classes: the margin is that of the second)."""
    booster = model.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    info = learner["gradient_booster"]["model"]["tree_info"]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "cover")}
    values, roots, start = [], [], 0
    for tree in trees:
        left, right = (np.array(tree[name], np.int64) for name in ("left_children", "right_children"))
        split = np.array(tree["split_conditions"], np.float32)  # of a leaf its value
        inner = left >= 0
        number = len(values) + np.cumsum(~inner) - 1
        values += split[~inner].tolist()
        parts["feature"].append(np.where(inner, np.array(tree["split_indices"], np.int64), -1))
        parts["threshold"].append(np.where(inner, float32_below(split), np.float32(0)))
        parts["left"].append(np.where(inner, left + start, number))
        parts["right"].append(np.where(inner, right + start, number))
        parts["cover"].append(np.maximum(np.array(tree["sum_hessian"], np.float32), _LIGHTEST))
        roots.append(start)
        start += len(left)
    output = np.array(info, np.int32) + (1 if classes == 2 else 0)
    # What the model adds to every margin is what is left of one once the trees' part is taken away.
    forest = Forest(
        link="softmax",
        **_typed({name: np.concatenate(each) for name, each in parts.items()}),
        roots=np.array(roots, np.int32),
        output=output,
        values=np.array(values, np.float64)[:, None],
        base=np.zeros(classes),
    )
    return _with_base(forest, booster)


def _with_base(forest: Forest, booster: Any) -> Forest:
    """The forest with the constants of the booster's margins, told from its margins of one row."""
    from dataclasses import replace

    import xgboost

    row = np.zeros((1, booster.num_features()), np.float32)
    margins = np.atleast_2d(booster.predict(xgboost.DMatrix(row), output_margin=True)).astype(np.float64)
    if forest.classes == 2:
        margins = np.array([[0.0, margins.ravel()[0]]])
    wide = np.zeros((1, max(int(forest.feature.max()) + 1, 1)), np.float32)
    return replace(forest, base=(margins - forest.sums(wide))[0])


def _typed(nodes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    kinds = {"threshold": np.float32, "cover": np.float32}
    return {name: np.ascontiguousarray(array, kinds.get(name, np.int32)) for name, array in nodes.items()}
