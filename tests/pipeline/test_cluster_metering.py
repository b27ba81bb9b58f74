"""Metering by sensor on a cluster: the files of one process, whatever is lost."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nids_jax.__main__ import main
from nids_jax.flows.metering import MeterOptions
from nids_jax.flows.rotated import sensors as by_sensor
from nids_jax.pipeline import sensors, worker
from nids_jax.pipeline.cluster import Cluster
from nids_jax.pipeline.runner import Runner
from tests.pipeline import units
from tests.pipeline.machines import MACHINES, at, further, killed
from tests.pipeline.test_sensors import contents, rotated

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:os.fork")]

SENSORS = 24


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "site"
    rotated(folder, sensors=SENSORS)
    return folder


@pytest.fixture(scope="module")
def expected(site: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of one process."""
    out = tmp_path_factory.mktemp("here")
    assert main(["meter", f"--captures={site}", f"--output_dir={out}", "--quiet"]) == 0
    return contents(out)


def metered(site: Path, out: Path, say: Any = lambda _: None) -> None:
    """Meter on the cluster."""
    job = sensors.Metering(folder=site, options=MeterOptions())
    found = by_sensor(site, sorted(site.iterdir()))
    with Cluster(computes=False) as place:
        sensors.meter_sensors(Runner(output_dir=out, say=say, executor=place), found, job)


def test_the_command_writes_what_one_process_writes(
    machines: Any, site: Path, expected: dict[str, str], tmp_path: Path
):
    command = [sys.executable, "-m", "nids_jax", "meter", f"--captures={site}", f"--output_dir={tmp_path / 'out'}"]
    command.append("--cluster=auto")
    done = subprocess.run(command, env=at(machines), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {line.split(":")[0] for line in lines[:-1]} == {f"eth{n}" for n in range(SENSORS)}
    assert lines[-1] == f"sensors metered: {SENSORS}, in {tmp_path / 'out'}"
    assert contents(tmp_path / "out") == expected
    again = subprocess.run(command, env=at(machines), capture_output=True, text=True, timeout=300)
    assert f"sensors metered: {SENSORS} ({SENSORS} of them before)" in again.stdout


def test_machines_that_do_not_see_the_folder_send_the_files(
    machines: Any, site: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from nids_jax.pipeline import cluster

    write = cluster.write_atomic
    monkeypatch.setattr(cluster, "write_atomic", lambda path, data: path.name == worker.MARK or write(path, data))
    metered(site, tmp_path / "out")
    assert contents(tmp_path / "out") == expected


def test_a_machine_that_is_lost_costs_the_sensors_that_it_was_busy_with(
    machines: Any, site: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sensors, "meter_sensor", units.metering)
    victim, said = further(machines), []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == MACHINES + 1:
            machines.remove_node(victim, allow_graceful=False)

    metered(site, tmp_path / "out", say)
    assert contents(tmp_path / "out") == expected
    again = [line.split(" ")[0] for line in said if "is handed out again, as its worker was lost" in line]
    assert again
    begun = Counter((tmp_path / "begun").read_text().split())
    assert set(begun) == {f"eth{n}" for n in range(SENSORS)}
    assert all(count <= 1 + again.count(name) for name, count in begun.items())  # it may have been lost before it began
    told = Counter(line.split(":")[0] for line in said if ": captures: " in line)
    assert set(told) == {f"eth{n}" for n in range(SENSORS)}
    assert set(told.values()) == {1}


def test_a_sensor_that_fails_is_named_and_the_others_are_kept(
    machines: Any, site: Path, expected: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    broken = tmp_path / "site"
    broken.mkdir()
    for path in sorted(site.glob("eth[0-5].*")):
        os.link(path, broken / path.name)
    (broken / "eth3.pcap7").write_bytes(b"no capture at all")
    assert main(["meter", f"--captures={broken}", f"--output_dir={tmp_path / 'out'}", "--cluster=auto"]) == 2
    assert "error: eth3: " in capsys.readouterr().err
    kept = contents(tmp_path / "out")
    assert kept == {name: expected[name] for name in kept}
    assert {name for name in kept if name.endswith(".parquet")} == {f"eth{n}.parquet" for n in (0, 1, 2, 4, 5)}


DRIVER = """
import sys
from pathlib import Path
from nids_jax.pipeline import sensors
from tests.pipeline import units
from tests.pipeline.test_cluster_metering import metered
sensors.meter_sensor = units.metering
metered(Path(sys.argv[1]), Path(sys.argv[2]), lambda line: print(line, flush=True))
"""


def test_a_driver_that_is_killed_goes_on_from_the_files_that_are_whole(
    machines: Any, site: Path, expected: dict[str, str], tmp_path: Path
):
    out = tmp_path / "out"
    command = [sys.executable, "-c", DRIVER, str(site), str(out)]
    killed(command, machines)
    time.sleep(5)  # for Ray to end the workers that the driver left
    kept = {path.stem for path in (out / "_accounts").iterdir()}
    assert 4 <= len(kept) < SENSORS
    before = {name: (out / f"{name}.parquet").stat().st_mtime_ns for name in kept}
    done = subprocess.run(command, env=at(machines), check=True, capture_output=True, text=True, timeout=300)
    assert {name: (out / f"{name}.parquet").stat().st_mtime_ns for name in kept} == before
    assert {line.split(":")[0] for line in done.stdout.splitlines()} == {f"eth{n}" for n in range(SENSORS)} - kept
    assert {n: v for n, v in contents(out).items() if n != worker.MARK} == expected
