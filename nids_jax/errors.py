"""The exceptions that a command turns into a sentence, and the check of names that comes up everywhere."""

import errno
import os
from collections.abc import Collection


class InputError(ValueError):
    """Bad input: one sentence that says what is wrong, where, with which value, and what to do.

    The sentence speaks of arguments, in backticks: "`shots` is 0; give at least 1".  A command line shows them as its
    flags (--shots), prints the sentence and exits with status 2; library callers catch a ValueError.
    """


class TrainingError(RuntimeError):
    """Training left the finite numbers."""


def shown(name: object) -> str:
    """A name that comes from a file, a folder or a flag, as a line of text may hold it.

    Control characters, line breaks, marks that turn the direction of writing, and whatever else cannot be printed
    become escapes, so that a name cannot steer the terminal or pass for another line.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))


def reason(error: Exception) -> str:
    """Why something could not be read or written: the system's words, wherever a library's account has them.

    Else the account's first line.
    """
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO):
        if os.strerror(number) in str(error):
            return os.strerror(number)
    own = error.strerror if isinstance(error, OSError) else None
    return own or next(iter(str(error).splitlines()), "")[:200] or type(error).__name__


def check_names(argument: str, names: Collection[str], known: Collection[str]) -> None:
    """Refuse a list of names that is empty or holds one that is not `known`.

    Raises:
      InputError: the list is empty, or one of its names is unknown.
    """
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        found = repr(unknown[0]) if unknown else "nothing"
        raise InputError(f"`{argument}` names {found}; choose from {', '.join(sorted(known))}")
