"""Generated files: the model's rows in raw units, the same however the work is cut, and whole after a kill."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nids_jax import bulk, parallel, random
from nids_jax.__main__ import main
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, TrainingError
from nids_jax.files import own_checksum
from nids_jax.generators.base import Labels
from nids_jax.generators.cddpm import CDDPM
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from tests.generators.test_cddpm import TINY

COUNTS = (150, 0, 43)


def flows() -> FlowTable:
    """Eight scaled columns: a size, a whole count, a category of four, two more numbers."""
    rng = np.random.default_rng(0)
    y = np.arange(30, dtype=np.int32) % 3
    columns = [rng.lognormal(5, 2, 30), rng.integers(1, 90, 30), rng.integers(0, 4, 30), rng.normal(0, 9, 30), y]
    return FlowTable(
        x=np.stack(columns, axis=1).astype(float),
        y=y,
        features=("size", "packets", "service", "offset", "kind"),
        classes=("benign", "botnet", "scan"),
        categories={"service": ("dns", "http", "ssh", "ftp")},
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table, folder = flows(), tmp_path_factory.mktemp("model")
    scaler = fit_scaler("signed_log", table)
    assert scaler.width == 8
    about = get_preset("demo").about(scaler, table, table.classes, "made up")
    config = replace(TINY, steps=4)
    CDDPM(config, checkpoint_dir=folder, about=about).fit(scaler.transform(table.x), table.y, jax.random.key(1))
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> bulk.Model:
    return bulk.Model.load(checkpoint)


def job(model: bulk.Model, **changed: Any) -> bulk.Generation:
    return bulk.Generation(model=model, counts=COUNTS, **changed)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(model: bulk.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything in five files, one after the other."""
    folder = tmp_path_factory.mktemp("whole")
    assert bulk.run(job(model, shards=5), folder, progress=False) == (193, True)
    return folder


def read(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path).astype({"Label": str}) for path in sorted(folder.glob("*.parquet"))])


def test_files_hold_the_models_rows_in_raw_units(model: bulk.Model, whole: Path):
    labels = np.repeat([0, 2], [150, 43])
    scaled = model.cddpm.sample(labels, random.stream(jax.random.key(0), "generate"))
    raw, found = model.scaler.inverse(scaled), read(whole)
    assert found.columns.tolist() == [*flows().features, "Label"]
    np.testing.assert_array_equal(found["Label"], np.array(flows().classes)[labels])
    np.testing.assert_array_equal(found["size"], raw[:, 0])
    np.testing.assert_array_equal(found["packets"], np.rint(raw[:, 1]))
    assert set(found["packets"]) != set(raw[:, 1])
    np.testing.assert_array_equal(found["service"], np.array(flows().categories["service"])[raw[:, 2].astype(int)])


def test_the_folder_is_read_as_one_table_and_older_names_are_understood(model: bulk.Model, whole: Path, tmp_path: Path):
    found = pd.read_parquet(whole)
    assert len(found) == 193
    pd.testing.assert_frame_equal(found.astype({"Label": str}), read(whole).reset_index(drop=True), check_dtype=False)
    older = tmp_path / "older"
    shutil.copytree(whole, older)
    for name in (bulk.JOB, bulk.MANIFEST, bulk.CHECKS):
        (older / name).rename(older / name[1:])
    before = {path.name: path.stat().st_mtime_ns for path in older.glob("*.parquet")}
    made = bulk.run(job(model, shards=5), older, progress=False)
    assert (made.rows, made.complete) == (0, True)
    assert {path.name: path.stat().st_mtime_ns for path in older.glob("*.parquet")} == before
    assert sorted(path.name for path in older.iterdir() if path.name.startswith("_")) == [
        *(bulk.CHECKS, bulk.JOB, bulk.MANIFEST)
    ]


def test_the_manifest_and_row_groups_tell_what_there_is(whole: Path):
    manifest = json.loads((whole / bulk.MANIFEST).read_bytes())
    assert manifest["rows"] == 193
    assert manifest["label_counts"] == {"benign": 150, "botnet": 0, "scan": 43}
    first = 0
    for number, each in enumerate(manifest["files"]):
        path = whole / each["file"]
        assert path.name == f"part-0000{number}-of-00005.parquet"
        assert each["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (each["first_row"], each["bytes"]) == (first, path.stat().st_size)
        frame = pd.read_parquet(path)
        assert len(frame) == each["rows"] in (38, 39)
        assert dict(Counter(frame["Label"])) == each["label_counts"]
        group = pq.ParquetFile(path).metadata.row_group(0)
        names = [group.column(i).path_in_schema for i in range(group.num_columns)]
        statistics = group.column(names.index("size")).statistics
        assert (statistics.min, statistics.max) == (frame["size"].min(), frame["size"].max())
        label = group.column(names.index("Label")).statistics
        assert (label.min, label.max) == (min(each["label_counts"]), max(each["label_counts"]))
        first += each["rows"]
    assert first == 193


def test_other_cuts_and_other_hands_make_the_same_rows(model: bulk.Model, whole: Path, tmp_path: Path):
    bulk.run(job(model, shards=1), tmp_path / "one", progress=False)
    pd.testing.assert_frame_equal(read(tmp_path / "one").reset_index(drop=True), read(whole).reset_index(drop=True))
    ended = [
        bulk.run(job(model, shards=5), tmp_path / "three", process=p, processes=3, abreast=2, progress=False)
        for p in (2, 0, 1)
    ]
    assert ended == [(38, False), (77, False), (78, True)]
    assert contents(tmp_path / "three") == contents(whole)


def test_an_executor_makes_the_same_files_a_unit_each(model: bulk.Model, whole: Path, tmp_path: Path):
    class Elsewhere:
        def run(self, runner: Any, units: Any, work: Any, shared: Any, title: Any) -> list[Any]:
            named.extend(map(title, units))
            copy = Runner(output_dir=runner.output_dir, say=said.append)
            found = [work(copy, *pickle.loads(pickle.dumps((unit, *shared)))) for unit in units]
            runner.failures += copy.failures
            return found

    named, said = [], []
    folder = tmp_path / "out"
    folder.mkdir()
    kept = "part-00003-of-00005.parquet"
    for name in (kept, f"{bulk.CHECKS}/{kept}.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(whole / name, folder / name)
    made = bulk.run(job(model, shards=5), folder, executor=Elsewhere(), say=said.append)
    assert made == (193 - 39, True)
    assert named == [f"part-0000{n}-of-00005.parquet" for n in (0, 1, 2, 4)]
    assert [line.split(": ")[1] for line in said] == ["38 rows", "39 rows", "38 rows", "39 rows"]
    assert contents(folder) == contents(whole)


def test_a_shard_that_fails_elsewhere_is_named(model: bulk.Model, tmp_path: Path):
    class Lost:
        def run(self, runner: Any, units: Any, work: Any, shared: Any, title: Any) -> list[Any]:
            for unit in units[1:]:
                work(Runner(output_dir=runner.output_dir, say=lambda _: None), unit, *shared)
            runner.failed(title(units[0]), "its worker was lost 4 times")
            return []

    with pytest.raises(TrainingError, match=r"part-00000-of-00003.parquet: its worker was lost 4 times; the other"):
        bulk.run(job(model, shards=3), tmp_path, executor=Lost(), say=lambda _: None)
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == [
        f"part-0000{n}-of-00003.parquet" for n in (1, 2)
    ]
    assert not (tmp_path / bulk.MANIFEST).exists()


def test_more_devices_write_the_same_bytes(
    model: bulk.Model, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if jax.local_device_count() < 2:
        pytest.skip("one device only: nothing to compare with")
    one = parallel.mesh(1)
    assert parallel.mesh().size > one.size
    monkeypatch.setattr(parallel, "mesh", lambda *_: one)
    bulk.run(job(model, shards=5), tmp_path, progress=False)
    assert contents(tmp_path) == contents(whole)


def test_pieces_make_row_groups(model: bulk.Model, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "_PIECE", 30)
    monkeypatch.setattr(bulk, "_GROUP", 60)
    bulk.run(job(model, shards=1), tmp_path, progress=False)
    file = pq.ParquetFile(next(tmp_path.glob("*.parquet")))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [60, 60, 60, 13]
    pd.testing.assert_frame_equal(read(tmp_path).reset_index(drop=True), read(whole).reset_index(drop=True))


def test_csv(model: bulk.Model, whole: Path, tmp_path: Path):
    bulk.run(job(model, shards=2, format="csv"), tmp_path, progress=False)
    parts = [pd.read_csv(path) for path in sorted(tmp_path.glob("*.csv"))]
    found = pd.concat(parts, ignore_index=True)
    wanted = read(whole).reset_index(drop=True).astype({"service": str})
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=1e-15)


def test_an_interrupted_run_leaves_whole_files_only(
    model: bulk.Model, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Broken off in the third file, with what a killed process would leave; then run again."""
    genuine, calls = CDDPM.stream, []

    def broken(self: CDDPM, *args: Any, **options: Any) -> Iterator[np.ndarray]:
        calls.append(options["first"])
        for piece in genuine(self, *args, **options):
            if len(calls) == 3:
                raise KeyboardInterrupt
            yield piece

    monkeypatch.setattr(CDDPM, "stream", broken)
    with pytest.raises(KeyboardInterrupt):
        bulk.run(job(model, shards=5), tmp_path, progress=False)
    done = sorted(path.name for path in tmp_path.glob("*part-*"))
    assert done == ["part-00000-of-00005.parquet", "part-00001-of-00005.parquet"]
    monkeypatch.undo()
    (tmp_path / ".part-00002-of-00005.parquet.1.tmp").write_bytes(b"PAR1 half a file")
    (tmp_path / done[1]).write_bytes((tmp_path / done[1]).read_bytes()[:-9])  # by whatever mishap
    assert bulk.run(job(model, shards=5), tmp_path, progress=False) == (193 - 38, True)
    assert contents(tmp_path) == contents(whole)
    assert bulk.run(job(model, shards=5), tmp_path, progress=False) == (0, True)
    (tmp_path / bulk.CHECKS / f"{done[0]}.json").write_text("no JSON")
    assert bulk.run(job(model, shards=5), tmp_path, progress=False) == (38, True)
    assert contents(tmp_path) == contents(whole)


def test_a_full_disk_is_one_sentence(model: bulk.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Any, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bulk.Digest, "write", full)
    with pytest.raises(InputError, match="No space left on device; choose another `output_dir`"):
        bulk.run(job(model, shards=2), tmp_path, progress=False)
    assert not list(tmp_path.glob("*part-*"))


def test_another_generation_is_not_mixed_in(model: bulk.Model, whole: Path):
    before = contents(whole)
    for changed, name in (({"seed": 1, "shards": 5}, "seed"), ({"shards": 4}, "shards")):
        with pytest.raises(InputError, match=rf"another generation \(different {name}\); choose another `output_dir`"):
            bulk.run(job(model, **changed), whole, progress=False)
    assert contents(whole) == before


def test_a_folder_that_cannot_be_written(model: bulk.Model, tmp_path: Path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"cannot write .*; choose another `output_dir`"):
        bulk.run(job(model), tmp_path / "file", progress=False)


def test_counts():
    classes = ("a", "b", "c")
    assert bulk.class_counts(classes, 8, None) == (3, 3, 2)
    assert bulk.class_counts(classes, None, {"c": 4}) == (0, 0, 4)
    assert bulk.class_counts(classes, 5, {"a": 5}) == (5, 0, 0)
    for rows, counts, message in (
        (None, None, "how many rows"),
        (6, {"a": 5}, "`rows` is 6, but `label_counts` has 5 in all"),
        (None, {"d": 1}, "`label_counts` names 'd'; choose from a, b, c"),
        (None, {"a": 0}, "0 rows are asked for"),
        (3_000_000_000, None, "3000000000 rows are asked for"),
    ):
        with pytest.raises(InputError, match=message):
            bulk.class_counts(classes, rows, counts)


def test_labels_need_no_memory():
    labels = Labels([3, 0, 2_000_000_000])
    assert len(labels) == 2_000_000_003
    assert labels[1:6].tolist() == [0, 0, 2, 2, 2]
    assert labels[2_000_000_000:].tolist() == [2, 2, 2]
    assert labels.counts(1, 6) == [2, 0, 3]
    assert labels.counts(4, 4) == [0, 0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--shards": "0"}, "--shards"),
        ({"--shards": "11"}, "error: --shards is 11; 10 rows fill from 1 to 10 files"),
        ({"--checkpoint": ""}, "error: --checkpoint is missing; name a folder"),
        ({"--process_id": "2", "--processes": "2"}, "error: --process_id is 2; of 2 processes the last is number 1"),
        (
            {"--cluster": "auto", "--processes": "2"},
            "error: --cluster and --processes both share the files out; give one",
        ),
        ({"--cluster": "10.0.0.1"}, "error: --cluster is '10.0.0.1'; give auto, or ray://host:10001"),
        ({"--label_counts": "scan"}, "error: --label_counts has 'scan'; give CLASS:ROWS"),
        (
            {"--sampler": "ddim", "--sampler_steps": "101"},
            "the sampler takes 101 steps; give from 2 to the 100 steps of the schedule",
        ),
        ({"--sampler": "magic"}, "--sampler"),
    ],
)
def test_bad_flags(
    checkpoint: Path, tmp_path: Path, changed: dict[str, str], message: str, capsys: pytest.CaptureFixture
):
    given = {"--checkpoint": str(checkpoint), "--rows": "10", "--output_dir": str(tmp_path / "out"), **changed}
    assert main(["generate", *(f"{name}={value}" for name, value in given.items())]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_processes_leave_whole_files_and_others_go_on(checkpoint: Path, tmp_path: Path):
    """Two processes, one killed as soon as it has written a file, and then run again: one process's bytes."""
    rows = ["--rows=60000", "--shards=12"]

    def start(folder: str, *flags: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "nids_jax", "generate", f"--checkpoint={checkpoint}", *rows, *flags]
        devices = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={3 if flags else 1}"}
        return subprocess.Popen(
            [*line, f"--output_dir={tmp_path / folder}"], env={**os.environ, **devices}, stderr=subprocess.DEVNULL
        )

    killed = start("two", "--processes=2", "--process_id=0")
    deadline = time.monotonic() + 300
    while not list((tmp_path / "two").glob("part-*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 1 <= len(list((tmp_path / "two").glob("part-*.parquet"))) < 6
    for flags in (["--process_id=1"], ["--process_id=0"]):
        assert start("two", "--processes=2", *flags).wait() == 0
    assert start("one").wait() == 0
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about["classes"].append("another"), "it names 4 classes, and the model knows 3"),
        (lambda about: about["classes"].pop(), "it names 2 classes, and the model knows 3"),
        (lambda about: about.update(classes=["a", "a", "b"]), "'classes' is no list of"),
        (lambda about: about.update(classes="abc"), "'classes' is 'abc'"),
        (lambda about: about.pop("scaler"), "it has no 'scaler'"),
        (lambda about: about["scaler"].update(name="none"), "its scaler is 'none'"),
        (lambda about: about["scaler"]["features"].pop(), "lists of categories for 4 features"),
        (lambda about: about["scaler"]["categories"][2].pop(), "its scaler makes 7 columns, and the model has 8"),
        (lambda about: about["scaler"]["numeric"].update(centre=[10**400] * 4), "holds a number beyond float64"),
        (lambda about: about["scaler"].update(categories=[1, 2, 3, 4]), "no lists of names"),
        (lambda about: about.update(whole=["none"]), "its whole features are none of the scaler's"),
        (lambda about: about.update(whole="packets"), "'whole' is 'packets'"),
        (lambda about: about.pop("whole"), "it has no 'whole'"),
    ],
)
def test_what_is_stored_about_the_rows_is_checked(
    checkpoint: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
):
    folder = shutil.copytree(checkpoint, tmp_path / "copy")
    found = json.loads((folder / "description.json").read_text())
    change(found["about"])
    found["sha256"] = own_checksum(found)
    (folder / "description.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=said):
        bulk.Model.load(folder)
