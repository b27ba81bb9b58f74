"""Whole numbers with a given sum, least, greatest and standard deviation: what a record says of sizes and of gaps."""

import numpy as np

_CLOSE = 1e-3  # a relative error of the squares that is not worth another number of greatest values


def levels(count: int, total: float, least: float, most: float, std: float, above: int | None = None) -> np.ndarray:
    """`count` whole numbers of these statistics, the greatest first.

    The sum is exact where `least` and `most` allow it, as are the extremes; the deviation is met as nearly as whole
    numbers on a few levels can: some numbers at the greatest value, some at the least, the others at one or two levels
    between.

    Args:
      count: at least 0.
      total: of all; the nearest sum that the extremes allow is taken.
      least, most: of all; NaN where not known.
      std: with count − 1 in the denominator; NaN where not known.
      above: how many lie above the least; None where not known.

    Returns:
      [count] int64, falling.
    """
    if count < 1:
        return np.zeros(0, np.int64)
    mean = total / count
    least = min(np.floor(mean) if np.isnan(least) else np.rint(least), np.floor(mean))
    most = max(np.ceil(mean) if np.isnan(most) else np.rint(most), np.ceil(mean))
    reach = most - least
    if count <= 2 or reach < 1:
        return _summing(np.linspace(most, least, count), total, least, most)
    # Two numbers are the extremes; the others, less the least, have this sum and this sum of squares.
    others, rest = count - 2, total - most - least - (count - 2) * least
    if rest < 0 or rest > others * reach:
        return _summing(np.linspace(most, least, count), total, least, most)
    squares = np.nan if np.isnan(std) else (count - 1) * std**2 + count * (mean - least) ** 2 - reach**2
    top, middle, apart = _middle(others, rest, reach, squares, above)
    values = np.zeros(count)
    values[: 1 + top] = reach
    value = (rest - top * reach) / max(middle, 1)
    values[1 + top : 1 + top + middle] = value
    half = middle // 2
    apart = min(apart, value, reach - value)
    values[1 + top : 1 + top + half] += apart
    values[1 + top + middle - half : 1 + top + middle] -= apart
    return _summing(values + least, total, least, most)


def _middle(others: int, rest: float, reach: float, squares: float, above: int | None) -> tuple[int, int, float]:
    """How many of `others` numbers are at `reach`, how many between it and 0, and how far these are from their mean."""
    room = others if above is None else int(np.clip(above - 1, np.ceil(rest / reach), others))
    if rest <= 0:
        return 0, 0, 0.0
    if np.isnan(squares):
        return 0, room, 0.0
    top = np.arange(min(int(rest // reach), room) + 1)
    left, wanted = rest - top * reach, squares - top * reach**2
    low = np.where(left > 0, np.maximum(np.ceil(left / reach), 1), 0)  # numbers that the sum takes at least
    high = np.maximum(room - top, low)
    if above is None:
        fitting = np.ceil(np.where(wanted > 0, left**2 / np.maximum(wanted, 1e-9), high) - 1e-6)
        middle = np.clip(fitting, low, high)
    else:
        middle = high
    least_squares = np.where(middle > 0, left**2 / np.maximum(middle, 1), 0.0)
    lacking = wanted - least_squares
    value = left / np.maximum(middle, 1)
    widest = np.minimum(value, reach - value) ** 2 * (middle // 2 * 2)
    error = np.abs(lacking - np.clip(lacking, 0, widest)) / max(abs(squares), 1.0)
    error += np.where(top + middle > others, 1.0, 0.0)
    best = int(np.argmax(error <= error.min() + _CLOSE))
    pairs = int(middle[best]) // 2 * 2
    apart = np.sqrt(np.clip(lacking[best], 0, widest[best]) / pairs) if pairs else 0.0
    return int(top[best]), int(middle[best]), float(apart)


def _summing(values: np.ndarray, total: float, least: float, most: float) -> np.ndarray:
    """`values` as whole numbers between the extremes that sum to `total`, falling; the extremes change last."""
    whole = np.clip(np.rint(values), least, most).astype(np.int64)
    missing = int(np.rint(total)) - int(whole.sum())
    inner = np.flatnonzero((whole > least) & (whole < most))
    for places in (inner, np.arange(1, len(whole) - 1), np.arange(len(whole))):
        if not missing or not len(places):
            continue
        room = (most - whole[places]) if missing > 0 else (whole[places] - least)
        share, left = divmod(abs(missing), len(places))
        step = np.minimum(share + (np.arange(len(places)) < left), room).astype(np.int64)
        spare = np.cumsum(room - step) - (room - step)
        step += np.clip(abs(missing) - step.sum() - spare, 0, room - step).astype(np.int64)
        whole[places] += step if missing > 0 else -step
        missing -= int(step.sum()) if missing > 0 else -int(step.sum())
    return np.ascontiguousarray(np.sort(whole)[::-1])
