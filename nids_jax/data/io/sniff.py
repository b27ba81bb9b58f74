"""What a file with a general extension holds (.log, .json, .txt), by its beginning."""

import csv
import json
from pathlib import Path
from typing import Literal

from nids_jax.compressed import ENDINGS, Unpacked
from nids_jax.data.io.dialects import find_dialect, missing_header
from nids_jax.errors import InputError

_BEGINNING = 1 << 16


def content(path: Path) -> Literal["zeek", "json", "delimited"]:
    """How a file of text is to be read."""
    return _kind(_beginning(path))


def _kind(beginning: bytes) -> Literal["zeek", "json", "delimited"]:
    first = beginning.lstrip(b"\xef\xbb\xbf \t\r\n")
    if first.startswith((b"#separator", b"#fields")):
        return "zeek"
    return "json" if first[:1] in (b"{", b"[") else "delimited"


def holds_flows(path: Path) -> bool:
    """Whether a file in a folder is a table of flows, and not another log or note: its columns are known."""
    first = _beginning(path)
    kind = _kind(first)
    lines = first.decode("utf-8", "replace").splitlines()
    if kind == "zeek":
        said = [line for line in lines if line.startswith(("#path", "#fields"))]
        return not any(line.startswith("#path") and "conn" not in line for line in said)
    if kind == "json":
        for line in lines[:20]:
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and (find_dialect([*found]) or {"event_type", "src_ip"} <= found.keys()):
                return True
        return False
    try:
        cells = next(csv.reader(lines[:1]), [])
    except csv.Error:
        return False
    return find_dialect(cells) is not None or missing_header(cells) is not None


def _beginning(path: Path) -> bytes:
    """The first 64 KiB of content; nothing where there is none to be had."""
    try:
        with path.open("rb") as file:
            return Unpacked(file, path).read(_BEGINNING) if path.suffix.lower() in ENDINGS else file.read(_BEGINNING)
    except (OSError, InputError):
        return b""
