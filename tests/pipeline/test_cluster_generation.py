"""Bulk generation, and an experiment by its command, on a cluster: the files of one process, whatever is lost."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nids_jax import bulk, store
from nids_jax.pipeline import worker
from nids_jax.pipeline.cluster import Cluster
from tests.pipeline.machines import at, further, killed
from tests.test_bulk import checkpoint, contents  # noqa: F401 (a fixture)

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:os.fork")]

SHARDS, ROWS = 24, 240_000


@pytest.fixture(scope="module")
def job(checkpoint: Path) -> bulk.Generation:  # noqa: F811
    model = bulk.Model.load(checkpoint)
    return bulk.Generation(model=model, counts=bulk.class_counts(model.classes, ROWS, None), shards=SHARDS)


@pytest.fixture(scope="module")
def expected(job: bulk.Generation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of one process."""
    folder = tmp_path_factory.mktemp("here")
    bulk.run(job, folder, progress=False)
    return contents(folder)


def test_a_machine_that_is_lost_costs_the_files_that_it_was_busy_with(
    machines: Any, job: bulk.Generation, expected: dict[str, bytes], tmp_path: Path
):
    victim, said = further(machines), []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == SHARDS // 2:
            machines.remove_node(victim, allow_graceful=False)

    with Cluster() as place:
        assert bulk.run(job, tmp_path / "out", executor=place, say=say) == (ROWS, True)
    assert contents(tmp_path / "out") == expected
    made = [line.split(":")[0] for line in said if line.endswith(" rows")]
    assert set(made) == {job.name(n) for n in range(SHARDS)}


def test_the_command_and_a_driver_that_is_killed(
    machines: Any,
    checkpoint: Path,  # noqa: F811
    expected: dict[str, bytes],
    tmp_path: Path,
):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nids_jax", "generate", f"--checkpoint={checkpoint}", f"--rows={ROWS}"]
    command += [f"--shards={SHARDS}", f"--output_dir={out}", "--cluster=auto"]
    killed(command, machines)
    time.sleep(5)  # for Ray to end the workers that the driver left
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    assert len(kept) >= 4
    done = subprocess.run(command, env=at(machines), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"{SHARDS} files, {ROWS:,} rows in all" in done.stdout
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == kept
    assert {name: content for name, content in contents(out).items() if name != worker.MARK} == expected


def test_an_experiment_by_its_command(machines: Any, tmp_path: Path):
    def run(folder: Path, *flags: str) -> list[dict[str, Any]]:
        command = [
            sys.executable,
            "-m",
            "nids_jax",
            "fewshot",
            "--preset=demo",
            "--seeds=2",
            "--shots=5",
            "--noexplain",
        ]
        command += ["--generators=real,copies", "--classifiers=decision_tree", f"--output_dir={folder}", *flags]
        done = subprocess.run(command, env=at(machines), capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        lines = (folder / store.RECORDS).read_text().splitlines()
        found = [{k: v for k, v in json.loads(line).items() if k not in ("timing", "environment")} for line in lines]
        return sorted(found, key=lambda record: str(store.run_key(record)))

    here, there = run(tmp_path / "here"), run(tmp_path / "there", "--cluster=auto")
    assert len(here) == 4
    assert there == here
