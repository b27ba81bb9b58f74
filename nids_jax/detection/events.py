"""Verdicts as Suricata's EVE JSON lines: a flow event for each flow, and an alert event before it where there is one.

All keys but `nids_jax` are Suricata's, with its meanings; `bytes_toserver` and `bytes_toclient` count IP packets, with
headers of 20 or 40 bytes.  Source: Suricata 7's documentation of the EVE format, and its schema.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from nids_jax.detection.observed import Observed, ended
from nids_jax.detection.verdict import Judged

_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 33: "DCCP", 47: "GRE", 50: "ESP", 51: "AH"}
_PROTOCOLS |= {58: "IPv6-ICMP", 132: "SCTP"}
_ICMP = (1, 58)
_REASONS = {
    "timeout": "timeout",
    "closed": "timeout",
    "reset": "timeout",
    "stopped": "shutdown",
    "crowded out": "forced",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SIGNATURE = 1_000_000  # of local rules: the number of a class is added to it


def moment(microseconds: int) -> str:
    """A time as Suricata writes it, in UTC: 2017-07-07T12:00:00.123456+0000."""
    return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def event_lines(judged: Judged, classes: Sequence[str]) -> Iterator[str]:
    """The events of some flows, a line each, without line ends.

    Args:
      classes: the model's, whose numbers are those of the alerts' signatures.
    """
    for row in range(judged.observed.count):
        common = _common(judged.observed, row)
        flow = _flow(judged.observed, row)
        verdict = _verdict(judged, row)
        if judged.alert[row]:
            name = judged.names[row]
            alert = {
                "action": "allowed",
                "gid": 1,
                "signature_id": FIRST_SIGNATURE + classes.index(name),
                "rev": 1,
                "signature": f"nids_jax: {name}",
                "category": "Attack recognised by its flow",
                "severity": 2 if judged.unknown[row] else 1,
            }
            brief = {key: flow[key] for key in flow if key.startswith(("pkts", "bytes")) or key == "start"}
            yield _line({**common, "event_type": "alert"}, {"alert": alert}, brief, verdict)
        more = {"alerted": bool(judged.alert[row])}
        yield _line({**common, "event_type": "flow"}, {}, {**flow, **more}, verdict)


def _line(common: dict[str, Any], alert: dict[str, Any], flow: dict[str, Any], verdict: dict[str, Any]) -> str:
    return json.dumps({**common, **alert, "flow": flow, "nids_jax": verdict}, separators=(",", ":"), allow_nan=False)


def _common(o: Observed, row: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if o.start is not None:
        length = 0 if o.duration is None else int(o.duration[row])
        found["timestamp"] = moment(int(o.start[row]) + length)
    community = o.community_ids[row] if o.community_ids else ""
    # 52 bits, which every reader of JSON keeps, of the flow's name and start.
    start = 0 if o.start is None else int(o.start[row])
    if community:
        named = hashlib.blake2b(f"{community} {start}".encode(), digest_size=8).digest()
        found["flow_id"] = int.from_bytes(named) >> 12
    for key, values in (
        ("src_ip", o.source_ip),
        ("src_port", o.source_port),
        ("dest_ip", o.destination_ip),
        ("dest_port", o.destination_port),
    ):
        if values is not None and not (key.endswith("port") and int(values[row]) < 0):
            found[key] = int(values[row]) if key.endswith("port") else str(values[row])
    protocol = -1 if o.protocol is None else int(o.protocol[row])
    if protocol >= 0:
        found["proto"] = _PROTOCOLS.get(protocol, f"{protocol:03d}")
    if protocol in _ICMP:
        found.pop("src_port", None)
        found.pop("dest_port", None)
        if o.icmp is not None and int(o.icmp[row, 0]) >= 0:
            found["icmp_type"], found["icmp_code"] = map(int, o.icmp[row])
    if community:
        found["community_id"] = community
    return found


def _flow(o: Observed, row: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if o.packets is not None:
        found["pkts_toserver"], found["pkts_toclient"] = map(int, o.packets[row])
    if o.sizes is not None:
        found["bytes_toserver"], found["bytes_toclient"] = map(int, o.sizes[row])
    if o.start is not None:
        found["start"] = moment(int(o.start[row]))
        if o.duration is not None:
            found["end"] = moment(int(o.start[row]) + int(o.duration[row]))
    if o.duration is not None:
        found["age"] = int(o.duration[row]) // 1_000_000
    why = ended(o, row)
    if why:
        answered = o.packets is not None and bool((o.packets[row] > 0).all())
        found["state"] = "closed" if why in ("closed", "reset") else "established" if answered else "new"
        found["reason"] = _REASONS[why]
    return found


def _verdict(judged: Judged, row: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "class": judged.names[row],
        "probability": _short(judged.probability[row]),
        "score": _short(judged.score[row]),
        "unknown": bool(judged.unknown[row]),
    }
    if judged.incomplete[row]:
        found["incomplete"] = True
    if judged.row is not None:
        found["row"] = int(judged.row[row])
    if judged.reasons is not None and judged.reasons[row]:
        found["reasons"] = [
            {"feature": each.feature, "value": _finite(each.value), "weight": _short(each.weight)}
            for each in judged.reasons[row]
        ]
    return found


def _short(value: float | np.floating) -> float:
    return round(float(value), 6)


def _finite(value: float | str) -> float | str | None:
    if isinstance(value, str):
        return value
    return float(value) if np.isfinite(value) else None
