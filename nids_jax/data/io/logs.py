"""Zeek's logs, and JSON lines (Zeek's, or Suricata's EVE), as tables: both become lines of CSV, block by block."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from nids_jax.data.io.columns import Chunk, Layout, check_header
from nids_jax.data.io.delimited import DelimitedFile
from nids_jax.data.io.dialects import EVE, ZEEK, find_dialect
from nids_jax.errors import InputError

# What these write whether or not a first block has it, so that files of one tool have one layout.
_ALWAYS = {
    ZEEK.name: [
        *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration"),
        *("orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history"),
        *("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents", "ip_proto"),
    ],
    EVE.name: [
        *("event.time", "flow_id", "in_iface", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "ip_v"),
        *("proto", "icmp_type", "icmp_code", "response_icmp_type", "response_icmp_code", "app_proto"),
        *("flow.pkts_toserver", "flow.pkts_toclient", "flow.bytes_toserver", "flow.bytes_toclient", "flow.start"),
        *("flow.end", "flow.age", "flow.duration", "flow.state", "flow.reason", "flow.alerted", "tcp.tcp_flags"),
        *("tcp.tcp_flags_ts", "tcp.tcp_flags_tc", "tcp.state", "tcp.ts_max_regions", "tcp.tc_max_regions"),
        *(f"tcp.{flag}" for flag in ("syn", "fin", "rst", "psh", "ack", "urg", "ecn", "cwr")),
    ],
}
_MOST_KEYS = 10_000
_HEADING = re.compile(rb"^#.*\n?", re.MULTILINE)


class ZeekFile(DelimitedFile):
    """A log of Zeek as it writes them itself: lines that begin with `#` say what the fields are."""

    always_plain = True
    _unset = re.compile(rb"(?<![^\t\n])(?:-|\(empty\))(?![^\t\n])")
    _triple = False  # IoT-23 separates its last columns by three blanks

    def _read_header(self) -> list[str]:
        block = self._first_block()
        said: dict[str, str] = {}
        for line in block.text.split(b"\n"):
            if not line.startswith(b"#"):
                break
            key, _, value = line.decode().partition(" " if line.startswith(b"#separator") else "\t")
            said[key] = value
        if said.get("#separator", "\\x09") != "\\x09":
            raise InputError(f"{self.path} separates its fields by {said['#separator']!r}; only tabs (\\x09) are read")
        if "#fields" not in said:
            raise InputError(f"{self.path} is no log of Zeek: it has no line #fields")
        if not said.get("#path", "conn").startswith("conn"):
            raise InputError(f"{self.path} is Zeek's {said['#path'][:40]}.log; flows stand in conn.log")
        self.delimiter = "\t"
        self._triple = "   " in said["#fields"]
        names = re.split(r"\t|   ", said["#fields"]) if self._triple else said["#fields"].split("\t")
        check_header(names, self.path)
        self._pending.append(block)
        return names

    def prepare(self, text: bytes) -> bytes:
        """The lines without headings, unset fields empty."""
        text = _HEADING.sub(b"", text).replace(b'"', b"'")
        if self._triple:
            text = text.replace(b"   ", b"\t")
        return self._unset.sub(b"", text)


class JsonLinesFile(DelimitedFile):
    """JSON objects, one a line; what is nested becomes `outer.inner`, and lists are left out."""

    always_plain = True

    def _read_header(self) -> list[str]:
        block = self._first_block()
        self._events = 0  # of EVE that are no flows
        self._keys: dict[str, None] = {}
        self._is_eve = False
        for line in block.text.split(b"\n"):
            found = flattened(line)
            self._is_eve |= found is not None and "event_type" in found
            if found is not None and (not self._is_eve or found.get("event_type") == "flow"):
                self._keys |= dict.fromkeys(found)
            if len(self._keys) > _MOST_KEYS:
                raise InputError(f"{self.path} has more than {_MOST_KEYS:,} different keys, so it is no table")
        if self._is_eve and not self._keys:
            raise InputError(f"{self.path} begins without an event of type flow; enable `flow` in Suricata's eve-log")
        dialect = find_dialect([*self._keys])
        if dialect is not None:
            self._keys = dict.fromkeys([*_ALWAYS.get(dialect.name, ()), *self._keys])
        if not self._keys:
            raise InputError(f"{self.path} holds no JSON object a line (one large array is not read)")
        check_header([*self._keys], self.path)
        self._pending.append(block)
        return [*self._keys]

    @property
    def remarks(self) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return [f"{self.path}: {self._events:,} events that are no flows are passed over"] if self._events else []

    def chunks(self, layout: Layout, advance: Callable[[int], object]) -> Iterator[Chunk]:
        """As of CSV; events are counted here, as a sample was looked at before."""
        self._events = 0
        yield from super().chunks(layout, advance)

    def prepare(self, text: bytes) -> bytes:
        """The objects as lines of CSV; what is none becomes a line of one field too many."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for line in text.split(b"\n"):
            if not line.strip():
                continue
            found = flattened(line)
            if found is None:
                writer.writerow(["{", *(None for _ in self._keys)])
            elif self._is_eve and found.get("event_type") != "flow":
                self._events += 1
            else:
                writer.writerow([found.get(key) for key in self._keys])
        return out.getvalue().encode()


def flattened(line: bytes) -> dict[str, Any] | None:
    """A line's JSON object as cells by key, `outer.inner` of nested ones, without lists; None where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    cells = _flat(value)
    if cells.get("event_type") == "flow":
        cells["event.time"] = cells.pop("timestamp", None)  # when it was written, long after the flow began
        cells["flow.duration"] = _microseconds(cells.get("flow.start"), cells.get("flow.end"))
    return cells


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    waiting = [("", value)]
    while waiting:
        prefix, each = waiting.pop(0)
        for key, cell in each.items():
            name = prefix + _line(key)
            if isinstance(cell, dict):
                waiting.append((f"{name}.", cell))
            elif isinstance(cell, bool):
                cells[name] = "true" if cell else "false"
            elif isinstance(cell, str):
                cells[name] = _line(cell)
            elif cell is not None and not isinstance(cell, list):
                cells[name] = cell
    return cells


def _line(text: str) -> str:
    """Text of any kind as one line that UTF-8 can hold."""
    return " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace").decode()


def _microseconds(start: Any, end: Any) -> int | None:
    """From one moment in ISO 8601 to another."""
    try:
        gap = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    except (TypeError, ValueError):
        return None
    return round(gap.total_seconds() * 1e6)
