"""What each generator costs: P1's Table VI, on one job.

Every generator is fitted on the few rows of split 0 and makes `generated` rows per class, in a process of its own: peak
memory cannot be told apart within one.  Compilation is counted apart.  CPU utilisation is the process's CPU time over
wall time and cores.  Where `nvidia-smi` is found, it is asked for the GPU's utilisation twice a second.
"""

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np

from nids_jax import machine, plugins
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.split import few_shot
from nids_jax.data.table import FlowTable
from nids_jax.errors import check_names
from nids_jax.generators import registry as generator_registry
from nids_jax.generators.registry import GENERATORS, make_generator
from nids_jax.generators.spec import Request
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import Preset
from nids_jax.runtime import CompileClock, cores, enable_compilation_cache, use_all_cores
from nids_jax.settings import setting

PHASES = ("fit", "sample")
_ALONE = sorted(name for name, spec in GENERATORS.items() if not spec.needs)


@dataclass(frozen=True)
class Measurement:
    """A generator, scaled rows and what to make of them; it is sent to another process."""

    generator: str
    preset: Preset
    x: np.ndarray
    y: np.ndarray
    scaler: Scaler
    generated: int
    plug_ins: list[str]  # generators of other packages, which the other process does not know yet


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What to run."""

    name: ClassVar[str] = "cost"

    dataset: str  # what the records call the data
    preset: Preset
    shots: int = setting(5, "Real training rows per class.", least=1, most=1_000_000)
    generators: tuple[str, ...] = setting(tuple(_ALONE), "Generators to measure.")
    generated: int = setting(50, "Rows to generate per class.", least=1, most=1_000_000)

    def __post_init__(self) -> None:
        object.__setattr__(self, "generators", generator_registry.known(self.generators))
        check_names("generators", self.generators, [name for name, spec in GENERATORS.items() if not spec.needs])

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts."""
        return {"dataset": self.dataset, "counts": table.counts}

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Measure every generator that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: a class with too few rows, or rows that a generator refuses.
          TrainingError: a training diverged.
        """
        split = few_shot(table, self.shots, 0, test_per_class=1)
        scaler = fit_scaler(self.preset.scaler, split.train)
        x = scaler.transform(split.train.x)
        runner.each(runner.share(self.generators), self._generator, x, split.train.y, scaler)
        runner.finish()

    def _generator(self, runner: Runner, name: str, x: np.ndarray, y: np.ndarray, scaler: Scaler) -> None:
        key = (self.name, self.dataset, name, "none", self.shots, 0, 0)
        if runner.is_done(key):
            return
        job = Measurement(name, self.preset, x, y, scaler, self.generated, plugins.in_use("generators"))
        with runner.unit(name):
            try:
                metrics = _alone(job)
            except BrokenProcessPool:
                runner.failed(name, "its process was ended from outside, for want of memory perhaps; run it again")
                return
            generated = self.generated * len(np.unique(y))
            timing = {
                "compile_s": sum(metrics[f"{phase}_compile_s"] for phase in PHASES),
                "generator_fit_s": metrics["fit_s"],
                "sample_s": metrics["sample_s"],
            }
            rows = {"train": len(y), "generated": generated, "test": 0}
            runner.record(key, {"metrics": metrics, "timing": timing, "rows": rows})
            runner.say(f"{name}: fitted in {metrics['fit_s']:.2f} s, sampled in {metrics['sample_s']:.2f} s")


def _alone(job: Measurement) -> dict[str, Any]:
    """`measure` in a process of its own, which ends with the work, or with an interruption of this one.

    Raises:
      BrokenProcessPool: the process was ended from outside.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as place:
        try:
            return place.submit(measure, job).result()
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.kill()  # leaving the block waits for it
            raise


def measure(job: Measurement) -> dict[str, Any]:
    """Seconds, compile seconds, CPU and GPU utilisation and peak memory, of fitting (`fit_…`) and of sampling."""
    use_all_cores()
    enable_compilation_cache()
    generator_registry.known(job.plug_ins)
    clock = CompileClock()
    settings = job.preset.settings(GENERATORS[job.generator])
    request = Request(settings=job.preset.fitted(settings, job.scaler, len(job.x)))
    generator = make_generator(job.generator, request)
    labels = np.repeat(np.unique(job.y), job.generated)
    steps = {
        "fit": lambda: generator.fit(job.x, job.y, jax.random.key(0)),
        "sample": lambda: generator.sample(labels, jax.random.key(1)),
    }
    found: dict[str, Any] = {}
    for phase, run in steps.items():
        cpu = time.process_time()
        with clock.timed() as seconds, machine.gpu("utilization.gpu") as gpu:
            run()
        cpu = time.process_time() - cpu
        wall = seconds["run"] + seconds["compile"]
        figures = {
            "s": seconds["run"],
            "compile_s": seconds["compile"],
            "cpu_utilisation": cpu / wall / cores() if wall else None,
            "gpu_utilisation": statistics.fmean(map(statistics.fmean, gpu)) if gpu else None,
            "peak_host_mib": machine.peak_host_mib(),
            "peak_device_mib": machine.peak_device_mib(),
        }
        found |= {f"{phase}_{name}": value for name, value in figures.items()}
    return found
