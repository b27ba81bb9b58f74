"""What must hold inside one flow record, which rows break it, and the nearest row that keeps the plain part of it.

A record's columns depend on each other: a mean lies between the least and the greatest value, a total is a mean times a
count, a rate is a total over a duration.  Generated rows can be told from metered ones by that alone.

`RULES` holds what every generation of CICFlowMeter keeps.  No row of the corrected CIC-IDS2017 (Engelen et al. 2021,
Liu et al. 2022) or of CIC-DDoS2019 was found to break one, and 0.2 % of the original CIC-IDS2017, where times run
backwards.  Not rules, because they hold for one generation of the tool only:

- mean packet length (and average packet size) = total length / packets: the Java tool adds the first packet twice,
  which leaves mean ≤ average ≤ 2 · mean;
- PSH or URG count = forward + backward ones: the Java tool reads the latter off the first packet alone;
- down/up ratio = backward / forward packets: older tools round it towards zero, so its whole part is the rule;
- at least 8 bytes of header a packet: the older tools' header lengths are wrong or wrapped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURES

# Tolerances: published files carry six to ten digits, but the original CIC-IDS2017 three from 10 million up (9.84E+07).
ABSOLUTE, RELATIVE, RELATIVE_OF_LARGE, LARGE = 1e-3, 1e-5, 5e-3, 1e7

SIDES = ("fwd", "bwd")
FAMILIES = (
    *("fwd_packet_length", "bwd_packet_length", "packet_length"),
    *("flow_iat", "fwd_iat", "bwd_iat", "active", "idle"),
)

# A column that is at most the sum of others …
BOUNDS: dict[str, tuple[str, ...]] = {
    **{
        f"{flag}_flag_count": ("total_fwd_packets", "total_bwd_packets")
        for flag in ["fin", "syn", "rst", "psh", "ack", "urg", "cwr", "ece"]
    },
    **{f"{side}_{flag}_flags": (f"total_{side}_packets",) for side in SIDES for flag in ("psh", "urg", "rst")},
    "fwd_act_data_packets": ("total_fwd_packets",),
    **{f"subflow_{side}_packets": (f"total_{side}_packets",) for side in SIDES},
    **{f"subflow_{side}_bytes": (f"total_length_of_{side}_packets",) for side in SIDES},
    **dict.fromkeys(("flow_iat_max", "fwd_iat_total", "bwd_iat_total", "active_max", "idle_max"), ("flow_duration",)),
    **{f"{side}_iat_max": (f"{side}_iat_total",) for side in SIDES},
}
# … that repeats another …
COPIES: dict[str, str] = {
    "fwd_header_length_1": "fwd_header_length",
    **{f"{side}_segment_size_avg": f"{side}_packet_length_mean" for side in SIDES},
}
# … and that is the sum of others over the duration.
RATES: dict[str, tuple[str, ...]] = {
    "flow_bytes_s": tuple(f"total_length_of_{side}_packets" for side in SIDES),
    "flow_packets_s": tuple(f"total_{side}_packets" for side in SIDES),
    **{f"{side}_packets_s": (f"total_{side}_packets",) for side in SIDES},
}

# The extremes over both directions, and what they follow from.
EXTREMES: dict[str, tuple[str, ...]] = {
    f"packet_length_{extreme}": (*(f"{side}_packet_length_{extreme}" for side in SIDES), "total_bwd_packets")
    for extreme in ("max", "min")
}

Columns = Mapping[str, np.ndarray]  # canonical name → [n] float64


@dataclass(frozen=True)
class Rule:
    """A condition on the columns of one row."""

    meaning: str
    columns: tuple[str, ...]  # all needed; none: whatever columns there are
    broken: Callable[[Columns], np.ndarray]  # → [n] bool; what is not a number breaks a rule


def _relative(value: np.ndarray) -> np.ndarray:
    return np.where(np.abs(value) < LARGE, RELATIVE, RELATIVE_OF_LARGE)


def _slack(*values: np.ndarray) -> np.ndarray:
    """By how much rounding may have moved the sum of `values`."""
    return _sum(np.abs(value) * _relative(value) for value in values) + ABSOLUTE


def _at_most(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a <= b + _slack(a, b)


def _close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _at_most(a, b) & _at_most(b, a)


def _is_product(total: np.ndarray, a: np.ndarray, b: np.ndarray, unit: float) -> np.ndarray:
    """total = a · b up to `unit`, which a rounded mean times a count may lose."""
    return np.abs(total - a * b) <= unit + np.abs(total) * (_relative(total) + _relative(a) + _relative(b))


def _sum(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.sum(list(parts), axis=0)


def _extreme(name: str, fwd: np.ndarray, bwd: np.ndarray, bwd_packets: np.ndarray) -> np.ndarray:
    either = np.maximum(fwd, bwd) if name.endswith("max") else np.minimum(fwd, bwd)
    return np.where(bwd_packets > 0, either, fwd)


def _widest_std(least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """(max − min) / √2: two values reach it, more values cannot."""
    return (most - least) / np.sqrt(2)


def _rate_holds(rate: np.ndarray, duration: np.ndarray, *parts: np.ndarray) -> np.ndarray:
    total = _sum(parts)
    slack = ABSOLUTE + total * (_relative(total) + _relative(rate) + _relative(duration))
    return (duration <= 0) | (np.abs(rate * duration / 1e6 - total) <= slack)


def _spread_holds(least: np.ndarray, most: np.ndarray, std: np.ndarray) -> np.ndarray:
    return (std >= 0) & (std <= _widest_std(least, most) + _slack(least, most, std))


def _any_column(columns: Columns, broken: Callable[[str, np.ndarray], np.ndarray]) -> np.ndarray:
    return np.any([broken(name, column) for name, column in columns.items()], axis=0)


_NAMES = tuple(f.name for f in FEATURES)
_RATE_LIKE = frozenset(f.name for f in FEATURES if f.kind in ("rate", "port"))  # may be infinite, or missing
_SIGNED = frozenset(f.name for f in FEATURES if f.signed)
_INTEGER = frozenset(f.name for f in FEATURES if f.integer)


def _rules() -> dict[str, Rule]:
    rules = {
        "finite": Rule(
            "every value but rates and ports is a finite number",
            (),
            lambda c: _any_column(c, lambda name, v: ~np.isfinite(v) & (name not in _RATE_LIKE)),
        ),
        "not_negative": Rule(
            "no unsigned column is below 0",
            (),
            lambda c: _any_column(c, lambda name, v: (v < 0) & (name not in _SIGNED)),
        ),
        "whole": Rule(
            "counts, flags, ports and payload sizes are whole numbers",
            (),
            lambda c: _any_column(c, lambda name, v: (np.rint(v) != v) & ~np.isnan(v) & (name in _INTEGER)),
        ),
    }

    def add(name: str, meaning: str, columns: Sequence[str], holds: Callable[..., np.ndarray]) -> None:
        rules[name] = Rule(meaning, tuple(columns), lambda c: ~holds(*(c[column] for column in columns)))

    for family in FAMILIES:
        least, mean, most, std = (f"{family}_{statistic}" for statistic in ("min", "mean", "max", "std"))
        add(
            f"{family}_order",
            f"{least} ≤ {mean} ≤ {most}",
            (least, mean, most),
            lambda least, mean, most: _at_most(least, mean) & _at_most(mean, most),
        )
        add(
            f"{family}_spread",
            f"0 ≤ {std} ≤ ({most} − {least}) / √2",
            (least, most, std),
            _spread_holds,
        )
    add(
        "packet_length_variance",
        "variance = std²",
        ("packet_length_variance", "packet_length_std"),
        lambda variance, std: _close(variance, std**2),
    )
    for extreme, needed in EXTREMES.items():
        add(
            extreme,
            "over the directions that have packets",
            (extreme, *needed),
            lambda value, *parts, extreme=extreme: _close(value, _extreme(extreme, *parts)),
        )
    for side in SIDES:
        packets, total = f"total_{side}_packets", f"total_length_of_{side}_packets"
        add(
            total,
            f"{total} = mean · packets",
            (total, f"{side}_packet_length_mean", packets),
            lambda total, mean, packets: _is_product(total, mean, packets, 0.5),
        )
        add(
            f"{side}_iat_total",
            f"{side}_iat_total = mean · (packets − 1)",
            (f"{side}_iat_total", f"{side}_iat_mean", packets),
            lambda total, mean, packets: _is_product(total, mean, np.maximum(packets - 1, 0), 1.0),
        )
    add(
        "flow_duration",
        "flow_duration = flow_iat_mean · (packets − 1)",
        ("flow_duration", "flow_iat_mean", "total_fwd_packets", "total_bwd_packets"),
        lambda total, mean, fwd, bwd: _is_product(total, mean, fwd + bwd - 1, 1.0),
    )
    for rate, parts in RATES.items():
        add(
            rate,
            f"{rate} · flow_duration = {' + '.join(parts)}, where the flow lasts",
            (rate, "flow_duration", *parts),
            _rate_holds,
        )
    for name, parts in BOUNDS.items():
        add(
            f"{name}_bound",
            f"{name} ≤ {' + '.join(parts)}",
            (name, *parts),
            lambda value, *parts: _at_most(value, _sum(parts)),
        )
    for name, original in COPIES.items():
        add(name, f"{name} = {original}", (name, original), _close)
    add(
        "down_up_ratio",
        "whole part of down_up_ratio = backward / forward packets, rounded down",
        ("down_up_ratio", "total_fwd_packets", "total_bwd_packets"),
        lambda ratio, fwd, bwd: np.floor(ratio + RELATIVE * ratio) == bwd // np.maximum(fwd, 1),
    )
    add(
        "average_packet_size",
        "packet_length_mean ≤ average_packet_size ≤ 2 · packet_length_mean",
        ("average_packet_size", "packet_length_mean"),
        lambda average, mean: _at_most(mean, average) & _at_most(average, 2 * mean),
    )
    add("total_fwd_packets", "at least one forward packet", ("total_fwd_packets",), lambda packets: packets >= 1)
    return rules


RULES: dict[str, Rule] = _rules()


def violations(x: np.ndarray, features: Sequence[str]) -> dict[str, np.ndarray]:
    """Which rows break which rule.

    Args:
      x: [n, d] flow records in raw units.
      features: d canonical names (see schema.canonical_names); columns that CICFlowMeter does not write are passed
        over.

    Returns:
      Rule name → [n] bool, for the rules of RULES whose columns are all there.

    Raises:
      InputError: `x` is not a table of numbers with one column per name, or a name repeats.
    """
    columns = _columns(x, features)
    if not columns:
        return {}
    with np.errstate(invalid="ignore", over="ignore"):
        return {
            name: rule.broken(columns)
            for name, rule in RULES.items()
            if all(needed in columns for needed in rule.columns)
        }


def consistency(x: np.ndarray, features: Sequence[str]) -> float:
    """The share of rows that break no rule, 0 to 1; arguments and errors as in `violations`.

    Raises:
      InputError: also where `x` has no rows, or no column of CICFlowMeter's.
    """
    broken = list(violations(x, features).values())
    if not broken or not len(x):
        raise InputError(f"no flow records to check: {len(x)} rows, columns {', '.join(features) or 'none'}")
    return float(1 - np.any(broken, axis=0).mean())


# The rules that `repair` restores; the others tie totals, rates and ratios together and cannot be met one at a time.
REPAIRED: frozenset[str] = frozenset(
    [
        "not_negative",
        "whole",
        "total_fwd_packets",
        "packet_length_max",
        "packet_length_min",
        "packet_length_variance",
        *(f"{family}_{rule}" for family in FAMILIES for rule in ("order", "spread")),
        *(f"{name}_bound" for name in BOUNDS),
        *COPIES,
    ]
)


def repair(x: np.ndarray, features: Sequence[str]) -> np.ndarray:
    """The rows moved onto the rules in REPAIRED, no further than each asks for; rows that keep them stay as they are.

    Whole-numbered columns are rounded, unsigned ones cut off at 0 (signed ones keep a −1), bounded ones at their bound;
    then least ≤ mean ≤ greatest and the bound on the standard deviation by clipping; then variance = std², and copies
    of other columns.  Missing and infinite values stay as they are.

    Args:
      x: [n, d] flow records in raw units.
      features: d canonical names; columns that CICFlowMeter does not write stay as they are.

    Returns:
      [n, d] float64, a new array.

    Raises:
      InputError: as in `violations`.
    """
    c = {name: column.copy() for name, column in _columns(x, features).items()}

    def have(*names: str) -> bool:
        return all(name in c for name in names)

    def put(name: str, holds: np.ndarray, value: np.ndarray) -> None:
        np.copyto(c[name], value, where=~holds & ~np.isnan(value) & ~np.isnan(c[name]))

    with np.errstate(invalid="ignore", over="ignore"):
        for name, column in c.items():
            if name in _INTEGER:
                np.rint(column, out=column)
            if name not in _SIGNED:
                np.maximum(column, 0, out=column)
        if have("total_fwd_packets"):
            np.maximum(c["total_fwd_packets"], 1, out=c["total_fwd_packets"])
        for name, parts in BOUNDS.items():
            if have(name, *parts):
                bound = _sum(c[part] for part in parts)
                put(name, _at_most(c[name], bound), bound)
        for family in FAMILIES:
            least, mean, most, std = (f"{family}_{statistic}" for statistic in ("min", "mean", "max", "std"))
            if family == "packet_length":
                for extreme, needed in EXTREMES.items():
                    if have(extreme, *needed):
                        value = _extreme(extreme, *(c[column] for column in needed))
                        put(extreme, _close(c[extreme], value), value)
            if have(least, most):
                put(least, _at_most(c[least], c[most]), c[most])
            if have(least, mean, most):
                inside = _at_most(c[least], c[mean]) & _at_most(c[mean], c[most])
                put(mean, inside, np.clip(c[mean], c[least], c[most]))
            if have(least, most, std):
                put(std, _spread_holds(c[least], c[most], c[std]), _widest_std(c[least], c[most]))
        if have("packet_length_variance", "packet_length_std"):
            variance = c["packet_length_std"] ** 2
            put("packet_length_variance", _close(c["packet_length_variance"], variance), variance)
        for name, original in COPIES.items():
            if have(name, original):
                put(name, _close(c[name], c[original]), c[original])
    repaired = np.array(x, np.float64)
    for position, name in enumerate(features):
        if name in c:
            repaired[:, position] = c[name]
    return repaired


def whole_columns(real: np.ndarray) -> np.ndarray:
    """Whether each column is whole in every one of the rows `real` [n, d], [d] bool."""
    return (real == np.rint(real)).all(axis=0)


def round_like(x: np.ndarray, real: np.ndarray) -> np.ndarray:
    """x [m, d] with the `whole_columns` of the rows `real` [n, d] rounded; both in raw units.

    For columns of any dataset, also those that `repair` knows nothing of; what is not finite stays as it is.
    """
    return np.where(whole_columns(real), np.rint(x), x)


def _columns(x: np.ndarray, features: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns of `x` that CICFlowMeter writes, by name."""
    shape, kind = np.shape(x), np.asarray(x).dtype.kind
    if len(shape) != 2 or shape[1] != len(features) or kind not in "biuf":
        raise InputError(
            f"flow records have shape {shape} and type {np.asarray(x).dtype}, but there are {len(features)} column "
            "names; give a table of numbers with one column per name"
        )
    repeated = [name for position, name in enumerate(features) if name in features[:position]]
    if repeated:
        raise InputError(f"column {repeated[0]!r} is there twice; name columns by schema.canonical_names")
    return {name: np.asarray(x[:, i], np.float64) for i, name in enumerate(features) if name in _NAMES}
