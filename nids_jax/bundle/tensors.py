"""Arrays by name as one block of bytes in the safetensors format, written and read here.

    8 bytes     N, the header's length, little-endian
    N bytes     JSON: {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [start, end]}, …}, filled up with blanks
    the rest    the arrays, row by row, little-endian, one after the other without gaps

Reading allocates nothing but views of the block: a header that promises more than there is, is refused first.
Format: the safetensors project's README.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from nids_jax.errors import InputError

DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
_LONGEST_HEADER = 1 << 24
_MOST_DIMENSIONS = 8


def encode(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as bytes, sorted by size of their elements and then by name, so that each is aligned.

    Raises:
      TypeError: an array of a type that `DTYPES` lacks.
    """
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    end = 0
    for name in sorted(arrays, key=lambda each: (-arrays[each].dtype.itemsize, each)):
        array = np.asarray(arrays[name], order="C")
        if array.dtype not in _NAMES:
            raise TypeError(f"{name} is of type {array.dtype}")
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": [*array.shape], "data_offsets": [start, end]}
        parts.append(array.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def decode(content: bytes) -> dict[str, np.ndarray]:
    """The arrays in a block of bytes, as read-only views of it.

    Raises:
      InputError: the block is not exactly what its header says: cut, longer, with gaps or overlaps, a name twice, an
        unknown type, or sizes that do not agree.
    """
    if len(content) < 8:
        raise InputError(f"it has {len(content)} bytes and no header")
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, _LONGEST_HEADER):
        raise InputError(f"its header would be {length:,} bytes long, and {len(content) - 8:,} bytes follow")
    header = parse_json(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = memoryview(content)[8 + length :]
    arrays: dict[str, np.ndarray] = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _start(*item)):
        dtype, shape, start, stop = _entry(name, entry)
        size = dtype.itemsize
        for count in shape:
            size *= count
        if start != end or stop - start != size or stop > len(data):
            raise InputError(f"the array {name[:80]!r} would lie at bytes {start} to {stop} of {len(data)}, not there")
        end = stop
        arrays[name] = np.frombuffer(data[start:stop], dtype).reshape(shape)
    if end != len(data):
        raise InputError(f"{len(data) - end:,} bytes follow its last array")
    return arrays


def _start(name: str, entry: Any) -> int:
    return _entry(name, entry)[2]


def _entry(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Type, shape, and first and past the last byte of an array.

    Raises:
      InputError: the header says something else.
    """
    wrong = InputError(f"its header says of the array {name[:80]!r} what this version cannot read")
    if not isinstance(entry, dict) or sorted(entry) != ["data_offsets", "dtype", "shape"]:
        raise wrong
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise wrong
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(each) is int and 0 <= each < 2**48 for each in numbers):
            raise wrong
    if len(shape) > _MOST_DIMENSIONS or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise wrong
    return np.dtype(DTYPES[dtype]), tuple(shape), offsets[0], offsets[1]


def parse_json(content: bytes) -> dict[str, Any]:
    """The JSON object that the bytes hold: no name twice in an object, no NaN, no number beyond float64.

    Raises:
      InputError: something else.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in one object")
        return found

    def refuse(text: str) -> float:
        raise ValueError(f"{text} is no number of JSON")

    def number(text: str) -> float:
        found = float(text)
        if not np.isfinite(found):
            raise ValueError(f"{text[:40]} is too large a number")
        return found

    def whole(text: str) -> int:
        if len(text) > 20:
            raise ValueError(f"{text[:40]} is too large a number")
        return int(text)

    try:
        found = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=unique,
            parse_constant=refuse,
            parse_float=number,
            parse_int=whole,
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is no JSON ({str(error)[:200]})") from None
    if not isinstance(found, dict):
        raise InputError("it holds no JSON object")
    return found
