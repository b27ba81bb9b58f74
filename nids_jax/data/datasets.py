"""The published datasets: one entry each, with its classes, spellings, cap and source.

| name | features | classes | source |
|---|---|---|---|
| `cicids2017` | 77 (78 with the port) | 15 | Sharafaldin et al. 2018 |
| `cicids2017_improved` | 82 (83) | 16 | Engelen et al. 2021, Liu et al. 2022 |
| `cicddos2019` | 78 (79) | 14 | Sharafaldin et al. 2019 |
| `gas_pipeline` | 26, 13 of them codes | 8 | Morris & Gao 2014 |
| `simulated` | 77 (78) | 15 | `nids_jax.flows.simulate` |
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from nids_jax.data.duplicates import repeats
from nids_jax.data.io.collector import OnInvalid
from nids_jax.data.io.read_report import Counts, ReadReport
from nids_jax.data.io.readers import read_flows
from nids_jax.data.io.sources import PathLike, find_files
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017, normalise

Attempted = Literal["relabel", "drop", "keep"]

SIMULATED_ROWS = 400  # per class, unless asked otherwise


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What is known about a published dataset."""

    name: str
    classes: tuple[str, ...]  # canonical names, the benign one first
    source: str
    spellings: Mapping[str, str] = field(default_factory=dict)  # normalised other spelling -> canonical name
    merged: Mapping[str, str] = field(default_factory=dict)  # the same, where merging is a choice
    cap: int | None = None  # first rows per class that P1 keeps
    test_per_class: int = 1_000  # P1's test rows per class at most (its number for cicids2017, where it says nothing)
    dos_tools: frozenset[str] = frozenset()  # classes that P2 merges into `DoS`
    codes: tuple[str, ...] = ()  # features written as numbers that are names: P2 encodes them one-hot
    on_invalid: OnInvalid = "drop"

    @property
    def benign(self) -> str:
        """The class of traffic that is no attack."""
        return self.classes[0]


_DOS_TOOLS = ("DoS GoldenEye", "DoS Hulk", "DoS Slowhttptest", "DoS slowloris")

DATASETS: Mapping[str, Dataset] = {
    entry.name: entry
    for entry in (
        Dataset(
            name="cicids2017",
            classes=(
                "BENIGN",
                "Bot",
                "DDoS",
                *_DOS_TOOLS,
                "FTP-Patator",
                "Heartbleed",
                "Infiltration",
                "PortScan",
                "SSH-Patator",
                "Web Attack - Brute Force",
                "Web Attack - Sql Injection",
                "Web Attack - XSS",
            ),
            spellings={
                "botnet": "Bot",
                "brute_force": "Web Attack - Brute Force",
                "sql_injection": "Web Attack - Sql Injection",
                "xss": "Web Attack - XSS",
            },
            cap=30_000,  # P1, Table II
            dos_tools=frozenset(_DOS_TOOLS),
            source="Sharafaldin, Lashkari, Ghorbani: Toward generating a new intrusion detection dataset and intrusion "
            "traffic characterization, ICISSP 2018",
        ),
        Dataset(
            name="cicids2017_improved",
            classes=(
                "BENIGN",
                "Botnet",
                "DDoS",
                "DoS GoldenEye",
                "DoS Hulk",
                "DoS Slowhttptest",
                "DoS Slowloris",
                "FTP-Patator",
                "Heartbleed",
                "Infiltration",
                "Infiltration - Portscan",
                "Portscan",
                "SSH-Patator",
                "Web Attack - Brute Force",
                "Web Attack - SQL Injection",
                "Web Attack - XSS",
            ),
            spellings={"bot": "Botnet"},
            dos_tools=frozenset(("DoS GoldenEye", "DoS Hulk", "DoS Slowhttptest", "DoS Slowloris")),
            source="Engelen, Rimmer, Joosen: Troubleshooting an intrusion detection dataset: the CICIDS2017 case "
            "study, IEEE SPW 2021; Liu et al.: Error prevalence in NIDS datasets, IEEE CNS 2022",
        ),
        Dataset(
            name="cicddos2019",
            classes=(
                "BENIGN",
                "DrDoS_DNS",
                "DrDoS_LDAP",
                "DrDoS_MSSQL",
                "DrDoS_NTP",
                "DrDoS_NetBIOS",
                "DrDoS_SNMP",
                "DrDoS_SSDP",
                "DrDoS_UDP",
                "Portmap",
                "Syn",
                "TFTP",
                "UDP-lag",
                "WebDDoS",
            ),
            # The two days of capture name the same attacks differently: `DrDoS_LDAP` on one, `LDAP` on the other.
            merged={
                **{
                    name: f"DrDoS_{kind}"
                    for kind in ("DNS", "LDAP", "MSSQL", "NTP", "NetBIOS", "SNMP", "SSDP", "UDP")
                    for name in (kind.lower(), f"dos_{kind.lower()}")
                },
                "udplag": "UDP-lag",
            },
            cap=30_000,  # P1, Table II
            test_per_class=10_000,
            source="Sharafaldin et al.: Developing realistic distributed denial of service (DDoS) attack dataset and "
            "taxonomy, IEEE ICCST 2019",
        ),
        Dataset(
            name="gas_pipeline",
            classes=("Normal", "NMRI", "CMRI", "MSCI", "MPCI", "MFCI", "DoS", "Recon"),
            spellings={
                str(code): name
                for code, name in enumerate(("Normal", "NMRI", "CMRI", "MSCI", "MPCI", "MFCI", "DoS", "Recon"))
            },
            # `?` says that this packet does not carry the value, not that the record is broken.  The 10 % sample has
            # none; in the later release nearly every row has some, and dropping them would leave nothing.
            on_invalid="impute",
            codes=(
                *("command_address", "response_address", "command_memory", "response_memory"),
                *("comm_read_function", "comm_write_fun", "resp_read_fun", "resp_write_fun", "sub_function"),
                *("control_mode", "control_scheme", "pump", "solenoid"),
            ),
            source="Morris, Gao: Industrial control system traffic data sets for intrusion detection research, ICCIP "
            "2014 (Mississippi State University)",
        ),
    )
}

NAMES: tuple[str, ...] = (*DATASETS, "simulated")


def load(
    name: str | None,
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
    seed: int = 0,
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
      seed: of the simulation; nothing else here is random.
      progress: show a bar of bytes on standard error.

    Returns:
      The table, its classes in the dataset's order (unknown ones after them), and the report.  Duplicates are counted,
      not removed: see `nids_jax.data.split.deduplicate`.

    Raises:
      InputError: an unknown dataset, class or choice; no data; or whatever `read_flows` refuses.
    """
    if name is not None and name not in NAMES:
        raise InputError(f"unknown dataset {name!r}; choose from {', '.join(NAMES)}, or name files with --data alone")
    if attempted not in get_args(Attempted):
        raise InputError(f"attempted is {attempted!r}; choose from {', '.join(get_args(Attempted))}")
    if isinstance(max_per_class, int) and max_per_class < 1:
        raise InputError(f"max_per_class is {max_per_class}; it must be at least 1")
    if name == "simulated":
        if data is not None or merge_dos:
            raise InputError("the simulated dataset reads no files and has no DoS tools to merge")
        rows = max_per_class if isinstance(max_per_class, int) else SIMULATED_ROWS
        return _simulate(rows, seed, keep_ports, exclude)
    entry = DATASETS[name] if name is not None else None
    if merge_dos and (entry is None or not entry.dos_tools):
        raise InputError(
            f"merge_dos is for cicids2017 and cicids2017_improved, not for {name or 'files of no dataset'}"
        )
    files = _dataset_files(name, data_dir) if data is None else find_files(data)
    cap = max_per_class
    if cap == "dataset":
        cap = entry.cap if entry else None
    rename = _Renamer(entry, attempted, merge_spellings, merge_dos, frozenset(exclude))
    table, report = read_flows(
        files,
        label_column=label_column,
        keep_ports=keep_ports,
        on_invalid=on_invalid or (entry.on_invalid if entry else "drop"),
        cap=cap,
        rename=rename,
        order=rename.order,
        progress=progress,
    )
    rename.check_excluded(table.classes)
    return (_categorical(table, entry.codes) if entry else table), report


def benign_class(classes: Sequence[str]) -> str | None:
    """The class that is no attack: the first called benign…, normal… or background… in any case."""
    return next((name for name in classes if normalise(name).startswith(("benign", "normal", "background"))), None)


def _dataset_files(name: str | None, data_dir: PathLike | None) -> list[Path]:
    if name is None:
        raise InputError("there is nothing to read: name a dataset, or files with --data")
    if data_dir is None:
        data_dir = os.environ.get("NIDS_DATA_DIR")
    if not data_dir:
        raise InputError(f"the dataset {name} needs files: pass --data_dir or set NIDS_DATA_DIR, or use `simulated`")
    folder = Path(data_dir, name)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: pass another --data_dir, set NIDS_DATA_DIR, or use `simulated`")
    if (folder / "flows.parquet").is_file():
        return [folder / "flows.parquet"]
    files = find_files(folder)
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
        if self._entry.name == "cicids2017_improved" and "attempted" in key.split("_"):
            if self._attempted == "drop":
                return None
            if self._attempted == "relabel":
                return self._entry.benign
            attack = self._known.get(key.removesuffix("_attempted"))
            return f"{attack} - Attempted" if attack else label
        name = self._known.get(key, label)
        return "DoS" if name in self._dos_tools else name

    def check_excluded(self, left: Sequence[str]) -> None:
        """Raise an InputError if a class to leave out neither occurred nor belongs to the dataset."""
        known = {_key(name) for name in self.order} | self._met
        for key, name in self._exclude.items():
            if key not in known:
                raise InputError(f"there is no class {name!r} to exclude; the classes are: {', '.join(left)}")


def _simulate(rows: int, seed: int, keep_ports: bool, exclude: Sequence[str]) -> tuple[FlowTable, ReadReport]:
    from nids_jax.flows import simulate  # the simulator and the flow meter, which no other dataset needs

    unknown = [name for name in exclude if name not in simulate.SIMULATED_CLASSES]
    if unknown:
        raise InputError(
            f"there is no class {unknown[0]!r} to exclude; the classes are: {', '.join(simulate.SIMULATED_CLASSES)}"
        )
    classes = tuple(name for name in simulate.SIMULATED_CLASSES if name not in exclude)
    if not classes:
        raise InputError("every simulated class is excluded, so there is nothing to simulate")
    x, labels = simulate.simulate_flows(dict.fromkeys(classes, rows), seed)
    places = np.array([classes.index(name) if name in classes else -1 for name in simulate.SIMULATED_CLASSES], np.int32)
    table = FlowTable(x=np.asarray(x, np.float64), y=places[labels], features=CICIDS2017, classes=classes)
    if not keep_ports:
        table = table.select(tuple(name for name in CICIDS2017 if name != "destination_port"))
    again = repeats(table.x, table.y)
    counts = {
        name: Counts(read=count, kept=count, duplicate=int(again[table.y == label].sum()))
        for label, (name, count) in enumerate(table.counts.items())
    }
    return table, ReadReport(read=len(table), kept=len(table), duplicate=int(again.sum()), classes=counts)
