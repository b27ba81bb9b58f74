"""A cluster for the tests of what runs on one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline.machines import cluster


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """Three machines with as many cores each as this process has, and one that no unit fits on."""
    with cluster() as found:
        yield found
