"""Times of the packets of a conversation whose record has given statistics: a search by annealing.

The gaps between the packets of one side have a known sum, least, greatest and deviation (`levels`), but neither their
order nor how the two sides interleave is known.  The search reorders gaps and moves packets until the statistics of all
gaps, of each side's gaps and of the active and idle times are near those of the record.
"""

import numpy as np

from nids_jax.compiled import compiled
from nids_jax.flows.meter.stream import ACTIVITY_TIMEOUT
from nids_jax.flows.simulate.inverse.levels import levels

# The statistics that are compared, in this order; of active and idle times the mean as well.
STATISTICS = (
    *(f"{family}_iat_{of}" for family in ("flow", "fwd", "bwd") for of in ("max", "min", "std")),
    *(f"{family}_{of}" for family in ("active", "idle") for of in ("mean", "std", "max", "min")),
)
_STEPS, _OPERATIONS = 3000, 4_000_000  # of each search at most; packets looked at in all
_WAYS = (4, 0, 4, 2, 4, 1)  # of beginning a search, see `_start`
_HOT, _COLD = 1.0, 1e-4  # temperatures, first and last
_ENOUGH = 1e-4  # squared relative errors in all: no search goes on below


def timed(
    up: int, down: int, duration: float, up_total: float, down_total: float, wanted: np.ndarray, *, ended: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Times of `up` ≥ 1 packets of the initiator and `down` ≥ 0 of the responder, from the first packet on.

    Args:
      duration: µs.
      up_total, down_total: µs from the first to the last packet of a side; NaN where not known.
      wanted: [len(STATISTICS)], NaN where not known.
      ended: whether a pause before the last packet is no idle time.

    Returns:
      [up] and [down] int64 µs, each rising; the first of `up` is 0.
    """
    duration = int(duration)
    least = int(np.nan_to_num(wanted[1]))  # the first and last packet of a side are not nearer to the other's
    up_total = 0 if up < 2 else duration if np.isnan(up_total) or not down else min(int(up_total), duration)
    down_total = 0 if down < 2 else min(int(0.98 * duration if np.isnan(down_total) else down_total), duration)
    free = up_total == duration  # the responder's first packet may come at any time that leaves room for the others
    if up_total < duration:
        up_total = max(min(up_total, duration - least), 0)
    down_total = max(min(down_total, duration - least * (2 if up_total == duration else 1)), 0)
    begin = duration - down_total
    if free and down:
        begin = int(np.clip(np.nan_to_num(wanted[1], nan=begin / 2), 0, begin))
    gaps_up = levels(up - 1, up_total, wanted[4], wanted[3], wanted[5])
    gaps_down = levels(down - 1, down_total, wanted[7], wanted[6], wanted[8])
    steps = int(np.clip(_OPERATIONS // ((up + down) * len(_WAYS)), 20, _STEPS))
    best_up, best_down = np.zeros(up, np.int64), np.zeros(down, np.int64)
    _search(gaps_up, gaps_down, begin, free, duration, wanted, ended, steps, best_up, best_down)
    return best_up, best_down


@compiled
def _random(state):
    """The next of a sequence of numbers in [0, 1) (xorshift64*)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return np.float64((x * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@compiled
def _error(wanted, got):
    if np.isnan(wanted):
        return 0.0
    difference = np.log1p(got) - np.log1p(wanted)
    return difference * difference


@compiled
def _spread_error(wanted, at, count, total, squares, most, least):
    """The errors of greatest, least and deviation."""
    if count < 1:
        return _error(wanted[at], 0.0) + _error(wanted[at + 1], 0.0) + _error(wanted[at + 2], 0.0)
    deviation = np.sqrt(max(squares - total * total / count, 0.0) / (count - 1)) if count > 1 else 0.0
    return _error(wanted[at], most) + _error(wanted[at + 1], least) + _error(wanted[at + 2], deviation)


@compiled
def _cost(up, down, wanted, ended):
    """Σ (ln (1 + got) − ln (1 + wanted))² over the statistics that are known."""
    cost = 0.0
    for side in range(2):
        times = up if side == 0 else down
        total, squares, most, least = 0.0, 0.0, 0.0, np.inf
        for i in range(1, len(times)):
            gap = np.float64(times[i] - times[i - 1])
            total += gap
            squares += gap * gap
            most, least = max(most, gap), min(least, gap)
        cost += _spread_error(wanted, 3 + 3 * side, len(times) - 1, total, squares, most, least)
    total, squares, most, least = 0.0, 0.0, 0.0, np.inf
    sums = np.zeros((2, 5))  # of active and idle times: how many, total, squares, greatest, least
    sums[:, 4] = np.inf
    i, j, last, since = 1, 0, np.int64(0), np.int64(0)
    while i < len(up) or j < len(down):
        if j >= len(down) or (i < len(up) and up[i] <= down[j]):
            now = up[i]
            i += 1
        else:
            now = down[j]
            j += 1
        gap = np.float64(now - last)
        total += gap
        squares += gap * gap
        most, least = max(most, gap), min(least, gap)
        if gap > ACTIVITY_TIMEOUT and not (ended and i == len(up) and j == len(down)):
            for family in range(2):
                value = np.float64(last - since) if family == 0 else gap
                if value > 0:
                    sums[family, 0] += 1
                    sums[family, 1] += value
                    sums[family, 2] += value * value
                    sums[family, 3] = max(sums[family, 3], value)
                    sums[family, 4] = min(sums[family, 4], value)
            since = now
        last = now
    cost += _spread_error(wanted, 0, len(up) + len(down) - 1, total, squares, most, least)
    for family in range(2):
        n, at = sums[family, 0], 9 + 4 * family
        mean = sums[family, 1] / n if n > 0 else 0.0
        deviation = np.sqrt(max(sums[family, 2] - n * mean * mean, 0.0) / (n - 1)) if n > 1 else 0.0
        cost += _error(wanted[at], mean) + _error(wanted[at + 1], deviation)
        cost += _error(wanted[at + 2], sums[family, 3]) + _error(wanted[at + 3], sums[family, 4] if n > 0 else 0.0)
    return cost


@compiled
def _shuffled(values, state):
    mixed = values.copy()
    for i in range(len(mixed) - 1, 0, -1):
        j = int(_random(state) * (i + 1))
        mixed[i], mixed[j] = mixed[j], mixed[i]
    return mixed


@compiled
def _in_bursts(gaps, longest, bursts, state):
    """Falling `gaps` with the long ones at the ranks `longest`, the others shared out between them; where each lies."""
    short = _shuffled(gaps[bursts:], state)
    ordered, places = np.empty_like(gaps), np.empty(bursts, np.int64)
    at = taken = 0
    for i in range(bursts + 1):
        until = (len(short) * (i + 1)) // (bursts + 1)
        while taken < until:
            ordered[at] = short[taken]
            at, taken = at + 1, taken + 1
        if i < bursts:
            ordered[at] = gaps[longest[i]]
            places[i] = at
            at += 1
    return ordered, places


@compiled
def _start(gaps_up, gaps_down, begin, up, down, way, state):
    """Write first times.

    Gaps are falling (`way` 0), rising (1) or shuffled (2), or the long ones of both sides come together (4).
    """
    first, second = gaps_up, gaps_down
    places_up = places_down = np.empty(0, np.int64)
    if way == 1:
        first, second = gaps_up[::-1].copy(), gaps_down[::-1].copy()
    elif way == 2:
        first, second = _shuffled(gaps_up, state), _shuffled(gaps_down, state)
    elif way == 4:
        bursts = min(len(gaps_up), len(gaps_down))
        for gaps in (gaps_up, gaps_down):
            long = 0
            while long < len(gaps) and gaps[long] * 10 > gaps[0]:
                long += 1
            bursts = min(bursts, long)
        longest = _shuffled(np.arange(bursts), state)
        first, places_up = _in_bursts(gaps_up, longest, bursts, state)
        second, places_down = _in_bursts(gaps_down, longest, bursts, state)
    up[0] = 0
    for i in range(len(first)):
        up[i + 1] = up[i] + first[i]
    if len(down):
        down[0] = begin
    for i in range(len(second)):
        down[i + 1] = down[i] + second[i]
    if way == 4:  # the bursts of one side answer those of the other
        last = len(down) - 1
        lag = np.int64(np.exp(_random(state) * np.log1p(min(np.float64(begin), 1e5))))
        for i in range(len(places_down)):
            start = places_down[i] + 1
            end = places_down[i + 1] + 1 if i + 1 < len(places_down) else last
            shift = up[places_up[i] + 1] + lag - down[start]
            for k in range(start, min(end, last)):
                down[k] = min(max(down[k] + shift, down[k - 1] + 1), max(down[last] - (last - k), down[k - 1]))


@compiled
def _distance(wanted, at, reach, state):
    """A gap to try: the least that is known, or any up to `reach`, on a logarithmic scale."""
    if _random(state) < 0.3 and not np.isnan(wanted[at]):
        return np.int64(min(wanted[at], reach))
    return np.int64(np.expm1(_random(state) * np.log1p(np.float64(reach))))


@compiled
def _move(times, other, duration, free, side, wanted, state):
    """Change the times of one side at random; those of its first and last packet stay, unless it is `free` to move."""
    n = len(times)
    kind = _random(state)
    if free and side == 1 and (n == 1 or kind < 0.15):
        k, j = int(_random(state) * len(other)), int(_random(state) * n)
        aim = other[k] + _distance(wanted, 1, duration, state) * (1 if _random(state) < 0.5 else -1)
        shift = min(max(aim - times[j], -times[0]), duration - times[n - 1])
        for i in range(n):
            times[i] += shift
        return
    if n < 3:
        return
    if kind < 0.5:  # two gaps change places
        i, j = 1 + int(_random(state) * (n - 1)), 1 + int(_random(state) * (n - 1))
        if i > j:
            i, j = j, i
        shift = (times[j] - times[j - 1]) - (times[i] - times[i - 1])
        for k in range(i, j):
            times[k] += shift
        return
    i = 1 + int(_random(state) * (n - 2))
    j = i + int(_random(state) * (n - 1 - i)) if kind > 0.85 else i  # a packet, or several that follow each other
    low, high = times[i - 1] - times[i], times[j + 1] - times[j]
    aim = _random(state)
    if aim < 0.5 and len(other):
        k = int(_random(state) * len(other))
        near = other[k] + _distance(wanted, 1, duration, state) * (1 if _random(state) < 0.5 else -1)
        shift = near - times[i]
    elif aim < 0.75:
        shift = low + _distance(wanted, 4 + 3 * side, high - low, state)
    else:
        shift = high - _distance(wanted, 4 + 3 * side, high - low, state)
    shift = min(max(shift, low), high)
    for k in range(i, j + 1):
        times[k] += shift


@compiled
def _search(gaps_up, gaps_down, begin, free, duration, wanted, ended, steps, best_up, best_down):
    """Anneal from several orders of the gaps, and write the times with the least cost."""
    state = np.full(1, 88172645463325252, np.uint64)
    up, down = np.zeros(len(best_up), np.int64), np.zeros(len(best_down), np.int64)
    kept_up, kept_down = up.copy(), down.copy()
    least = np.inf
    for way in _WAYS:
        _start(gaps_up, gaps_down, begin, up, down, way, state)
        cost = _cost(up, down, wanted, ended)
        for step in range(steps + 1):
            if cost < least:
                least = cost
                best_up[:], best_down[:] = up, down
            if least < _ENOUGH:
                return
            temperature = _HOT * (_COLD / _HOT) ** (step / steps)
            kept_up[:], kept_down[:] = up, down
            if len(down) and _random(state) < 0.5:
                _move(down, up, duration, free, 1, wanted, state)
            else:
                _move(up, down, duration, False, 0, wanted, state)
            new = _cost(up, down, wanted, ended)
            if new < cost or _random(state) < np.exp((cost - new) / temperature):
                cost = new
            else:
                up[:], down[:] = kept_up, kept_down
