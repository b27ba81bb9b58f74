"""Captures that a program rotated: which files of a folder are pieces of one sensor's capture.

What rotation writes into a name is taken out of it, and what is left names the sensor:

| program | files | sensor |
|---|---|---|
| dumpcap, Wireshark, editcap | `eth0_00001_20240131235959.pcapng`, `eth0_20240131235959_00001.pcapng` | `eth0` |
| tcpdump -C | `trace.pcap`, `trace.pcap1`, `trace.pcap2` | `trace` |
| tcpdump -G | `eth0-2024-01-31T23:59:59.pcap`, `eth0-1706745599.pcap` | `eth0` |
| Suricata | `log.pcap.1706745599` | `log` |
| any, a folder a sensor | `berlin/20240131.pcap`, `berlin/2024/01/31/235959.pcap` | `berlin` |
| any, several a folder | `berlin/eth0_20240131.pcap`, `berlin/2024-01-31/eth1.pcap` | `berlin/eth0`, `berlin/eth1` |

Two sensors taken for one would be worse than one taken for two, so a number alone (`probe-1.pcap`, `vlan_100.pcap`)
belongs to the name unless it is written with five digits and a zero before them, or stands beside a time.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from nids_jax.compressed import ENDINGS as PACKED
from nids_jax.errors import InputError

_ENDING = re.compile(r"\.(?:pcap|pcapng|cap)(?:\.?[0-9]+)?$", re.IGNORECASE)
_CLOCK = r"(?:[01]\d|2[0-3])(?:[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?"


def _day(mark: str) -> str:
    return rf"(?:19|20)\d\d{mark}(?:0[1-9]|1[0-2]){mark}(?:0[1-9]|[12]\d|3[01])"


_EPOCH = r"1\d{9}(?:[._]\d+)?"  # seconds since 1970, to the year 2033
_TIME = re.compile(rf"(?<![0-9A-Za-z])(?:{_day('[-_.]?')}(?:[-_.T ]*{_CLOCK})?|{_EPOCH})(?![0-9A-Za-z])", re.ASCII)
_DAY_FOLDERS = re.compile(rf"(?:(?<=/)|^)(?:{_day('/')}|{_day('[-_.]?')})/", re.ASCII)
_HERE = "\0"  # where a time stood
_COUNT = re.compile(rf"[-_]\d{{5,}}(?=[-_.]*{_HERE})|(?<={_HERE})[-_.]\d{{5,}}|[-_]0\d{{4,}}$", re.ASCII)


def is_capture(name: str) -> bool:
    """Whether a file's name is that of a capture, numbered as tcpdump and Suricata do, compressed or neither."""
    return _ENDING.search(_unpacked(name)) is not None


def sensor_of(path: PurePosixPath) -> str:
    """The sensor of a capture, by the file's path below the folder that is metered; empty: there is but that folder."""
    text, days = _DAY_FOLDERS.subn("", path.as_posix())
    folder, _, name = text.rpartition("/")
    name = _ENDING.sub("", _unpacked(name))
    if days and re.fullmatch(_CLOCK, name, re.ASCII):
        name = ""
    name = _COUNT.sub("", _TIME.sub(_HERE, name))
    parts = [part.strip("-_. ") for part in name.split(_HERE)] if _HERE in name else [name]
    return "/".join(part for part in (folder, "_".join(filter(None, parts))) if part)


def sensors(folder: Path, captures: Iterable[Path]) -> dict[str, list[Path]]:
    """The captures of each sensor, by its name, in order of the names.

    Args:
      folder: what is metered; its own name is that of a sensor which files' names say nothing of.
      captures: the files below it.

    Raises:
      InputError: two files of a sensor are the same one by their names, compressed and not.
    """
    found: dict[str, list[Path]] = {}
    plain: dict[str, Path] = {}
    for path in captures:
        below = PurePosixPath(path.relative_to(folder).as_posix())
        other = plain.setdefault(_unpacked(below.as_posix()), path)
        if other != path:
            raise InputError(f"{other} and {path} are the same capture by their names; remove one of them")
        found.setdefault(sensor_of(below) or folder.resolve().name or "captures", []).append(path)
    return dict(sorted(found.items()))


def _unpacked(name: str) -> str:
    """A name without the endings of compression."""
    while name.lower().endswith(PACKED):
        name = name[: name.rindex(".")]
    return name
