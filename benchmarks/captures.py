"""How fast captures are metered and judged, beside nfstream: whole commands, start included, in turns.

    python -m benchmarks.captures --capture=big.pcap [--model=model] [--repeats=5]

Prints a line a command: the median of its seconds and of its peak memory, and how many packets and flows it did per
second.  Metering runs on one core; detection on all.  nfstream comes with `pip install nfstream`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.command import asked
from nids_jax.cli import frame
from nids_jax.cli.flags import Flags
from nids_jax.errors import InputError
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class Captures:
    """What to time:"""

    capture: str | None = setting(None, "Capture file.")
    model: str | None = setting(None, "Folder that `nids_jax train` wrote; default: no detection.")
    repeats: int = setting(5, "Turns, of which the median counts.", least=1)


def main(arguments: Sequence[str]) -> None:
    """Time what the flags ask for."""
    wanted = asked(Captures, "benchmarks.captures", __doc__, arguments)
    if wanted is None:
        return
    if not wanted.capture or not Path(wanted.capture).is_file():
        raise InputError(f"`capture` is {wanted.capture!r}; name a capture file")
    from nids_jax.flows.capture.source import Source
    from nids_jax.flows.metering import CaptureMeter, MeterOptions

    work = CaptureMeter(MeterOptions())
    with Source.open(wanted.capture) as source:
        flows = sum(len(each) for each in work.take(source, wanted.capture)) + sum(len(each) for each in work.finish())
    packets = work.new_account().frames
    python = [sys.executable, "-m"]
    with tempfile.TemporaryDirectory() as folder:
        ours = [*python, "nids_jax"]
        commands = {
            "nids_jax meter to CSV": [*ours, "meter", f"--captures={wanted.capture}", f"--output={folder}/a.csv"]
        }
        if find_spec("nfstream"):
            commands["nfstream, records counted"] = [*python, "benchmarks.rivals.nfstream_meter", wanted.capture]
        if wanted.model:
            detect = [*ours, "detect", f"--model={wanted.model}", wanted.capture]
            commands["nids_jax detect to EVE"] = [*detect, f"--output={folder}/a.json"]
        took: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
        for turn in range(wanted.repeats + 1):
            for name, command in commands.items():
                each = _run(command, cores=None if "detect" in name else {0})
                if turn:  # the first one reads the file into the system's cache, and compiles
                    took[name].append(each)
    print(f"{wanted.capture}: {packets:,} packets, {flows:,} flows; medians of {wanted.repeats} turns")
    for name, each in took.items():
        seconds = statistics.median(pair[0] for pair in each)
        memory = statistics.median(pair[1] for pair in each)
        print(
            f"{name}: {seconds:.2f} s, {packets / seconds:,.0f} packets/s, {flows / seconds:,.0f} flows/s, "
            f"{memory / 1024:,.0f} MiB at most"
        )


def _run(command: Sequence[str], cores: set[int] | None) -> tuple[float, int]:
    """Seconds, and KiB of memory at most."""

    def bind() -> None:
        if cores is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)

    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=bind)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise InputError(f"{' '.join(command)} ended with {child.returncode}")
    return time.perf_counter() - begin, used.ru_maxrss


if __name__ == "__main__":
    sys.exit(frame.run(lambda: main, sys.argv[1:], lambda: Flags([Captures]).names))
