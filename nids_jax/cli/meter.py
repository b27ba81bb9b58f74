"""Flow records of captures (pcap, pcapng, plain or gzipped), to a CSV or Parquet file.

    nids_jax meter --captures=monday.pcap,tuesday.pcapng --output=flows.csv

Every capture is metered by itself.  A record has CICFlowMeter's features under this package's names, and the end points
and start of its flow, which are not features.  With --label, the file is a dataset to train on (`--data=flows.csv`).
"""

import io
import os
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pandas as pd
from absl import flags

from nids_jax.cli import frame
from nids_jax.errors import InputError
from nids_jax.files import write_atomic
from nids_jax.flows.capture import Capture, read_capture
from nids_jax.flows.meter import Compat, Flows, meter
from nids_jax.flows.schema import FEATURES

_CAPTURES = flags.DEFINE_list("captures", [], "Capture files, or folders that hold some at any depth.")
_OUTPUT = flags.DEFINE_string("output", None, "File to write: NAME.csv or NAME.parquet.")
_LABEL = flags.DEFINE_string("label", None, "Class of all flows, for a column `Label`; default: no such column.")
_COMPAT = flags.DEFINE_enum(
    "compat", "corrected", get_args(Compat), "Whether to repeat CICFlowMeter's defects (see `flows.meter.meter`)."
)

ENDINGS = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".cap.gz")


def main(argv: list[str]) -> None:
    """What the module says."""
    frame.no_arguments(argv)
    output = _output()
    if _LABEL.value is not None and not (_LABEL.value.strip() and _LABEL.value.isprintable()):
        raise InputError(f"--label is {_LABEL.value!r}; name a class, or leave it out")
    tables = []
    for path in _files(_CAPTURES.value):
        capture = read_capture(path)
        flows = meter(capture.packets, compat=cast(Compat, _COMPAT.value))
        tables.append(_table(capture, flows))
        # What the terminal cannot show of a file's name is written as an escape.
        print(f"{os.fsencode(path).decode('utf-8', 'backslashreplace')}: {_account(capture, flows)}")
    table = pd.concat(tables, ignore_index=True)
    if not len(table):
        raise InputError("there are no flows in these captures; name captures with IP packets")
    if _LABEL.value is not None:
        table["Label"] = _LABEL.value
    content = io.BytesIO()
    if output.suffix.lower() == ".csv":
        table.to_csv(content, index=False)
    else:
        table.to_parquet(content, index=False)
    write_atomic(output, content.getvalue(), "output")
    print(f"flows in all: {len(table):,}, in {output}")


def _output() -> Path:
    output = Path(_OUTPUT.value or "")
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"--output is {_OUTPUT.value!r}; name a file that ends in .csv or .parquet")
    if output.is_dir():
        raise InputError(f"--output is {_OUTPUT.value!r}, which is a folder; name a file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {output.parent}: {error.strerror}; name another --output") from None
    return output


def _files(names: list[str]) -> list[Path]:
    """Every file once, however often it is named."""
    if not names or not all(names):
        raise InputError(
            f"--captures has {','.join(names)!r}; name pcap or pcapng files, or folders, with a comma between"
        )
    found: dict[Path, Path] = {}
    for name in names:
        path = Path(name)
        inside = [path]
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and each.name.lower().endswith(ENDINGS))
            if not inside:
                raise InputError(f"--captures names the folder {path}, but no file in it ends in {', '.join(ENDINGS)}")
        for each in inside:
            found.setdefault(each.resolve(), each)
    return list(found.values())


def _table(capture: Capture, flows: Flows) -> pd.DataFrame:
    """The end points and start of each flow, then its features; whole numbers as such where all are finite."""
    hosts = np.array(capture.hosts, object)
    columns = {
        "timestamp": pd.to_datetime(flows.start, unit="us", utc=True),
        "source_ip": hosts[flows.source],
        "source_port": flows.source_port,
        "destination_ip": hosts[flows.destination],
    }
    for feature, values in zip(FEATURES, flows.x.T, strict=True):
        whole = feature.integer and bool(np.isfinite(values).all())
        columns[feature.name] = values.astype(np.int64) if whole else values
    return pd.DataFrame(columns)


def _account(capture: Capture, flows: Flows) -> str:
    parts = [f"packets: {capture.frames:,}", *(f"left out: {n:,} ({why})" for why, n in capture.left_out.items())]
    return ", ".join([*parts, f"flows: {len(flows):,}", *([capture.damage] if capture.damage else [])])


if __name__ == "__main__":
    frame.run(main)
