"""Values of JSON that somebody else may have written, taken out with their types checked."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from nids_jax.errors import InputError

T = TypeVar("T")
_LONGEST_NAME = 1000


def entry(found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """The value called `name`, of a type that JSON has; whole numbers count as float, booleans not as numbers.

    Raises:
      InputError: it is missing, or of another type.
    """
    if name not in found:
        raise InputError(f"it has no {name!r}")
    value: Any = found[name]
    if kind is float and type(value) is int:
        return float(value)  # pyright: ignore[reportReturnType] (T is float)
    if type(value) is not kind:
        raise InputError(f"its {name!r} is {_shown(value)}, which is of another type")
    return value


def names(found: Mapping[str, Any], name: str, *, most: int) -> tuple[str, ...]:
    """A list of different, non-empty names.

    Raises:
      InputError: something else, or more than `most`.
    """
    listed = entry(found, name, list)
    good = all(isinstance(each, str) and each and len(each) <= _LONGEST_NAME for each in listed)
    if not good or len(set(listed)) != len(listed) or not 0 < len(listed) <= most:
        raise InputError(f"its {name!r} is no list of up to {most:,} different names")
    return tuple(listed)


def numbers(listed: Any, name: str, count: int | None = None) -> np.ndarray:
    """A list of finite numbers as float64 [count].

    Raises:
      InputError: something else, or another number of them.
    """
    if not isinstance(listed, list) or not all(type(each) in (int, float) for each in listed):
        raise InputError(f"its {name!r} is no list of numbers")
    if count is not None and len(listed) != count:
        raise InputError(f"its {name!r} has {len(listed)} numbers, and {count} are expected")
    try:
        found = np.array(listed, np.float64)
    except OverflowError:
        found = np.array([np.inf])
    if not np.isfinite(found).all():
        raise InputError(f"its {name!r} holds a number beyond float64")
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
