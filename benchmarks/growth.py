"""How time and memory grow with rows, features, classes and devices.

    python -m benchmarks.growth --what=near,leaks --limit_s=20 --output_dir=out/growth

Each point is measured in a process of its own, so that its peak memory is its own: the median of some runs after a
first one, which may compile.  A curve ends where a run would take longer than --limit_s or need more than --limit_mib
by what the last two took.  Its slope is that of a straight line through the logarithms of the points in its larger
half: 1 is linear.  Memory is the process's peak less that before the work, and so counts its inputs.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import asked
from benchmarks.works import WORKS
from nids_jax import machine, store
from nids_jax.cli import frame
from nids_jax.cli.flags import Flags
from nids_jax.errors import check_names
from nids_jax.files import write_atomic
from nids_jax.report.style import new_figure, styled, svg
from nids_jax.report.tables import Table, markdown
from nids_jax.settings import setting

_POINT = "--point"  # the command line of a process that measures one


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What to time:"""

    what: tuple[str, ...] = setting(tuple(WORKS), "Curves to measure.")
    repeats: int = setting(3, "Runs of each point, of which the median counts.", least=1)
    limit_s: float = setting(20.0, "Seconds that a run may take.", least=0.01)
    limit_mib: int = setting(6000, "Memory that a run may need.", least=1)
    output_dir: str | None = setting(None, "Folder for the figures.")

    def __post_init__(self) -> None:
        check_names("what", self.what, WORKS)


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one size took."""

    size: int
    seconds: float  # the median
    spread: tuple[float, float]  # of the runs
    first_s: float  # the first run, with what it compiles
    mib: float  # peak memory beyond that before the work


def slope(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The slope of the least-squares line through (log size, log value); None for fewer than two sizes."""
    if len(sizes) < 2 or min(values) <= 0:
        return None
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def upper_half(points: Sequence[Point]) -> Sequence[Point]:
    """The points of the larger sizes, at least two of them where there are so many: small ones show fixed costs."""
    return points[-max(2, math.ceil(len(points) / 2)) :]


def next_costs(points: Sequence[Point], size: int) -> tuple[float, float]:
    """Seconds and MiB that a larger size would take, if it grows as between the last two points, at least linearly."""
    last = points[-1]
    before = points[-2] if len(points) > 1 else None

    def power(now: float, then: float) -> float:
        assert before is not None
        return math.log(now / then) / math.log(last.size / before.size) if now > then > 0 else 1.0

    times = max(1.0, power(last.seconds, before.seconds) if before else 1.0)
    return last.seconds * (size / last.size) ** times, last.mib * size / last.size


def measure(what: str, size: int, repeats: int) -> Point:
    """A point, in this process."""
    before = machine.peak_host_mib() or 0.0
    run = WORKS[what].prepare(size)
    took: list[float] = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return Point(
        size=size,
        seconds=statistics.median(took[1:]),
        spread=(min(took[1:]), max(took[1:])),
        first_s=took[0],
        mib=(machine.peak_host_mib() or 0.0) - before,
    )


def _measured_apart(what: str, size: int, repeats: int) -> Point:
    """A point, in a process of its own."""
    environment = dict(os.environ)
    if WORKS[what].axis == "devices":
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={size}"
    command = [sys.executable, "-m", "benchmarks.growth", _POINT, what, str(size), str(repeats)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Point(**{**found, "spread": tuple(found["spread"])})


def curve(what: str, wanted: Growth) -> list[Point]:
    """All points of a curve within the limits."""
    points: list[Point] = []
    for size in WORKS[what].sizes:
        if points and WORKS[what].axis != "devices":
            seconds, mib = next_costs(points, size)
            if seconds > wanted.limit_s or mib > wanted.limit_mib:
                break
        points.append(_measured_apart(what, size, wanted.repeats))
        print(f"{what} {size:,}: {points[-1].seconds:.3g} s", file=sys.stderr, flush=True)
    return points


def slopes(points: Sequence[Point]) -> tuple[float | None, float | None]:
    """Of time and of memory."""
    upper = upper_half(points)
    sizes = [each.size for each in upper]
    return slope(sizes, [each.seconds for each in upper]), slope(sizes, [each.mib for each in upper])


def table(curves: dict[str, list[Point]], title: str) -> Table:
    """A line for each point, the slopes in a curve's last one."""
    rows = []
    for what, points in curves.items():
        for place, each in enumerate(points):
            found = slopes(points) if place == len(points) - 1 else (None, None)
            rows.append(
                (
                    WORKS[what].title,
                    f"{each.size:,} {WORKS[what].axis}",
                    f"{each.seconds:.3g}",
                    f"{each.spread[0]:.3g} to {each.spread[1]:.3g}",
                    f"{max(0.0, each.first_s - each.seconds):.2g}",
                    f"{each.mib:,.0f}",
                    *("" if value is None else f"{value:.2f}" for value in found),
                )
            )
    header = ("what", "size", "seconds", "runs", "first run, more by", "MiB", "slope of time", "slope of memory")
    return Table(title, header, rows, "Slopes are of the larger half of each curve's sizes, in logarithms.")


@styled
def figure(curves: dict[str, list[Point]], axis: str):
    """Seconds over size of all curves of an axis."""
    drawn = new_figure(6.4, 4.0)
    axes = drawn.add_subplot()
    for what, points in curves.items():
        if WORKS[what].axis == axis:
            axes.loglog([e.size for e in points], [e.seconds for e in points], marker="o", label=WORKS[what].title)
    axes.set_xlabel(axis)
    axes.set_ylabel("seconds")
    axes.legend(fontsize="small")
    return drawn


def main(arguments: Sequence[str]) -> None:
    """Measure what the flags ask for; or, in a process of its own, one point."""
    if arguments[:1] == [_POINT]:
        what, size, repeats = arguments[1:]
        print(json.dumps(asdict(measure(what, int(size), int(repeats)))))
        return
    wanted = asked(Growth, "benchmarks.growth", __doc__, arguments)
    if wanted is None:
        return
    environment = store.environment(["python", "-m", "benchmarks.growth", *arguments])
    title = f"Growth, {os.cpu_count()} cores, JAX {environment['jax']}"
    curves: dict[str, list[Point]] = {}
    for what in wanted.what:
        curves[what] = curve(what, wanted)
        if wanted.output_dir:
            _keep(Path(wanted.output_dir), environment, curves, title)
    print(markdown(table(curves, title)))


def _keep(folder: Path, environment: dict[str, object], curves: dict[str, list[Point]], title: str) -> None:
    found = {
        what: {"points": [asdict(each) for each in points], "slopes": slopes(points)} for what, points in curves.items()
    }
    store.write_json(folder / "growth.json", {"environment": environment, "curves": found})
    write_atomic(folder / "growth.md", markdown(table(curves, title)).encode())
    for axis in {WORKS[what].axis for what in curves}:
        write_atomic(folder / f"growth-{axis}.svg", svg(figure(curves, axis)))


if __name__ == "__main__":
    sys.exit(frame.run(lambda: main, sys.argv[1:], lambda: Flags([Growth]).names))
