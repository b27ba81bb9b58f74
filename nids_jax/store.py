"""What experiments leave on disk: one JSON line per finished run, the flags, and where it all ran.

`records.jsonl` only ever grows, by whole lines that reach the disk before the next run starts.  A kill can at worst
leave a torn last line: reading ignores it, and the next append removes it.

A record says in which format it is written.  Those of format 1 named some experiments and training sets otherwise;
they are read under today's names, and no run is added to them.
"""

import json
import math
import os
import platform
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from nids_jax.errors import InputError
from nids_jax.files import write_atomic, writing

RECORDS, CONFIG = "records.jsonl", "config.json"
FORMAT = 2  # of records and of config.json
_EXPERIMENTS_1 = {
    "balance": "imbalance",
    "detection": "detector_comparison",
    "generation": "generator_comparison",
}  # names of format 1
KEY = ("experiment", "dataset", "generator", "classifier", "shots", "split_seed", "generation_seed")
RunKey = tuple[str | int | None, ...]  # the values of KEY, in that order
LIBRARIES = (
    *("nids-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy", "pandas", "pyarrow"),
    *("scikit-learn", "xgboost", "xgboost-cpu", "shap", "numba"),
)  # whose versions records tell

# Flags that a rerun in the same folder may change: they say where things lie, or which further runs to add, and every
# record names its own choice.
MAY_DIFFER = frozenset(
    [
        *("output_dir", "data_dir", "shard", "seeds", "split_seeds", "generations", "shots", "log_to", "cluster"),
        *("generators", "classifiers", "timesteps", "explain", "training_sets", "anomaly_detectors"),
    ]
)


def run_key(record: Mapping[str, Any]) -> RunKey:
    """What tells one run from all others: the values of `KEY`.

    Raises:
      InputError: one of them is missing.
    """
    for name in KEY:
        if name not in record:
            raise InputError(f"the record has no {name!r}; a record names {', '.join(KEY)}")
    return tuple(_strict(record[name]) for name in KEY)


def finished(output_dir: str | os.PathLike[str]) -> set[RunKey]:
    """The keys of the runs already recorded in output_dir; empty if there are none."""
    return {run_key(record) for record in read(output_dir)}


def append(output_dir: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Add one finished run to records.jsonl, on disk when this returns; a torn last line is removed first.

    NaN and infinities become null; numpy scalars and arrays become numbers and lists.

    Raises:
      InputError: the record lacks a key or its metrics, holds something JSON has no form for, or cannot be written.
    """
    record = _strict({"format": FORMAT, **record})
    problem = _problem(record)
    if problem:
        raise InputError(f"the record {problem}")
    line = json.dumps(record, allow_nan=False, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    path = Path(output_dir) / RECORDS
    with writing(path, "output_dir"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as file:
            file.seek(0)
            whole, torn = _split(file.read())
            if torn:
                file.truncate(len(whole))
            elif whole and not whole.endswith(b"\n"):  # a whole record, killed just before its line end
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def read(output_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records in the order they were written; [] if there are none.

    Of a run recorded twice (two processes at once) the last record holds, in the first one's place.

    Raises:
      InputError: a line other than a torn last one is not a record.
    """
    path = Path(output_dir) / RECORDS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; pass the `output_dir` of an experiment") from error
    records: dict[RunKey, dict[str, Any]] = {}
    for number, line in enumerate(_split(content)[0].split(b"\n"), start=1):
        if not line.strip():
            continue
        record = _parse(line)
        problem = _problem(record) if record is not None else "is not a JSON object"
        if record is None or problem:
            raise InputError(f"line {number} of {path} {problem}; delete that line, and the run will be repeated")
        record = _upgraded(_strict(record))  # strict: 1e999 is valid JSON, and infinite
        records[run_key(record)] = record
    return list(records.values())


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record of format 1 under today's names; one of this format as it is."""
    if record.get("format", 1) == FORMAT:
        return record
    name = record["generator"]
    return {
        **record,
        "format": FORMAT,
        "experiment": _EXPERIMENTS_1.get(record["experiment"], record["experiment"]),
        "generator": f"{name.removesuffix('_base')}_free" if name.endswith("_base") else name,
    }


def merge(folders: Sequence[Path], into: Path) -> None:
    """Put the records of several folders (an experiment's shards) into one, with the flags and files of the first.

    Raises:
      InputError: a folder without records, or one whose runs were made with other flags or on other rows.
    """
    for folder in folders:
        found = read(folder)
        if not found:
            raise InputError(f"{folder} holds no finished runs; name the output folders of an experiment")
        write_config(into, read_object(folder / CONFIG))
        data = into / "data.json"
        of_folder = read_object(folder / data.name)
        if data.exists() and read_object(data).get("fingerprint") != of_folder.get("fingerprint"):
            raise InputError(f"{folder} holds runs on other rows than {folders[0]}; report them apart")
        write_json(data, of_folder)
        known = finished(into)
        for record in found:
            if run_key(record) not in known:
                append(into, record)


def versions() -> dict[str, str]:
    """Python's version, this package's, and those of the libraries that figures depend on, as far as installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def provenance(command: Sequence[str] | str) -> dict[str, Any]:
    """What was run, where and with what: platform, versions, git revision (None outside a repository), command.

    Args:
      command: the program's arguments (`sys.argv`), or the whole line as text.
    """
    return {
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        **versions(),
        "git_revision": _git_revision(),
        "command": command if isinstance(command, str) else shlex.join(command),
    }


def environment(command: Sequence[str] | str) -> dict[str, Any]:
    """`provenance`, and the devices that JAX computes on.

    Args:
      command: the program's arguments (`sys.argv`), or the whole line as text.
    """
    import jax  # here, so that reading and reporting do not start a device

    device = jax.devices()[0]
    return {
        "device": device.device_kind,
        "devices": jax.device_count(),
        "backend": device.platform,
        **provenance(command),
    }


def write_config(
    output_dir: str | os.PathLike[str], flags: Mapping[str, Any], may_differ: Collection[str] = MAY_DIFFER
) -> None:
    """Write config.json, all flags of the experiment, where `check_config` agrees.

    Raises:
      InputError: what `check_config` refuses, or output_dir cannot be written.
    """
    check_config(output_dir, flags, may_differ)
    write_json(Path(output_dir) / CONFIG, {**_strict(flags), "format": FORMAT})


def check_config(
    output_dir: str | os.PathLike[str], flags: Mapping[str, Any], may_differ: Collection[str] = MAY_DIFFER
) -> None:
    """Compare the flags with config.json, where there are runs.

    Args:
      may_differ: flags that a rerun in the same folder may change, because they alter no run's result.

    Raises:
      InputError: output_dir holds runs made with another value of any other flag.
    """
    path = Path(output_dir) / CONFIG
    new = {**_strict(flags), "format": FORMAT}
    # Without runs there is nothing that other flags could spoil: a first attempt may well have had a wrong one.
    if path.exists() and (path.with_name(RECORDS).exists() or path.with_name("runs").exists()):
        old = read_object(path)
        if old.get("format", 1) != FORMAT:
            raise InputError(
                f"{Path(output_dir)} holds runs of format {old.get('format', 1)}, of another version of nids_jax, to "
                "which none can be added; choose another `output_dir`"
            )
        for name in sorted((old.keys() | new.keys()) - set(may_differ)):
            given = [flags[name] for flags in (old, new) if name in flags]
            if len(given) == 1 and (given[0] is None or given[0] is False):
                continue  # a flag that the other version of this package does not have, and that is not used
            before, now = (
                "not set" if flags.get(name) is None else json.dumps(flags[name], ensure_ascii=False)
                for flags in (old, new)
            )
            if before != now:
                raise InputError(
                    f"{Path(output_dir)} holds runs with `{name}` = {before}, and now it is {now}; choose another "
                    "`output_dir`, or go back to the old value"
                )


def claim(path: Path, description: Mapping[str, Any], held: str) -> dict[str, Any]:
    """Note in a folder what is made there, where nothing is noted; the description in JSON types.

    Args:
      path: of the note, in the folder.
      description: what determines the files' content.
      held: what the folder may hold instead, for the message.

    Raises:
      InputError: another description is noted there, or the note cannot be written or read.
    """
    wanted = json.loads(json.dumps(description))
    if not path.exists():
        write_json(path, wanted)
        return wanted
    found = read_object(path)
    differing = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    if differing:
        raise InputError(f"{path.parent} holds {held} (different {', '.join(differing)}); choose another `output_dir`")
    return wanted


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write strict JSON (NaN and infinities as null), whole or not at all."""
    text = json.dumps(_strict(value), allow_nan=False, ensure_ascii=False, indent=1)
    write_atomic(path, (text + "\n").encode("utf-8", "backslashreplace"))


def keep_curve(directory: Path, name: str, losses: np.ndarray) -> None:
    """Put losses [steps] into the directory's `curves.json`, beside those of other names."""
    path = directory / "curves.json"
    known = read_object(path) if path.exists() else {}
    write_json(path, {**known, name: losses.tolist()})


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value in a strict JSON file.

    Raises:
      InputError: the file is missing, unreadable, or not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes(), parse_constant=_no_constant)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); delete it or restore it") from error


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object in a strict JSON file.

    Raises:
      InputError: the file is missing, unreadable, not JSON, or holds another value than an object.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object; delete it or restore it")
    return found


def _split(content: bytes) -> tuple[bytes, bytes]:
    """(whole lines, torn last line): a last line without its line end is whole if it is a record all the same."""
    end = content.rfind(b"\n") + 1
    last = content[end:]
    if last.strip() and _parse(last) is None:
        return content[:end], last
    return content, b""


def _parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object on a line, or None."""
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _problem(record: Mapping[str, Any]) -> str | None:
    """What makes this no record, as the end of a sentence."""
    if record.get("format", 1) not in range(1, FORMAT + 1):
        return f"has the format {record['format']!r}, and this version of nids_jax reads 1 to {FORMAT}"
    kinds = dict.fromkeys(KEY, str) | {"shots": int | str | None, "split_seed": int, "generation_seed": int | None}
    for name, kind in kinds.items():
        if name not in record:
            return f"has no {name!r}"
        if not isinstance(record[name], kind) or isinstance(record[name], bool):
            return f"has {name} = {record[name]!r}, which is not {'text' if kind is str else 'a whole number'}"
    for name in ("metrics", "timing", "rows", "environment"):
        if not isinstance(record.get(name, None if name == "metrics" else {}), dict):
            return f"has no {name!r} table"
    for name, value in record["metrics"].items():
        if name != "per_class_recall" and not isinstance(value, int | float | None):
            return f"has the metric {name} = {value!r}, which is not a number"
    return None


def _strict(value: Any) -> Any:
    """The value in JSON's own types; what is not finite becomes None."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy and jax scalars and arrays
        return _strict(value.tolist())
    raise InputError(f"{value!r} of type {type(value).__name__} has no form in JSON; record numbers, text or lists")


def _git_revision() -> str | None:
    """The revision of the repository that tracks this package, with `-dirty` if files differ from it; else None."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "store.py")  # an installed copy may lie inside somebody else's repository
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
