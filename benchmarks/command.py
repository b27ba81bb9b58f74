"""The command line of a benchmark, or of a study in `experiments`."""

from collections.abc import Sequence
from typing import TypeVar

from nids_jax.cli.flags import Flags, HelpRequested

T = TypeVar("T")


def asked(kind: type[T], module: str, about: str | None, arguments: Sequence[str]) -> T | None:
    """What the flags ask for; None where it was help, which is printed.

    Args:
      kind: the settings.
      module: its module, as `python -m` names it.
      about: its docstring.

    Raises:
      InputError: a flag or its value is wrong.
    """
    given = Flags([kind])
    try:
        given.parse(arguments)
    except HelpRequested:
        print(given.help(f"python -m {module}", about or ""))
        return None
    return given.build(kind)
