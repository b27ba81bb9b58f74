"""Flow records of captures (pcap, pcapng, plain or gzipped), to a CSV or Parquet file.

Every capture is metered by itself.  A record has CICFlowMeter's features under this package's names, and the end points
and start of its flow, which are not features.  With --label, the file is a dataset to train on (`--data=flows.csv`).

    nids_jax meter --captures=monday.pcap,tuesday.pcapng --output=flows.csv
"""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.output import say
from nids_jax.errors import InputError
from nids_jax.files import make_folder, write_atomic
from nids_jax.settings import setting

if TYPE_CHECKING:
    from nids_jax.flows.capture import Capture
    from nids_jax.flows.meter import Flows

ENDINGS = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".cap.gz")


@dataclass(frozen=True, kw_only=True)
class Meter:
    """The captures:"""

    captures: tuple[str, ...] = setting((), "Capture files, or folders that hold some at any depth.")
    output: str | None = setting(None, "File to write: NAME.csv or NAME.parquet.")
    label: str | None = setting(None, "Class of all flows, for a column `Label`; default: no such column.")
    compat: str = setting(
        "corrected",
        "Whether to repeat CICFlowMeter's defects (see `flows.meter.meter`).",
        choices=["corrected", "cicflowmeter"],
    )

    def __post_init__(self) -> None:
        if self.label is not None and not (self.label.strip() and self.label.isprintable()):
            raise InputError(f"`label` is {self.label!r}; name a class, or leave it out")


FLAGS = (Meter,)


def main(arguments: Sequence[str]) -> None:
    """Meter what the flags name."""
    given = Flags(FLAGS)
    given.parse(arguments)
    wanted = given.build(Meter)
    output, files = _output(wanted.output), _files(wanted.captures)

    with importing():  # here, because numpy and pandas take longer to import than --help may
        import pandas as pd

        from nids_jax.flows.capture import read_capture
        from nids_jax.flows.meter import meter
        from nids_jax.flows.meter.frame import as_frame

    tables = []
    for path in files:
        capture = read_capture(path)
        flows = meter(capture.packets, compat=wanted.compat)  # pyright: ignore[reportArgumentType] (the flag's choices)
        tables.append(as_frame(capture, flows))
        # What the terminal cannot show of a file's name is written as an escape.
        say(f"{os.fsencode(path).decode('utf-8', 'backslashreplace')}: {_account(capture, flows)}")
    table = pd.concat(tables, ignore_index=True)
    if not len(table):
        raise InputError("there are no flows in these captures; name captures with IP packets")
    if wanted.label is not None:
        table["Label"] = wanted.label
    content = io.BytesIO()
    if output.suffix.lower() == ".csv":
        table.to_csv(content, index=False)
    else:
        table.to_parquet(content, index=False)
    write_atomic(output, content.getvalue(), "output")
    say(f"flows in all: {len(table):,}, in {output}")


def _output(name: str | None) -> Path:
    output = Path(name or "")
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"`output` is {name!r}; name a file that ends in .csv or .parquet")
    if output.is_dir():
        raise InputError(f"`output` is {name!r}, which is a folder; name a file")
    make_folder(output.parent, "output")
    return output


def _files(names: Sequence[str]) -> list[Path]:
    """Every file once, however often it is named."""
    if not names or not all(names):
        raise InputError(
            f"`captures` has {','.join(names)!r}; name pcap or pcapng files, or folders, with a comma between"
        )
    found: dict[Path, Path] = {}
    for name in names:
        path = Path(name)
        inside = [path]
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and each.name.lower().endswith(ENDINGS))
            if not inside:
                raise InputError(f"`captures` names the folder {path}, but no file in it ends in {', '.join(ENDINGS)}")
        for each in inside:
            found.setdefault(each.resolve(), each)
    return list(found.values())


def _account(capture: "Capture", flows: "Flows") -> str:
    parts = [f"packets: {capture.frames:,}", *(f"left out: {n:,} ({why})" for why, n in capture.left_out.items())]
    return ", ".join([*parts, f"flows: {len(flows):,}", *([capture.damage] if capture.damage else [])])
