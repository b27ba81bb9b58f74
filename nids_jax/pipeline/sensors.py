"""The rotated captures of many sensors to a file of flow records each, wherever units of work are carried out.

A unit is a sensor: its files are metered in order of time as pieces of one capture, so that flows which cross files
stay whole.  Beside the records stands an account of the packets, with the captures' sizes and times: as long as these
are the same, a rerun leaves the sensor alone.  A sensor that cannot be metered is named at the end, and the others are
kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from nids_jax import store
from nids_jax.errors import InputError
from nids_jax.files import Digest, whole_or_absent
from nids_jax.flows.capture.source import Source
from nids_jax.flows.capture.walk import Walk
from nids_jax.flows.meter.columns import COLUMNS, values
from nids_jax.flows.metering import CaptureMeter, MeterOptions
from nids_jax.pipeline.runner import Runner
from nids_jax.sheets import Form, Kind, Sheet

# Readers of a folder of Parquet files pass over names that begin with `_`.
JOB, ACCOUNTS = "_metering.json", "_accounts"


@dataclass(frozen=True)
class Sensor:
    """A sensor and its captures, in any order."""

    name: str
    captures: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Metering:
    """How all sensors are metered."""

    folder: Path  # which the captures lie below
    options: MeterOptions
    form: Form = "parquet"
    label: str | None = None  # class of all flows, for a column `Label`

    def describe(self) -> dict[str, Any]:
        """What the records depend on beside the captures, in JSON types."""
        return {**asdict(self.options), "format": self.form, "label": self.label}

    def records(self, output_dir: Path, sensor: str) -> Path:
        """The file of a sensor's records."""
        return output_dir / f"{sensor}.{self.form}"


def meter_sensors(runner: Runner, found: Mapping[str, Sequence[Path]], metering: Metering) -> int:
    """Meter this runner's share of the sensors, as far as they are not yet; how many had been metered before.

    Raises:
      InputError: the folder's records were metered otherwise, or a sensor could not be metered; the others are then.
    """
    store.claim(runner.output_dir / JOB, metering.describe(), "records metered otherwise")
    share = [Sensor(name, tuple(captures)) for name, captures in found.items()]
    share = runner.share(share)
    left = [each for each in share if not _is_whole(runner.output_dir, metering, each)]
    runner.each(left, meter_sensor, metering, title=lambda sensor: sensor.name)
    runner.finish("the other sensors are metered, and the same command tries these again", InputError)
    return len(share) - len(left)


def meter_sensor(runner: Runner, sensor: Sensor, metering: Metering) -> None:
    """A unit: the records of one sensor, whole or absent, and their account."""
    if _is_whole(runner.output_dir, metering, sensor):  # by a worker that was lost when all was done
        return
    work = CaptureMeter(metering.options)
    columns: dict[str, Kind] = dict(COLUMNS)
    if metering.label is not None:
        columns["Label"] = "few texts"
    label = [] if metering.label is None else [metering.label]
    path = metering.records(runner.output_dir, sensor.name)
    try:
        before = _state(metering, sensor)
        captures = in_time_order(sensor.captures)
        with whole_or_absent(path, "output_dir") as file:
            digest = Digest(file)
            with Sheet(cast(BinaryIO, digest), metering.form, columns) as sheet:
                for capture in captures:
                    with Source.open(capture) as source:
                        for flows in work.take(source, str(capture)):
                            sheet.write([*values(flows, work.hosts), *label])
                for flows in work.finish():
                    sheet.write([*values(flows, work.hosts), *label])
    except InputError as error:
        runner.failed(sensor.name, str(error))
        return
    account = work.new_account()
    names = [capture.relative_to(metering.folder).as_posix() for capture in captures]
    kept = {
        "file": path.relative_to(runner.output_dir).as_posix(),
        "bytes": digest.bytes,
        "sha256": digest.sha256.hexdigest(),
        **asdict(account),
        "captures": {name: before[name] for name in names},
    }
    store.write_json(_account_path(runner.output_dir, sensor), kept)
    runner.say(f"{sensor.name}: captures: {len(captures):,}, {account}")


def in_time_order(captures: Sequence[Path]) -> list[Path]:
    """Captures by the time of their first packet, which holds where numbers begin again; those without packets first.

    Raises:
      InputError: one of them cannot be read, or is no capture.
    """
    return sorted(captures, key=lambda path: (_begin(path), path))


def _begin(path: Path) -> int:
    """The time of a capture's first packet in µs; -1 where there is none."""
    with Source.open(path) as source:
        for piece in Walk(str(path), source.read).pieces():
            return int(piece.frames.time[0])
    return -1


def _account_path(output_dir: Path, sensor: Sensor) -> Path:
    return output_dir / ACCOUNTS / f"{sensor.name}.json"


def _state(metering: Metering, sensor: Sensor) -> dict[str, list[int]]:
    """Size and time (ns) of each capture, by its path below the folder.

    Raises:
      InputError: one is not there.
    """
    found = {}
    for capture in sensor.captures:
        try:
            status = capture.stat()
        except OSError as error:
            raise InputError(f"cannot read the capture {capture}: {error.strerror}") from error
        found[capture.relative_to(metering.folder).as_posix()] = [status.st_size, status.st_mtime_ns]
    return found


def _is_whole(output_dir: Path, metering: Metering, sensor: Sensor) -> bool:
    """Whether these captures' records are there."""
    path, account = metering.records(output_dir, sensor.name), _account_path(output_dir, sensor)
    if not (path.exists() and account.exists()):
        return False
    try:
        known = store.read_object(account)
        return known["bytes"] == path.stat().st_size and known["captures"] == _state(metering, sensor)
    except (InputError, KeyError, TypeError):  # not what was written there, or a capture is gone: metering tells
        return False
