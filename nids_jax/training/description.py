"""Settings and other values as JSON, and back with every field checked."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nids_jax.errors import InputError


def plain(value: Any) -> Any:
    """A (nested) dataclass as JSON types; each carries its class's name, to be read back by."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def from_plain(value: Any, types: Mapping[str, type], expected: type = object) -> Any:
    """The inverse of `plain` for dataclasses among `types` (name → class); lists come back as tuples.

    Raises:
      InputError: a type that is not among `types`, a field too many or missing, a value of another type than the
        field's, or a result that is not `expected`.
    """
    found = value
    if isinstance(value, dict) and "type" in value:
        found = _dataclass(value, types)
    elif isinstance(value, list):
        found = tuple(from_plain(item, types) for item in value)
    if not isinstance(found, expected):
        raise InputError(f"a {expected.__name__} is stored as {brief(value)}; restore the file or train again")
    return found


def _dataclass(value: dict[str, Any], types: Mapping[str, type]) -> Any:
    name = value["type"]
    if not isinstance(name, str) or name not in types:
        raise InputError(
            f"there are stored settings of the type {brief(name)}, which is none of {', '.join(sorted(types))}; use"
            " the version of nids_jax that wrote them, or train again"
        )
    kind = types[name]
    fields = {key: from_plain(item, types) for key, item in value.items() if key != "type"}
    if differing := sorted({*fields} ^ {field.name for field in dataclasses.fields(kind)}):
        verb = "has no" if differing[0] in fields else "needs the"
        raise InputError(
            f"the stored settings do not fit: a {name} {verb} field {differing[0]!r}; use the version of nids_jax that"
            " wrote them, or train again"
        )
    hints = get_type_hints(kind)
    for key, item in fields.items():
        if not _fits(item, hints[key]):
            raise InputError(
                f"the stored {name} has {brief(value[key])} for {key!r}, which is of another type; restore the file or"
                " train again"
            )
    return kind(**fields)


def entry(stored: dict[str, Any], name: str, hint: Any) -> Any:
    """The value `name` of a stored JSON object, of the annotated type `hint`.

    Raises:
      InputError: it is missing, or of another type.
    """
    if name not in stored:
        raise InputError(f"there is no {name!r}; restore the file or train again")
    if not _fits(stored[name], hint):
        raise InputError(
            f"{name!r} is {brief(stored[name])}, which is of another type; restore the file or train again"
        )
    return stored[name]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is of an annotated type; whole numbers count as float, booleans not as numbers."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        hints = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(value) == len(hints) and all(map(_fits, value, hints))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def brief(value: Any) -> str:
    """The value as JSON, cut to a line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let an InputError name the file that is being read."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
      InputError: it cannot be read, or is no JSON object.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); restore the file or train again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object; restore the file or train again")
    return found
