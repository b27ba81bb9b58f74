"""Flow records of captures (pcap, pcapng, plain or compressed), to a CSV or Parquet file.

Every capture is metered by itself, or all as pieces of one.  A record has CICFlowMeter's features under this package's
names, and the end points and start of its flow, which are not features; records come in the order in which flows end.
With --label, the file is a dataset to train on (`--data=flows.csv`).

    nids_jax meter --captures=monday.pcap,tuesday.pcapng.gz --output=flows.csv
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.metering import Metering, captures_in, flows_of
from nids_jax.cli.output import say
from nids_jax.errors import InputError
from nids_jax.files import make_folder, whole_or_absent
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


FLAGS = (Meter, Metering)


def main(arguments: Sequence[str]) -> None:
    """Meter what the flags name."""
    given = Flags(FLAGS)
    given.parse(arguments)
    wanted, metering = given.build(Meter), given.build(Metering)
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


def _output(name: str | None) -> Path:
    output = Path(name or "")
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"`output` is {name!r}; name a file that ends in .csv or .parquet")
    if output.is_dir():
        raise InputError(f"`output` is {name!r}, which is a folder; name a file")
    make_folder(output.parent, "output")
    return output
