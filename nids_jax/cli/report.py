"""Rebuild an experiment's summary, figures and page from its files, or make one report of several shards.

nids_jax report out/fewshot
nids_jax report out/shard0 out/shard1 out/shard2 --output_dir=out/all
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nids_jax import store
from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.output import say, warn
from nids_jax.errors import InputError
from nids_jax.locks import hold
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where to:"""

    output_dir: str | None = setting(None, "Folder for the report of several; default: the one folder that is named.")


FLAGS = (Report,)


def main(arguments: Sequence[str]) -> None:
    """Report what the folders hold."""
    given = Flags(FLAGS)
    folders = given.parse(arguments, positional=True)
    wanted = given.build(Report)
    if not folders:
        raise InputError("no folder is named; give the output folder of an experiment")
    if wanted.output_dir is None and len(folders) > 1:
        raise InputError(f"{len(folders)} folders are named; say with `output_dir` where their common report goes")
    with importing():
        from nids_jax.report.page import build_report  # seconds, which --help does not need
        from nids_jax.report.tables import summary_text
    if wanted.output_dir is not None:
        into = Path(wanted.output_dir)
        with hold(into, "output_dir", ["nids_jax", "report", *arguments]):
            store.merge([Path(folder) for folder in folders], into)
    folder = Path(wanted.output_dir or folders[0])
    if not folder.is_dir() or os.access(folder, os.W_OK):
        say(str(build_report(folder)))
        return
    records = store.read(folder)
    if not records:
        raise InputError(f"{folder} holds no finished runs; name the output folder of an experiment")
    say(*summary_text(records).split("\n"))
    warn(
        f"{folder} cannot be written, so the report there stays as it is; for another, name a folder with --output_dir"
    )
