"""Captures among the files to train on: their flows, as tables that the readers take."""

from collections.abc import Sequence
from pathlib import Path

from nids_jax.api import meter
from nids_jax.cli.output import say
from nids_jax.errors import InputError, reason
from nids_jax.flows.meter import Compat
from nids_jax.flows.rotated import is_capture


def tables_of(names: Sequence[str], folder: Path, compat: Compat, *, labelled: bool) -> tuple[list[str], bool]:
    """The same files, with each capture's flow records as a Parquet file in `folder`; whether all were captures.

    Args:
      names: files and folders; with `labelled`, a capture is named CLASS:FILE.
      compat: how captures are metered.

    Raises:
      InputError: a labelled capture without its class, one that cannot be read, or one without flows.
    """
    found, captures = [], 0
    for name in names:
        label, colon, path = name.partition(":")
        if not is_capture(name):
            found.append(name)
            continue
        if labelled and (not (colon and label.strip() and path) or Path(name).is_file()):
            raise InputError(f"`data` has the capture {name!r}, of no class; write CLASS:{name}")
        if not labelled:
            path = name
        frame = meter(path, compat=compat)
        if not len(frame):
            raise InputError(f"there are no flows in {path}; leave it out")
        if labelled:
            frame["Label"] = label.strip()
        table = folder / f"{captures:04}.parquet"
        try:
            frame.to_parquet(table, index=False)
        except OSError as error:
            raise InputError(
                f"cannot write {table}: {reason(error)}; let the variable TMPDIR name a folder with more room"
            ) from error
        say(f"{path}: {len(frame):,} flows{f' of {label.strip()}' if labelled else ''}")
        found.append(str(table))
        captures += 1
    return found, captures == len(names)
