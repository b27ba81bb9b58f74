"""The one exception that a user's input causes, and the check of names that comes up everywhere."""

from collections.abc import Collection


class InputError(ValueError):
    """Bad input: one sentence that says what is wrong, where, with which value, and what to do.

    Command-line programs print it and exit with status 2; library callers catch it as a ValueError.
    """


def check_names(flag: str, names: Collection[str], known: Collection[str]) -> None:
    """Refuse a list of names that is empty or holds one that is not `known`.

    Raises:
      InputError: as said.
    """
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        found = repr(unknown[0]) if unknown else "nothing"
        raise InputError(f"--{flag} names {found}; choose from {', '.join(sorted(known))}")
