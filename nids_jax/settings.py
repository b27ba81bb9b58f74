"""Settings that a command line can set: dataclass fields with a line of help, from which the flags are made."""

from collections.abc import Sequence
from dataclasses import MISSING, Field, field
from typing import Any


def setting(
    default: Any = MISSING,
    help: str = "",  # noqa: A002 (what it is)
    *,
    least: int | None = None,
    choices: Sequence[str] | None = None,
) -> Any:
    """A dataclass field that is also a flag of the same name.

    Args:
      default: the one place where the default is said.
      help: a line for the flag's help, in plain English, with a full stop.
      least: the smallest value of a number; the flag refuses smaller ones.
      choices: the names that may be given.
    """
    metadata = {"help": help, "least": least, "choices": choices}
    return field(default=default, metadata=metadata) if default is not MISSING else field(metadata=metadata)


def is_setting(each: Field[Any]) -> bool:
    """Whether a dataclass field is a flag as well."""
    return "help" in each.metadata
