"""What a Ray cluster gains: P1's sweep of T (its Table V) over one machine and over several, which are processes here.

    python -m benchmarks.cluster --nodes=1,3 --seeds=6 --output_dir=out/cluster

Each number of machines gets a cluster of its own, one core a machine, and runs the same command from nothing; a short
run before them fills the compilation cache.  Prints seconds, the speed-up, how busy the cores were, and whether all
records are the same but for seconds.  Where there are more machines than cores they share these, so the speed-up ends
at the number of cores.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.command import asked
from nids_jax import store
from nids_jax.cli import frame
from nids_jax.cli.flags import Flags
from nids_jax.errors import InputError
from nids_jax.report.conditions import Table
from nids_jax.report.tables import markdown
from nids_jax.runtime import cores
from nids_jax.settings import setting

COMMAND = "generator_comparison"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to run:"""

    nodes: tuple[int, ...] = setting((1, 3), "Machines of each cluster.", least=1, most=64)
    seeds: int = setting(6, "Splits, which are the units.", least=1)
    preset: str = setting("demo", "Whose networks.")
    dataset: str = setting("cicids2018_sample", "The rows; those of the package by default.")
    data_dir: str | None = setting(None, "Folder with one folder per dataset.")
    timesteps: tuple[int, ...] = setting((500, 1000, 1500, 2000), "Diffusion steps T.")
    output_dir: str = setting("out/cluster", "Folder for the runs, which must not be there yet.")


def run(sweep: Sweep, nodes: int, seeds: int, folder: Path) -> tuple[float, float]:
    """Seconds of the sweep on a cluster of so many machines, and those in which a core was busy.

    Raises:
      InputError: the command failed.
    """
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    os.environ |= {"RAY_worker_niceness": "0"}  # else whatever else runs leaves the workers nothing
    machines: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(nodes):
        machines.add_node(num_cpus=1)
    flags = {
        "dataset": sweep.dataset,
        "data_dir": sweep.data_dir,
        "preset": sweep.preset,
        "seeds": seeds,
        "generators": "real,copies,cddpm",
        "timesteps": ",".join(map(str, sweep.timesteps)),
        "classifiers": "cnn_bigru",
        "generations": 1,
        "cluster": "auto",
        "output_dir": folder,
    }
    given = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    busy = _busy()
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "nids_jax", COMMAND, *given, "--quiet"],
        env={**os.environ, "RAY_ADDRESS": machines.address},
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),  # a unit takes one core, as it does
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begun
    busy = _busy() - busy
    machines.shutdown()
    if done.returncode:
        raise InputError(f"{COMMAND} on {nodes} machines ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return seconds, busy


def _busy() -> float:
    """Core seconds that this machine has not idled since it started (Linux)."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def figures(folder: Path) -> dict[store.RunKey, Any]:
    """What the runs found, by their keys, without seconds and the machine."""
    apart = ("timing", "environment")
    return {store.run_key(each): {k: v for k, v in each.items() if k not in apart} for each in store.read(folder)}


def main(arguments: Sequence[str]) -> None:
    """Run what the flags ask for."""
    sweep = asked(Sweep, "benchmarks.cluster", __doc__, arguments)
    if sweep is None:
        return
    out = Path(sweep.output_dir)
    if out.exists():
        raise InputError(
            f"`output_dir` is {out}, which is there already; name a new folder, as all runs start from nothing"
        )
    if not find_spec("ray"):
        raise InputError("Ray is not installed: pip install 'nids-jax[ray]'")
    run(sweep, 1, 1, out / "warm")
    lines, first, expected = [], 0.0, {}
    for nodes in sweep.nodes:
        seconds, busy = run(sweep, nodes, sweep.seeds, out / f"nodes{nodes}")
        found = figures(out / f"nodes{nodes}")
        first, expected = first or seconds, expected or found
        same = "the same" if found == expected else "different"
        shown = f"{seconds:.0f}", f"{first / seconds:.2f}", f"{busy / seconds:.1f} of {cores()}"
        lines.append((str(nodes), *shown, str(len(found)), same))
    header = ("machines", "seconds", "speed-up", "cores busy", "runs", "records")
    note = f"{sweep.seeds} splits, {len(sweep.timesteps)} numbers of steps, preset {sweep.preset}, {sweep.dataset}."
    print(markdown(Table("The sweep of T over the machines of a Ray cluster", header, lines, note)))


if __name__ == "__main__":
    sys.exit(frame.run(lambda: main, sys.argv[1:], lambda: Flags([Sweep]).names))
