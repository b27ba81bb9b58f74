"""Which rows have another near them: within a tolerance in every column."""

import numpy as np

from nids_jax.compiled import compiled


def has_near(asked: np.ndarray, known: np.ndarray, tolerance: float) -> np.ndarray:
    """Mask [m] of the rows that some known row is near to: |asked − known| ≤ tolerance in every column.

    The rows asked about are halved where their box is widest, again and again, and each half keeps only those known
    rows that are within `tolerance` of its box.  The time is near-linear in the rows unless whole crowds of them differ
    by about the tolerance in most columns, which leaves little to discard.

    The answer is that of the plain definition in float64, to the last bit: for a ≤ b ≤ c, the rounded c − a is never
    less than the rounded b − a, so that a row beyond `tolerance` of a box is so of everything within.

    Args:
      asked: rows [m, d] of finite float64 values.
      known: rows [n, d] of finite float64 values.
      tolerance: at least 0.
    """
    found = np.zeros(len(asked), np.bool_)
    if len(asked) and len(known):
        _search(np.ascontiguousarray(asked), np.ascontiguousarray(known), float(tolerance), found)
    return found


@compiled
def _search(asked: np.ndarray, known: np.ndarray, tolerance: float, found: np.ndarray) -> None:
    """Set `found` [m] of the rows of `asked` [m, d] that have a row of `known` [n, d] near them."""
    width = asked.shape[1]
    rows, candidates = np.arange(len(asked)), np.arange(len(known))
    low, high = np.empty(width), np.empty(width)
    # What is left to do: rows[start:stop], of which candidates[:kept] may be near, and the column last halved.  As the
    # larger half waits and the smaller is taken first, no more than log2(m) of them wait.
    waiting = np.empty((65, 4), np.int64)
    waiting[0] = 0, len(asked), len(known), 0
    depth = 1
    while depth:
        depth -= 1
        start, stop, kept, halved = waiting[depth]
        for column in range(width):
            low[column] = high[column] = asked[rows[start], column]
        for place in range(start + 1, stop):
            row = asked[rows[place]]
            for column in range(width):
                low[column] = min(low[column], row[column])
                high[column] = max(high[column], row[column])
        # A part only moves its own candidates to and fro within their places, so those of the parts that wait stay.
        near, whole = 0, False
        for place in range(kept):
            row = known[candidates[place]]
            if row[halved] - high[halved] > tolerance or low[halved] - row[halved] > tolerance:
                continue
            within, whole = True, True
            for column in range(width):
                above, below = row[column] - low[column], high[column] - row[column]
                if -above > tolerance or -below > tolerance:
                    within = whole = False
                    break
                whole = whole and above <= tolerance and below <= tolerance
            if whole:  # near to everything in the box
                break
            if within:
                candidates[place], candidates[near] = candidates[near], candidates[place]
                near += 1
        if whole:
            for place in range(start, stop):
                found[rows[place]] = True
            continue
        if not near:
            continue
        halved = 0
        for column in range(1, width):
            if high[column] - low[column] > high[halved] - low[halved]:
                halved = column
        middle = low[halved] / 2 + high[halved] / 2
        if middle >= high[halved]:  # neighbouring floats have no middle
            middle = low[halved]
        cut = start
        for place in range(start, stop):
            if asked[rows[place], halved] <= middle:
                rows[place], rows[cut] = rows[cut], rows[place]
                cut += 1
        larger, smaller = (start, cut), (cut, stop)
        if stop - cut > cut - start:
            larger, smaller = smaller, larger
        waiting[depth] = larger[0], larger[1], near, halved
        waiting[depth + 1] = smaller[0], smaller[1], near, halved
        depth += 2
