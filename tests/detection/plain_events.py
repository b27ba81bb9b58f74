"""The same events from dictionaries through `json`, a flow at a time: what `detection.events` has to write."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nids_jax.detection.events import _ICMP, _PROTOCOLS, _REASONS, FIRST_SIGNATURE, moments
from nids_jax.detection.observed import Observed
from nids_jax.detection.verdict import Judged
from nids_jax.flows.meter import ENDS

_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def event_lines(judged: Judged, classes: Sequence[str]) -> Iterator[str]:
    """The events of some flows, a line each, without line ends.

    Args:
      classes: the model's, whose numbers are those of the alerts' signatures.
    """
    signature = {name: FIRST_SIGNATURE + number for number, name in enumerate(classes)}
    rows = zip(_common(judged.observed), _flows(judged.observed), _verdicts(judged), strict=True)
    for (common, flow, verdict), alert in zip(rows, judged.alert.tolist(), strict=True):
        if alert:
            name = verdict["class"]
            told = {
                "action": "allowed",
                "gid": 1,
                "signature_id": signature[name],
                "rev": 1,
                "signature": f"nids_jax: {name}",
                "category": "Attack recognised by its flow",
                "severity": 2 if verdict["unknown"] else 1,
            }
            brief = {key: flow[key] for key in _IN_ALERTS if key in flow}
            yield _ENCODE({**common, "event_type": "alert", "alert": told, "flow": brief, "nids_jax": verdict})
        yield _ENCODE({**common, "event_type": "flow", "flow": {**flow, "alerted": alert}, "nids_jax": verdict})


_IN_ALERTS = ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient", "start")


def _common(o: Observed) -> Iterator[dict[str, Any]]:
    """What events of both kinds begin with, of each flow."""
    empty: list[Any] = [None] * o.count
    start = empty if o.start is None else o.start.tolist()
    end = empty if o.start is None else moments(o.start if o.duration is None else o.start + o.duration)
    ports = [empty if each is None else each.tolist() for each in (o.source_port, o.destination_port)]
    hosts = [empty if each is None else each.tolist() for each in (o.source_ip, o.destination_ip)]
    protocols = empty if o.protocol is None else o.protocol.tolist()
    icmp = empty if o.icmp is None else o.icmp.tolist()
    communities = o.community_ids or empty
    for row, protocol in enumerate(protocols):
        found: dict[str, Any] = {}
        if end[row] is not None:
            found["timestamp"] = end[row]
        community = communities[row]
        if community:
            # 52 bits, which every reader of JSON keeps, of the flow's name and start.
            named = hashlib.blake2b(f"{community} {start[row]}".encode(), digest_size=8).digest()
            found["flow_id"] = int.from_bytes(named) >> 12
        for key, place in (("src", 0), ("dest", 1)):
            if hosts[place][row] is not None:
                found[f"{key}_ip"] = hosts[place][row]
            port = ports[place][row]
            if port is not None and port >= 0 and protocol not in _ICMP:
                found[f"{key}_port"] = port
        if protocol is not None and protocol >= 0:
            found["proto"] = _PROTOCOLS.get(protocol) or f"{protocol:03d}"
            if protocol in _ICMP and icmp[row] is not None and icmp[row][0] >= 0:
                found["icmp_type"], found["icmp_code"] = icmp[row]
        if community:
            found["community_id"] = community
        yield found


def _flows(o: Observed) -> Iterator[dict[str, Any]]:
    """The object `flow` of each flow."""
    columns: dict[str, list[Any]] = {}
    if o.packets is not None:
        columns["pkts_toserver"], columns["pkts_toclient"] = o.packets.T.tolist()
    if o.sizes is not None:
        columns["bytes_toserver"], columns["bytes_toclient"] = o.sizes.T.tolist()
    if o.start is not None:
        columns["start"] = moments(o.start)
        if o.duration is not None:
            columns["end"] = moments(o.start + o.duration)
    if o.duration is not None:
        columns["age"] = (o.duration // 1_000_000).tolist()
    if o.end is not None:
        answered = [False] * o.count if o.packets is None else np.all(o.packets > 0, axis=1).tolist()
        why = [ENDS[end] for end in o.end.tolist()]
        columns["state"] = [
            "closed" if end in ("closed", "reset") else "established" if both else "new"
            for end, both in zip(why, answered, strict=True)
        ]
        columns["reason"] = [_REASONS[end] for end in why]
    for row in range(o.count):
        yield {key: values[row] for key, values in columns.items()}


def _verdicts(judged: Judged) -> Iterator[dict[str, Any]]:
    """The object `nids_jax` of each flow."""
    numbers = [np.round(each, 6).tolist() for each in (judged.probability, judged.score)]
    rows = zip(judged.names, *numbers, judged.unknown.tolist(), judged.incomplete.tolist(), strict=True)
    for row, (name, probability, score, unknown, incomplete) in enumerate(rows):
        found: dict[str, Any] = {"class": name, "probability": probability, "score": score, "unknown": unknown}
        if incomplete:
            found["incomplete"] = True
        if judged.row is not None:
            found["row"] = int(judged.row[row])
        if judged.reasons is not None and judged.reasons[row]:
            found["reasons"] = [
                {
                    "feature": each.feature,
                    "value": _finite(each.value),
                    "weight": round(float(each.weight), 6),
                    "error": round(float(each.error), 6),
                }
                for each in judged.reasons[row]
            ]
        yield found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
