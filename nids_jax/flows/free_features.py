"""A flow record as the quantities that it follows from, free of each other, and back.

Most columns of a record are functions of fewer quantities (mean = total / count, rate = total / duration, variance =
std²) or are bounded by others (a flag counts at most all packets).  `to_base` keeps one column per quantity that is
free, as its place between the bounds that the columns before it set; `from_base` walks the same way back.  So whatever
is done to base columns (noise, interpolation, a generative model), the rows derived from them keep every rule of
`flows.consistency`.

A base column is 0 where the row says nothing about it (the spread of one packet, backward statistics of a flow that has
no backward packet), and the derived values are then what a flow meter writes.  Where generations of CICFlowMeter differ
(see `flows.consistency`), a switch (0 or 1) says which way a row was computed, and a further column how far the value
is from that, which is 0 in the published files.

Round trip: a row that a flow meter wrote comes back, its whole-numbered columns exactly and the others within the
tolerance of the rules (a variance: what that of its standard deviation makes of it).  Times printed with three digits
(10 s and more in the original CIC-IDS2017) contradict each other, and come back as times that do not.
"""

from collections.abc import Callable, Sequence

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.consistency import ABSOLUTE, BOUNDS, COPIES, EXTREMES, RATES, RELATIVE, SIDES
from nids_jax.flows.derivation import LARGEST, Bound, Columns, Encode, Walk, decode, encode

MOST_PACKETS = 1e9  # of one direction; the ratio of two still has digits after the point in float64


def base_names(features: Sequence[str]) -> tuple[str, ...]:
    """The base columns of these features, in order.

    Raises:
      InputError: a name repeats.
    """
    return _encoded(np.empty((0, len(features))), features)[0]


def to_base(x: np.ndarray, features: Sequence[str]) -> np.ndarray:
    """Flow records → base columns.

    Args:
      x: [n, d] rows in raw units, all finite.
      features: d canonical names (`schema.canonical_names`); columns that CICFlowMeter does not write stay columns of
        their own.

    Returns:
      [n, b] float64, finite; b = len(base_names(features)).

    Raises:
      InputError: not a table of finite numbers with one column per name, or a name repeats.
    """
    return _encoded(x, features)[1]


def from_base(z: np.ndarray, features: Sequence[str]) -> np.ndarray:
    """Base columns → flow records that keep every rule of `consistency.RULES`.

    Args:
      z: [n, b] any finite numbers.
      features: as in `to_base`.

    Returns:
      [n, d] float64 in raw units, finite.

    Raises:
      InputError: not a table of finite numbers with one column per base name.
    """
    z = _table(z, len(base_names(features)), "base")
    return _rows(Walk(features, len(z), lambda place, _: z[:, place]))


def _encoded(x: np.ndarray, features: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    repeated = [name for position, name in enumerate(features) if name in features[:position]]
    if repeated:
        raise InputError(f"column {repeated[0]!r} is there twice; name columns by schema.canonical_names")
    x = _table(x, len(features), "flow")
    row = {name: x[:, position] for position, name in enumerate(features)}
    z: list[np.ndarray] = []

    def source(place: int, read: Encode) -> np.ndarray:
        z.append(read(row))
        return z[place]

    walk = Walk(features, len(x), source)
    _rows(walk)
    return tuple(walk.names), np.stack(z, axis=1) if z else np.empty((len(x), 0))


def _table(x: np.ndarray, width: int, kind: str) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != width or x.dtype.kind not in "biuf":
        raise InputError(f"the {kind} rows have shape {x.shape} and type {x.dtype}; expected numbers [n, {width}]")
    if not np.isfinite(x).all():
        column = int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])
        raise InputError(f"column {column} of the {kind} rows holds values that are not finite; drop or impute them")
    return np.asarray(x, np.float64)


def _rows(walk: Walk) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # np.where discards what comes of these
        _derive(walk)
    return np.stack([walk[name] for name in walk.features], axis=1) if walk.features else np.empty((walk.rows, 0))


# ------------------------------------------------------------------------------------------- the order of the columns


def _derive(w: Walk) -> None:
    """All columns: counts and duration, then lengths, gaps, flags, and what follows from them."""
    w.place("total_fwd_packets", 1.0, high=MOST_PACKETS)
    w.place("total_bwd_packets", high=MOST_PACKETS)
    packets = w.total("total_fwd_packets", "total_bwd_packets")
    w.place("flow_duration", high=np.inf if packets is None else np.where(packets > 1, np.inf, 0))
    for side in SIDES:
        _side_lengths(w, side)
    _lengths(w, packets)
    _gaps(w, "flow_iat", "flow_duration", packets)
    alone = np.zeros(w.rows, bool)
    copied = {"fwd_iat_total", *(f"{family}_iat_{of}" for family in ("flow", "fwd") for of in ("max", "min", "std"))}
    if packets is not None and w.have("flow_duration") and copied <= {*w.features}:
        alone = w["total_bwd_packets"] == 0
    for side in SIDES:
        _side_gaps(w, side, alone if side == "fwd" else np.zeros(w.rows, bool))
    for family in ("active", "idle"):
        w.place_if_any(f"{family}_max", w.get("flow_duration", LARGEST))
        _gaps(w, family, None, None)
    w.place("total_tcp_flow_time", centre=w.get("flow_duration", 0.0))
    _subflows(w, packets)
    _flags(w)
    _bulk(w)
    _ratio(w)
    for name, parts in RATES.items():
        total = w.total(*parts)
        if total is not None and w.have("flow_duration"):
            duration = w["flow_duration"]
            # The rate of a flow that takes no time is infinite or missing; rows are finite, so that it is 0.
            w.derive(name, np.where(duration > 0, total / np.maximum(duration, 1) * 1e6, 0))
    for side in SIDES:
        w.own(f"{side}_header_length", w.known.get(f"total_{side}_packets"))
    for name, original in COPIES.items():
        if w.have(original):
            w.derive(name, w[original])
    for name in w.features:
        w.own(name)


def _side_lengths(w: Walk, side: str) -> None:
    """Greatest and least packet, then the total between what these allow for the number of packets."""
    least, most = f"{side}_packet_length_min", f"{side}_packet_length_max"
    total = f"total_length_of_{side}_packets"
    n = w.known.get(f"total_{side}_packets")
    any_high = np.inf if n is None else np.where(n > 0, np.inf, 0)
    w.place(most, high=any_high)
    if w.have(most):
        w.place(least, 0.0 if n is None else np.where(n == 1, w[most], 0), w[most], w[most])
    else:
        w.place(least, high=any_high)
    if n is not None and w.have(least, most):
        others = np.maximum(n - 1, 0)
        low, high = w[most] + others * w[least], w[least] + others * w[most]
        w.place(total, low, low, np.where(n == 1, low, high))
    else:
        w.place(total, high=any_high)
    _mean(w, f"{side}_packet_length", total, n)
    _spread(w, f"{side}_packet_length", total, n)


def _lengths(w: Walk, packets: np.ndarray | None) -> None:
    """Over both directions.  With a switch: the Java tool counts the first packet twice."""
    for name, needed in EXTREMES.items():
        if w.have(*needed):
            fwd, bwd = w[needed[0]], w[needed[1]]
            either = np.maximum(fwd, bwd) if name.endswith("max") else np.minimum(fwd, bwd)
            w.derive(name, np.where(w["total_bwd_packets"] > 0, either, fwd))
    w.place("packet_length_max", w.get("packet_length_min", 0.0))
    most = w.get("packet_length_max", np.inf)
    w.place("packet_length_min", 0.0, w.get("packet_length_max", 0.0), most)
    least = w.get("packet_length_min", 0.0)
    size = w.total(*(f"total_length_of_{side}_packets" for side in SIDES))
    if packets is None or size is None or "packet_length_mean" not in w.features:
        w.place("packet_length_mean", least, least, most)
        if w.have("packet_length_mean"):
            w.place("average_packet_size", w["packet_length_mean"], high=2 * w["packet_length_mean"])
        w.place("packet_length_std", high=_widest(w, "packet_length"))
    else:
        mean = size / packets

        def twice(row: Columns) -> np.ndarray:
            shown = row["packet_length_mean"]
            average = row.get("average_packet_size", shown)
            return (np.abs(shown - mean) > _tolerance(mean)) | (np.abs(average - shown) > _tolerance(shown))

        first_twice = w.switch("first_packet_twice", twice)
        low, high = w.get("fwd_packet_length_min", least), w.get("fwd_packet_length_max", most)
        low, high = (np.broadcast_to(bound, mean.shape) for bound in (low, high))
        high = np.maximum(low, high)
        z = w.base(
            "first_packet_length",
            lambda row: np.where(
                first_twice, encode(row["packet_length_mean"] * (packets + 1) - size, low, low, high, True), 0
            ),
        )
        first = np.where(first_twice, decode(z, low, low, high, True), 0)
        counted = packets + first_twice
        w.place("packet_length_mean", least, (size + first) / counted, most)
        shown = w["packet_length_mean"]
        w.place("average_packet_size", shown, shown * counted / packets, 2 * shown)
        w.place("packet_length_std", 0.0, _pooled_std(w, shown, first_twice, first), _widest(w, "packet_length"))
    if w.have("packet_length_std"):
        w.derive("packet_length_variance", w["packet_length_std"] ** 2)


def _pooled_std(w: Walk, mean: np.ndarray, first_twice: np.ndarray, first: np.ndarray) -> Bound:
    """Of all packets from each direction's mean and deviation; 0 if one of those is not known."""
    squares = np.where(first_twice, (first - mean) ** 2, 0)
    counted = first_twice.astype(float)
    for side in SIDES:
        if not w.have(f"{side}_packet_length_mean", f"{side}_packet_length_std"):
            return 0.0
        n, std = w[f"total_{side}_packets"], w[f"{side}_packet_length_std"]
        squares = squares + np.maximum(n - 1, 0) * std**2 + n * (w[f"{side}_packet_length_mean"] - mean) ** 2
        counted = counted + n
    return np.sqrt(squares / np.maximum(counted - 1, 1))


def _side_gaps(w: Walk, side: str, alone: np.ndarray) -> None:
    """Of one direction; where it is the only one (`alone`), its gaps are the flow's."""
    n, duration = w.known.get(f"total_{side}_packets"), w.get("flow_duration", np.inf)
    high = duration if n is None else np.where(n > 1, duration, 0)
    top = np.where(np.isinf(high), 0, high)
    w.place(f"{side}_iat_total", np.where(alone, high, 0), top, high)
    _gaps(w, f"{side}_iat", f"{side}_iat_total", n, alone)


def _gaps(w: Walk, family: str, total: str | None, packets: np.ndarray | None, alone: np.ndarray | None = None) -> None:
    """Greatest and least of the `packets` − 1 gaps that add up to `total`, then their mean and deviation."""
    least, most = f"{family}_min", f"{family}_max"
    summed = w.known.get(total) if total else None
    count = None if packets is None else packets - 1

    def place(name: str, low: Bound, centre: Bound, high: Bound) -> None:
        whole = name.replace("fwd", "flow")
        if alone is not None and alone.any():  # only where all statistics of both families are there
            low, centre, high = (np.where(alone, w[whole], bound) for bound in (low, centre, high))
        w.place(name, low, centre, high)

    if summed is None or count is None:
        place(most, 0.0, 0.0, np.inf if summed is None else summed)
        place(least, 0.0, w.get(most, 0.0), w.get(most, np.inf))
    else:
        some = count > 0
        low = np.where(some, np.ceil(summed / np.maximum(count, 1)), 0)
        place(most, low, low, np.where(some, summed, 0))
        if w.have(most):
            # The others add up to total − greatest: none is above the greatest, and the least not above their mean.
            others = np.maximum(count - 1, 1)
            low = np.where(some, np.maximum(summed - others * w[most], 0), 0)
            high = np.where(some, np.floor((summed - w[most]) / others), 0)
            low, high = (np.where(count == 1, w[most], bound) for bound in (low, high))
            place(least, low, high, high)
        else:
            place(least, 0.0, 0.0, np.where(some, np.floor(summed / np.maximum(count, 1)), 0))
    _mean(w, family, total, count)
    _spread(w, family, total, count, place)


def _mean(w: Walk, family: str, total: str | None, count: np.ndarray | None) -> None:
    """total / count; if one of these is not known, between the least and the greatest."""
    if total is not None and w.have(total) and count is not None:
        w.derive(f"{family}_mean", np.where(count > 0, w[total] / np.maximum(count, 1), 0))
    else:
        least = w.get(f"{family}_min", 0.0)
        w.place(f"{family}_mean", least, least, w.get(f"{family}_max", np.inf))


def _spread(
    w: Walk,
    family: str,
    total: str | None,
    count: np.ndarray | None,
    place: Callable[[str, Bound, Bound, Bound], None] | None = None,
) -> None:
    """The standard deviation, between the least and the greatest that n values with this mean and range can have.

    With a and b the distances of the mean from the greatest and the least value, (n − 1) std² is at least
    a² + b² + (a − b)² / (n − 2), all other values being equal, and at most n a b (Bhatia & Davis 2000).  With two or
    three values the former is the only one.
    """
    place = place or w.place
    name, least, most = (f"{family}_{statistic}" for statistic in ("std", "min", "max"))
    high = _widest(w, family)
    if count is None or total is None or not w.have(total, least, most):
        place(name, 0.0, 0.0, high)
        return
    mean = w[total] / np.maximum(count, 1)
    a, b = np.maximum(w[most] - mean, 0), np.maximum(mean - w[least], 0)
    n = np.maximum(count, 2)
    low = np.sqrt((a**2 + b**2 + np.where(n > 2, (a - b) ** 2 / np.maximum(n - 2, 1), 0)) / (n - 1))
    high = np.where(count > 1, np.minimum(high, np.sqrt(n / (n - 1) * a * b)), 0)
    low = np.where(count > 1, np.minimum(low, np.where(n > 3, high, _widest(w, family))), 0)
    place(name, low, low, np.where(n > 3, high, low))


def _widest(w: Walk, family: str) -> Bound:
    """(max − min) / √2; infinite if one of these is not known."""
    least, most = f"{family}_min", f"{family}_max"
    return (w[most] - w[least]) / np.sqrt(2) if w.have(least, most) else np.inf


def _tolerance(value: np.ndarray) -> np.ndarray:
    return ABSOLUTE + RELATIVE * np.abs(value)


def _subflows(w: Walk, packets: np.ndarray | None) -> None:
    """With a switch: one subflow, as the Java tool counts, or as many as packets, as the corrected one does."""
    names = {
        f"subflow_{side}_{what}": total
        for side in SIDES
        for what, total in (("packets", f"total_{side}_packets"), ("bytes", f"total_length_of_{side}_packets"))
    }
    present = [name for name, total in names.items() if name in w.features and w.have(total)]
    if packets is not None and present:
        one = w.switch(
            "one_subflow",
            lambda row: np.any([row[name] > np.floor(w[names[name]] / packets) for name in present], axis=0),
        )
        for name in present:
            total = w[names[name]]
            w.place(name, 0.0, np.where(one, total, np.floor(total / packets)), total)


def _flags(w: Walk) -> None:
    """Counts up to the number of packets; those over both directions start from the sum of both."""
    for name, parts in BOUNDS.items():
        if name.endswith("_flags") or name == "fwd_act_data_packets" or name.startswith("subflow"):
            high = w.total(*parts)
            w.place(name, high=np.inf if high is None else high)
    for name, parts in BOUNDS.items():
        if name.endswith("_flag_count"):
            high, both = w.total(*parts), w.total(*(f"{side}_{name[:3]}_flags" for side in SIDES))
            w.place(name, 0.0, 0.0 if both is None else both, np.inf if high is None else high)


def _bulk(w: Walk) -> None:
    """Bulk transfers of each direction: packets, and, where there are any, bytes and rate."""
    for side in SIDES:
        packets = f"{side}_packets_bulk_avg"
        w.place_if_any(packets, LARGEST)  # the tool may count more than the direction's packets
        high = np.where(w[packets] > 0, np.inf, 0) if w.have(packets) else np.inf
        for name in (f"{side}_bytes_bulk_avg", f"{side}_bulk_rate_avg"):
            w.place(name, high=high)


def _ratio(w: Walk) -> None:
    """Backward / forward packets; with a switch: older tools round it towards zero."""
    if "down_up_ratio" in w.features and w.have("total_fwd_packets", "total_bwd_packets"):
        exact = w["total_bwd_packets"] / w["total_fwd_packets"]
        whole = np.floor(exact)
        high = (whole + 1 - 1e-6) / (1 + RELATIVE)  # the rule takes anything above for the next whole number
        cut = w.switch("ratio_rounded", lambda row: (row["down_up_ratio"] == whole) & (exact > whole))
        w.place("down_up_ratio", np.minimum(whole, high), np.where(cut, whole, exact), high)
