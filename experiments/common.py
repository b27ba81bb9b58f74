"""Flags that mean the same in every experiment, and the frame around their mains."""

import hashlib
import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
from absl import flags

from nids_jax import store
from nids_jax.cli import frame
from nids_jax.data.audit import leakage_report
from nids_jax.data.datasets import NAMES, Attempted, benign_class, load
from nids_jax.data.io.collector import OnInvalid
from nids_jax.data.split import deduplicate
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.presets import Preset, get_preset
from nids_jax.report.page import build_report
from nids_jax.report.tables import verdict
from nids_jax.training.checkpoint import fingerprint, plain

FLAGS = flags.FLAGS
DATASET = flags.DEFINE_string(
    "dataset", "simulated", f"One of {', '.join(NAMES)}; with --data, whose rules to apply to the files."
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with one folder per dataset; default: $NIDS_DATA_DIR.")
DATA = flags.DEFINE_list("data", [], "Files or folders to read instead of --data_dir/--dataset.")
LABEL_COLUMN = flags.DEFINE_string("label_column", None, "Column with the labels, where it is not found by itself.")
KEEP_PORTS = flags.DEFINE_bool("keep_ports", False, "Keep the destination port, which gives many attacks away.")
ON_INVALID = flags.DEFINE_enum("on_invalid", None, ["drop", "error", "impute"], "What to do with unusable rows.")
ATTEMPTED = flags.DEFINE_enum(
    "attempted", "relabel", ["relabel", "drop", "keep"], "Flows of attacks without effect (`… - Attempted`)."
)
MERGE_SPELLINGS = flags.DEFINE_bool("merge_spellings", True, "In cicddos2019, one class for `DrDoS_X` and `X`.")
MERGE_DOS = flags.DEFINE_bool("merge_dos", False, "In CIC-IDS2017, one class for the four DoS tools.")
MAX_PER_CLASS = flags.DEFINE_integer(
    "max_per_class", None, "Read the first so many rows of each class; default: the dataset's.", lower_bound=1
)
EXCLUDE = flags.DEFINE_list("exclude", [], "Classes to leave out.")
SHOTS = flags.DEFINE_list("shots", ["5"], "Real training rows per class; several numbers run one after another.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Number of split seeds.", lower_bound=1)
CLASSIFIERS = flags.DEFINE_list("classifiers", ["cnn_bigru", "random_forest"], "Detectors to train.")
PRESET = flags.DEFINE_string("preset", "cpu", "Sizes and training settings: demo, cpu or paper.")
TEST_ROWS = flags.DEFINE_integer(
    "test_rows", None, "Test rows per class at most; default: the preset's.", lower_bound=1
)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder for records, figures and the report.")


def key_flags(modules: Sequence[ModuleType], without: Collection[str]) -> list[str]:
    """Names of these modules' key flags but some, for a main to declare as its own."""
    names = [flag.name for module in modules for flag in FLAGS.get_key_flags_for_module(module)]
    return [name for name in names if name not in without]


def preset() -> Preset:
    """The preset that --preset names, with the flags' changes.

    Raises:
      InputError: unknown name.
    """
    chosen = get_preset(PRESET.value)
    return replace(chosen, test_rows=TEST_ROWS.value or chosen.test_rows)


def numbers(flag: flags.FlagHolder) -> tuple[int, ...]:
    """The whole numbers of a list flag.

    Raises:
      InputError: one of them is not a positive whole number.
    """
    if flag.present and not flag.value:
        raise InputError(f"--{flag.name} is empty; give positive whole numbers, such as 5,50, or leave it out")
    for value in flag.value:
        if not value.strip().isascii() or not value.strip().isdigit() or int(value) < 1:
            raise InputError(f"--{flag.name} has {value!r}; give positive whole numbers, such as 5,50")
    return tuple(int(value) for value in flag.value)


def read_table(output_dir: Path) -> tuple[FlowTable, dict]:
    """The deduplicated table that the flags name, and what was read and found, for data.json.

    Raises:
      InputError: whatever `load` refuses.
    """
    if FLAGS["data"].present and not DATA.value:
        raise InputError("--data is empty; name files or folders, or leave it out")
    needless = [f for f in ("data_dir", "data", "label_column", "on_invalid") if FLAGS[f].present]
    if dataset_name() == "simulated" and needless:
        raise InputError(f"--{needless[0]} needs files, but the dataset is `simulated`; pass --dataset as well")
    table, read_report = load(
        None if _other_files() else DATASET.value,
        data_dir=DATA_DIR.value,
        data=DATA.value or None,
        label_column=LABEL_COLUMN.value,
        keep_ports=KEEP_PORTS.value,
        on_invalid=cast(OnInvalid | None, ON_INVALID.value),
        max_per_class=MAX_PER_CLASS.value or "dataset",
        attempted=cast(Attempted, ATTEMPTED.value),
        merge_spellings=MERGE_SPELLINGS.value,
        merge_dos=MERGE_DOS.value,
        exclude=EXCLUDE.value,
    )
    table, repeated = deduplicate(table)
    leaks = leakage_report(table)
    print(read_report, f"duplicates removed: {repeated:,}", sep="\n")
    if benign_class(table.classes) is None:
        print(f"no class is called benign or normal: false-positive rates are left out ({', '.join(table.classes)})")
    read = {name: value for name, value in vars(read_report).items() if isinstance(value, int)}
    found = {"read": {**read, "duplicate": repeated}, "leakage": str(leaks).splitlines()}
    return table, {**found, "fingerprint": same_rows(output_dir, table)}


def same_rows(output_dir: Path, table: FlowTable) -> str:
    """What tells these rows from others, for data.json.

    Raises:
      InputError: the folder holds runs on other rows.
    """
    found = fingerprint(table.x, table.y, np.array([*table.features, *table.classes]))
    path = output_dir / "data.json"
    known = store.read_json(path).get("fingerprint") if path.exists() and store.read(output_dir) else None
    if known not in (None, found):
        raise InputError(f"{output_dir} holds runs on other rows than are read now; choose another --output_dir")
    return found


def dataset_name() -> str:
    """What the records call the data: the dataset's name, or that of the first file given without one."""
    return Path(DATA.value[0]).name if _other_files() else DATASET.value


def _other_files() -> bool:
    """Whether --data was given alone: the default dataset's rules are not meant for other files."""
    return bool(DATA.value) and not FLAGS["dataset"].present


def prepare(argv: list[str], settings: Any, dataset: str | None = None) -> Path:
    """The output folder, with config.json in it; `settings` are those that the flags only name (a preset), `dataset` is
    what the records call the data where the flags do not say.

    Raises:
      InputError: arguments that are no flags, or a folder used with other flags.
    """
    frame.no_arguments(argv)
    if not OUTPUT_DIR.value:
        raise InputError("--output_dir is missing; name a folder for the records and the report")
    output_dir = Path(OUTPUT_DIR.value)
    own = FLAGS.get_key_flags_for_module(sys.modules["__main__"])
    values = {flag.name: flag.value for flag in own}
    version = hashlib.sha256(json.dumps(plain(settings), sort_keys=True).encode()).hexdigest()[:12]
    store.write_config(output_dir, {**values, "dataset": dataset or dataset_name(), "preset_version": version})
    return output_dir


def report(output_dir: Path) -> None:
    """Write the report, and print the summary, the verdict and where the report lies."""
    page = build_report(output_dir)
    print((output_dir / "summary.md").read_text(encoding="utf-8"))
    print(*verdict(store.read(output_dir)), "", f"report: {page}", sep="\n")
