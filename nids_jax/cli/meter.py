"""Flow records of captures (pcap, pcapng, plain or compressed), to a CSV or Parquet file, or to one for each sensor.

Every capture is metered by itself, or all as pieces of one.  A record has CICFlowMeter's features under this package's
names, and the end points and start of its flow, which are not features; records come in the order in which flows end.
With --label, the file is a dataset to train on (`--data=flows.csv`).

    nids_jax meter --captures=monday.pcap,tuesday.pcapng.gz --output=flows.csv

With --output_dir, the captures of a folder are metered by sensor: the files that a program rotated are pieces of one
capture (eth0_00001_20240131235959.pcap, trace.pcap1, berlin/20240131.pcap), and each sensor gets a file of records and
an account.  A rerun meters the sensors whose captures changed.

    nids_jax meter --captures=site --output_dir=flows --cluster=auto
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.metering import Metering, Named, captures_in, flows_of
from nids_jax.cli.output import say
from nids_jax.cli.placing import Placing
from nids_jax.errors import InputError
from nids_jax.files import make_folder, whole_or_absent
from nids_jax.flows.rotated import sensors
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class Meter:
    """The captures:"""

    captures: tuple[str, ...] = setting((), "Capture files, or folders that hold some at any depth.")
    output: str | None = setting(None, "File to write: NAME.csv or NAME.parquet.")
    label: str | None = setting(None, "Class of all flows, for a column `Label`; default: no such column.")
    joined: bool = setting(False, "Whether the captures, in the order named, are pieces of one.")

    def __post_init__(self) -> None:
        if self.label is not None and not (self.label.strip() and self.label.isprintable()):
            raise InputError(f"`label` is {self.label!r}; name a class, or leave it out")


@dataclass(frozen=True, kw_only=True)
class BySensor(Placing):
    """A folder of many sensors' captures:"""

    output_dir: str | None = setting(None, "Folder to write instead of one file: records and an account a sensor.")
    format: Literal["parquet", "csv"] = setting("parquet", "Of the files there.")
    shard: str | None = setting(None, "K/N: meter the K-th of N shares of the sensors, from 0.")
    cluster: str | None = setting(
        None, "Meter the sensors on a Ray cluster: auto finds or starts one, ray://HOST:10001 connects; default: here."
    )


FLAGS = (Meter, BySensor, Metering)


def main(arguments: Sequence[str]) -> None:
    """Meter what the flags name."""
    given = Flags(FLAGS)
    given.parse(arguments)
    wanted, metering, by_sensor = given.build(Meter), given.build(Metering), given.build(BySensor)
    if given.given("output_dir"):
        for name in ("output", "joined"):
            if given.given(name):
                raise InputError(
                    f"`{name}` is about one file of records, and `output_dir` asks for one for each sensor, whose "
                    "captures are pieces of one; give one of them"
                )
        _by_sensor(wanted, by_sensor, metering, arguments)
        return
    for name in ("format", "shard", "cluster"):
        if given.given(name):
            raise InputError(f"`{name}` is about metering by sensor; name a folder for the records with `output_dir`")
    output, files = _output(wanted.output), captures_in(wanted.captures, "captures")

    with importing():  # here, because numpy and numba take longer to import than --help may
        from nids_jax.flows.meter.columns import COLUMNS, values
        from nids_jax.flows.metering import CaptureMeter
        from nids_jax.sheets import Sheet

    work = CaptureMeter(metering.options())

    columns, label = dict(COLUMNS), []
    if wanted.label is not None:
        columns["Label"], label = "few texts", [wanted.label]
    form = "csv" if output.suffix.lower() == ".csv" else "parquet"
    with whole_or_absent(output, "output") as file, Sheet(file, form, columns) as sheet:
        for each in flows_of(work, files, say, joined=wanted.joined):
            sheet.write([*values(each, work.hosts), *label])
        if not sheet.rows:
            left = "; ".join(f"{count:,} packets left out: {why}" for why, count in work.total.left_out.items())
            raise InputError(
                f"there are no flows in these captures{f' ({left})' if left else ''}; name captures with IP packets"
            )
    say(f"flows in all: {sheet.rows:,}, in {output}")


def _by_sensor(wanted: Meter, by_sensor: BySensor, metering: Metering, arguments: Sequence[str]) -> None:
    """Meter the captures of a folder, sensor by sensor."""
    output_dir, shard, executor = by_sensor.folder(), by_sensor.share(), by_sensor.executor(computes=False)
    if len(wanted.captures) != 1 or not Path(wanted.captures[0]).is_dir():
        raise InputError(
            f"`captures` is {','.join(wanted.captures)!r}, and `output_dir` asks for records by sensor; name one folder"
        )
    folder = Path(wanted.captures[0]).resolve()
    inside: list[Named] = captures_in([str(folder)], "captures")
    found = sensors(folder, [each.path for each in inside])

    with importing():
        from nids_jax.locks import hold
        from nids_jax.pipeline import sensors as pipeline
        from nids_jax.pipeline.runner import Runner

    job = pipeline.Metering(folder=folder, options=metering.options(), form=by_sensor.format, label=wanted.label)
    command = ["nids_jax", "meter", *arguments]
    with hold(output_dir, "output_dir", command, share=shard), executor as place:
        runner = Runner(output_dir=output_dir, command=command, say=say, shard=shard, executor=place)
        before = pipeline.meter_sensors(runner, found, job)
    again = f" ({before:,} of them before)" if before else ""
    say(f"sensors metered: {len(runner.share(found)):,}{again}, in {output_dir}")


def _output(name: str | None) -> Path:
    output = Path(name or "")
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"`output` is {name!r}; name a file that ends in .csv or .parquet")
    if output.is_dir():
        raise InputError(f"`output` is {name!r}, which is a folder; name a file")
    make_folder(output.parent, "output")
    return output
