"""A dataset's files, or any labelled files, → one table of flows with canonical class names."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from nids_jax.data.datasets import DATASETS, Dataset
from nids_jax.data.duplicates import repeats
from nids_jax.data.io.notation import Decimal
from nids_jax.data.io.read_report import Counts, ReadReport
from nids_jax.data.io.readers import read_flows
from nids_jax.data.io.sources import PathLike, find_files
from nids_jax.data.io.survey import OnInvalid
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017, normalise

Attempted = Literal["relabel", "drop", "keep"]


def load(
    name: str | None = None,
    *,
    data_dir: PathLike | None = None,
    data: PathLike | Sequence[PathLike] | None = None,
    label_column: str | None = None,
    keep_ports: bool = False,
    on_invalid: OnInvalid | None = None,
    max_per_class: int | Literal["dataset"] | None = "dataset",
    attempted: Attempted = "relabel",
    merge_spellings: bool = True,
    merge_dos: bool = False,
    exclude: Sequence[str] = (),
    benign: str | None = None,
    decimal: Decimal | None = None,
    seed: int = 0,
    keep_times: bool = False,
    keep_unlabelled: bool = False,
    progress: bool = True,
) -> tuple[FlowTable, ReadReport]:
    """Read a dataset.

    Args:
      name: one of `NAMES`; None reads any labelled files, named by `data`, without a dataset's rules.
      data_dir: the folder that holds a folder per dataset; None is the environment's NIDS_DATA_DIR.  Of
        `data_dir/name` this reads `flows.parquet`, else every CSV, Parquet and ARFF file below it (those in a folder
        `raw` only if there are no others).
      data: the files or folders to read instead.
      label_column: see `read_flows`.
      keep_ports: keep the destination port as a feature.
      on_invalid: see `read_flows`; None is what suits the dataset: `impute` for gas_pipeline, else `drop`.
      max_per_class: keep the first so many valid rows of each class; `dataset` is P1's 30,000 for cicids2017 and
        cicddos2019 and no limit for the others; None is no limit.  For `simulated`, the rows per class (400).
      attempted: cicids2017_improved marks flows of attacks that had no effect (`DoS Hulk - Attempted`): `relabel`
        them BENIGN, as its authors advise, `drop` them, or `keep` them as classes of their own.
      merge_spellings: in cicddos2019, read `LDAP` as `DrDoS_LDAP`, `UDPLag` as `UDP-lag`, and so on.
      merge_dos: make one class `DoS` of the four DoS tools of CIC-IDS2017, as P2 does (12 classes).
      exclude: classes to leave out, by the names that they have after all merging.
      benign: the class of traffic that is no attack; None is the dataset's own, or the one that is called benign,
        normal, background or legitimate.
      decimal: see `read_flows`.
      seed: of the simulation; nothing else here is random.
      keep_times, keep_unlabelled: see `read_flows`.
      progress: show a bar of bytes on standard error.

    Returns:
      The table, its classes in the dataset's order (unknown ones after them), and the report.  Duplicates are counted,
      not removed: see `nids_jax.data.split.deduplicate`.

    Raises:
      InputError: an unknown dataset, class or choice; no data; or whatever `read_flows` refuses.
    """
    if name is not None and name not in DATASETS:
        known = ", ".join(DATASETS)
        raise InputError(f"unknown dataset {name!r}; choose from {known}, or name files with `data` alone")
    if attempted not in get_args(Attempted):
        raise InputError(f"attempted is {attempted!r}; choose from {', '.join(get_args(Attempted))}")
    if isinstance(max_per_class, int) and max_per_class < 1:
        raise InputError(f"max_per_class is {max_per_class}; it must be at least 1")
    entry = DATASETS[name] if name is not None else None
    if entry and entry.simulated_rows:
        if data is not None or merge_dos:
            raise InputError("the simulated dataset reads no files and has no DoS tools to merge")
        if keep_times:
            raise InputError("the simulated dataset has no times")
        rows = max_per_class if isinstance(max_per_class, int) else entry.simulated_rows
        table, report = _simulate(entry, rows, seed, keep_ports, exclude)
        return _with_benign(table, entry, benign), report
    if merge_dos and (entry is None or not entry.dos_tools):
        raise InputError(
            f"merge_dos is for cicids2017 and cicids2017_improved, not for {name or 'files of no dataset'}"
        )
    source = _dataset_files(entry, data_dir) if data is None else data
    cap = max_per_class
    if cap == "dataset":
        cap = entry.cap if entry else None
    rename = _Renamer(entry, attempted, merge_spellings, merge_dos, frozenset(exclude))
    table, report = read_flows(
        source,
        label_column=label_column,
        keep_ports=keep_ports,
        on_invalid=on_invalid or (entry.on_invalid if entry else "drop"),
        cap=cap,
        rename=rename,
        order=rename.order,
        identifiers=_identifiers(entry),
        decimal=decimal,
        keep_times=keep_times,
        keep_unlabelled=keep_unlabelled,
        progress=progress,
    )
    rename.check_excluded(table.classes)
    table = _categorical(table, entry.codes) if entry else table
    return _with_benign(table, entry, benign), report


def _identifiers(entry: Dataset | None) -> frozenset[str]:
    """Columns that are no features; files of no known dataset may be a part of any."""
    return entry.identifiers if entry else frozenset[str]().union(*(each.identifiers for each in DATASETS.values()))


def _with_benign(table: FlowTable, entry: Dataset | None, benign: str | None) -> FlowTable:
    """The table that knows its benign class: the one asked for, or the dataset's own, where it is there."""
    if benign is not None:
        found = next((name for name in table.classes if _key(name) == _key(benign)), None)
        if found is None:
            raise InputError(f"`benign` is {benign!r}, which is none of the classes: {', '.join(table.classes)}")
        return replace(table, benign=found)
    return replace(table, benign=entry.benign) if entry and entry.benign in table.classes else table


def _dataset_files(entry: Dataset | None, data_dir: PathLike | None) -> list[Path]:
    if entry is None:
        raise InputError("there is nothing to read: name a dataset, or files with `data`")
    if entry.packaged:
        return [Path(__file__).parent / "packaged" / entry.packaged]
    if data_dir is None:
        data_dir = os.environ.get("NIDS_DATA_DIR")
    if not data_dir:
        raise InputError(
            f"the dataset {entry.name} needs files: pass `data_dir` or set NIDS_DATA_DIR, or use `simulated`"
        )
    folder = Path(data_dir, entry.name)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: pass another `data_dir`, set NIDS_DATA_DIR, or use `simulated`")
    if (folder / "flows.parquet").is_file():
        return [folder / "flows.parquet"]
    files = find_files(folder).read
    return [file for file in files if "raw" not in file.relative_to(folder).parts[:-1]] or files


def _key(name: str) -> str:
    """What spellings of one class have in common; a name without latin letters is its own key."""
    return normalise(name) or name


def _categorical(table: FlowTable, names: Sequence[str]) -> FlowTable:
    """The table with those of these numeric columns that it has as categories, one for each value that occurs."""
    x, categories = table.x.copy(), dict(table.categories)
    for column, name in enumerate(table.features):
        if name in names and name not in categories:
            values, x[:, column] = np.unique(x[:, column], return_inverse=True)
            categories[name] = tuple(np.format_float_positional(value, trim="-") for value in values)
    return replace(table, x=x, categories=categories)


class _Renamer:
    """Label as published (cleaned) → class name, or None to leave it out."""

    def __init__(
        self,
        entry: Dataset | None,
        attempted: Attempted,
        merge_spellings: bool,
        merge_dos: bool,
        exclude: frozenset[str],
    ) -> None:
        self._entry = entry
        self._attempted = attempted
        self._dos_tools = entry.dos_tools if entry and merge_dos else frozenset[str]()
        self._exclude = {_key(name): name for name in exclude}
        self._met: set[str] = set()  # normalised names of the classes that were left out
        self._known: dict[str, str] = {}
        classes: tuple[str, ...] = ()
        if entry:
            classes = entry.classes
            self._known = {_key(name): name for name in classes} | dict(entry.spellings)
            if merge_spellings:
                self._known |= entry.merged
        self.order = tuple(dict.fromkeys("DoS" if name in self._dos_tools else name for name in classes))

    def __call__(self, label: str) -> str | None:
        new = self._renamed(label)
        if new is not None and _key(new) in self._exclude:
            self._met.add(_key(new))
            return None
        return new

    def _renamed(self, label: str) -> str | None:
        if self._entry is None:
            return label
        key = _key(label)
        if self._entry.attempted and self._entry.attempted in key.split("_"):
            if self._attempted == "drop":
                return None
            if self._attempted == "relabel":
                return self._entry.benign
            attack = self._known.get(key.removesuffix(f"_{self._entry.attempted}"))
            return f"{attack} - Attempted" if attack else label
        name = self._known.get(key, label)
        return "DoS" if name in self._dos_tools else name

    def check_excluded(self, left: Sequence[str]) -> None:
        """Raise an InputError if a class to leave out neither occurred nor belongs to the dataset."""
        known = {_key(name) for name in self.order} | self._met
        for key, name in self._exclude.items():
            if key not in known:
                raise InputError(f"there is no class {name!r} to exclude; the classes are: {', '.join(left)}")


def _simulate(
    entry: Dataset, rows: int, seed: int, keep_ports: bool, exclude: Sequence[str]
) -> tuple[FlowTable, ReadReport]:
    from nids_jax.flows.simulate import simulate_flows  # the simulator and the meter, which no other dataset needs

    unknown = [name for name in exclude if name not in entry.classes]
    if unknown:
        raise InputError(f"there is no class {unknown[0]!r} to exclude; the classes are: {', '.join(entry.classes)}")
    classes = tuple(name for name in entry.classes if name not in exclude)
    if not classes:
        raise InputError("every simulated class is excluded, so there is nothing to simulate")
    x, labels = simulate_flows(dict.fromkeys(classes, rows), seed)
    places = np.array([classes.index(name) if name in classes else -1 for name in entry.classes], np.int32)
    table = FlowTable(x=np.asarray(x, np.float64), y=places[labels], features=CICIDS2017, classes=classes)
    if not keep_ports:
        table = table.select(tuple(name for name in CICIDS2017 if name != "destination_port"))
    again = repeats(table.x, table.y)
    counts = {
        name: Counts(read=count, kept=count, duplicate=int(again[table.y == label].sum()))
        for label, (name, count) in enumerate(table.counts.items())
    }
    return table, ReadReport(read=len(table), kept=len(table), duplicate=int(again.sum()), classes=counts)
