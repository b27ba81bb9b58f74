"""One point of `benchmarks.accelerator`, in a process of its own: what it takes down, it takes down alone.

    python -m benchmarks.gpu.point '{"program": …, "batch": …, …}'

Prints a JSON line for each runner: its figures, or why there are none.  Without an argument, what the machine is.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from benchmarks.gpu import peaks
from benchmarks.gpu.ours import CASES, PRECISIONS, Case, Sizes
from benchmarks.gpu.theirs import Run, Torch
from nids_jax import machine, parallel, store
from nids_jax.presets import get_preset

OURS, EAGER, COMPILED = "nids_jax", "PyTorch", "torch.compile"
RUNNERS = (OURS, EAGER, COMPILED)
_RUN_S = 0.5  # what a steady run is to take, where more steps make it longer
_POWER_S = 3.0  # of work while its power is read
_SHARE = 0.9  # of the device's memory that may be planned for
_SIDE = {"cpu": 1024}  # of the matrices whose product is the yardstick, by platform; elsewhere:
_LARGE = 8192


class Point(NamedTuple):
    """What is timed."""

    program: str
    batch: int  # rows, on all devices together
    precision: str
    devices: str  # "one" or "all"
    preset: str
    runners: Sequence[str]
    repeats: int


def key(point: Point) -> dict[str, Any]:
    """What a line says first."""
    return {name: getattr(point, name) for name in ("program", "batch", "precision", "devices")}


class _Unfit(Exception):  # noqa: N818 (a finding, not an error)
    """Why a point is left out."""


class _Ready(NamedTuple):
    """A runner whose first run is behind it."""

    run: Run
    steps: int
    figures: dict[str, Any]


def measured(point: Point, sizes: Sizes | None = None) -> Iterator[dict[str, Any]]:
    """A line for each runner: failures as they come, figures at the end.

    Args:
      sizes: other ones than the preset's networks on the published datasets' shape.
    """
    sizes = sizes or Sizes(get_preset(point.preset), point.batch, point.precision)
    device, ready, flop = jax.local_devices()[0], {}, None
    with jax.default_matmul_precision(PRECISIONS[point.precision]):
        for runner in point.runners:
            try:
                if runner == OURS:
                    case = CASES[point.program](sizes)
                    flop = case.flop
                    ready[runner] = _ours(case, device)
                else:
                    ready[runner] = _theirs(point, sizes, runner, device.platform)
            except Exception as error:  # whatever it is, the others go on
                yield {**key(point), "runner": runner, "reason": reason(error)}
        multiply, of_product = _yardstick(point.precision, device.platform)
        times, failed = _turns(ready, point.repeats, multiply)
        for runner, error in failed.items():
            yield {**key(point), "runner": runner, "reason": reason(error)}
        peak = of_product / statistics.median(times["product"]) if times["product"] else None
        sheet = peaks.of_sheet(device.device_kind, point.precision)
        for runner, (run, steps, figures) in ready.items():
            if runner in failed:
                continue
            rates = [steps * point.batch / each for each in times[runner]]
            per_row = None if flop is None else flop / point.batch
            yield {
                **key(point),
                "runner": runner,
                **figures,
                "steps": steps,
                "rates": rates,
                "flop_per_row": per_row,
                "peak": peak,
                "sheet": None if sheet is None else sheet * jax.local_device_count(),
                "joules_per_row": _joules(run, steps, statistics.median(times[runner]), point),
            }


def reason(error: Exception) -> str:
    """Why something failed, in a line."""
    text = " ".join(str(error).split())
    return text[:300] if isinstance(error, _Unfit | LookupError) and text else f"{type(error).__name__}: {text}"[:300]


def _ours(case: Case, device: Any) -> _Ready:
    start = time.perf_counter()
    compiled, held = case.compile()
    seconds = time.perf_counter() - start
    limit = machine.device_memory(device)
    if held is not None and limit is not None and held > _SHARE * limit:
        raise _Unfit(f"does not fit: XLA plans {held / 2**30:,.1f} GiB, and there are {limit / 2**30:,.1f}")

    def run(steps: int) -> object:
        return jax.block_until_ready(case.run(compiled, steps))

    figures = {"compile_s": seconds, "planned_bytes": held}
    return _started(run, case.most_steps, figures, compiles=compiled is None)


def _theirs(point: Point, sizes: Sizes, runner: str, platform: str) -> _Ready:
    torch = Torch(platform)
    try:
        run = torch.run(point.program, sizes, compiled=runner == COMPILED)
        most = 50 if point.program.endswith("training") else 1
        return _started(run, most, {"compile_s": None}, compiles=runner == COMPILED)
    except Exception:
        torch.release()
        raise


def _started(run: Run, most_steps: int, figures: dict[str, Any], *, compiles: bool) -> _Ready:
    """After a first run, a second says how many steps a steady one takes."""
    first = _seconds(run, 1)
    again = _seconds(run, 1)
    steps = min(most_steps, max(1, round(_RUN_S / again)))
    if compiles:  # in the first run
        figures = {**figures, "compile_s": first - again}
    return _Ready(run, steps, {**figures, "first_s": first})


def _turns(
    ready: dict[str, _Ready], repeats: int, multiply: Any
) -> tuple[dict[str, list[float]], dict[str, Exception]]:
    """Seconds of each runner's steady runs, and of the product, taken in turns; each turn begins with another."""
    times: dict[str, list[float]] = {name: [] for name in (*ready, "product")}
    failed: dict[str, Exception] = {}
    names = [*ready]
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)] if names else []:
            if name in failed:
                continue
            try:
                times[name].append(_seconds(ready[name].run, ready[name].steps))
            except Exception as error:
                failed[name] = error
        times["product"].append(_seconds(lambda _: jax.block_until_ready(multiply()), 1))
    return times, failed


def _yardstick(precision: str, platform: str) -> tuple[Any, float]:
    multiply, flop = peaks.product(parallel.mesh(), _SIDE.get(platform, _LARGE), precision)
    jax.block_until_ready(multiply())
    return multiply, flop


def _seconds(run: Run, steps: int) -> float:
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def _joules(run: Run, steps: int, seconds: float, point: Point) -> float | None:
    """Energy a row by the power that the GPUs draw while the run is repeated for some seconds, idle draw included."""
    if jax.default_backend() != "gpu":
        return None
    with machine.gpu("power.draw") as watts:
        for _ in range(max(1, round(_POWER_S / seconds))):
            run(steps)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    every = [int(each) for each in visible] if all(each.strip().isdigit() for each in visible) else None
    total = []
    for reading in watts:
        own = range(len(reading)) if every is None else [place for place in every if place < len(reading)]
        total.append(sum(reading[place] for place in own[: jax.local_device_count()]))
    return statistics.fmean(total) * seconds / (steps * point.batch) if total else None


def main(arguments: Sequence[str]) -> None:
    """Time the point that the argument says."""
    from absl import logging

    from nids_jax.runtime import use_all_cores

    logging.set_verbosity(logging.WARNING)
    point = Point(**json.loads(arguments[0])) if arguments else None
    use_all_cores(1 if point is not None and point.devices == "one" else None)
    if point is not None and point.devices == "one":
        # Of those that the environment leaves visible, the first.
        jax.config.update("jax_cuda_visible_devices", "0")
        jax.config.update("jax_rocm_visible_devices", "0")
    lines = [store.environment(["benchmarks.accelerator"])] if point is None else measured(point)
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
