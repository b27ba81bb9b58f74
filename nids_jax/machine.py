"""What a machine tells of a run: peak memory, and figures of its GPU."""

import contextlib
import math
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

_OWN = Path("/proc/self")
_PEAK_ONLY = "5"  # proc(5), clear_refs: forget the peak of the resident memory


def forget_peak() -> None:
    """Let `peak_host_mib` tell the peak from here on; on Linux alone, elsewhere it stays that of the whole process."""
    with contextlib.suppress(OSError):
        (_OWN / "clear_refs").write_text(_PEAK_ONLY)


def peak_host_mib() -> float | None:
    """The process's peak resident memory, the interpreter and its libraries included.  None on Windows."""
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", (_OWN / "status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) / 2**10
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def peak_device_mib() -> float | None:
    """The peak memory of the first device since the process began; None where it does not tell (CPUs)."""
    stats = jax.local_devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    return None if peak is None else peak / 2**20


def device_memory(device: Any = None) -> int | None:
    """The bytes that JAX may use of a device (by default the first), or of a CPU's machine; None where untold.

    It is the limit of JAX's allocator, a share of the memory that is fixed when JAX starts: what is free at the moment
    changes nothing.
    """
    device = device or jax.local_devices()[0]
    if device.platform == "cpu":
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):  # Windows
            return None
    return (device.memory_stats() or {}).get("bytes_limit")


def tile(row_bytes: float, *, cpu: int, most: int, least: int = 64) -> int:
    """Rows to compute together on one device: `cpu` of them on CPUs.

    Elsewhere it is the largest power of two whose values fit the memory that JAX may use, in whole GiB, as if none were
    given up (a compiled program holds some hundredths of it at a time): the same on all devices of a kind, whatever
    else lies in their memory.  Where that is untold, it is `least`.

    Args:
      row_bytes: of a row's values.
      most, least: bounds of the result off CPUs.
    """
    if jax.default_backend() == "cpu":
        return cpu
    memory = device_memory()
    if memory is None:
        return least
    whole = max(memory // 2**30, 1) * 2**30
    return min(most, max(least, 2 ** math.floor(math.log2(max(whole / row_bytes, 1)))))


def row_bytes(function: Callable[..., Any], *columns: tuple[tuple[int, ...], Any]) -> float:
    """The bytes that one more row takes of a function of rows: of all values on the way, as if none were given up.

    Of a loop they are those of a turn and of its results.

    Args:
      function: takes arrays [rows, …].
      columns: of each of them the shape of a row, and the type.
    """

    def taken(rows: int) -> float:
        given = [jax.ShapeDtypeStruct((rows, *shape), kind) for shape, kind in columns]
        return _bytes_in(jax.make_jaxpr(function)(*given).jaxpr)

    return taken(3) - taken(2)  # parameters are there once, and one row alone may be computed otherwise


def _bytes_in(jaxpr: Jaxpr) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        arrays: list[Any] = [out.aval for out in equation.outvars]
        total += sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays)
        total += sum(map(_bytes_in, inner_programs(equation)))
    return total


def inner_programs(equation: Any) -> list[Jaxpr]:
    """The programs that an equation of a jaxpr calls: a loop's body, the branches of a condition."""
    values = jax.tree.leaves([*equation.params.values()], is_leaf=lambda x: isinstance(x, ClosedJaxpr | Jaxpr))
    return [
        each.jaxpr if isinstance(each, ClosedJaxpr) else each
        for each in values
        if isinstance(each, ClosedJaxpr | Jaxpr)
    ]


@contextmanager
def gpu(figure: str) -> Iterator[list[list[float]]]:
    """A figure of all GPUs (`utilization.gpu` in percent, `power.draw` in W), from `nvidia-smi` twice a second.

    The list of readings, each with a value a GPU, fills while the block runs; it stays empty without `nvidia-smi`.
    """
    found: list[list[float]] = []
    program = shutil.which("nvidia-smi")
    done = threading.Event()

    def watch(command: list[str]) -> None:
        while True:
            reading = []
            for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
                with contextlib.suppress(ValueError):  # "[N/A]"
                    reading.append(float(line))
            if reading:
                found.append(reading)
            if done.wait(0.5):
                return

    query = [f"--query-gpu={figure}", "--format=csv,noheader,nounits"]
    watcher = threading.Thread(target=watch, args=([program, *query],), daemon=True) if program else None
    if watcher:
        watcher.start()
    try:
        yield found
    finally:
        done.set()
        if watcher:
            watcher.join()
