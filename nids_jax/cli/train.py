"""Train a detector on labelled flows, test and calibrate it on rows held out, and write it to a folder.

Every labelled row is used.  Where a class has few rows, simulated flows of the tool behind it are added; with
--attacks=simulated benign rows alone do.  The folder holds the model with its thresholds, a card, curves, and a program
that runs without this package.

    nids_jax train --data=flows.csv --output=model
    nids_jax train --data=Bot:bot.pcap,Scan:scan.pcapng.gz --benign=monday.pcap --output=model
    nids_jax train --benign=monday.csv --attacks=simulated --output=model
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from nids_jax.bundle import folder
from nids_jax.bundle.columns import rows_of
from nids_jax.bundle.model import Model
from nids_jax.cli.flags import Flags
from nids_jax.cli.labelled import tables_of
from nids_jax.cli.output import say
from nids_jax.data.datasets import DATASETS, NAMES
from nids_jax.data.frames import flow_features, label_column, read_frame
from nids_jax.data.io.collector import OnInvalid
from nids_jax.data.io.columns import TIME
from nids_jax.data.loading import Attempted, load
from nids_jax.data.table import FlowTable, benign_class, concatenate
from nids_jax.errors import InputError
from nids_jax.modelling import card
from nids_jax.modelling.job import train
from nids_jax.modelling.settings import Train
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows:"""

    data: tuple[str, ...] = setting((), "Files or folders of labelled flows; of captures, CLASS:FILE for each.")
    dataset: str | None = setting(
        None, f"One of {', '.join(NAMES)}, whose rules to apply to the files, or which to read itself."
    )
    data_dir: str | None = setting(None, "Folder with one folder per dataset; default: $NIDS_DATA_DIR.")
    benign: tuple[str, ...] = setting((), "Files of benign flows, which need no labels, or captures of them.")
    unlabelled: tuple[str, ...] = setting((), "Files of flows without labels: what the model says of them is told.")
    label_column: str | None = setting(None, "Column with the labels, where it is not found by itself.")
    benign_class: str | None = setting(None, "Class that is no attack, where its name does not say so.")
    keep_ports: bool = setting(False, "Keep the destination port, which gives many attacks away.")
    on_invalid: OnInvalid | None = setting(None, "What to do with unusable rows; default: what suits the dataset.")
    attempted: Attempted = setting("relabel", "Flows of attacks without effect (`… - Attempted`).")
    max_per_class: int | None = setting(
        None, "Read the first so many rows of each class; default: the dataset's own limit.", least=1
    )
    exclude: tuple[str, ...] = setting((), "Classes to leave out.")

    def read(self, keep_times: bool) -> tuple[FlowTable, np.ndarray | None]:
        """The table to train on, and the times of its rows where they are asked for.

        Raises:
          InputError: nothing is named, or files that cannot be read or do not fit each other.
        """
        if not (self.data or self.dataset or self.benign):
            raise InputError("there is nothing to train on: name files with `data`, or a `dataset`")
        table, times = None, None
        if self.data or self.dataset:
            table, report = load(
                self.dataset,
                data_dir=self.data_dir,
                data=list(self.data) or None,
                label_column=self.label_column,
                keep_ports=self.keep_ports,
                on_invalid=self.on_invalid,
                max_per_class=self.max_per_class or "dataset",
                attempted=self.attempted,
                exclude=self.exclude,
                benign=self.benign_class,
                keep_times=keep_times,
            )
            say(str(report))
            if keep_times:
                times = table.x[:, table.features.index(TIME)]
                table = table.select(tuple(name for name in table.features if name != TIME))
        if self.benign:
            if keep_times:
                raise InputError("`benign` files are not split by time: add their rows to `data` with a label")
            calm = self._benign_rows(table)
            if table is None:
                table = calm
            else:  # the labelled files may have had no benign class
                table = concatenate([replace(table, classes=calm.classes, benign=calm.benign), calm])
        assert table is not None
        return table, times

    def _benign_rows(self, like: FlowTable | None) -> FlowTable:
        """The rows of the benign files, with the columns and classes of a table; those with missing values left out.

        Raises:
          InputError: a file has labels of attacks, or lacks columns; or no row is complete.
        """
        frame = read_frame(list(self.benign))
        name = self.benign_class or (like.benign if like is not None else None) or "BENIGN"
        if (column := label_column(frame)) is not None:
            known = frame[column].dropna().astype(str).unique().tolist()
            attacks = [each for each in known if each.strip() != name and benign_class([each.strip()]) is None]
            if attacks:
                raise InputError(f"`benign` has rows of {attacks[0]!r}, which is not benign; pass such files as `data`")
        if like is not None and name not in like.classes:
            like = replace(like, classes=(*like.classes, name), benign=name)
        features = like.features if like is not None else flow_features(frame)
        x = rows_of(frame, features, like.categories if like is not None else {}, features)
        good = np.isfinite(x).all(axis=1)
        say(f"benign rows: {int(good.sum()):,} of {len(x):,}; the others have missing or infinite values")
        if not good.any():
            raise InputError(f"no row of {', '.join(self.benign)} is complete, so none can be trained on")
        y = np.full(int(good.sum()), 0 if like is None else like.classes.index(name), np.int32)
        if like is not None:
            return replace(like, x=x[good], y=y)
        return FlowTable(x=x[good], y=y, features=features, classes=(name,), benign=name)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result:"""

    output: str | None = setting(None, "Folder for the model; one that is there is replaced as a whole.")


FLAGS = (Rows, Train, Result)


def main(arguments: Sequence[str]) -> None:
    """Train what the flags ask for.

    Raises:
      InputError: flags, rows or a folder that cannot be used.
      TrainingError: a training diverged.
    """
    given = Flags(FLAGS)
    given.parse(arguments)
    rows, settings, output = given.build(Rows), given.build(Train), given.build(Result).output
    if not output:
        raise InputError("`output` is missing; name a folder for the model")
    folder.refuse_other(Path(output))
    known = DATASETS[rows.dataset].meter if rows.dataset else None
    with TemporaryDirectory() as metered:
        compat = settings.compat or known or "none"
        data, all_data = tables_of(rows.data, Path(metered), compat, labelled=True)
        (Path(metered) / "benign").mkdir()
        benign, all_benign = tables_of(rows.benign, Path(metered) / "benign", compat, labelled=False)
        if (rows.data or rows.benign) and all_data and all_benign:
            known = compat  # nothing but captures, metered here
        table, times = replace(rows, data=tuple(data), benign=tuple(benign)).read(settings.split == "time")
    model = train(
        table,
        settings,
        times=times,
        meter=settings.compat or known,
        source=rows.dataset or ", ".join(Path(name).name for name in (*rows.data, *rows.benign)),
        say=say,
        progress=True,
    )
    model.save(output)
    evaluation = model.told["evaluation"]
    shown = [*card.figures(evaluation)]
    width = max(len(name) for name, _ in shown)
    say("", evaluation["method"], "", *(f"{name:{width}}  {value}" for name, value in shown), "")
    say("class, rows held out found as it:", *_recalls(model))
    for rate in model.rates:
        say(model.threshold(rate).sentence)
    if rows.unlabelled:
        say(*_dry_run(model, read_frame(list(rows.unlabelled))))
    say("", f"model: {output}; its card: {Path(output) / folder.CARD}")


def _recalls(model: Model) -> list[str]:
    found = model.told["evaluation"]["per_class_recall"]
    width = max(map(len, model.classes))
    return [f"  {name:{width}}  {f'{found[name]:.4f}' if name in found else '–'}" for name in model.classes]


def _dry_run(model: Model, frame: pd.DataFrame) -> list[str]:
    """What the model says of rows without labels."""
    lines = [f"rows without labels: {len(frame):,}, not trained on"]
    x = model.rows(frame)
    for rate in model.rates:
        verdicts = model.verdicts(x, rate)
        alerts, unknown = int(verdicts.alert.sum()), int(verdicts.unknown.sum())
        lines.append(f"  at {rate:.3%} false positives: {alerts:,} alerts; unknown: {unknown:,}")
    return lines
