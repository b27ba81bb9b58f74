"""The same mutations of valid inputs each time: flips, cuts, copies, runs of one byte, words that readers look for."""

import random
import resource
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, Target

INPUTS = {"csv": 500, "arff": 800, "parquet": 800, "compressed": 4000, "capture": 3000}
WORDS = [
    b",",
    b";",
    b"\n",
    b'"',
    b"\0",
    b"{",
    b"1,5",
    b"inf",
    b"label",
    b"@data",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
]
_MEMORY = 300 << 20  # bytes more than before, at most


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice((1, 2, 4, 16, 64)))
        what = chance.randrange(6)
        if what == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            changed[at:end] = b""
        elif what == 2:
            changed[at:at] = changed[at:end]
        elif what == 3:
            changed[at:end] = bytes([chance.randrange(256)]) * (end - at)
        elif what == 4:
            changed[at:end] = chance.choice(WORDS)
        else:
            changed = changed[: max(1, at)] if chance.random() < 0.3 else changed[at:] + changed[:at]
    return bytes(changed)


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
