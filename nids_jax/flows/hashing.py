"""Hashes for compiled tables, salted anew in every process so that no capture can be made to collide."""

import secrets

import numpy as np

from nids_jax.compiled import inlined


def salt() -> np.uint64:
    """A random number to hash with."""
    return np.uint64(secrets.randbits(64))


@inlined
def mixed(value, salt):
    """A hash of 64 bits (the finaliser of splitmix64)."""
    value = (value ^ salt) + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
