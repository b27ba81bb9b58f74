"""A Ray cluster whose machines are processes of this one."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from nids_jax.runtime import cores

MACHINES = 3


@contextmanager
def cluster() -> Iterator[Any]:
    """Machines with as many cores each as this process has, and one that no unit fits on."""
    import ray  # pyright: ignore[reportMissingImports]
    from ray.cluster_utils import Cluster as Machines  # pyright: ignore[reportMissingImports]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # else a machine that is busy with other work leaves workers nothing
        found = Machines(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(MACHINES):
            found.add_node(num_cpus=cores())
    ray.init(address=found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


def further(machines: Any) -> Any:
    """Another machine, once it has joined."""
    import ray  # pyright: ignore[reportMissingImports]

    wanted = ray.cluster_resources().get("CPU", 0) + cores()
    joined = machines.add_node(num_cpus=cores())
    deadline = time.monotonic() + 60
    while ray.cluster_resources().get("CPU", 0) < wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return joined


def at(machines: Any) -> dict[str, str]:
    """The environment of a process that finds this cluster by itself."""
    return {**os.environ, "RAY_ADDRESS": machines.address}


def killed(command: Sequence[str], machines: Any, *, lines: int = 4) -> None:
    """Start a driver, and kill it when it has said so many lines."""
    with subprocess.Popen(command, env=at(machines), stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        for _ in range(lines):
            assert driver.stdout.readline()
        driver.kill()
