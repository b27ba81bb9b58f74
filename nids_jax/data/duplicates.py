"""Which rows repeat an earlier one exactly."""

import numpy as np

_ROWS = 8192  # hashed at once: small enough for the cache


def repeats(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """Mask [n] of the rows that equal an earlier row in every feature and, where given, in the label.

    Rows are grouped by a 64-bit hash of their features and compared value by value within a group, so that the answer
    is exact; 0.0 equals -0.0, and NaN equals nothing.

    Args:
      x: features [n, d].
      y: labels [n], or None to compare the features alone.
    """
    group = first_equal(x)
    if y is None:
        return group != np.arange(len(x))
    # Rows with equal features share `group`; a row repeats an earlier one if the pair (group, label) came before.
    labels = np.asarray(y, np.int64)
    _, first = np.unique(group * (labels.max(initial=0) + 1) + labels, return_index=True)
    mask = np.ones(len(x), bool)
    mask[first] = False
    return mask


def first_equal(x: np.ndarray) -> np.ndarray:
    """For each row of `x` [n, d] the index [n] of the first row that equals it (its own where none is earlier)."""
    n = len(x)
    first = np.arange(n)
    hashes = _hash_rows(x)
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.r_[True, hashes[order][1:] != hashes[order][:-1]][:n])
    leader = np.repeat(order[starts], np.diff(np.r_[starts, n]))  # first row with the same hash
    later = leader != order
    rows, leaders = order[later], leader[later]
    differing: list[int] = []
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        equal = (x[rows[part]] == x[leaders[part]]).all(axis=1)
        first[rows[part][equal]] = leaders[part][equal]
        differing += rows[part][~equal].tolist()
    seen: dict[bytes, int] = {}  # two different rows with one hash: once in 2^64 pairs, or NaN
    for row in sorted(differing):
        if not np.isnan(x[row]).any():
            first[row] = seen.setdefault((x[row] + 0.0).tobytes(), row)
    return first


def _hash_rows(x: np.ndarray) -> np.ndarray:
    """Σ_j mix(bits of x_j) · c_j mod 2^64 with odd random c_j, for each row: [n, d] → [n] uint64."""
    factors = np.random.default_rng(0).integers(0, 2**63, x.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(x), np.uint64)
    for start in range(0, len(x), _ROWS):
        bits = (np.asarray(x[start : start + _ROWS], np.float64) + 0.0).view(np.uint64)  # + 0.0 turns -0.0 into 0.0
        mixed = (bits ^ (bits >> np.uint64(32))) * factors
        hashes[start : start + _ROWS] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
    return hashes
