"""Units of work on a cluster of three machines, here processes of this one: the same records, and what losses cost."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nids_jax import store
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, TrainingError
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.pipeline import cluster
from nids_jax.pipeline.cluster import Cluster
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.worker import MARK
from nids_jax.protocols.few_shot import FewShot
from nids_jax.runtime import cores
from tests.pipeline.machines import MACHINES, at, further, killed
from tests.pipeline.units import RUNS, bad, carried_out, sleeping, telling

ray = pytest.importorskip("ray")
# Starting a machine forks this process, in which JAX has threads.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:os.fork")]


def told_once(folder: Path) -> set[tuple[int, int]]:
    """The runs of `sleeping` on file, of which each must be there once."""
    lines = [json.loads(line) for line in (folder / store.RECORDS).read_text().splitlines()]
    found = Counter((record["split_seed"], record["generation_seed"]) for record in lines)
    assert set(found.values()) == {1}
    return set(found)


def test_the_records_are_those_of_one_process(machines: Any, tmp_path: Path):
    from tests.protocols.test_few_shot import CLASSES, TINY

    x, y = simulate_flows(dict.fromkeys(CLASSES, 60), seed=0)
    codes = np.array([CLASSES.index(SIMULATED_CLASSES[label]) for label in y], np.int32)
    table = FlowTable(x=x, y=codes, features=CICIDS2017, classes=CLASSES).select(CICIDS2017[1:])
    job = FewShot(
        dataset="simulated",
        preset=TINY,
        split_seeds=(0, 5, 2),
        generated=10,
        generators=("real", "smote", "cddpm"),
        classifiers=("cnn_bigru", "decision_tree", "random_forest"),
        rates=(1e-2, 1e-3),
        explain=False,
    )

    def figures(folder: Path) -> dict[store.RunKey, dict[str, Any]]:
        local = ("timing", "environment")
        return {store.run_key(r): {k: v for k, v in r.items() if k not in local} for r in store.read(folder)}

    here, there, moved = tmp_path / "here", tmp_path / "there", tmp_path / "moved"
    job.run(table, Runner(output_dir=here, say=lambda _: None, progress=False))
    said: list[str] = []
    with Cluster() as executor:
        job.run(table, Runner(output_dir=there, say=said.append, progress=False, executor=executor))
        with pytest.MonkeyPatch.context() as patch:  # machines that do not see the folder send its files
            write = cluster.write_atomic
            patch.setattr(cluster, "write_atomic", lambda path, data: path.name == MARK or write(path, data))
            one = replace(job, split_seeds=(5,))
            job_runner = Runner(output_dir=moved, say=said.append, progress=False, executor=executor)
            one.run(table, job_runner)
    expected = figures(here)
    assert len(expected) == 27
    assert figures(there) == expected
    assert figures(moved) == {key: value for key, value in expected.items() if key[5] == 5}
    assert store.read_json(there / "tuning.json") == store.read_json(here / "tuning.json")
    assert sum("accuracy" in line for line in said) == 27 + 9
    for name in ("runs/shots5-split5/synthetic.parquet", "runs/shots5-split5/curves.json"):
        assert (there / name).read_bytes() == (moved / name).read_bytes() == (here / name).read_bytes()
    assert not (there / MARK).exists()


def test_a_machine_that_is_lost_costs_what_it_was_busy_with(machines: Any, tmp_path: Path):
    log, said = tmp_path / "log", []
    victim = further(machines)

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 6:
            machines.remove_node(victim, allow_graceful=False)

    carried_out(tmp_path / "out", list(range(10)), sleeping, log, say)
    assert told_once(tmp_path / "out") == {(unit, run) for unit in range(10) for run in range(RUNS)}
    again = [line for line in said if "handed out again" in line]
    begun = Counter(log.read_text().splitlines())
    assert again
    assert sum(begun.values()) <= 10 * RUNS + len(again)  # a loss costs the run that the worker was busy with


def test_a_unit_keeps_its_cores_while_it_waits_for_the_driver(machines: Any, tmp_path: Path):
    log = tmp_path / "log"
    carried_out(tmp_path / "out", list(range(4 * MACHINES)), telling, log)
    steps = [{"+": 1, "-": -1}.get(mark, 0) for mark in log.read_text()]
    assert len(steps) == 4 * MACHINES * 30
    assert 1 < max(accumulate(steps)) <= ray.cluster_resources()["CPU"] / cores()


def test_what_fails_is_named_and_the_rest_is_kept(machines: Any, tmp_path: Path):
    runner = carried_out(tmp_path, ["fine", "killed", "diverges"], bad, tmp_path)
    assert (tmp_path / "runs" / "fine.txt").read_text() == "fine"
    assert (tmp_path / "tries").read_text() == "x" * cluster.ATTEMPTS
    with pytest.raises(TrainingError, match=r"\(and 1 more\)") as error:
        runner.finish()
    assert any(sentence in str(error.value) for sentence in ("the loss became nan", "killed: its worker was lost 4"))
    with pytest.raises(InputError, match=r"^`rows` is 0; give at least 1$"):
        carried_out(tmp_path, ["refuses"], bad, tmp_path)


DRIVER = """
import sys
from pathlib import Path
from tests.pipeline.units import carried_out, sleeping
carried_out(Path(sys.argv[1]), list(range(6)), sleeping, Path(sys.argv[2]), lambda line: print(line, flush=True))
"""


def test_a_driver_that_is_killed_goes_on_from_its_records(machines: Any, tmp_path: Path):
    out, log = tmp_path / "out", tmp_path / "log"
    command = [sys.executable, "-c", DRIVER, str(out), str(log)]
    killed(command, machines)
    kept = told_once(out)
    assert 4 <= len(kept) < 6 * RUNS
    subprocess.run(command, env=at(machines), check=True, capture_output=True, timeout=300)
    assert told_once(out) == {(unit, run) for unit in range(6) for run in range(RUNS)}
    begun = Counter(tuple(map(int, line.split())) for line in log.read_text().splitlines())
    assert all(begun[run] == 1 for run in kept)
