"""Verdicts as Suricata's EVE JSON lines: a flow event for each flow, and an alert event before it where there is one.

All keys but `nids_jax` are Suricata's, with its meanings; `bytes_toserver` and `bytes_toclient` count IP packets, with
headers of 20 or 40 bytes.  Source: Suricata 7's documentation of the EVE format, and its schema.
"""

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np

from nids_jax.bundle.explanation import Contribution
from nids_jax.detection.observed import Observed
from nids_jax.detection.verdict import Judged
from nids_jax.flows.meter import ENDS

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
FIRST_SIGNATURE = 1_000_000  # of local rules: the number of a class is added to it


_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_BOOLEANS = ("false", "true")


def moments(microseconds: np.ndarray) -> list[str]:
    """Times [n] as Suricata writes them, in UTC: 2017-07-07T12:00:00.123456+0000."""
    texts = np.datetime_as_string(microseconds.astype("datetime64[us]"), unit="us")
    return [f"{text}+0000" for text in texts.tolist()]


def event_lines(judged: Judged, classes: Sequence[str]) -> list[str]:
    """The events of some flows, a line each, without line ends.

    The lines are put together from a list of texts for each key, which takes a third of the time that `json` takes.

    Args:
      classes: the model's, whose numbers are those of the alerts' signatures.
    """
    o = judged.observed
    start = None if o.start is None else moments(o.start)
    end = start if o.start is None or o.duration is None else moments(o.start + o.duration)
    commons, briefs, flows = _common(o, end), _brief(o, start), _flow(o, end)
    verdicts = _verdicts(judged)
    told = {(name, unknown): _alert(name, k, unknown) for k, name in enumerate(classes) for unknown in (False, True)}
    rows = zip(commons, briefs, flows, verdicts, judged.names, judged.unknown.tolist(), strict=True)
    lines = []
    for (common, brief, flow, verdict, name, unknown), alert in zip(rows, judged.alert.tolist(), strict=True):
        if alert:
            about = f'"alert":{told[name, unknown]},"flow":{{{brief[1:]}}}'
            lines.append(f'{{{common}"event_type":"alert",{about},"nids_jax":{{{verdict}}}}}')
        about = f'"flow":{{{(brief + flow)[1:]}{"," if brief or flow else ""}"alerted":{_BOOLEANS[alert]}}}'
        lines.append(f'{{{common}"event_type":"flow",{about},"nids_jax":{{{verdict}}}}}')
    return lines


def _alert(name: str, number: int, unknown: bool) -> str:
    told = {
        "action": "allowed",
        "gid": 1,
        "signature_id": FIRST_SIGNATURE + number,
        "rev": 1,
        "signature": f"nids_jax: {name}",
        "category": "Attack recognised by its flow",
        "severity": 2 if unknown else 1,
    }
    return _ENCODE(told)


def _joined(columns: Sequence[Iterable[str]], count: int) -> list[str]:
    """Of each of `count` rows its texts in all columns, one after another."""
    return ["".join(row) for row in zip(*columns, strict=True)] if columns else [""] * count


def _common(o: Observed, end: Sequence[str] | None) -> list[str]:
    """What events of both kinds begin with, of each flow: keys and values, with a comma after each."""
    columns: list[Iterable[str]] = []
    if end is not None:
        columns.append([f'"timestamp":"{each}",' for each in end])
    protocols = [-1] * o.count if o.protocol is None else o.protocol.tolist()
    if o.community_ids is not None:
        start = [None] * o.count if o.start is None else o.start.tolist()
        # 52 bits, which every reader of JSON keeps, of the flow's name and start.
        named = [
            blake2b(f"{community} {each}".encode(), digest_size=8).digest() if community else None
            for community, each in zip(o.community_ids, start, strict=True)
        ]
        columns.append([f'"flow_id":{int.from_bytes(each) >> 12},' if each else "" for each in named])
    for key, hosts, ports in (("src", o.source_ip, o.source_port), ("dest", o.destination_ip, o.destination_port)):
        if hosts is not None:
            columns.append([f'"{key}_ip":{encode_basestring_ascii(each)},' for each in hosts.tolist()])
        if ports is not None:
            pairs = zip(ports.tolist(), protocols, strict=True)
            known = [f'"{key}_port":{port},' if port >= 0 and kind not in _ICMP else "" for port, kind in pairs]
            columns.append(known)
    if o.protocol is not None:
        texts = {kind: f'"proto":"{_PROTOCOLS.get(kind) or f"{kind:03d}"}",' for kind in {*protocols} if kind >= 0}
        columns.append([texts.get(kind, "") for kind in protocols])
        if o.icmp is not None:
            pairs = zip(protocols, o.icmp.tolist(), strict=True)
            columns.append(
                f'"icmp_type":{icmp[0]},"icmp_code":{icmp[1]},' if kind in _ICMP and icmp[0] >= 0 else ""
                for kind, icmp in pairs
            )
    if o.community_ids is not None:
        columns.append([f'"community_id":"{each}",' if each else "" for each in o.community_ids])
    return _joined(columns, o.count)


def _brief(o: Observed, start: Sequence[str] | None) -> list[str]:
    """What the object `flow` of both kinds of events begins with: keys and values, with a comma before each."""
    columns: list[Iterable[str]] = []
    for name, pair in (("pkts", o.packets), ("bytes", o.sizes)):
        if pair is not None:
            columns.append([f',"{name}_toserver":{up},"{name}_toclient":{down}' for up, down in pair.tolist()])
    if start is not None:
        columns.append([f',"start":"{each}"' for each in start])
    return _joined(columns, o.count)


def _flow(o: Observed, end: Sequence[str] | None) -> list[str]:
    """The rest of it in events of flows."""
    columns: list[Iterable[str]] = []
    if end is not None and o.duration is not None:
        columns.append([f',"end":"{each}"' for each in end])
    if o.duration is not None:
        columns.append([f',"age":{each}' for each in (o.duration // 1_000_000).tolist()])
    if o.end is not None:
        texts = [
            [f',"state":"{"closed" if end in ("closed", "reset") else way}","reason":"{_REASONS[end]}"' for end in ENDS]
            for way in ("new", "established")
        ]
        answered = np.zeros(o.count, bool) if o.packets is None else np.all(o.packets > 0, axis=1)
        columns.append(texts[both][end] for both, end in zip(answered.tolist(), o.end.tolist(), strict=True))
    return _joined(columns, o.count)


def _verdicts(judged: Judged) -> list[str]:
    """The object `nids_jax` of each flow: keys and values."""
    names = {name: encode_basestring_ascii(name) for name in {*judged.names}}
    numbers = [np.round(each, 6).tolist() for each in (judged.probability, judged.score)]
    rows = zip(judged.names, *numbers, judged.unknown.tolist(), strict=True)
    found = [
        f'"class":{names[name]},"probability":{probability!r},"score":{score!r},"unknown":{_BOOLEANS[unknown]}'
        for name, probability, score, unknown in rows
    ]
    if judged.incomplete.any():
        found = [
            f'{each},"incomplete":true' if lacking else each
            for each, lacking in zip(found, judged.incomplete.tolist(), strict=True)
        ]
    if judged.row is not None:
        found = [f'{each},"row":{row}' for each, row in zip(found, judged.row.tolist(), strict=True)]
    if judged.reasons is not None:
        found = [
            f'{each},"reasons":{_ENCODE([_reason(one) for one in why])}' if why else each
            for each, why in zip(found, judged.reasons, strict=True)
        ]
    return found


def _reason(each: Contribution) -> dict[str, Any]:
    value = float(each.value) if np.isfinite(each.value) else None
    numbers = {"weight": round(float(each.weight), 6), "error": round(float(each.error), 6)}
    return {"feature": each.feature, "value": value, **numbers}
