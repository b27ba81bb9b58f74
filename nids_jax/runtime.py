"""The process's JAX settings: where compiled functions are kept, and a count of compilations.

JAX is imported when a function needs it: what only counts the cores starts without it.
"""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


def enable_compilation_cache() -> None:
    """Keep compiled functions on disk, so that only the first run of a program on a machine pays for compiling.

    The folder is $JAX_COMPILATION_CACHE_DIR, else `nids_jax` in the user's cache folder; where it cannot be written,
    every run compiles.
    """
    import jax

    folder = _cache_folder()
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = None
    writable = folder is not None and os.access(folder, os.W_OK)
    jax.config.update("jax_compilation_cache_dir", str(folder) if writable else None)
    # Of a disk that is full, say; there would be a warning for each function.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _cache_folder() -> Path | None:
    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    # The home of an empty $HOME is the root, which is no place for files of one program.
    return None if base.parent == Path(base.anchor) and not os.environ.get("XDG_CACHE_HOME") else base / "nids_jax"


def cores() -> int:
    """The CPU cores that this process may run on, where the system tells (Linux); else those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores(count: int | None = None) -> None:
    """Let JAX count every core of the CPU as a device (see `parallel`); to be called before JAX does anything.

    A number of devices that the user has set stays as it is.

    Args:
      count: use so many of the cores.

    Raises:
      RuntimeError: JAX has started already.
    """
    import jax

    set_by_user = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not set_by_user and jax.config.values["jax_num_cpu_devices"] < 1:
        jax.config.update("jax_num_cpu_devices", count or cores())


class CompileClock:
    """Counts compilations (cached ones too) and their seconds since its creation."""

    def __init__(self) -> None:
        import jax

        self.count = 0
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    @contextmanager
    def timed(self) -> Iterator[dict[str, float]]:
        """Seconds of the block, known at its end: `compile`, and `run` for the rest."""
        seconds: dict[str, float] = {}
        start, compiled = time.perf_counter(), self.seconds
        yield seconds
        seconds["compile"] = self.seconds - compiled
        seconds["run"] = time.perf_counter() - start - seconds["compile"]

    def _listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILE_EVENT:
            self.count += 1
            self.seconds += duration_secs
