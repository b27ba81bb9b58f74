"""What each generator costs: P1's Table VI, on one job.

    python -m experiments.resources --dataset=cicddos2019 --data_dir=DATA --output_dir=out/resources

Every generator is fitted on the few rows of split 0 and makes `--generated` rows per class, in a process of its own:
peak memory cannot be told apart within one.  Compilation is counted apart.  CPU utilisation is the process's CPU time
over wall time and cores.  Where `nvidia-smi` is found, it is asked for the GPU's utilisation twice a second.
"""

import multiprocessing
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import common, generating
from nids_jax import machine, store
from nids_jax.cli import frame
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.split import few_shot
from nids_jax.errors import check_names
from nids_jax.files import write_atomic
from nids_jax.generators.registry import GENERATORS, make_generator
from nids_jax.presets import Preset
from nids_jax.report.conditions import Table
from nids_jax.report.tables import markdown
from nids_jax.runtime import CompileClock, cores, enable_compilation_cache, use_all_cores

flags.adopt_module_key_flags(common)
flags.adopt_module_key_flags(generating)
flags.set_default(generating.GENERATORS, sorted(GENERATORS))

# Seconds on an RTX 3060, 13 × 50 rows, T = 1000 (P1 Table VI).
PAPER = {"cddpm": "16.57 / 33.00", "wcgan_gp": "79.51 / 2.08", "smote": "2.07 in all"}
PHASES = ("fit", "sample")


@dataclass(frozen=True)
class Job:
    """Scaled rows and what to make of them; picklable."""

    generator: str
    preset: Preset
    x: np.ndarray
    y: np.ndarray
    scaler: Scaler
    generated: int


def measure(job: Job) -> dict[str, Any]:
    """Seconds, compile seconds, CPU and GPU utilisation and peak memory of fitting and of sampling."""
    use_all_cores()
    enable_compilation_cache()
    clock = CompileClock()
    options = job.preset.generator_options(job.scaler, rows=len(job.x))
    generator = make_generator(job.generator, options)
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
        found[phase] = {
            "seconds": seconds["run"],
            "compile_s": seconds["compile"],
            "cpu_utilisation": cpu / wall / cores() if wall else None,
            "gpu_utilisation": statistics.fmean(map(statistics.fmean, gpu)) if gpu else None,
            "peak_host_mib": machine.peak_host_mib(),
            "peak_device_mib": machine.peak_device_mib(),
        }
    return found


def _table(found: dict[str, dict[str, Any]], title: str) -> Table:
    def cell(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    rows = []
    for name, phases in found.items():
        parts = [phases[phase] for phase in PHASES]
        rows.append(
            (
                name,
                *(cell(part["seconds"], ".2f") for part in parts),
                cell(sum(part["compile_s"] for part in parts), ".1f"),
                *(cell(part["cpu_utilisation"], ".0%") for part in parts),
                *(cell(part["gpu_utilisation"], ".0f") for part in parts),
                *(cell(part["peak_host_mib"], ",.0f") for part in parts),
                cell(parts[1]["peak_device_mib"], ",.0f"),
                PAPER.get(name, "–"),
            )
        )
    header = (
        *("generator", "fit, s", "sample, s", "compile, s", "CPU, fit", "CPU, sample", "GPU %, fit", "GPU %, sample"),
        *("peak MiB, fit", "peak MiB, sample", "device MiB", "P1: fit / sample, s (RTX 3060)"),
    )
    return Table(title, header, rows, "Peak memory is the whole process's, with the interpreter and its libraries.")


def main(argv: list[str]) -> None:
    check_names("generators", generating.GENERATORS.value, GENERATORS)
    preset = generating.preset()
    output_dir = common.prepare(argv, preset)
    table, _ = common.read_table(output_dir)
    split = few_shot(table, common.numbers(common.SHOTS)[0], 0, test_per_class=1)
    scaler = fit_scaler(preset.scaler, split.train)
    x, y = scaler.transform(split.train.x), split.train.y
    found = {}
    for name in generating.GENERATORS.value:
        job = Job(name, preset, x, y, scaler, generating.GENERATED.value)
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            found[name] = alone.apply(measure, (job,))
        fit, sample = (found[name][phase]["seconds"] for phase in PHASES)
        print(f"{name}: fitted in {fit:.2f} s, sampled in {sample:.2f} s")
    environment = store.environment(["python", "-m", "experiments.resources", *sys.argv[1:]])
    what = f"{len(split.train)} rows of {common.dataset_name()}, {generating.GENERATED.value} generated per class"
    text = markdown(_table(found, f"{what}, preset {common.PRESET.value}, {environment['device']}"))
    store.write_json(output_dir / "resources.json", {"environment": environment, "generators": found})
    write_atomic(output_dir / "resources.md", text.encode("utf-8"))
    print("", text, sep="\n")


if __name__ == "__main__":
    frame.run(main)
