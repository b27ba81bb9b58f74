"""Flags made from dataclasses: a setting's name, type, default and help are said once, where it is declared."""

import dataclasses
import difflib
import inspect
import re
import textwrap
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from absl import flags

from nids_jax.cli import output
from nids_jax.cli.known_flags import LONGEST_NAME
from nids_jax.errors import InputError
from nids_jax.settings import check_number, is_setting, number

T = TypeVar("T")
QUIET = "Print nothing but warnings, errors and what other programs read."
_LISTS = {int: "positive whole numbers, such as 5,50", float: "numbers, such as 0.1,0.3", str: "one name or more"}


class HelpRequested(Exception):  # noqa: N818 (no error)
    """--help was given."""


class Flags:
    """The flags of one command: the settings of some dataclasses, and their values on a command line."""

    def __init__(self, groups: Sequence[type]):
        self.groups = groups
        self._values = flags.FlagValues()
        for group in groups:
            for each in settings_of(group):
                _define(self._values, each, get_type_hints(group)[each.name])
        flags.DEFINE_bool("quiet", False, QUIET, flag_values=self._values)
        flags.DEFINE_bool("help", False, "Show this help.", allow_override=True, flag_values=self._values)

    @property
    def names(self) -> set[str]:
        """Of all flags."""
        return {each.name for group in self.groups for each in settings_of(group)}

    def parse(self, arguments: Sequence[str], *, positional: bool = False) -> list[str]:
        """Read a command line; what is left of it after the flags.

        Raises:
          InputError: an unknown flag, a value that does not fit, or arguments that are no flags where none are taken.
          HelpRequested: --help is among them.
        """
        if any(each in ("--help", "-h", "--helpfull", "--helpshort") for each in arguments):
            raise HelpRequested
        for each in arguments:
            name = each.partition("=")[0].lstrip("-")
            if each.startswith("-") and len(name) > LONGEST_NAME:  # absl would compare it with all others
                raise UnknownFlagError(f"{name[:40]}…", "")
        try:
            rest = self._values(["nids_jax", *arguments], known_only=False)[1:]
        except flags.UnrecognizedFlagError as error:
            near = difflib.get_close_matches(error.flagname, self.names, 1)
            hint = f"; did you mean --{near[0]}?" if near else ""
            raise UnknownFlagError(error.flagname, hint) from None
        except flags.Error as error:
            text = re.sub(r"\S{200,}", lambda word: f"{word[0][:100]}…", str(error))
            # absl's own message for a switch is a tuple in quotes.
            text = re.sub(r"\('Non-boolean argument to boolean flag', (.*)\)", r"\1 is neither true nor false", text)
            raise InputError(" ".join(text.split())) from None
        if self._values["quiet"].value:
            output.hush()
        if rest and not positional:
            raise InputError(f"unexpected argument {rest[0]!r}; flags are written --name=value")
        return rest

    def given(self, name: str) -> bool:
        """Whether the command line has this flag."""
        return bool(self._values[name].present)

    def build(self, group: type[T], **further: Any) -> T:
        """The dataclass with the values of its flags, and `further` fields.

        Raises:
          InputError: an empty list, one of whose entries is not what is asked for, or what the dataclass refuses.
        """
        hints = get_type_hints(group)
        values = {each.name: self._value(each, hints[each.name]) for each in settings_of(group)}
        return group(**{**values, **further})

    def _value(self, each: dataclasses.Field, hint: Any) -> Any:
        if not self.given(each.name):
            return each.default
        value, kind = self._values[each.name].value, _entries(hint)
        if kind is None:
            check_number(each.name, value, each.metadata)
            return value
        if not value:
            raise InputError(f"`{each.name}` is empty; give {_LISTS[kind]}, or leave it out")
        bounds = {**each.metadata, "least": 1} if kind is int and each.metadata["least"] is None else each.metadata
        return tuple(_entry(each.name, kind, entry, bounds) for entry in value)

    def values(self) -> dict[str, Any]:
        """Every flag's value as given or by default, for config.json."""
        return {name: self._values[name].value for name in sorted(self.names)}

    def help(self, title: str, text: str) -> str:
        """What --help prints: the title, the text, and every flag with its default."""
        lines = [title, "", text.strip(), "", "Flags, written --name=value:"]
        for group in self.groups:
            lines += ["", *([inspect.getdoc(group) or ""] if len(self.groups) > 1 else [])]
            for each in settings_of(group):
                shown = self._values[each.name].default
                shown = ",".join(map(str, shown)) if isinstance(shown, list | tuple) else shown
                default = "" if shown in (None, "") else f"={shown}"
                if isinstance(shown, bool):
                    default = f" (default: {'on' if shown else 'off'}; --no{each.name} turns it off)"
                lines.append(f"  --{each.name}{default}")
                choices = _choices(each, get_type_hints(group)[each.name])
                more = f" One of {', '.join(choices)}." if choices else ""
                lines += textwrap.wrap(
                    each.metadata["help"] + more, 100, initial_indent=" " * 6, subsequent_indent=" " * 6
                )
        return "\n".join([*lines, "", "  --quiet", f"      {QUIET}"])


class UnknownFlagError(InputError):
    """A flag that the command does not have."""

    def __init__(self, flag: str, hint: str):
        super().__init__(f"unknown flag --{flag}{hint}")
        self.flag = flag


def settings_of(group: type) -> list[dataclasses.Field]:
    """The fields of a dataclass that are flags."""
    return [each for each in dataclasses.fields(group) if is_setting(each)]


def _define(values: flags.FlagValues, each: dataclasses.Field, hint: Any) -> None:
    name, help_ = each.name, each.metadata["help"]
    default: Any = each.default
    common: dict[str, Any] = {"flag_values": values}
    choices, kind = _choices(each, hint), _plain(hint)
    if choices:
        flags.DEFINE_enum(name, default, choices, help_, **common)
    elif kind is bool:
        flags.DEFINE_bool(name, default, help_, **common)
    elif kind in (int, float):
        flags.DEFINE(_Digits(kind), name, default, help_, **common)
    elif _entries(hint) is not None:
        flags.DEFINE_list(name, [str(entry) for entry in default], help_, **common)
    else:
        flags.DEFINE_string(name, default, help_, **common)


def _plain(hint: Any) -> Any:
    """The type without None."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        return rest[0] if len(rest) == 1 else str
    return hint


def _entries(hint: Any) -> type | None:
    """The type of a list's entries; None for what is no list."""
    return get_args(hint)[0] if get_origin(hint) is tuple else None


def _choices(each: dataclasses.Field, hint: Any) -> list[str]:
    kind = _plain(hint)
    return list(each.metadata["choices"] or (get_args(kind) if get_origin(kind) is Literal else []))


def _entry(name: str, kind: type, text: str, bounds: Mapping[str, Any]) -> Any:
    """An entry of a list flag as its type."""
    text = text.strip()
    try:
        found = text if kind is str else number(kind, text)
    except ValueError:
        found = ""
    if found == "":
        raise InputError(f"`{name}` has {text[:80]!r}; give {_LISTS[kind]}")
    check_number(name, found, bounds)
    return found


class _Digits(flags.ArgumentParser):
    """A number in ASCII digits."""

    def __init__(self, kind: type):
        super().__init__()
        self._kind = kind

    def parse(self, argument: Any) -> Any:
        """The number; a default is one already."""
        return number(self._kind, argument) if isinstance(argument, str) else argument

    def flag_type(self) -> str:
        """For absl."""
        return self._kind.__name__
