"""Runs timed side by side, and the table of what came out."""

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from nids_jax import machine
from nids_jax.report.conditions import Table
from nids_jax.runtime import CompileClock, cores

SIDE = 2048  # of the matrices whose product is the yardstick
THREADS = cores()
_POWER_S = 3.0  # of work while its power is read

Run = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run gets done."""

    amount: float
    unit: str
    flop: float | None = None  # floating-point operations of a run
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one kind of work took, by medians over the turns; None: not measured, or not told by the machine.

    A rival's `steady_s` is its ratio to ours times our median.
    """

    what: str
    work: Work
    steady_s: float
    compile_s: float | None = None  # of the first run
    first_s: float | None = None  # the first run without compilation, but with tracing
    of_product: float | None = None  # floating-point operations a second, over those of the matrix product
    times_ours: float | None = None  # of a rival: its seconds over ours in the same turn
    peak_host_mib: float | None = None
    peak_device_mib: float | None = None
    joules: float | None = None  # of a run, by all GPUs' power draw

    @property
    def rate(self) -> float:
        """Work a second."""
        return self.work.amount / self.steady_s


class Stopwatch:
    """Times our work and its rivals in turns, on a machine that may be busy with other things."""

    def __init__(self, repeats: int):
        self.repeats = repeats
        self._clock = CompileClock()
        a = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
        product = jax.jit(jnp.matmul)
        self.product: Run = lambda: product(a, a)
        seconds(self.product)

    def time(
        self, what: str, ours: Run, work: Work, rivals: Mapping[str, tuple[Run, Work]] | None = None
    ) -> list[Figure]:
        """Our figure, and one of each rival (its name in the table, its run and work)."""
        rivals = rivals or {}
        machine.forget_peak()
        with self._clock.timed() as first:
            seconds(ours)
        peak = machine.peak_host_mib(), machine.peak_device_mib()
        for run, _ in rivals.values():
            seconds(run)
        own: list[float] = []
        shares: list[float] = []
        ratios: dict[str, list[float]] = {name: [] for name in rivals}
        for _ in range(self.repeats):
            own.append(seconds(ours))
            if work.flop:
                shares.append(work.flop / own[-1] * seconds(self.product) / (2 * SIDE**3))
            for name, (run, _) in rivals.items():
                ratios[name].append(seconds(run) / own[-1])
        steady = statistics.median(own)
        figure = Figure(
            what=what,
            work=work,
            steady_s=steady,
            compile_s=first["compile"],
            first_s=first["run"],
            of_product=statistics.median(shares) if shares else None,
            peak_host_mib=peak[0],
            peak_device_mib=peak[1],
            joules=_joules(ours, steady),
        )
        beside = {name: statistics.median(values) for name, values in ratios.items()}
        return [
            figure,
            *(
                Figure(what=name, work=rivals[name][1], steady_s=ratio * steady, times_ours=ratio)
                for name, ratio in beside.items()
            ),
        ]


def seconds(run: Run) -> float:
    """Wall time of a run, until its arrays are there."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def _joules(run: Run, seconds_each: float) -> float | None:
    """Energy of a run: the power drawn while it is repeated for some seconds, apart from what is timed."""
    if jax.default_backend() != "gpu":
        return None
    with machine.gpu("power.draw") as watts:
        for _ in range(max(1, round(_POWER_S / seconds_each))):
            jax.block_until_ready(run())
    return statistics.fmean(map(sum, watts)) * seconds_each if watts else None


def flop(function: Callable[..., Any], *args: Any) -> float | None:
    """Floating-point operations of a function without loops, as XLA counts them; None where it does not tell."""
    cost: Any = jax.jit(function).lower(*args).compile().cost_analysis()
    return (cost or {}).get("flops")


def baseline(name: str, package: str) -> Any:
    """That module of `benchmarks.rivals`, or None where its package is not installed."""
    try:
        return importlib.import_module(f"benchmarks.rivals.{name}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("benchmarks."):
            raise
        print(f"{package} is not installed, so nothing is timed beside it", file=sys.stderr)
        return None


def table(figures: list[Figure], title: str) -> Table:
    """A line for each figure."""

    def cell(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    header = (
        *("what", "compiling, s", "first run, s", "steady run, s", "rate", "GFLOP/s", "of a product's"),
        *("times ours", "host MiB", "device MiB", "joules", "note"),
    )
    rows = []
    for figure in figures:
        flops = figure.work.flop / figure.steady_s / 1e9 if figure.work.flop else None
        rows.append(
            (
                figure.what,
                cell(figure.compile_s, ".2f"),
                cell(figure.first_s, ".2f"),
                cell(figure.steady_s, ".3f"),
                f"{figure.rate:,.{0 if figure.rate >= 100 else 2}f} {figure.work.unit}/s",
                cell(flops, ".1f"),
                cell(figure.of_product, ".0%"),
                cell(figure.times_ours, ".2f"),
                cell(figure.peak_host_mib, ",.0f"),
                cell(figure.peak_device_mib, ",.0f"),
                cell(figure.joules, ".1f"),
                figure.work.note or "–",
            )
        )
    note = (
        "Medians of the turns in which a work and its rivals (below it) were timed; each share of a product's speed is"
        " against the product of its turn.  Compiled functions may have come from the cache on disk.  Host memory is"
        " the process's peak in the first run, with its libraries and what was done before; device memory, that so far."
    )
    return Table(title, header, rows, note)
