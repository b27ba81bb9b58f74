"""Compiled loops: numba as this package uses it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
from numba.np import linalg


def _start_without_blas() -> None:
    """Import numba's functions on arrays without SciPy's linear algebra.

    They ask at their import whether there is a BLAS, by importing it, which takes a fifth of the time that metering a
    small capture takes.  Without one, numba's inner products are loops; none is compiled here, and `np.dot` in other
    compiled functions asks again for itself.
    """

    def absent() -> None:
        raise ImportError

    asked = getattr(linalg, "ensure_blas", None)
    if asked is None:  # a numba that asks in another way: it starts as it likes
        return
    linalg.ensure_blas = absent
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        linalg.ensure_blas = asked


_start_without_blas()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled at its first call, kept on the disk where there is a place, and free of Python's lock."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, as a part of whichever compiled function calls it."""
    return _compiled(function, inline="always")


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    try:
        found: Any = numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(nogil=True, **options)(function)
    cache: Any = getattr(found, "_cache", None)
    if hasattr(cache, "save_overload"):
        save = cache.save_overload

        def save_if_possible(*arguments: Any) -> None:
            with suppress(OSError):  # a full disk, say: the function is compiled all the same
                save(*arguments)

        cache.save_overload = save_if_possible
    return found
