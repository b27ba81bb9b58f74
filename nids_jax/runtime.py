"""The process's JAX settings: where compiled functions are kept, and a count of compilations."""

import os
from pathlib import Path

import jax

_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


def enable_compilation_cache() -> None:
    """Keep compiled functions on disk, so that only the first run of a program on a machine pays for compiling.

    The folder is $JAX_COMPILATION_CACHE_DIR, else `nids_jax` in the user's cache folder.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        try:
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        except RuntimeError:  # a user without a home: compile every time
            return
        jax.config.update("jax_compilation_cache_dir", str(Path(base) / "nids_jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


class CompileClock:
    """Counts compilations (cached ones too) and their seconds since its creation."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILE_EVENT:
            self.count += 1
            self.seconds += duration_secs
