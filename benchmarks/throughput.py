"""How fast this machine reads, meters and generates flows, trains, and explains.

    python -m benchmarks.throughput --what=flows,reading,oversampling,cddpm,gan,detector,shap --output_dir=out/speed

Prints a Markdown table and, with --output_dir, keeps it beside a JSON record of the same: compilation, the first run
and the median of steady ones apart.  A plain float32 matrix product, timed in the same turns, is the yardstick of the
hardware.  Where PyTorch is installed (`make bench` sees to it), imbalanced-learn or CTGAN, they are timed beside ours,
in turns; "times ours" is the median of the turns' ratios.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import asked
from benchmarks.speed import detectors, generators, rows
from benchmarks.speed.stopwatch import SIDE, THREADS, Figure, Stopwatch, Work, table
from nids_jax import store
from nids_jax.cli import frame
from nids_jax.cli.flags import Flags
from nids_jax.errors import check_names
from nids_jax.files import write_atomic
from nids_jax.presets import Preset, get_preset
from nids_jax.report.tables import markdown
from nids_jax.settings import setting

PARTS: dict[str, Callable[[Stopwatch, Preset], list[Figure]]] = {
    "flows": rows.flows,
    "reading": rows.reading,
    "oversampling": rows.oversampling,
    "cddpm": generators.cddpm,
    "gan": generators.gans,
    "detector": detectors.detector,
    "shap": detectors.shapley,
}


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """What to time:"""

    what: tuple[str, ...] = setting(tuple(PARTS), "Parts to time.")
    preset: str = setting("cpu", "Sizes of the models: demo, cpu or paper.")
    repeats: int = setting(5, "Steady runs, of which the median counts.", least=1)
    output_dir: str | None = setting(None, "Folder for the figures.")

    def __post_init__(self) -> None:
        check_names("what", self.what, PARTS)


def main(arguments: Sequence[str]) -> None:
    """Time what the flags ask for."""
    wanted = asked(Throughput, "benchmarks.throughput", __doc__, arguments)
    if wanted is None:
        return
    preset, watch = get_preset(wanted.preset), Stopwatch(wanted.repeats)
    found = watch.time(
        f"matrix product {SIDE}³", watch.product, Work(amount=1, unit="products", flop=2.0 * SIDE**3, note="float32")
    )
    environment = store.environment(["python", "-m", "benchmarks.throughput", *arguments])
    place = ", ".join(str(environment[what]) for what in ("device", "platform"))
    title = f"Preset {wanted.preset}, {place}, {THREADS} cores, JAX {environment['jax']}"
    for part in wanted.what:
        found += PARTS[part](watch, preset)
        print(f"{part}: done", file=sys.stderr, flush=True)
        if wanted.output_dir:
            _keep(Path(wanted.output_dir), environment, found, title)
    print(markdown(table(found, title)))


def _keep(output_dir: Path, environment: dict[str, Any], figures: list[Figure], title: str) -> None:
    store.write_json(
        output_dir / "throughput.json", {"environment": environment, "figures": [asdict(each) for each in figures]}
    )
    write_atomic(output_dir / "throughput.md", markdown(table(figures, title)).encode())


if __name__ == "__main__":
    frame.start_jax()
    sys.exit(frame.run(lambda: main, sys.argv[1:], lambda: Flags([Throughput]).names))
