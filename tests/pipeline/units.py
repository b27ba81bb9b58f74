"""Units of work for the tests of clusters; apart, so that workers import little."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nids_jax.errors import InputError, TrainingError
from nids_jax.pipeline import sensors
from nids_jax.pipeline.cluster import Cluster
from nids_jax.pipeline.runner import Runner

meter_sensor = sensors.meter_sensor  # the genuine one
RUNS = 4  # of a unit that sleeps


def sleeping(runner: Runner, unit: int, log: Path) -> int:
    """RUNS short runs, which say in a file when they begin."""
    for run in range(RUNS):
        key = ("sleeping", "none", "real", "none", None, unit, run)
        if runner.is_done(key):
            continue
        with log.open("a") as file:
            file.write(f"{unit} {run}\n")
        time.sleep(0.3)
        runner.record(key, {"metrics": {"unit": unit}, "timing": {}, "rows": {}})
        runner.say(f"unit {unit}, run {run}")
    return unit


def telling(runner: Runner, unit: int, log: Path) -> None:
    """A unit that often waits for the driver, and says in a file when it begins and ends."""
    for place, mark in enumerate(f"+{28 * '.'}-"):
        runner.record(("telling", "none", "real", "none", None, unit, place), {"metrics": {}, "timing": {}, "rows": {}})
        with log.open("a") as file:
            file.write(mark)
        time.sleep(0.1)


def bad(runner: Runner, unit: str, folder: Path) -> str:
    """A unit that goes as its name says."""
    with runner.unit(unit):
        if unit == "killed":
            with (folder / "tries").open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        if unit == "diverges":
            raise TrainingError("the loss became nan")
        if unit == "refuses":
            raise InputError("`rows` is 0; give at least 1")
        (runner.output_dir / "runs").mkdir(exist_ok=True)
        (runner.output_dir / "runs" / f"{unit}.txt").write_text(unit)
    return unit


def metering(runner: Runner, sensor: sensors.Sensor, how: sensors.Metering) -> None:
    """As `sensors.meter_sensor`, slowly; beside the records a file says who began with which sensor."""
    with (runner.output_dir.parent / "begun").open("a") as file:
        file.write(f"{sensor.name}\n")
    time.sleep(0.7)
    meter_sensor(runner, sensor, how)
    time.sleep(0.3)


def carried_out(folder: Path, units: list, work: Callable, shared: Any, say: Callable = lambda _: None) -> Runner:
    runner = Runner(output_dir=folder, say=say, progress=False)
    with Cluster() as executor:
        runner.executor = executor
        runner.each(units, work, shared)
    return runner
