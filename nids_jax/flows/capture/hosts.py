"""Numbers of host addresses: an IPv4 address is its own number, an IPv6 address gets the next one above those.

The addresses that a capture's packets name are looked up in compiled code (`decode`), in a hash table of open
addressing whose capacity is a power of two.
"""

import ipaddress

import numpy as np

from nids_jax.compiled import compiled
from nids_jax.flows.hashing import mixed, salt

FIRST = 1 << 32  # number of the first IPv6 address


class Hosts:
    """The hosts of captures that are read together."""

    def __init__(self) -> None:
        self.buckets = np.full(1024, -1, np.int64)  # which address lies in each place of the table
        self.known = np.zeros((512, 2), np.uint64)  # upper and lower half of each IPv6 address, in order of numbers
        self.count = np.zeros(1, np.int64)
        self.salt = salt()

    def make_room(self, further: int) -> None:
        """Room for so many further IPv6 addresses."""
        wanted = int(self.count[0]) + further
        if wanted <= len(self.known):
            return
        size = 1 << (wanted - 1).bit_length()
        known = np.zeros((size, 2), np.uint64)
        known[: len(self.known)] = self.known
        self.known, self.buckets = known, np.full(2 * size, -1, np.int64)
        _rebuild(self.known, self.count, self.buckets, self.salt)

    def __getitem__(self, number: int) -> str:
        """The address of the host with this number."""
        number = int(number)
        return str(ipaddress.ip_address(self.packed(number)))

    def names(self, numbers: np.ndarray) -> np.ndarray:
        """The addresses of hosts: numbers [n] → objects [n]."""
        some, place = np.unique(numbers, return_inverse=True)
        return np.array([self[number] for number in some], object)[place]

    def packed(self, number: int) -> bytes:
        """The address of the host with this number, as sent: 4 or 16 bytes."""
        if number < FIRST:
            return number.to_bytes(4)
        high, low = self.known[: self.count[0]][number - FIRST].tolist()
        return high.to_bytes(8) + low.to_bytes(8)


@compiled
def number_of(high, low, known, count, buckets, salt):
    """The number of the IPv6 address with these halves, which is added where it is new; there must be room for it."""
    mask = np.uint64(len(buckets) - 1)
    place = mixed(low, mixed(high, salt)) & mask
    while True:
        found = buckets[place]
        if found < 0:
            known[count[0], 0], known[count[0], 1] = high, low
            buckets[place] = count[0]
            count[0] += 1
            return FIRST + count[0] - 1
        if known[found, 0] == high and known[found, 1] == low:
            return FIRST + found
        place = (place + np.uint64(1)) & mask


@compiled
def _rebuild(known, count, buckets, salt):
    total = count[0]
    count[0] = 0
    for i in range(total):
        number_of(known[i, 0], known[i, 1], known, count, buckets, salt)
