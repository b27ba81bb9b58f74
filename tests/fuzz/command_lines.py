"""What is fuzzed of command lines: an input is a command and its arguments, a line each, made into settings."""

from functools import lru_cache
from pathlib import Path

from nids_jax.__main__ import COMMANDS, flags_of
from nids_jax.cli.flags import HelpRequested
from nids_jax.errors import InputError
from nids_jax.presets import get_preset
from tests.fuzz.mutations import check_sentence


def read(data: bytes, folder: Path) -> None:
    """Make a command's settings of its flags."""
    name, *arguments = data.decode("utf-8", "surrogateescape").split("\n")
    name = name if name in COMMANDS else sorted(COMMANDS)[len(name) % len(COMMANDS)]
    flags = flags_of(name)
    try:
        flags.parse(arguments, positional=True)
        for group in flags.groups:
            further = {"preset": get_preset("demo"), "dataset": "made up"} if hasattr(group, "describe") else {}
            known = {each: value for each, value in further.items() if each in group.__dataclass_fields__}
            found = flags.build(group, **known)
            if hasattr(found, "share"):
                found.share()
    except HelpRequested:
        flags.help("title", "text")
    except InputError as error:
        check_sentence(error, 12_000)  # an unknown name is told, and names are as long as somebody makes them


@lru_cache
def seeds() -> list[bytes]:
    """Every flag of every command, with its default or a plain value."""
    lines = []
    for name in COMMANDS:
        arguments = []
        for flag, value in flags_of(name).values().items():
            shown = ",".join(map(str, value)) if isinstance(value, list) else value
            arguments.append(f"--{flag}={5 if shown in (None, '') else shown}")
        lines += ["\n".join([name, *arguments]).encode(), *(f"{name}\n{each}".encode() for each in arguments)]
    return lines
