"""What other packages bring: a class that a flag names, or what an installed package advertises by entry points."""

import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from nids_jax.errors import InputError, TrainingError, shown


class Specification(Protocol):
    """What a registry holds by name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Specification)

_sources: dict[tuple[str, str], str] = {}  # where a name, by the argument it was given in, comes from
_PART = r"[A-Za-z_]\w*"
_FORM = re.compile(rf"(?P<module>{_PART}(?:\.{_PART})*):(?P<attribute>{_PART})(?::(?P<name>[A-Za-z][\w-]{{0,40}}))?")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """An object that another package brings."""

    found: Any
    source: str  # package.module:Class, or what the entry point is called
    name: str | None = None  # what tables are to call it; None: what it is called itself

    def methods(self, *sets: Sequence[str]) -> Sequence[str]:
        """The first of these sets of methods that the class has.

        Raises:
          InputError: it is no class, or lacks one of each set.
        """
        if not isinstance(self.found, type):
            raise InputError(f"{self.source} is no class, but of the type {type(self.found).__name__}; name a class")
        for names in sets:
            if all(callable(getattr(self.found, name, None)) for name in names):
                return names
        lacking = [next(n for n in names if not callable(getattr(self.found, n, None))) for names in sets]
        ways = "; or ".join(" and ".join(names) for names in sets)
        raise InputError(f"{self.source} has no method {' or '.join(lacking)}; give the class {ways}")

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the class by name, with their defaults."""
        try:
            found = inspect.signature(self.found).parameters
        except (TypeError, ValueError):  # of compiled classes
            return {}
        return {name: each.default for name, each in found.items()}

    def make(self, **given: Any) -> Any:
        """An object of the class, with those of the given arguments that it knows.

        Raises:
          InputError: it cannot be made so.
        """
        given = {name: value for name, value in given.items() if name in self.parameters}
        with self.speaking(f"being made with {', '.join(given)} alone" if given else "being made without arguments"):
            return self.found(**given)

    @contextmanager
    def speaking(self, doing: str) -> Iterator[None]:
        """Around what the other package does: its exceptions become sentences.

        Raises:
          InputError: it raised something else than this package's own errors.
        """
        try:
            yield
        except (InputError, TrainingError, MemoryError):
            raise
        except Exception as error:
            raise InputError(f"{self.source} failed in {doing}: {_brief(error)}") from error


def load(text: str, argument: str) -> Plugin:
    """What `package.module:Class` or `package.module:Class:name` means; modules of the working folder are found too.

    Args:
      argument: where the text comes from.

    Raises:
      InputError: another form, or no such module or class.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise InputError(
            f"`{argument}` has {shown(text[:80])!r}; write package.module:Class, or package.module:Class:name"
        )
    module, attribute = form["module"], form["attribute"]
    if os.getcwd() not in sys.path:  # a console script's path lacks it
        sys.path.append(os.getcwd())
    try:
        found = importlib.import_module(module)
    except Exception as error:
        lacking = error.name if isinstance(error, ModuleNotFoundError) else None
        if lacking and f"{module}.".startswith(f"{lacking}."):
            raise InputError(
                f"`{argument}` names the module {module!r}, and there is no {lacking!r}; install its package, or run"
                " where the module lies"
            ) from None
        raise InputError(f"`{argument}` names {module!r}, which cannot be imported: {_brief(error)}") from error
    if not hasattr(found, attribute):
        classes = [name for name, each in vars(found).items() if isinstance(each, type) and not name.startswith("_")]
        listed = f"; its classes: {', '.join(classes[:9])}" if classes else ""
        raise InputError(f"`{argument}` names {text!r}, but the module {module} has no {attribute!r}{listed}")
    return Plugin(found=getattr(found, attribute), source=f"{module}:{attribute}", name=form["name"])


def named(
    registry: dict[str, T], names: Iterable[str], argument: str, spec_of: Callable[[Plugin], T]
) -> tuple[str, ...]:
    """The names; for those written package.module:Class the ones under which they stand in the registry from now on.

    Args:
      registry: name → specification, which has a `name`.
      argument: where the names come from.
      spec_of: what makes a specification.

    Raises:
      InputError: one that cannot be used, or whose name is another's.
    """
    known = []
    for text in names:
        if ":" in text:
            plugin = load(text, argument)
            spec = spec_of(plugin)
            if spec.name in registry and _sources.get((argument, spec.name)) != plugin.source:
                raise InputError(
                    f"`{argument}` names {plugin.source}, and the name {spec.name!r} is taken; give it another:"
                    f" {plugin.source}:name"
                )
            registry[spec.name], _sources[argument, spec.name] = spec, plugin.source
            text = spec.name
        known.append(text)
    return tuple(known)


def in_use(argument: str) -> list[str]:
    """What was named in this argument, as package.module:Class:name, for another process to name as well."""
    return [f"{source}:{name}" for (each, name), source in _sources.items() if each == argument]


def advertised(registry: dict[str, T], group: str, spec_of: Callable[[Plugin], T]) -> None:
    """Add to a registry what installed packages advertise in a group of entry points, by the entry points' names.

    What cannot be used, or whose name is taken, is warned of and left out.
    """
    for point in entry_points(group=group):
        source = f"{point.value} (entry point {point.name!r} of {group})"
        try:
            if point.name in registry:
                raise InputError("its name is taken")
            registry[point.name] = spec_of(Plugin(found=point.load(), source=source, name=point.name))
        except Exception as error:
            reason = str(error) if isinstance(error, InputError) else _brief(error)
            warnings.warn(f"the plug-in {source} is left out: {reason}", RuntimeWarning, stacklevel=2)


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {shown(lines[0][:300])}" if lines else type(error).__name__
