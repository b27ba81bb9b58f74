"""The traffic tools whose flows can be simulated: name, protocol and ports, summary, source, labels of datasets.

A tool answers a label in any spelling: `DoS attacks-Hulk` and `dos_attacks_hulk` are one.  Tools of one's own come from
a TOML file, which docs/how-to/tools.md explains.

    nids_jax tools
    nids_jax tools --label="DrDoS_DNS"
    nids_jax tools --tools=my.toml
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.output import say
from nids_jax.errors import InputError
from nids_jax.settings import setting

if TYPE_CHECKING:
    from nids_jax.flows.simulate.tool import Tool

_SHOWN = 4  # ports or ranges of a tool; of further ones the number


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The list:"""

    tools: str | None = setting(None, "TOML file with tools of one's own, which are listed first.")
    label: str | None = setting(None, "Label of a dataset: list the tool that answers it; default: list all.")


FLAGS = (Tools,)


def main(arguments: Sequence[str]) -> None:
    """List what the flags ask for."""
    given = Flags(FLAGS)
    given.parse(arguments)
    wanted = given.build(Tools)

    with importing():  # here, because numpy takes longer to import than --help may
        from nids_jax.flows.simulate.tools import TOOLS, read_tools, tool_of

    own = read_tools(wanted.tools)
    tools = [*own.values(), *TOOLS.values()]
    if wanted.label is not None:
        tool = tool_of(wanted.label, own)
        if tool is None:
            near = difflib.get_close_matches(wanted.label, [each for tool in tools for each in tool.labels], 1)
            hint = f"did you mean {near[0]!r}" if near else "leave it out to list the labels of all"
            raise InputError(f"`label` is {wanted.label!r}, which no tool answers; {hint}")
        tools = [tool]
    say(*_table([("name", "ports", "summary", "source", "labels"), *map(_row, tools)]))


def _row(tool: "Tool") -> tuple[str, ...]:
    labels = ", ".join(label for label in tool.labels if label != tool.name)
    return tool.name, _ports(tool), f"{tool.summary}{' (benign)' if tool.benign else ''}", tool.source, labels


def _ports(tool: "Tool") -> str:
    from nids_jax.flows.packets import ICMP, TCP, UDP

    known = {TCP: "tcp", UDP: "udp", ICMP: "icmp"}
    protocols = "/".join(known.get(each, f"protocol {each}") for each in tool.protocols)
    senders = {port for _, traffic in tool.recipes for port in traffic.client_ports}
    sender = f" from {min(senders)} to" if len(senders) == 1 and min(senders) else ""
    ranges: list[list[int]] = []
    for port in filter(None, tool.ports):  # 0: none
        if ranges and port == ranges[-1][1] + 1:
            ranges[-1][1] = port
        else:
            ranges.append([port, port])
    shown = [f"{low}-{high}" if high > low else f"{low}" for low, high in ranges]
    more = [f"{len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    return f"{protocols}{sender} {','.join(shown[:_SHOWN] + more)}".strip()


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
