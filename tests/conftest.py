"""Shared fixtures: where the real data lie."""

import os
from pathlib import Path

import pytest

from nids_jax.runtime import enable_compilation_cache, use_all_cores

# As in the experiments; here, because collecting the tests may already start JAX.
enable_compilation_cache()
use_all_cores()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the published datasets, from NIDS_DATA_DIR; tests that need it skip where it is absent."""
    folder = os.environ.get("NIDS_DATA_DIR")
    if not folder:
        pytest.skip("NIDS_DATA_DIR is not set: no real data to test on")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"NIDS_DATA_DIR={folder} is not a folder: no real data to test on")
    return path
