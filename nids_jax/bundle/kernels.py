"""Compiled loops over trees: probabilities of many rows, Shapley values of a few.

A tree is a range of nodes.  At node i a row goes to `left[i]` if its column `feature[i]` is at most `threshold[i]`,
else to `right[i]`; a node with feature −1 is a leaf, and `left` says which row of `values` it gives.  Children come
after their parents.
"""

import numpy as np

from nids_jax.compiled import compiled, inlined


@inlined
def _child(x, i, nodes, thresholds, node, f):  # pragma: no cover (compiled)
    return nodes[node, 2 + (0 if x[i, f] <= thresholds[node, 1] else 1)]


@inlined
def _add(values, leaf, k, sums, i):  # pragma: no cover (compiled)
    if k >= 0:
        sums[i, k] += values[leaf, 0]
    else:
        for c in range(sums.shape[1]):
            sums[i, c] += values[leaf, c]


@compiled
def add_leaves(x, nodes, thresholds, roots, output, values, sums):  # pragma: no cover (compiled)
    """Add each tree's leaf to sums [n, c]: a whole row of values [k, c], or with output[t] ≥ 0 one number to a class.

    Tree by tree, so that a tree stays in the cache while all rows x [n, d] float32 go through it; four rows at once, so
    that the processor works on three of them while it waits for a node of the fourth.

    Args:
      nodes: [nodes, 4] int32: feature, the bits of the threshold, left, right.
      thresholds: the same bytes as float32.
    """
    n = len(x)
    for t in range(len(roots)):
        k, root = output[t], roots[t]
        first = nodes[root, 0]
        i = 0
        while i + 4 <= n:
            a = b = c = d = root
            fa = fb = fc = fd = first
            while fa >= 0 or fb >= 0 or fc >= 0 or fd >= 0:
                if fa >= 0:
                    a = _child(x, i, nodes, thresholds, a, fa)
                    fa = nodes[a, 0]
                if fb >= 0:
                    b = _child(x, i + 1, nodes, thresholds, b, fb)
                    fb = nodes[b, 0]
                if fc >= 0:
                    c = _child(x, i + 2, nodes, thresholds, c, fc)
                    fc = nodes[c, 0]
                if fd >= 0:
                    d = _child(x, i + 3, nodes, thresholds, d, fd)
                    fd = nodes[d, 0]
            _add(values, nodes[a, 2], k, sums, i)
            _add(values, nodes[b, 2], k, sums, i + 1)
            _add(values, nodes[c, 2], k, sums, i + 2)
            _add(values, nodes[d, 2], k, sums, i + 3)
            i += 4
        while i < n:
            a, fa = root, first
            while fa >= 0:
                a = _child(x, i, nodes, thresholds, a, fa)
                fa = nodes[a, 0]
            _add(values, nodes[a, 2], k, sums, i)
            i += 1


@compiled
def shapley(x, k, feature, threshold, left, right, parent, cover, roots, output, values, phi):  # pragma: no cover
    """Add the Shapley values of every tree's output for class k to phi [d], for one row x [d]; returns the base value.

    An absent feature sends the row both ways, in proportion to the training rows that went there (path-dependent Tree
    SHAP).  A leaf of value v whose path tests the features 1 … m contributes to feature i

        v (o_i − z_i) Σ_{S ∌ i} |S|! (m − 1 − |S|)! / m! Π_{j ∈ S} o_j Π_{j ∉ S, j ≠ i} z_j

    with o_j = 1 where x passes all the path's tests of j, else 0, and z_j the product of the shares of training rows
    that pass each.  The sum is got from the polynomial Π_j (z_j + o_j t) by dividing by (z_i + o_i t).
    Source: Lundberg et al., From local explanations to global understanding with explainable AI for trees, 2020.
    """
    base = 0.0
    names = np.empty(len(phi), np.int64)  # a path tests each column once or more
    ones = np.empty(len(phi), np.float64)
    zeros = np.empty(len(phi), np.float64)
    weights = np.empty(len(phi) + 1, np.float64)
    for t in range(len(roots)):
        if output[t] >= 0 and output[t] != k:
            continue
        column = 0 if output[t] >= 0 else k
        stop = roots[t + 1] if t + 1 < len(roots) else len(feature)
        for leaf in range(roots[t], stop):
            if feature[leaf] >= 0:
                continue
            value = values[left[leaf], column]
            if value == 0.0:
                continue
            base += value * cover[leaf] / cover[roots[t]]
            m = 0
            node = leaf
            while node != roots[t]:
                above = parent[node]
                f = feature[above]
                passes = 1.0 if (x[f] <= threshold[above]) == (left[above] == node) else 0.0
                share = cover[node] / cover[above]
                place = 0
                while place < m and names[place] != f:
                    place += 1
                if place == m:
                    names[m] = f
                    ones[m] = 1.0
                    zeros[m] = 1.0
                    m += 1
                ones[place] *= passes
                zeros[place] *= share
                node = above
            # weights[s]: the sum over subsets of s features, with their permutation weights for m features.
            weights[0] = 1.0
            for j in range(m):
                weights[j + 1] = 0.0
                for s in range(j, -1, -1):
                    weights[s + 1] += ones[j] * weights[s] * (s + 1) / (j + 2)
                    weights[s] = zeros[j] * weights[s] * (j + 1 - s) / (j + 2)
            for i in range(m):
                total = 0.0
                if ones[i] != 0.0:
                    following = weights[m]
                    for s in range(m - 1, -1, -1):
                        part = following * (m + 1) / ((s + 1) * ones[i])
                        total += part
                        following = weights[s] - part * zeros[i] * (m - s) / (m + 1)
                else:
                    for s in range(m - 1, -1, -1):
                        total += weights[s] * (m + 1) / (zeros[i] * (m - s))
                phi[names[i]] += value * total * (ones[i] - zeros[i])
    return base
