"""Mutations of valid inputs: flips, cuts, copies, runs of one byte, words that readers look for."""

import random

from nids_jax.errors import InputError

WORDS = [
    b",",
    b";",
    b"\n",
    b'"',
    b"'",
    b"\\",
    b"\0",
    b"{",
    b"-1",
    b"1,5",
    b"1e30",
    b"inf",
    b"null",
    b"label",
    b"@data",
    b"9" * 5000,
    b"\x1b[31m",
    "\u202e\uff11".encode(),
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The input with one change or a few."""
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


def check_sentence(error: InputError, most: int = 5000) -> None:
    """Whether an error is something to show."""
    assert str(error)
    assert len(str(error)) < most
