"""Train a detector on labelled flows, test and calibrate it on rows held out, and write it to a folder.

Every labelled row is used.  Where a class has few rows, simulated flows of the tool behind it are added; with
--attacks=simulated benign rows alone do.  The folder holds the model with its thresholds, a card, curves, and a program
that runs without this package.

    nids_jax train --data=flows.csv --output=model
    nids_jax train --data=Bot:bot.pcap,Scan:scan.pcapng.gz --benign=monday.pcap --output=model
    nids_jax train --benign=monday.csv --attacks=simulated --output=model
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from nids_jax.bundle import folder
from nids_jax.bundle.columns import rows_of
from nids_jax.bundle.model import Model
from nids_jax.cli.flags import Flags
from nids_jax.cli.labelled import tables_of
from nids_jax.cli.options import Reading
from nids_jax.cli.output import say
from nids_jax.data.datasets import DATASETS
from nids_jax.data.frames import Frames
from nids_jax.data.io.columns import TIME
from nids_jax.data.io.labels import UNLABELLED, is_unlabelled, label_key
from nids_jax.data.io.sources import find_files
from nids_jax.data.loading import load
from nids_jax.data.table import FlowTable, benign_class, concatenate
from nids_jax.errors import InputError
from nids_jax.flows.compat import DEFAULT
from nids_jax.folders import passed_over
from nids_jax.locks import hold
from nids_jax.modelling import card
from nids_jax.modelling.job import train
from nids_jax.modelling.settings import Train
from nids_jax.settings import setting
from nids_jax.training.description import reading


@dataclass(frozen=True, kw_only=True)
class Rows(Reading):
    """The rows:"""

    data: tuple[str, ...] = setting((), "Files or folders of labelled flows; of captures, CLASS:FILE for each.")
    benign: tuple[str, ...] = setting((), "Files of benign flows, which need no labels, or captures of them.")
    benign_class: str | None = setting(None, "Class that is no attack, where its name does not say so.")
    unlabelled: tuple[str, ...] = setting(
        (), "Files of flows without labels, or captures: what the model says of them is told."
    )

    @property
    def unlabelled_files(self) -> Sequence[Path]:
        """The files of `unlabelled`; there may be none.

        Raises:
          InputError: what is named holds none.
        """
        return find_files(list(self.unlabelled)).read if self.unlabelled else ()

    def read(self, keep_times: bool) -> "Found":
        """The rows to train on, with their times where they are asked for, and those without a label.

        Raises:
          InputError: nothing is named, or files that cannot be read or do not fit each other.
        """
        if not (self.data or self.dataset or self.benign):
            raise InputError("there is nothing to train on: name files with `data`, or a `dataset`")
        if self.benign and keep_times:
            raise InputError("`benign` files are not split by time: add their rows to `data` with a label")
        for path in self.unlabelled_files:
            with Frames(path):  # what cannot be read is to be known before hours of training
                pass
        if not (self.data or self.dataset):
            return Found(self._benign_rows(None), None, None)
        found = self._labelled(keep_times)
        if not self.benign:
            return found
        calm = self._benign_rows(found.table)
        # The labelled files may have had no benign class.
        table = replace(found.table, classes=calm.classes, benign=calm.benign)
        return found._replace(table=concatenate([table, calm]))

    def _labelled(self, keep_times: bool) -> "Found":
        table, report = load(self.dataset, keep_times=keep_times, keep_unlabelled=True, **self.options)
        say(*str(report).split("\n"))
        times = None
        if keep_times:
            times = table.x[:, table.features.index(TIME)]
            table = table.select(tuple(name for name in table.features if name != TIME))
        unlabelled = None
        if UNLABELLED in table.classes:
            without = table.y == table.classes.index(UNLABELLED)
            unlabelled, times = table.take(without), None if times is None else times[~without]
            others = tuple(name for name in table.classes if name != UNLABELLED)
            table = table.regroup({name: name for name in others}, others)
            say(f"{len(unlabelled):,} rows have no label: they count as unlabelled, as those of --unlabelled do")
        if self.benign_class is not None:
            key = label_key(self.benign_class)
            named = next((name for name in table.classes if label_key(name) == key), None)
            if named is None and not self.benign:
                listed = ", ".join(table.classes)
                raise InputError(f"`benign_class` is {self.benign_class!r}, which is none of the classes: {listed}")
            table = replace(table, benign=named or table.benign)
        return Found(table, times, unlabelled)

    def _benign_rows(self, like: FlowTable | None) -> FlowTable:
        """The rows of the benign files, with the columns and classes of a table; those with missing values left out.

        Raises:
          InputError: a file has labels of attacks, or lacks columns; or no row is complete.
        """
        name = self.benign_class or (like.benign if like is not None else None) or "BENIGN"
        if like is not None:
            name = next((each for each in like.classes if label_key(each) == label_key(name)), name)
            if name not in like.classes:
                like = replace(like, classes=(*like.classes, name))
            like = replace(like, benign=name)
        features = () if like is None else like.features
        categories = {} if like is None else like.categories
        files, others = find_files(list(self.benign))
        if others:
            say(passed_over(others))
        parts, malformed = [], 0
        for path in files:
            with Frames(path) as file:
                features = features or file.features
                label = file.label(self.label_column)
                texts = {} if label is None else {"label": label}
                for piece in file.pieces(features, categories, texts, self.decimal):
                    _refuse_attacks(path, piece.texts.get("label", np.array([])), name)
                    with reading(path):
                        parts.append(rows_of(piece.frame, features, categories, features))
                    malformed += piece.malformed
        x = np.concatenate([np.empty((0, len(features))), *parts])
        good = np.isfinite(x).all(axis=1)
        say(f"benign rows: {int(good.sum()):,} of {len(x):,}; the others have missing or infinite values")
        if malformed:
            say(f"{malformed:,} further rows have more or fewer fields than the header")
        if not good.any():
            raise InputError(f"no row of {', '.join(self.benign)} is complete, so none can be trained on")
        y = np.full(int(good.sum()), 0 if like is None else like.classes.index(name), np.int32)
        if like is not None:
            return replace(like, x=x[good], y=y)
        return FlowTable(x=x[good], y=y, features=features, classes=(name,), benign=name)


class Found(NamedTuple):
    """What was read."""

    table: FlowTable
    times: np.ndarray | None  # [n] seconds
    unlabelled: FlowTable | None  # rows without a label among the labelled ones, with the table's columns


def _refuse_attacks(path: Path, labels: np.ndarray, name: str) -> None:
    """Raise an InputError where a label of benign rows is neither a benign class nor that none is known."""
    for each in dict.fromkeys(labels.tolist()):
        if each and label_key(each) != label_key(name) and benign_class([each]) is None and not is_unlabelled(each):
            raise InputError(f"{path} has rows of {each!r}, which is not benign; pass such files as `data`")


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
    held = hold(Path(output), "output", ["nids_jax", "train", *arguments], beside=True)
    with held, TemporaryDirectory() as metered:
        compat = settings.compat or known or DEFAULT
        kept, only_captures = {}, []
        for kind in ("data", "benign", "unlabelled"):
            (Path(metered) / kind).mkdir()
            names, captures = tables_of(getattr(rows, kind), Path(metered) / kind, compat, labelled=kind == "data")
            kept[kind] = tuple(names)
            only_captures += [captures] if names and kind != "unlabelled" else []
        if only_captures and all(only_captures) and not rows.dataset:
            known = compat  # nothing but captures, metered here
        given_rows = replace(rows, **kept)
        table, times, unlabelled = given_rows.read(settings.split == "time")
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
        say(*_dry_run(model, unlabelled, given_rows))
    say("", f"model: {output}; its card: {Path(output) / folder.CARD}")


def _recalls(model: Model) -> list[str]:
    found = model.told["evaluation"]["per_class_recall"]
    width = max(map(len, model.classes))
    return [f"  {name:{width}}  {f'{found[name]:.4f}' if name in found else '–'}" for name in model.classes]


def _dry_run(model: Model, unlabelled: FlowTable | None, given: Rows) -> list[str]:
    """What the model says of rows without labels, of which there may be none."""
    count, alerts, unknown = 0, dict.fromkeys(model.rates, 0), 0
    for x in _unlabelled(model, unlabelled, given):
        verdicts = model.verdicts(x)
        count += len(x)
        unknown += int(verdicts.unknown.sum())
        for rate in model.rates:
            alerts[rate] += int((verdicts.score > model.threshold(rate).value).sum())
    if not count:
        return []
    lines = [f"  at {rate:.3%} false positives: {n:,} alerts" for rate, n in alerts.items()]
    return [f"rows without labels: {count:,}, not trained on", *lines, f"  unknown: {unknown:,}"]


def _unlabelled(model: Model, unlabelled: FlowTable | None, given: Rows) -> Iterator[np.ndarray]:
    """Raw rows without labels, piece by piece."""
    if unlabelled is not None:
        yield model.rows(unlabelled)
    for path in given.unlabelled_files:
        with Frames(path) as file:
            for piece in file.pieces(model.features, model.categories, decimal=given.decimal):
                if len(piece.row):
                    with reading(path):
                        yield model.rows(piece.frame)
