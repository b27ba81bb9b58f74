"""The same mutations of valid inputs each time."""

import random
import resource
import sys
from pathlib import Path

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target

INPUTS = {
    "csv": 500,
    "arff": 800,
    "parquet": 800,
    "compressed": 4000,
    "capture": 3000,
    "bundle": 100,
    "checkpoint": 60,
    "flags": 400,
}
_MEMORY = 300 << 20  # bytes more than before, at most


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_valid_inputs_give_rows_or_a_sentence(name: str, tmp_path: Path):
    target: Target = TARGETS[name]
    seeds = target.seeds()
    for seed in seeds:
        target.read(seed, tmp_path)
    before, chance = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, random.Random(name)
    for number in range(INPUTS[name]):
        data = mutated(seeds[number % len(seeds)], chance)
        try:
            target.read(data, tmp_path)
        except Exception as error:
            raise AssertionError(f"input {number}: {data!r}") from error
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < _MEMORY
