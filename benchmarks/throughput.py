"""How fast this machine reads, meters and generates flows, trains, and explains.

    python -m benchmarks.throughput --what=flows,reading,oversampling,cddpm,gan,detector,shap --output_dir=out/speed

Prints a Markdown table and, with --output_dir, keeps it beside a JSON record of the same: compilation, the first run
and the median of steady ones apart.  A plain float32 matrix product, timed in the same turns, is the yardstick of the
hardware.  Where PyTorch is installed (`make bench` sees to it), imbalanced-learn or CTGAN, they are timed beside ours,
in turns; "times ours" is the median of the turns' ratios.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks.speed import detectors, generators, rows
from benchmarks.speed.stopwatch import SIDE, THREADS, Figure, Stopwatch, Work, table
from experiments import common
from nids_jax import store
from nids_jax.cli import frame
from nids_jax.errors import check_names
from nids_jax.files import write_atomic
from nids_jax.presets import Preset, get_preset
from nids_jax.report.tables import markdown

PARTS: dict[str, Callable[[Stopwatch, Preset], list[Figure]]] = {
    "flows": rows.flows,
    "reading": rows.reading,
    "oversampling": rows.oversampling,
    "cddpm": generators.cddpm,
    "gan": generators.gans,
    "detector": detectors.detector,
    "shap": detectors.shapley,
}

for name in (common.PRESET.name, common.OUTPUT_DIR.name):
    flags.declare_key_flag(name)
_WHAT = flags.DEFINE_list("what", list(PARTS), "What to time; all by default.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Steady runs, of which the median counts.", lower_bound=1)


def main(argv: list[str]) -> None:
    frame.no_arguments(argv)
    check_names("what", _WHAT.value, PARTS)
    preset = get_preset(common.PRESET.value)
    watch = Stopwatch(_REPEATS.value)
    found = watch.time(
        f"matrix product {SIDE}³", watch.product, Work(amount=1, unit="products", flop=2.0 * SIDE**3, note="float32")
    )
    environment = store.environment(["python", "-m", "benchmarks.throughput", *sys.argv[1:]])
    place = ", ".join(str(environment[what]) for what in ("device", "platform"))
    title = f"Preset {common.PRESET.value}, {place}, {THREADS} cores, JAX {environment['jax']}"
    for part in _WHAT.value:
        found += PARTS[part](watch, preset)
        print(f"{part}: done", file=sys.stderr, flush=True)
        if common.OUTPUT_DIR.value:
            _keep(Path(common.OUTPUT_DIR.value), environment, found, title)
    print(markdown(table(found, title)))


def _keep(output_dir: Path, environment: dict[str, Any], figures: list[Figure], title: str) -> None:
    store.write_json(
        output_dir / "throughput.json", {"environment": environment, "figures": [asdict(each) for each in figures]}
    )
    write_atomic(output_dir / "throughput.md", markdown(table(figures, title)).encode())


if __name__ == "__main__":
    frame.run(main)
