"""Tools of one's own, read from a TOML file: what `docs/how-to/tools.md` explains by two examples."""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from nids_jax.errors import InputError
from nids_jax.flows.packets import ACK, CWR, ECE, FIN, ICMP, PSH, RST, SYN, TCP, UDP, URG
from nids_jax.flows.schema import normalise
from nids_jax.flows.simulate.parts import ANYWHERE, ATTACKER, CONNECTED, EITHER_CLOSES, SERVER, SOON, STAYS_OPEN
from nids_jax.flows.simulate.script import (
    CLOSES,
    DOWN,
    OPENS,
    STACKS,
    TALKING,
    UP,
    About,
    Loop,
    Message,
    Traffic,
)
from nids_jax.flows.simulate.tool import Tool, make

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
FLAGS = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG, "ECE": ECE, "CWR": CWR}
MOST_BYTES, MOST_ROUNDS, LONGEST = 10_000_000, 10_000, 86_400.0  # of a message, of an act, s of a wait

_TOOL = ("name", "summary", "source", "labels", "benign", "recipe")
_RECIPE = (
    *("weight", "protocol", "ports", "client_ports", "clients", "servers", "rtt", "opens", "acts", "closes", "linger"),
    *("losses", "raw"),
)
_ABOUT = ("median", "between", "within", "low", "high")


class _Place:
    """Where in the file a value stands, for its error."""

    def __init__(self, path: Path, *steps: str) -> None:
        self.path, self.steps = path, steps

    def __truediv__(self, step: str) -> "_Place":
        return _Place(self.path, *self.steps, step)

    def wrong(self, found: str, advice: str) -> InputError:
        return InputError(f"`tools` names {self.path}, where {' of '.join(reversed(self.steps))} {found}; {advice}")


def read_tools(path: str | Path | None) -> dict[str, Tool]:
    """The tools that a TOML file describes, by name; none where no file is named.

    Each `[[tool]]` has a name and one `[[tool.recipe]]` or more; lengths are bytes of payload, times seconds.  A
    quantity is a number, a list of medians of which each conversation follows one, or a table of median, between,
    within, low and high (`script.About`).

    Raises:
      InputError: the file cannot be read or is no TOML; a key that is unknown or lacking; a value of the wrong kind,
        out of its range, or a name of no stack, open or close; no acts; a name that a built-in tool has; a name or
        label that comes twice.
    """
    from nids_jax.flows.simulate.tools import TOOLS  # which offers this function beside them

    if path is None:
        return {}
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"`tools` names {path}, which cannot be read ({error.strerror}); name a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"`tools` names {path}, which is not TOML ({error}); see docs/how-to/tools.md") from None
    here = _Place(path)
    top = here / "the file"
    _keys(content, ("tool",), top)
    entries = _list(content.get("tool"), top / "tool", "write [[tool]] with its recipes")
    tools: dict[str, Tool] = {}
    owner: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        tool = _tool(entry, here / f"tool {number}")
        place = here / f"tool {number}"
        if tool.name in TOOLS or tool.name in tools:
            raise (place / "name").wrong(f"is {tool.name!r}, which another tool has", "choose another name")
        for label in tool.labels:
            if owner.setdefault(normalise(label), tool.name) != tool.name:
                wrong = f"has {label!r}, to which {owner[normalise(label)]} answers too"
                raise (place / "labels").wrong(wrong, "give each label to one tool")
        tools[tool.name] = tool
    return tools


def _tool(entry: object, place: _Place) -> Tool:
    table = _keys(entry, _TOOL, place)
    name = _text(table, "name", place)
    if normalise(name) != name:
        raise (place / "name").wrong(f"is {name!r}", "use small letters, digits and single underscores")
    recipes = _list(table.get("recipe"), place / "recipe", "write [[tool.recipe]] below the tool")
    labels = table.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(each, str) and normalise(each) for each in labels):
        raise (place / "labels").wrong(f"is {labels!r}", "give a list of labels, such as ['DoS Slow']")
    return make(
        name,
        _text(table, "summary", place),
        _text(table, "source", place, str(place.path)),
        [_recipe(each, place / f"recipe {number}") for number, each in enumerate(recipes, 1)],
        labels,
        benign=_switch(table, "benign", place),
    )


def _recipe(entry: object, place: _Place) -> tuple[float, Traffic]:
    table = _keys(entry, _RECIPE, place)
    name = table.get("protocol", "tcp")
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise (place / "protocol").wrong(f"is {name!r}", f"choose from {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    opens = _weights(table, "opens", OPENS, CONNECTED if protocol == TCP else {"at_once": 1.0}, place)
    closes = _weights(table, "closes", CLOSES, EITHER_CLOSES if protocol == TCP else STAYS_OPEN, place)
    if protocol != TCP and (set(opens) != {"at_once"} or set(closes) != {"left_open"}):
        raise place.wrong(f"opens or closes a connection, which {name} has not", "leave out opens and closes")
    acts: tuple[Loop, ...] = ()
    if "acts" in table or set(opens) & set(TALKING):
        given = _list(table.get("acts"), place / "acts", "say what is sent, or choose opens that fail")
        acts = tuple(_act(each, place / f"act {number}") for number, each in enumerate(given, 1))
    ports = (0,) if protocol == ICMP else _ports(table, "ports", place)
    client_ports = (0,) if protocol == ICMP else _ports(table, "client_ports", place) if "client_ports" in table else ()
    losses = table.get("losses", [])
    if not isinstance(losses, list) or not all(_is_number(each) and 0 <= each <= 1 for each in losses):
        raise (place / "losses").wrong(f"is {losses!r}", "give a list of shares from 0 to 1")
    weight = table.get("weight", 1.0)
    if not _is_number(weight) or not 0 < weight < math.inf:
        raise (place / "weight").wrong(f"is {weight!r}", "give a number above 0")
    return float(weight), Traffic(
        ports=ports,
        clients=_weights(table, "clients", STACKS, ATTACKER, place),
        servers=_weights(table, "servers", STACKS, SERVER, place),
        rtt=_about(table, "rtt", place, ANYWHERE, LONGEST),
        opens=opens,
        acts=acts,
        closes=closes,
        linger=_about(table, "linger", place, SOON, LONGEST),
        protocol=protocol,
        client_ports=client_ports,
        losses=tuple(map(float, losses)),
        raw=_switch(table, "raw", place),
    )


def _act(entry: object, place: _Place) -> Loop:
    table = _keys(entry, ("rounds", "messages"), place)
    messages = _list(table.get("messages"), place / "messages", "give one message or more")
    rounds = _about(table, "rounds", place, About(1), MOST_ROUNDS)
    return Loop(tuple(_message(each, place / f"message {i}") for i, each in enumerate(messages, 1)), rounds)


def _message(entry: object, place: _Place) -> Message:
    table = _keys(entry, ("side", "size", "wait", "chance", "flags"), place)
    side = table.get("side")
    if side not in ("up", "down"):
        raise (place / "side").wrong(f"is {side!r}", "choose from up (the client's) and down (the server's)")
    chance = table.get("chance", 1.0)
    if not _is_number(chance) or not 0 <= chance <= 1:
        raise (place / "chance").wrong(f"is {chance!r}", "give a number from 0 to 1")
    flags = table.get("flags")
    if flags is not None and (not isinstance(flags, list) or not all(each in list(FLAGS) for each in flags)):
        raise (place / "flags").wrong(f"is {flags!r}", f"give a list of {', '.join(FLAGS)}")
    return Message(
        UP if side == "up" else DOWN,
        _about(table, "size", place, None, MOST_BYTES),
        _about(table, "wait", place, About(0.001, 1.0), LONGEST),
        float(chance),
        None if flags is None else sum({FLAGS[each] for each in flags}),
    )


def _about(table: Mapping[str, Any], key: str, place: _Place, default: About | None, most: float) -> About:
    """A quantity of at least 0 and at most `most`."""
    place, value = place / key, table.get(key)
    if value is None:
        if default is None:
            raise place.wrong("is missing", "give a number, a list or a table")
        return default
    parts: dict[str, Any] = dict(_keys(value, _ABOUT, place)) if isinstance(value, dict) else {"median": value}
    medians = parts.pop("median", None)
    medians = medians if isinstance(medians, list) else [medians]
    within = f"give numbers from 0 to {most:,g}: one, a list, or {{median, between, within, low, high}}"
    if not medians or not all(_is_number(each) and 0 <= each <= most for each in medians):
        raise place.wrong(f"is {value!r}", within)
    for name, spread in parts.items():
        if not _is_number(spread) or not 0 <= spread <= (5 if name in ("between", "within") else most):
            raise (place / name).wrong(f"is {spread!r}", "give 0 to 5" if name in ("between", "within") else within)
    about = About(tuple(map(float, medians)), **({"high": most} | {name: float(each) for name, each in parts.items()}))
    if about.low > about.high:
        raise place.wrong(f"has a low of {about.low:g} above its high of {about.high:g}", "swap them")
    return about


def _weights(
    table: Mapping[str, Any], key: str, known: Mapping[str, object], default: Mapping[str, float], place: _Place
) -> dict[str, float]:
    """Names with weights: a name, a list of names, or {name = weight}."""
    if key not in table:
        return dict(default)
    place, value = place / key, table[key]
    value = [value] if isinstance(value, str) else value
    value = dict.fromkeys(value, 1.0) if isinstance(value, list) and all(isinstance(e, str) for e in value) else value
    if not isinstance(value, dict) or not value:
        raise place.wrong(f"is {value!r}", "give a name, a list of names, or a table of weights")
    for name, weight in value.items():
        if name not in known:
            raise place.wrong(f"names {name!r}", f"choose from {', '.join(known)}")
        if not _is_number(weight) or not 0 < weight < math.inf:
            raise (place / name).wrong(f"is {weight!r}", "give a weight above 0")
    return {name: float(weight) for name, weight in value.items()}


def _ports(table: Mapping[str, Any], key: str, place: _Place) -> tuple[int, ...]:
    """A port, a list of ports, or a range such as "1024-65535"."""
    place, value = place / key, table.get(key)
    low, dash, high = value.partition("-") if isinstance(value, str) else ("", "", "")
    if dash and low.isascii() and low.isdigit() and high.isascii() and high.isdigit() and len(low + high) <= 10:
        value = list(range(int(low), int(high) + 1)) if int(high) <= 65535 else []
    value = [value] if isinstance(value, int) else value
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= 65535 for each in value)
    ):
        shown = table.get(key)
        raise place.wrong(f"is {shown!r}", "give ports from 0 to 65535: one, a list, or a range such as '1024-65535'")
    return tuple(value)


def _keys(entry: object, known: tuple[str, ...], place: _Place) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise place.wrong(f"is {entry!r}", f"write a table with {', '.join(known)}")
    unknown = [key for key in entry if key not in known]
    if unknown:
        raise place.wrong(f"has the unknown key {unknown[0]!r}", f"choose from {', '.join(known)}")
    return cast(Mapping[str, Any], entry)


def _list(value: object, place: _Place, advice: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise place.wrong("is missing" if value is None else f"is {value!r}", advice)
    return value


def _text(table: Mapping[str, Any], key: str, place: _Place, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise (place / key).wrong("is missing" if value is None else f"is {value!r}", "give a line of text")
    return value


def _switch(table: Mapping[str, Any], key: str, place: _Place) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise (place / key).wrong(f"is {value!r}", "write true or false")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
