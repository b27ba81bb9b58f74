"""Where verdicts go: EVE lines, CSV, Parquet, or a table for people."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from nids_jax.detection.events import event_lines
from nids_jax.detection.summary import alert_lines
from nids_jax.detection.verdict import Judged
from nids_jax.errors import InputError
from nids_jax.files import writing
from nids_jax.locks import lock
from nids_jax.sheets import Form, Kind, Sheet


class Output(Protocol):
    """Takes verdicts."""

    def put(self, judged: Judged) -> None: ...
    def close(self) -> None: ...


class Events:
    """EVE JSON lines."""

    def __init__(self, write: Callable[[str], object], classes: Sequence[str]):
        """`write` takes some whole lines."""
        self._write, self._classes = write, classes

    def put(self, judged: Judged) -> None:
        """Write the events of some flows at once, so that a process that is killed leaves whole lines."""
        lines = [*event_lines(judged, self._classes), ""]
        if len(lines) > 1:
            self._write("\n".join(lines))

    def close(self) -> None:
        """Nothing is held back."""


class Table:
    """A line an alert, for people."""

    def __init__(self, say: Callable[..., object]):
        self._say = say

    def put(self, judged: Judged) -> None:
        """Print the alerts."""
        lines = [*alert_lines(judged)]
        if lines:
            self._say(*lines)

    def close(self) -> None:
        """Nothing is held back."""


_COLUMNS: dict[str, Kind] = {
    "row": "integer",
    "timestamp": "time",
    "source_ip": "few texts",
    "source_port": "integer",
    "destination_ip": "few texts",
    "destination_port": "integer",
    "protocol": "integer",
    "community_id": "text",
    "flow_duration": "integer",
    "total_fwd_packets": "integer",
    "total_bwd_packets": "integer",
    "class": "few texts",
    "probability": "number",
    "score": "number",
    "alert": "few texts",
    "unknown": "few texts",
    "reasons": "text",
}


class Rows:
    """CSV or Parquet: a row a flow."""

    def __init__(self, file: BinaryIO, form: Form):
        self._file = file
        self._form: Form = form
        self._sheet: Sheet | None = None
        self._kinds: dict[str, Kind] = {}

    def put(self, judged: Judged) -> None:
        """Write some flows; the first ones say which columns there are."""
        columns = _columns(judged)
        if self._sheet is None:
            self._kinds = {name: _COLUMNS[name] for name in columns}
            self._sheet = Sheet(self._file, self._form, self._kinds)
        blank: dict[Kind, Any] = {"integer": -1, "number": np.nan, "time": 0}
        count = judged.observed.count
        rows = [columns.get(name, np.full(count, blank.get(kind, ""), object)) for name, kind in self._kinds.items()]
        self._sheet.write(rows)

    def close(self) -> None:
        """Finish the file."""
        sheet = self._sheet or Sheet(self._file, self._form, {"class": "few texts"})
        with sheet:
            pass


def _columns(judged: Judged) -> dict[str, np.ndarray]:
    o = judged.observed
    found: dict[str, np.ndarray | None] = {
        "row": judged.row,
        "timestamp": o.start,
        "source_ip": o.source_ip,
        "source_port": o.source_port,
        "destination_ip": o.destination_ip,
        "destination_port": o.destination_port,
        "protocol": o.protocol,
        "community_id": None if o.community_ids is None else np.array(o.community_ids, object),
        "flow_duration": o.duration,
        "total_fwd_packets": None if o.packets is None else o.packets[:, 0],
        "total_bwd_packets": None if o.packets is None else o.packets[:, 1],
        "class": np.array(judged.names, object),
        "probability": judged.probability,
        "score": judged.score,
        "alert": np.where(judged.alert, "true", "false").astype(object),
        "unknown": np.where(judged.unknown, "true", "false").astype(object),
        "reasons": None,
    }
    if judged.reasons is not None:
        texts = ["; ".join(f"{c.feature}={c.value:g} ({c.signed(4)})" for c in each) for each in judged.reasons]
        found["reasons"] = np.array(texts, object)
    return {name: values for name, values in found.items() if values is not None}


class LiveFile:
    """A file that verdicts are added to as they come; one process at a time."""

    def __init__(self, path: Path):
        """
        Raises:
          InputError: it cannot be written, or another process is writing it.
        """
        self._path = path
        with writing(path, "output"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if lock(self._file) is False:
            os.close(self._file)
            raise InputError(f"{path} is being written by another process; choose another `output`")

    def write(self, text: str) -> None:
        """Add whole lines.

        Raises:
          InputError: they cannot be written, on a full disk say.
        """
        content = memoryview(text.encode())
        with writing(self._path, "output"):
            while content:
                content = content[os.write(self._file, content) :]

    def close(self) -> None:
        """Have it on the disk."""
        with suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)
