"""A flow record as the quantities that it follows from, free of each other, and back.

Most columns of a record are functions of fewer quantities (mean = total / count, rate = total / duration, variance =
std²) or are bounded by others (a flag counts at most all packets).  `to_free` keeps one column per quantity that is
free, the free feature: the quantity's place between the bounds that the columns before it set.  `from_free` derives the
record's columns from the free features in the same order.  So whatever is done to free features (noise, interpolation,
a generative model), the rows derived from them keep every rule of `flows.consistency`.

A free feature is 0 where the row says nothing about it (the spread of one packet, backward statistics of a flow that
has no backward packet), and the derived values are then what a flow meter writes.  Where generations of CICFlowMeter
differ (see `flows.consistency`), a switch (0 or 1) says which way a row was computed, and a further column how far the
value is from that, which is 0 in the published files.

Round trip: a row that a flow meter wrote comes back, its whole-numbered columns exactly and the others within the
tolerance of the rules (a variance: what that of its standard deviation makes of it).  Times printed with three digits
(10 s and more in the original CIC-IDS2017) contradict each other, and come back as times that do not.
"""

from collections.abc import Callable, Sequence

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.consistency import ABSOLUTE, BOUNDS, COPIES, EXTREMES, RATES, RELATIVE, SIDES
from nids_jax.flows.derivation import LARGEST, Bound, Columns, Derivation, Encode, decode, encode

MOST_PACKETS = 1e9  # of one direction; the ratio of two still has digits after the point in float64


def free_names(features: Sequence[str]) -> tuple[str, ...]:
    """The names of the free features of records with these columns, in order.

    Raises:
      InputError: a name repeats.
    """
    return _encoded(np.empty((0, len(features))), features)[0]


def to_free(x: np.ndarray, features: Sequence[str]) -> np.ndarray:
    """Flow records → free features.

    Args:
      x: [n, d] rows in raw units, all finite.
      features: d canonical names (`schema.canonical_names`); columns that CICFlowMeter does not write stay columns of
        their own.

    Returns:
      [n, f] float64, finite; f = len(free_names(features)).

    Raises:
      InputError: not a table of finite numbers with one column per name, or a name repeats.
    """
    return _encoded(x, features)[1]


def from_free(z: np.ndarray, features: Sequence[str]) -> np.ndarray:
    """Free features → flow records that keep every rule of `consistency.RULES`.

    Args:
      z: [n, f] any finite numbers.
      features: as in `to_free`.

    Returns:
      [n, d] float64 in raw units, finite.

    Raises:
      InputError: not a table of finite numbers with one column per free feature.
    """
    z = _table(z, len(free_names(features)), "free feature")
    return _rows(Derivation(features, len(z), lambda place, _: z[:, place]))


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

    derivation = Derivation(features, len(x), source)
    _rows(derivation)
    return tuple(derivation.names), np.stack(z, axis=1) if z else np.empty((len(x), 0))


def _table(x: np.ndarray, width: int, kind: str) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != width or x.dtype.kind not in "biuf":
        raise InputError(f"the {kind} rows have shape {x.shape} and type {x.dtype}; expected numbers [n, {width}]")
    if not np.isfinite(x).all():
        column = int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])
        raise InputError(f"column {column} of the {kind} rows holds values that are not finite; drop or impute them")
    return np.asarray(x, np.float64)


def _rows(derivation: Derivation) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # np.where discards what comes of these
        _derive(derivation)
    return (
        np.stack([derivation[name] for name in derivation.features], axis=1)
        if derivation.features
        else np.empty((derivation.rows, 0))
    )


# ------------------------------------------------------------------------------------------- the order of the columns


def _derive(d: Derivation) -> None:
    """All columns: counts and duration, then lengths, gaps, flags, and what follows from them."""
    d.place("total_fwd_packets", 1.0, high=MOST_PACKETS)
    d.place("total_bwd_packets", high=MOST_PACKETS)
    packets = d.total("total_fwd_packets", "total_bwd_packets")
    d.place("flow_duration", high=np.inf if packets is None else np.where(packets > 1, np.inf, 0))
    for side in SIDES:
        _side_lengths(d, side)
    _lengths(d, packets)
    _gaps(d, "flow_iat", "flow_duration", packets)
    alone = np.zeros(d.rows, bool)
    copied = {"fwd_iat_total", *(f"{family}_iat_{of}" for family in ("flow", "fwd") for of in ("max", "min", "std"))}
    if packets is not None and d.have("flow_duration") and copied <= {*d.features}:
        alone = d["total_bwd_packets"] == 0
    for side in SIDES:
        _side_gaps(d, side, alone if side == "fwd" else np.zeros(d.rows, bool))
    for family in ("active", "idle"):
        d.place_if_any(f"{family}_max", d.get("flow_duration", LARGEST))
        _gaps(d, family, None, None)
    d.place("total_tcp_flow_time", centre=d.get("flow_duration", 0.0))
    _subflows(d, packets)
    _flags(d)
    _bulk(d)
    _ratio(d)
    for name, parts in RATES.items():
        total = d.total(*parts)
        if total is not None and d.have("flow_duration"):
            duration = d["flow_duration"]
            # The rate of a flow that takes no time is infinite or missing; rows are finite, so that it is 0.
            d.derive(name, np.where(duration > 0, total / np.maximum(duration, 1) * 1e6, 0))
    for side in SIDES:
        d.own(f"{side}_header_length", d.known.get(f"total_{side}_packets"))
    for name, original in COPIES.items():
        if d.have(original):
            d.derive(name, d[original])
    for name in d.features:
        d.own(name)


def _side_lengths(d: Derivation, side: str) -> None:
    """Greatest and least packet, then the total between what these allow for the number of packets."""
    least, most = f"{side}_packet_length_min", f"{side}_packet_length_max"
    total = f"total_length_of_{side}_packets"
    n = d.known.get(f"total_{side}_packets")
    any_high = np.inf if n is None else np.where(n > 0, np.inf, 0)
    d.place(most, high=any_high)
    if d.have(most):
        d.place(least, 0.0 if n is None else np.where(n == 1, d[most], 0), d[most], d[most])
    else:
        d.place(least, high=any_high)
    if n is not None and d.have(least, most):
        others = np.maximum(n - 1, 0)
        low, high = d[most] + others * d[least], d[least] + others * d[most]
        d.place(total, low, low, np.where(n == 1, low, high))
    else:
        d.place(total, high=any_high)
    _mean(d, f"{side}_packet_length", total, n)
    _spread(d, f"{side}_packet_length", total, n)


def _lengths(d: Derivation, packets: np.ndarray | None) -> None:
    """Over both directions.  With a switch: the Java tool counts the first packet twice."""
    for name, needed in EXTREMES.items():
        if d.have(*needed):
            fwd, bwd = d[needed[0]], d[needed[1]]
            either = np.maximum(fwd, bwd) if name.endswith("max") else np.minimum(fwd, bwd)
            d.derive(name, np.where(d["total_bwd_packets"] > 0, either, fwd))
    d.place("packet_length_max", d.get("packet_length_min", 0.0))
    most = d.get("packet_length_max", np.inf)
    d.place("packet_length_min", 0.0, d.get("packet_length_max", 0.0), most)
    least = d.get("packet_length_min", 0.0)
    size = d.total(*(f"total_length_of_{side}_packets" for side in SIDES))
    if packets is None or size is None or "packet_length_mean" not in d.features:
        d.place("packet_length_mean", least, least, most)
        if d.have("packet_length_mean"):
            d.place("average_packet_size", d["packet_length_mean"], high=2 * d["packet_length_mean"])
        d.place("packet_length_std", high=_widest(d, "packet_length"))
    else:
        mean = size / packets

        def twice(row: Columns) -> np.ndarray:
            shown = row["packet_length_mean"]
            average = row.get("average_packet_size", shown)
            return (np.abs(shown - mean) > _tolerance(mean)) | (np.abs(average - shown) > _tolerance(shown))

        first_twice = d.switch("first_packet_twice", twice)
        low, high = d.get("fwd_packet_length_min", least), d.get("fwd_packet_length_max", most)
        low, high = (np.broadcast_to(bound, mean.shape) for bound in (low, high))
        high = np.maximum(low, high)
        z = d.free(
            "first_packet_length",
            lambda row: np.where(
                first_twice, encode(row["packet_length_mean"] * (packets + 1) - size, low, low, high, True), 0
            ),
        )
        first = np.where(first_twice, decode(z, low, low, high, True), 0)
        counted = packets + first_twice
        d.place("packet_length_mean", least, (size + first) / counted, most)
        shown = d["packet_length_mean"]
        d.place("average_packet_size", shown, shown * counted / packets, 2 * shown)
        d.place("packet_length_std", 0.0, _pooled_std(d, shown, first_twice, first), _widest(d, "packet_length"))
    if d.have("packet_length_std"):
        d.derive("packet_length_variance", d["packet_length_std"] ** 2)


def _pooled_std(d: Derivation, mean: np.ndarray, first_twice: np.ndarray, first: np.ndarray) -> Bound:
    """Of all packets from each direction's mean and deviation; 0 if one of those is not known."""
    squares = np.where(first_twice, (first - mean) ** 2, 0)
    counted = first_twice.astype(float)
    for side in SIDES:
        if not d.have(f"{side}_packet_length_mean", f"{side}_packet_length_std"):
            return 0.0
        n, std = d[f"total_{side}_packets"], d[f"{side}_packet_length_std"]
        squares = squares + np.maximum(n - 1, 0) * std**2 + n * (d[f"{side}_packet_length_mean"] - mean) ** 2
        counted = counted + n
    return np.sqrt(squares / np.maximum(counted - 1, 1))


def _side_gaps(d: Derivation, side: str, alone: np.ndarray) -> None:
    """Of one direction; where it is the only one (`alone`), its gaps are the flow's."""
    n, duration = d.known.get(f"total_{side}_packets"), d.get("flow_duration", np.inf)
    high = duration if n is None else np.where(n > 1, duration, 0)
    top = np.where(np.isinf(high), 0, high)
    d.place(f"{side}_iat_total", np.where(alone, high, 0), top, high)
    _gaps(d, f"{side}_iat", f"{side}_iat_total", n, alone)


def _gaps(
    d: Derivation, family: str, total: str | None, packets: np.ndarray | None, alone: np.ndarray | None = None
) -> None:
    """Greatest and least of the `packets` − 1 gaps that add up to `total`, then their mean and deviation."""
    least, most = f"{family}_min", f"{family}_max"
    summed = d.known.get(total) if total else None
    count = None if packets is None else packets - 1

    def place(name: str, low: Bound, centre: Bound, high: Bound) -> None:
        whole = name.replace("fwd", "flow")
        if alone is not None and alone.any():  # only where all statistics of both families are there
            low, centre, high = (np.where(alone, d[whole], bound) for bound in (low, centre, high))
        d.place(name, low, centre, high)

    if summed is None or count is None:
        place(most, 0.0, 0.0, np.inf if summed is None else summed)
        place(least, 0.0, d.get(most, 0.0), d.get(most, np.inf))
    else:
        some = count > 0
        low = np.where(some, np.ceil(summed / np.maximum(count, 1)), 0)
        place(most, low, low, np.where(some, summed, 0))
        if d.have(most):
            # The others add up to total − greatest: none is above the greatest, and the least not above their mean.
            others = np.maximum(count - 1, 1)
            low = np.where(some, np.maximum(summed - others * d[most], 0), 0)
            high = np.where(some, np.floor((summed - d[most]) / others), 0)
            low, high = (np.where(count == 1, d[most], bound) for bound in (low, high))
            place(least, low, high, high)
        else:
            place(least, 0.0, 0.0, np.where(some, np.floor(summed / np.maximum(count, 1)), 0))
    _mean(d, family, total, count)
    _spread(d, family, total, count, place)


def _mean(d: Derivation, family: str, total: str | None, count: np.ndarray | None) -> None:
    """total / count; if one of these is not known, between the least and the greatest."""
    if total is not None and d.have(total) and count is not None:
        d.derive(f"{family}_mean", np.where(count > 0, d[total] / np.maximum(count, 1), 0))
    else:
        least = d.get(f"{family}_min", 0.0)
        d.place(f"{family}_mean", least, least, d.get(f"{family}_max", np.inf))


def _spread(
    d: Derivation,
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
    place = place or d.place
    name, least, most = (f"{family}_{statistic}" for statistic in ("std", "min", "max"))
    high = _widest(d, family)
    if count is None or total is None or not d.have(total, least, most):
        place(name, 0.0, 0.0, high)
        return
    mean = d[total] / np.maximum(count, 1)
    a, b = np.maximum(d[most] - mean, 0), np.maximum(mean - d[least], 0)
    n = np.maximum(count, 2)
    low = np.sqrt((a**2 + b**2 + np.where(n > 2, (a - b) ** 2 / np.maximum(n - 2, 1), 0)) / (n - 1))
    high = np.where(count > 1, np.minimum(high, np.sqrt(n / (n - 1) * a * b)), 0)
    low = np.where(count > 1, np.minimum(low, np.where(n > 3, high, _widest(d, family))), 0)
    place(name, low, low, np.where(n > 3, high, low))


def _widest(d: Derivation, family: str) -> Bound:
    """(max − min) / √2; infinite if one of these is not known."""
    least, most = f"{family}_min", f"{family}_max"
    return (d[most] - d[least]) / np.sqrt(2) if d.have(least, most) else np.inf


def _tolerance(value: np.ndarray) -> np.ndarray:
    return ABSOLUTE + RELATIVE * np.abs(value)


def _subflows(d: Derivation, packets: np.ndarray | None) -> None:
    """With a switch: one subflow, as the Java tool counts, or as many as packets, as the corrected one does."""
    names = {
        f"subflow_{side}_{what}": total
        for side in SIDES
        for what, total in (("packets", f"total_{side}_packets"), ("bytes", f"total_length_of_{side}_packets"))
    }
    present = [name for name, total in names.items() if name in d.features and d.have(total)]
    if packets is not None and present:
        one = d.switch(
            "one_subflow",
            lambda row: np.any([row[name] > np.floor(d[names[name]] / packets) for name in present], axis=0),
        )
        for name in present:
            total = d[names[name]]
            d.place(name, 0.0, np.where(one, total, np.floor(total / packets)), total)


def _flags(d: Derivation) -> None:
    """Counts up to the number of packets; those over both directions start from the sum of both."""
    for name, parts in BOUNDS.items():
        if name.endswith("_flags") or name == "fwd_act_data_packets" or name.startswith("subflow"):
            high = d.total(*parts)
            d.place(name, high=np.inf if high is None else high)
    for name, parts in BOUNDS.items():
        if name.endswith("_flag_count"):
            high, both = d.total(*parts), d.total(*(f"{side}_{name[:3]}_flags" for side in SIDES))
            d.place(name, 0.0, 0.0 if both is None else both, np.inf if high is None else high)


def _bulk(d: Derivation) -> None:
    """Bulk transfers of each direction: packets, and, where there are any, bytes and rate."""
    for side in SIDES:
        packets = f"{side}_packets_bulk_avg"
        d.place_if_any(packets, LARGEST)  # the tool may count more than the direction's packets
        high = np.where(d[packets] > 0, np.inf, 0) if d.have(packets) else np.inf
        for name in (f"{side}_bytes_bulk_avg", f"{side}_bulk_rate_avg"):
            d.place(name, high=high)


def _ratio(d: Derivation) -> None:
    """Backward / forward packets; with a switch: older tools round it towards zero."""
    if "down_up_ratio" in d.features and d.have("total_fwd_packets", "total_bwd_packets"):
        exact = d["total_bwd_packets"] / d["total_fwd_packets"]
        whole = np.floor(exact)
        high = (whole + 1 - 1e-6) / (1 + RELATIVE)  # the rule takes anything above for the next whole number
        cut = d.switch("ratio_rounded", lambda row: (row["down_up_ratio"] == whole) & (exact > whole))
        d.place("down_up_ratio", np.minimum(whole, high), np.where(cut, whole, exact), high)
