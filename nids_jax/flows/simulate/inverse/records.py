"""What flow records say of the conversations behind them, whichever meter wrote them and whatever columns are missing.

Quantities that no column tells are NaN.  What a meter writes under another name, or counts in a way of its own
(`meter.cicflowmeter.Early`), is put where it belongs.
"""

from collections.abc import Sequence

import numpy as np

from nids_jax.flows.compat import STREAMED, Compat
from nids_jax.flows.meter.cicflowmeter import EARLY
from nids_jax.flows.schema import FEATURE_NAMES

SIDES = ("fwd", "bwd")
FLAG_BITS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")  # from the lowest bit on
# A record must tell at least one of these, or nothing can be inferred from it.
TELLING = (
    *(f"total_{side}_packets" for side in SIDES),
    *(f"total_length_of_{side}_packets" for side in SIDES),
    *(f"{side}_packet_length_{of}" for side in SIDES for of in ("max", "mean")),
    *("flow_duration", "flow_iat_mean", "fwd_iat_total", "bwd_iat_total", "packet_length_mean"),
)
MOST_PACKETS = 100_000  # of one side; a longer conversation is cut to so many
_LARGEST = 1e10  # of any quantity: µs (three hours) or a count; what is above is not believed
_LARGEST_PACKET, _LARGEST_HEADER = 1e6, 1e4  # bytes


def told(x: np.ndarray, features: Sequence[str], compat: Compat) -> dict[str, np.ndarray]:
    """The quantities of records x [n, d] by name, [n] each, NaN where nothing is said.

    Beside the features themselves these are `first_FLAG` (whether the first packet has a flag, where the meter looks at
    that one alone), `first_length` (its bytes, where the meter counts it twice), and, of features that may be missing,
    what others say of them.
    """
    n, early = len(x), EARLY.get(compat)
    given = {name: np.asarray(x[:, place], np.float64) for place, name in enumerate(features) if name in FEATURE_NAMES}
    given = {
        name: np.where(np.isfinite(column), np.clip(column, -1, _LARGEST), np.nan) for name, column in given.items()
    }
    nothing = np.full(n, np.nan)

    def get(name: str) -> np.ndarray:
        return given.get(name, nothing)

    c = {name: get(name) for name in FEATURE_NAMES}
    for name, most in (("protocol", 255), ("icmp_type", 255), ("icmp_code", 255)):
        c[name] = np.where((c[name] >= 0) & (c[name] <= most), c[name], np.nan)
    for name in (f"{side}_packet_length_{of}" for side in SIDES for of in ("min", "max")):
        c[name] = np.clip(c[name], 0, _LARGEST_PACKET)
    for name in (name for name in FEATURE_NAMES if name.endswith(("_flags", "_flag_count"))):
        c[name] = np.maximum(c[name], 0)
    duration = _first(get("flow_duration"), get("fwd_iat_total"), get("bwd_iat_total"), nothing)
    for side in SIDES:
        rate = get(f"{side}_packets_s") * duration / 1e6
        c[f"total_{side}_packets"] = _first(
            get(f"total_{side}_packets"), get(f"subflow_{side}_packets") if early else nothing, rate
        )
    up, down = (c[f"total_{side}_packets"] for side in SIDES)
    c["total_bwd_packets"] = _first(down, get("down_up_ratio") * up, up)
    up = c["total_fwd_packets"] = np.clip(np.rint(_first(up, down, np.full(n, 2.0))), 1, MOST_PACKETS)
    down = c["total_bwd_packets"] = np.clip(np.rint(_first(c["total_bwd_packets"], up)), 0, MOST_PACKETS)
    if compat not in STREAMED:  # these write no flows of one packet
        up = c["total_fwd_packets"] = np.where(up + down < 2, 2, up)
    c["flow_duration"] = np.maximum(_first(duration, get("flow_iat_mean") * (up + down - 1), up + down), 0)
    for side, count in zip(SIDES, (up, down), strict=True):
        mean = _first(get(f"{side}_packet_length_mean"), get(f"{side}_segment_size_avg"), get("packet_length_mean"))
        total = f"total_length_of_{side}_packets"
        c[total] = np.clip(_first(get(total), mean * count, np.zeros(n)), 0, _LARGEST_PACKET * count)
        header = f"{side}_header_length"
        c[header] = np.where(get(header) <= _LARGEST_HEADER * count, get(header), np.nan)
        c[f"{side}_iat_total"] = _first(get(f"{side}_iat_total"), get(f"{side}_iat_mean") * (count - 1))
    if compat not in STREAMED:
        summed = c["total_length_of_fwd_packets"] + c["total_length_of_bwd_packets"]
        c["first_length"] = get("packet_length_mean") * (up + down + 1) - summed
    else:
        c["first_length"] = nothing
    _flags(c, compat)
    return c


def _flags(c: dict[str, np.ndarray], compat: Compat) -> None:
    """Counts of flags where the meter counts them, and the flags of the first packet where it looks at that one."""
    early = EARLY.get(compat)
    for flag in FLAG_BITS:
        c[f"first_{flag}"] = np.full_like(c["total_fwd_packets"], np.nan)
    if compat in STREAMED:
        return
    c["first_psh"], c["first_urg"] = c["fwd_psh_flags"], c["fwd_urg_flags"]
    for name in ("fwd_psh_flags", "bwd_psh_flags", "fwd_urg_flags", "bwd_urg_flags"):
        c[name] = np.full_like(c["first_psh"], np.nan)
    if early is not None:
        shown = {flag: c[f"{column}_flag_count"] for column, flag in early.flags.items()}
        for flag in FLAG_BITS:
            c[f"first_{flag}"] = _first(shown.get(flag, c[f"first_{flag}"]), c[f"first_{flag}"])
            c[f"{flag}_flag_count"] = np.full_like(c["first_psh"], np.nan)


def _first(*candidates: np.ndarray) -> np.ndarray:
    """Row by row the first of these that is known."""
    result = candidates[0]
    for other in candidates[1:]:
        result = np.where(np.isnan(result), other, result)
    return result
