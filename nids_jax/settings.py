"""Settings that a command line can set: dataclass fields with a line of help, from which the flags are made."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from typing import Any

from nids_jax.errors import InputError

MOST = 100_000_000  # of every whole number that has no bound of its own

_FORMS = {
    int: re.compile(r"[+-]?[0-9]{1,18}"),
    float: re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?"),
}


def setting(
    default: Any = MISSING,
    help: str = "",  # noqa: A002 (what it is)
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] | None = None,
) -> Any:
    """A dataclass field that is also a flag of the same name.

    Args:
      default: the one place where the default is said.
      help: a line for the flag's help, in plain English, with a full stop.
      least, most: the smallest and the largest value of a number, or of each in a list (see `check_number`).
      choices: the names that may be given.
    """
    metadata = {"help": help, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata=metadata) if default is not MISSING else field(metadata=metadata)


def is_setting(each: Field[Any]) -> bool:
    """Whether a dataclass field is a flag as well."""
    return "help" in each.metadata


def number(kind: type, text: str) -> Any:
    """A number in ASCII digits, as an `int` or `float`; Python itself takes many more spellings for one.

    Raises:
      ValueError: something else, or a number beyond any use.
    """
    text = text.strip()
    if not _FORMS[kind].fullmatch(text):
        what = "whole number" if kind is int else "number"
        raise ValueError(f"{text[:40]!r} is no {what} in digits")
    return kind(text)


def check_settings(settings: Any) -> None:
    """Check every number among a dataclass's settings.

    Raises:
      InputError: see `check_number`.
    """
    for each in fields(settings):
        if is_setting(each):
            value = getattr(settings, each.name)
            for one in value if isinstance(value, tuple) else [value]:
                check_number(each.name, one, each.metadata)


def check_number(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    """Check a setting's value, or one of a list's, that is a number; whatever is none is fine.

    Args:
      bounds: the field's metadata; a whole number without `most` is at most `MOST`.

    Raises:
      InputError: it is not finite, or beyond a bound.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least = bounds["least"]
    most = MOST if bounds["most"] is None and isinstance(value, int) else bounds["most"]
    if not math.isfinite(value):
        raise InputError(f"`{name}` is {value}; give a finite number")
    if least is not None and value < least:
        raise InputError(f"`{name}` is {_shown(value)}; it must be at least {_shown(least)}")
    if most is not None and value > most:
        raise InputError(f"`{name}` is {_shown(value)}; it must be at most {_shown(most)}")


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
