"""Rows without end: a trained CDDPM's rows to shards of Parquet or CSV, in raw units, in constant memory.

Row i depends on (model, seed, i, its class) alone, and a row's class on its number, so that any number of devices and
processes write the same files.  A shard is whole or absent: killed, a generation goes on with the shards it lacks.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import jax
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from nids_jax import random, store
from nids_jax.bundle.fields import entry, names
from nids_jax.bundle.folder import naming
from nids_jax.bundle.scaling import stored_scaler
from nids_jax.data.scaling import Scaler
from nids_jax.errors import InputError, check_names, reason
from nids_jax.files import Digest, open_temporary
from nids_jax.flows.consistency import repair
from nids_jax.generators.base import Labels
from nids_jax.generators.cddpm import CDDPM
from nids_jax.pipeline.runner import Executor, Runner
from nids_jax.progress import follow
from nids_jax.sheets import guarded
from nids_jax.training.checkpoint import fingerprint
from nids_jax.training.description import plain

Format = Literal["parquet", "csv"]

SHARD_ROWS = 1_000_000  # of a shard, where their number is left open
MOST_ROWS = 2**31 - 2**16  # rows are numbered by 32 bits
_PIECE = 4096  # rows brought back from the devices and made raw at once
_GROUP = 65_536  # rows of a Parquet row group, and of a table written at once
# Readers of a folder of Parquet files pass over names that begin with `_`.
JOB, MANIFEST, CHECKS = "_generation.json", "_manifest.json", "_checks"


class _Sheets(Protocol):
    """An open Parquet or CSV file."""

    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Model:
    """A trained CDDPM and what turns its rows into flows."""

    cddpm: CDDPM
    scaler: Scaler
    classes: tuple[str, ...]
    whole: tuple[str, ...] | None  # features to be rounded before the rows are repaired; None: rows stay as generated

    @classmethod
    def load(cls, directory: str | Path) -> "Model":
        """The model of a checkpoint that an experiment has left (`…/runs/shots5-split0/cddpm`).

        Raises:
          InputError: no finished CDDPM there, or one without its scaler and classes.
        """
        cddpm, about = CDDPM.load(directory)
        with naming(Path(directory) / "description.json"):
            classes = names(about, "classes", most=1 << 16)
            scaler = stored_scaler(entry(about, "scaler", dict))
            whole = None if about.get("whole", ...) is None else tuple(entry(about, "whole", list))
            if len(classes) != cddpm.n_classes_:
                raise InputError(f"it names {len(classes)} classes, and the model knows {cddpm.n_classes_}")
            if scaler.width != cddpm.features_:
                raise InputError(f"its scaler makes {scaler.width} columns, and the model has {cddpm.features_}")
            if whole and any(name not in scaler.features for name in whole):
                raise InputError("its whole features are none of the scaler's")
        return cls(cddpm, scaler, classes, whole)

    def flows(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled rows [n, width] → flows in raw units [n, d] float64, repaired where the experiment did so."""
        raw = self.scaler.inverse(scaled)
        if self.whole is None:
            return raw
        places = [self.scaler.features.index(name) for name in self.whole]
        raw[:, places] = np.rint(raw[:, places])
        return repair(raw, self.scaler.features)

    def table(self, scaled: np.ndarray, labels: np.ndarray) -> pa.Table:
        """Scaled rows [n, width] with labels [n] as a table: a column a feature, in raw units, and `Label`."""
        columns: dict[str, pa.Array] = {}
        for name, values, categories in zip(
            self.scaler.features, self.flows(scaled).T, self.scaler.categories, strict=True
        ):
            columns[name] = _named(values.astype(np.int32), categories) if categories else pa.array(values)
        columns["Label"] = _named(labels, self.classes)
        return pa.table(columns)


def _named(codes: np.ndarray, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def class_counts(classes: Sequence[str], rows: int | None, counts: Mapping[str, int] | None) -> tuple[int, ...]:
    """Rows of each class: the `counts` given, or `rows` shared out evenly (the first classes get what is left over).

    Raises:
      InputError: neither is given, both and they differ, an unknown class, or no row or too many.
    """
    if counts is not None:
        check_names("label_counts", list(counts), classes)
        shared = tuple(counts.get(name, 0) for name in classes)
        if rows is not None and rows != sum(shared):
            raise InputError(f"`rows` is {rows}, but `label_counts` has {sum(shared)} in all; leave one of them out")
    elif rows is None:
        raise InputError("how many rows? give `rows=10000` or `label_counts=CLASS:ROWS,…`")
    else:
        each, more = divmod(rows, len(classes))
        shared = tuple(each + (place < more) for place in range(len(classes)))
    if not 1 <= sum(shared) <= MOST_ROWS:
        raise InputError(f"{sum(shared)} rows are asked for; a generation has from 1 to {MOST_ROWS:,} rows")
    return shared


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What to generate; rows are sorted by class."""

    model: Model
    counts: tuple[int, ...]  # rows of each class
    seed: int = 0
    shards: int | None = None  # files; None: one for every SHARD_ROWS rows
    format: Format = "parquet"

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise InputError(f"`format` is {self.format!r}; choose from {', '.join(get_args(Format))}")
        if not 1 <= self.parts <= len(self.labels):
            raise InputError(
                f"`shards` is {self.shards}; {len(self.labels)} rows fill from 1 to {len(self.labels)} files"
            )

    @cached_property
    def labels(self) -> Labels:
        """Of all rows."""
        return Labels(self.counts)

    @property
    def parts(self) -> int:
        """Number of shards."""
        return -(-len(self.labels) // SHARD_ROWS) if self.shards is None else self.shards

    def rows(self, shard: int) -> range:
        """The numbers of the rows in a shard: shards are equal to one row."""
        edges = (len(self.labels) * place // self.parts for place in (shard, shard + 1))
        return range(*edges)

    def name(self, shard: int) -> str:
        """A shard's file name."""
        return f"part-{shard:05d}-of-{self.parts:05d}.{self.format}"

    def describe(self) -> dict[str, Any]:
        """What determines the files' content, in JSON types."""
        model = self.model
        weights = [np.asarray(leaf) for leaf in jax.tree.leaves((model.cddpm.state_.ema, model.cddpm.state_.rest))]
        config = model.cddpm.config
        return {
            "weights": fingerprint(*weights),
            "sampler": plain(config.sampler),
            "guidance": config.guidance,
            "precision": config.network.precision,
            "scaler": model.scaler.name,
            "label_counts": dict(zip(model.classes, self.counts, strict=True)),
            "seed": self.seed,
            "shards": self.parts,
            "format": self.format,
        }


class Written(NamedTuple):
    """What a run has done."""

    rows: int
    complete: bool  # whether all shards are there, other processes' too


def run(
    job: Generation,
    output_dir: Path,
    *,
    process: int = 0,
    processes: int = 1,
    abreast: int = 1,
    progress: bool = True,
    executor: Executor | None = None,
    say: Callable[[str], object] = print,
) -> Written:
    """Write the shards that are not there yet, of every `processes` the `process`-th.

    With the last shard comes `_manifest.json`: rows, bytes and SHA-256 of each.

    Args:
      abreast: shards written at once, by a thread each; with a fast accelerator, one would not keep up.
      executor: where the shards are made, a unit each; None: in this process.
      say: called with a line per shard that an executor has made.

    Raises:
      InputError: the folder holds another generation, or cannot be written.
      TrainingError: the model's rows are not finite, or a shard's worker was lost again and again; the others are kept.
    """
    description = _claim(output_dir, job)
    missing = [n for n in range(process, job.parts, processes) if not _is_whole(output_dir, job, n)]
    wanted = sum(len(job.rows(n)) for n in range(process, job.parts, processes))
    left = sum(len(job.rows(n)) for n in missing)
    if executor is not None:
        runner = Runner(output_dir=output_dir, say=say, executor=executor)
        # Pickled here, as JAX must not start in a worker before its cores are devices.
        runner.each(missing, make_shard, pickle.dumps(job), title=job.name)
        runner.finish("the other files are kept")
    else:
        if missing:
            job.model.cddpm.compile()  # before the bar begins to count rows a second
        with follow("generating" if progress else None, wanted, "row", done=wanted - left) as bar:
            for start in range(0, len(missing), abreast):
                _write_abreast(job, output_dir, missing[start : start + abreast], bar.update)
    if not all(_is_whole(output_dir, job, n) for n in range(job.parts)):
        return Written(left, complete=False)
    checks = [store.read_object(_check_path(output_dir, job, n)) for n in range(job.parts)]
    manifest = {**description, "rows": len(job.labels), "columns": len(job.model.scaler.features) + 1}
    if missing or not (output_dir / MANIFEST).exists():
        store.write_json(output_dir / MANIFEST, {**manifest, "files": checks})
    return Written(left, complete=True)


def make_shard(runner: Runner, shard: int, pickled: bytes) -> None:
    """A unit: one shard of a pickled `Generation`, whole or absent."""
    job = _unpickled(pickled)
    with runner.unit(job.name(shard)):
        if not _is_whole(runner.output_dir, job, shard):  # or else by a worker that was lost when all was done
            _write_abreast(job, runner.output_dir, [shard], lambda _: None)
        runner.say(f"{job.name(shard)}: {len(job.rows(shard)):,} rows")


@cache
def _unpickled(pickled: bytes) -> Generation:
    """Once for all shards of a worker."""
    return pickle.loads(pickled)


def _claim(output_dir: Path, job: Generation) -> dict[str, Any]:
    """Note in the folder what is generated there; the job's description."""
    for name in (JOB, MANIFEST, CHECKS):  # which had no `_` before
        if (output_dir / name[1:]).exists() and not (output_dir / name).exists():
            with suppress(FileNotFoundError):  # another process did it
                os.replace(output_dir / name[1:], output_dir / name)
    return store.claim(output_dir / JOB, job.describe(), "another generation")


def _check_path(output_dir: Path, job: Generation, shard: int) -> Path:
    return output_dir / CHECKS / f"{job.name(shard)}.json"


def _is_whole(output_dir: Path, job: Generation, shard: int) -> bool:
    path, check = output_dir / job.name(shard), _check_path(output_dir, job, shard)
    # The check is written before the file gets its name.
    if not (path.exists() and check.exists()):
        return False
    try:
        return store.read_object(check)["bytes"] == path.stat().st_size
    except (InputError, KeyError):  # not what was written there; the shard is made again
        return False


class _Shard:
    """A shard being written, by a thread of its own."""

    def __init__(self, job: Generation, output_dir: Path, number: int):
        self.number, self.rows = number, job.rows(number)
        self._job, self._output_dir = job, output_dir
        self._path = output_dir / job.name(number)
        self._temporary, file = open_temporary(self._path, "output_dir")
        self._file = Digest(file)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._path.name)
        self._waiting: list[Future[None]] = []
        self._sheets: _Sheets | None = None
        self._held: list[pa.Table] = []
        self._given = self.rows.start

    def take(self, scaled: np.ndarray) -> None:
        """The next rows; returns before they are written, but for no more than two pieces at a time."""
        while len(self._waiting) > 1:
            self._waiting.pop(0).result()
        labels = self._job.labels[self._given : self._given + len(scaled)]
        self._given += len(scaled)
        self._waiting.append(self._thread.submit(self._put, scaled, labels))

    def finish(self) -> None:
        """Wait for the rows to be written, and give the file its name."""
        for piece in self._waiting:
            piece.result()
        self._flush()
        assert self._sheets is not None  # a shard has at least one row
        self._sheets.close()
        self._file.close()
        counts = self._job.labels.counts(self.rows.start, self.rows.stop)
        classes = zip(self._job.model.classes, counts, strict=True)
        check = {
            "file": self._path.name,
            "first_row": self.rows.start,
            "rows": len(self.rows),
            "bytes": self._file.bytes,
            "sha256": self._file.sha256.hexdigest(),
            "label_counts": {name: count for name, count in classes if count},
        }
        store.write_json(_check_path(self._output_dir, self._job, self.number), check)
        os.replace(self._temporary, self._path)

    def close(self) -> None:
        """Leave nothing behind but a finished file."""
        self._thread.shutdown(cancel_futures=True)
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _put(self, scaled: np.ndarray, labels: np.ndarray) -> None:
        self._held.append(self._job.model.table(scaled, labels))
        if sum(len(table) for table in self._held) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        table, self._held = pa.concat_tables(self._held).combine_chunks(), []
        text = self._job.format == "csv"
        if text:
            table = _as_text(table)
        if self._sheets is None:
            sink: Any = pa.PythonFile(self._file, mode="w")
            self._sheets = pyarrow.csv.CSVWriter(sink, table.schema) if text else pq.ParquetWriter(sink, table.schema)
        self._sheets.write_table(table)


def _as_text(table: pa.Table) -> pa.Table:
    """Dictionaries decoded, which CSV has not, and no text that a spreadsheet takes for a formula."""
    columns = []
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            coded = column.combine_chunks()
            names = pa.array([guarded(name) for name in coded.dictionary.to_pylist()], pa.string())
            column = names.take(coded.indices)
        columns.append(column)
    return pa.table(columns, [guarded(name) for name in table.column_names])


def _write_abreast(job: Generation, output_dir: Path, numbers: Sequence[int], advance: Any) -> None:
    """Generate and write these shards, a piece of each in turn."""
    cddpm, key = job.model.cddpm, random.stream(jax.random.key(job.seed), "generate")
    try:
        with ExitStack() as stack:
            going: list[tuple[_Shard, Iterator[np.ndarray]]] = []
            for number in numbers:
                shard = _Shard(job, output_dir, number)
                stack.callback(shard.close)
                rows = shard.rows
                going.append((shard, cddpm.stream(job.labels, key, chunk=_PIECE, first=rows.start, stop=rows.stop)))
            while going:
                for pair in list(going):
                    shard, pieces = pair
                    piece = next(pieces, None)
                    if piece is None:
                        shard.finish()
                        going.remove(pair)
                    else:
                        shard.take(piece)
                        advance(len(piece))
    except OSError as error:
        raise InputError(f"cannot write to {output_dir}: {reason(error)}; choose another `output_dir`") from error
