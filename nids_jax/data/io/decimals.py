"""The float64 nearest to a decimal number, compiled: Clinger's short way, and Eisel and Lemire's for more digits."""

import numpy as np

from nids_jax.compiled import compiled

SMALLEST, LARGEST = -300, 300  # powers of ten within which no result is subnormal or infinite for 1 to 19 digits
_EXACT_POWERS = 10.0 ** np.arange(23)  # those that are floats themselves


def _powers_of_five() -> np.ndarray:
    """The leading 128 bits of 5^q, q from SMALLEST to LARGEST, as two halves.

    Those of q ≥ −27 are rounded up where q < 0, as a number halfway between two floats may have such a power.
    """
    rows = []
    for power in range(SMALLEST, LARGEST + 1):
        value = 5 ** abs(power)
        bits = value.bit_length()
        if power < 0:
            value = (1 << (bits + 127 if power >= -27 else 2 * bits + 128)) // value + 1
            bits = value.bit_length()
        value = value << (128 - bits) if bits <= 128 else value >> (bits - 128)
        rows.append((value >> 64, value & (2**64 - 1)))
    return np.array(rows, np.uint64)


_FIVES = _powers_of_five()
_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)
_32, _52, _63 = np.uint64(32), np.uint64(52), np.uint64(63)
_LOW_HALF, _LOW_9, _ALL = np.uint64(2**32 - 1), np.uint64(2**9 - 1), np.uint64(2**64 - 1)
_WITHOUT_LAST, _IMPLICIT, _CARRIED = np.uint64(2**64 - 2), np.uint64(2**52), np.uint64(2**53)


@compiled
def is_short(digits: np.uint64, power: int) -> bool:
    """Whether both factors of digits · 10^power are floats, so that one product or quotient is the nearest float."""
    return bool(digits <= _CARRIED) and -22 <= power <= 22


@compiled
def short(digits: np.uint64, power: int) -> float:
    """digits · 10^power where `is_short`."""
    if power < 0:
        return np.float64(digits) / _EXACT_POWERS[-power]
    return np.float64(digits) * _EXACT_POWERS[power]


@compiled
def nearest_bits(digits: np.uint64, power: int) -> np.uint64:
    """The bits of the float64 nearest to digits · 10^power; 0, which none of them has, where this way cannot tell.

    D. Lemire, Number Parsing at a Gigabyte per Second, Software: Practice and Experience 51 (2021).

    Args:
      digits: up to 19 decimal digits, not 0.
      power: of ten.
    """
    if power < SMALLEST or power > LARGEST:
        return np.uint64(0)
    zeros = 0
    for shift in (32, 16, 8, 4, 2, 1):
        if digits >> np.uint64(64 - shift) == 0:
            digits <<= np.uint64(shift)
            zeros += shift
    high, low = _product(digits, _FIVES[power - SMALLEST, 0])
    if high & _LOW_9 == _LOW_9:  # the bits below the float's may carry: the power's lower half decides
        more, _ = _product(digits, _FIVES[power - SMALLEST, 1])
        low += more
        if low < more:
            high += _1
    if low == _ALL and (power < -27 or power > 55):
        return np.uint64(0)
    top = high >> _63
    shift = top + np.uint64(9)
    mantissa = high >> shift
    exponent = ((217706 * power) >> 16) + 63 + np.int64(top) - zeros + 1023
    if exponent <= 0 or exponent >= 2046:
        return np.uint64(0)
    if low <= _1 and -4 <= power <= 23 and mantissa & _3 == _1 and mantissa << shift == high:
        mantissa &= _WITHOUT_LAST  # exactly between two floats: to the even one
    mantissa = (mantissa + (mantissa & _1)) >> _1
    if mantissa >= _CARRIED:
        mantissa = _IMPLICIT
        exponent += 1
    return (mantissa & (_IMPLICIT - _1)) | (np.uint64(exponent) << _52)


@compiled
def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Upper and lower 64 bits of a product."""
    a1, a0, b1, b0 = a >> _32, a & _LOW_HALF, b >> _32, b & _LOW_HALF
    middle = a1 * b0 + ((a0 * b0) >> _32)
    other = a0 * b1 + (middle & _LOW_HALF)
    return a1 * b1 + (middle >> _32) + (other >> _32), a * b
