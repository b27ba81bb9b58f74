"""A process of two that train a CDDPM together: `python two_processes.py PORT PROCESS FOLDER`; writes what it got."""

import sys

import jax

from nids_jax import parallel

if __name__ == "__main__":
    port, process, folder = sys.argv[1:]
    jax.config.update("jax_num_cpu_devices", 1)
    parallel.join(f"127.0.0.1:{port}", 2, int(process))
    from tests.test_parallel import trained

    trained(f"{folder}/{process}.npz", f"{folder}/checkpoint")
