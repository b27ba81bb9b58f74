"""Packets to flow records by whichever rules are asked for."""

from dataclasses import replace
from typing import get_args

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.compat import Compat
from nids_jax.flows.meter.cicflowmeter import EARLY, cicflowmeter
from nids_jax.flows.meter.flows import Flows
from nids_jax.flows.meter.stream import ACTIVITY_TIMEOUT, TIMEOUT, meter_stream, positive
from nids_jax.flows.packets import NO_ICMP, Packets


def meter(
    packets: Packets,
    *,
    timeout_us: int = TIMEOUT,
    activity_timeout_us: int = ACTIVITY_TIMEOUT,
    compat: Compat = "none",
) -> Flows:
    """Flow records of `packets`, [n flows, d features].

    Args:
      packets: in order of capture.
      timeout_us: a packet more than this after the first packet of its flow begins a new record.
      activity_timeout_us: a longer pause between two packets is idle time and ends an active period.
      compat: whose rules count.  "none": a record for each connection; packets are taken in order of time, a TCP flow
        ends as TCP does, every packet counts in some record (`connections` has the rules), and features mean what their
        names say (`record`).  "corrected": the same, with the features of the corrected CIC-IDS2017 (Engelen et al.
        2021, Liu et al. 2022; `record` says which differ).  "cicflowmeter": see `cicflowmeter.cicflowmeter`; the
        others, as the dataset of that name was metered, see `cicflowmeter.Early`.

    Returns:
      The records, in order of their first packets.

    Raises:
      InputError: columns that differ in length, hold something else than integers or leave their range; a timeout that
        is not positive; an unknown `compat`.
    """
    if compat not in get_args(Compat):
        raise InputError(f"unknown compat {compat!r}; choose from {', '.join(get_args(Compat))}")
    positive(timeout_us=timeout_us, activity_timeout_us=activity_timeout_us)
    packets = checked(packets)
    if compat == "cicflowmeter" or compat in EARLY:
        return cicflowmeter(
            packets, timeout_us=timeout_us, activity_timeout_us=activity_timeout_us, early=EARLY.get(compat)
        )
    return meter_stream(
        packets, timeout_us=timeout_us, activity_timeout_us=activity_timeout_us, corrected=compat == "corrected"
    )


def meter_mended(packets: Packets, *, timeout_us: int = TIMEOUT, activity_timeout_us: int = ACTIVITY_TIMEOUT) -> Flows:
    """Flow records that CICFlowMeter's rules give without its defects of counting (`cicflowmeter`, `mended`).

    Args:
      packets, timeout_us, activity_timeout_us: see `meter`.

    Raises:
      InputError: as `meter`.
    """
    positive(timeout_us=timeout_us, activity_timeout_us=activity_timeout_us)
    return cicflowmeter(checked(packets), timeout_us=timeout_us, activity_timeout_us=activity_timeout_us, mended=True)


_EXACT = 2**53  # a float64 holds every whole number up to here
_RANGES = {
    "time": (0, _EXACT),
    "source": (-(2**63), 2**63 - 1),
    "destination": (-(2**63), 2**63 - 1),
    "source_port": (0, 65535),
    "destination_port": (0, 65535),
    "protocol": (0, 255),
    "payload": (0, 2**31 - 1),
    "header": (0, 2**31 - 1),
    "flags": (0, 255),
    "window": (0, 2**31 - 1),
    "icmp": (NO_ICMP, 2**16 - 1),
}


def checked(packets: Packets) -> Packets:
    """The same packets with times as int64, so that differences cannot wrap.

    Raises:
      InputError: as `meter`.
    """
    for name, column in vars(packets).items():
        if column.shape != (len(packets),):
            raise InputError(f"packet column {name!r} has shape {column.shape}, but there are {len(packets)} times")
        if column.dtype.kind not in "iu":
            raise InputError(f"packet column {name!r} holds {column.dtype}; give integers")
        low, high = _RANGES[name]
        for value in (column.min(), column.max()) if len(column) else ():
            if not low <= int(value) <= high:
                raise InputError(f"packet column {name!r} holds {value}; it runs from {low} to {high}")
    wide = {name: getattr(packets, name).astype(np.int64, copy=False) for name in ("time", "source", "destination")}
    return replace(packets, **wide)
