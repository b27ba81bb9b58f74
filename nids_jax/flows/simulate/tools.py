"""Every tool by name, which of them answers a dataset's label, and the packets and flow records of each.

Sizes are bytes of payload, times are seconds.  `About(median, between, within)` is log-normal: `between` varies it
from conversation to conversation, `within` from message to message; a tuple of medians lists the settings that a
program is run with.  Conversations are shorter than in life (a flood is cut after some hundred packets, a form is
posted some dozen times), so that a balanced set of flows stays small.

Sources: named beside each recipe and in `Tool.source`; no number is taken from a dataset's rows.  Weights of recipes
and spreads (`between`, `within`) were set by hand.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

import numpy as np

from nids_jax.errors import InputError
from nids_jax.flows.meter import STREAMED, Compat, meter
from nids_jax.flows.packets import concatenate
from nids_jax.flows.schema import FEATURES, normalise
from nids_jax.flows.simulate import (
    beacons,
    benign,
    dos,
    floods,
    guessing,
    industrial,
    intrusion,
    mirai,
    office,
    reflection,
    scans,
    things,
    web,
)
from nids_jax.flows.simulate.capture import CLIENTS, SERVERS, Capture, play, whole
from nids_jax.flows.simulate.own import read_tools
from nids_jax.flows.simulate.script import Traffic
from nids_jax.flows.simulate.tool import Tool

__all__ = [
    "TOOLS",
    "TRAFFIC",
    "Tool",
    "ToolCapture",
    "flow_pieces",
    "read_tools",
    "tool_flows",
    "tool_of",
    "tool_packets",
]

ToolCapture = Capture

# The fifteen classes of CIC-IDS2017: class → (share, recipe), …; the embedded dataset.  Source: the attacks as
# described by Sharafaldin et al. 2018, and the tools named beside each recipe.
TRAFFIC: dict[str, tuple[tuple[float, Traffic], ...]] = {
    "BENIGN": benign.BENIGN,
    "Bot": intrusion.BOT,
    "DDoS": dos.DDOS,
    "DoS GoldenEye": dos.GOLDENEYE,
    "DoS Hulk": dos.HULK,
    "DoS Slowhttptest": dos.SLOWHTTPTEST,
    "DoS slowloris": dos.SLOWLORIS,
    "FTP-Patator": intrusion.FTP_PATATOR,
    "Heartbleed": intrusion.HEARTBLEED,
    "Infiltration": intrusion.INFILTRATION,
    "PortScan": intrusion.PORTSCAN,
    "SSH-Patator": intrusion.SSH_PATATOR,
    "Web Attack - Brute Force": intrusion.BRUTE_FORCE,
    "Web Attack - Sql Injection": intrusion.SQL_INJECTION,
    "Web Attack - XSS": intrusion.XSS,
}

_THEMES = (benign, office, things, dos, floods, reflection, mirai, guessing, web, scans, intrusion, beacons, industrial)
TOOLS: dict[str, Tool] = {tool.name: tool for theme in _THEMES for tool in theme.TOOLS}

_OF_LABEL = {normalise(label): tool for tool in TOOLS.values() for label in tool.labels}

BATCH = 8192  # conversations that are simulated at once
NETWORKS = 2**20  # a tool's hosts are in one of so many


def tool_of(label: str, own: Mapping[str, Tool] | None = None) -> Tool | None:
    """The tool that answers a dataset's label, in any spelling (`schema.normalise`); None where none does.

    Args:
      own: further tools by name (`read_tools`), which go first.
    """
    name = normalise(label)
    for tool in (own or {}).values():
        if name in map(normalise, tool.labels):
            return tool
    return _OF_LABEL.get(name)


def tool_packets(tool: Tool, count: int, seed: int) -> ToolCapture:
    """A capture of `count` conversations of a tool, in order of time.

    They depend on the seed and the tool alone, and the first m are the same for every larger count.

    Args:
      count: conversations, at least 0.
      seed: at least 0.

    Returns:
      Packets [p]; conversation [p] int64, the number of the conversation that each belongs to; closing [p] bool,
      whether its connection's close has begun.

    Raises:
      InputError: a count or seed that is negative or not a whole number.
    """
    count, seed = whole(count, "`count`"), whole(seed, "`seed`")
    parts = [_batch(tool, min(BATCH, count - begin), seed, begin) for begin in range(0, max(count, 1), BATCH)]
    packets = concatenate([part.packets for part in parts])
    order = np.argsort(packets.time, kind="stable")
    conversation = np.concatenate([part.conversation + BATCH * i for i, part in enumerate(parts)])
    closing = np.concatenate([part.closing for part in parts])
    return Capture(packets=packets.take(order), conversation=conversation[order], closing=closing[order])


def renumbered(host: np.ndarray, tool: Tool, number: int) -> np.ndarray:
    """A tool's hosts, as of `tool_packets`, in the place that `number` has among others: small numbers, none shared.

    Servers have the numbers SERVERS · number …, clients CLIENTS · (1 + number) … (see `capture`).
    """
    before = tool.number % NETWORKS
    return host + np.where(host < CLIENTS * (1 + before), SERVERS, CLIENTS) * (number - before)


def tool_flows(
    tool: Tool, count: int, seed: int, *, compat: Compat = "corrected", left_over: bool = True
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Exactly `count` flow records of a tool, conversation by conversation.

    The records are those of `meter`.  A conversation longer than the meter's 120 s gives several, each of which counts.
    They depend on the seed, the tool, `compat` and `left_over` alone, and the first m are the same for every larger
    count.

    Args:
      count: records, at least 0.
      seed: at least 0.
      compat: see `meter`.  With other modes than "none" flows of one packet are left out, as those programs do.
      left_over: whether records count that begin when the connection is being closed.  CICFlowMeter ends a flow at the
        first FIN, and makes a record of what comes after; modes that keep connections whole have none.

    Returns:
      x [count, d] float64, raw units, all finite; the names of its d columns, all of schema.FEATURES.

    Raises:
      InputError: a count or seed that is negative or not a whole number; an unknown `compat`; a tool whose every
        flow is of one packet, with another mode than "none".
    """
    parts = [np.empty((0, len(FEATURES))), *flow_pieces(tool, count, seed, compat=compat, left_over=left_over)]
    return np.concatenate(parts), tuple(feature.name for feature in FEATURES)


def flow_pieces(
    tool: Tool, count: int, seed: int, *, compat: Compat = "corrected", left_over: bool = True
) -> Iterator[np.ndarray]:
    """The rows of `tool_flows` piece by piece, so that memory does not grow with `count`.

    Args:
      tool, count, seed, compat, left_over: as there.

    Yields:
      x [n, d] float64, n at most some ten thousand.

    Raises:
      InputError: as there.
    """
    count, seed = whole(count, "`count`"), whole(seed, "`seed`")
    if compat not in get_args(Compat):
        raise InputError(f"`compat` is {compat!r}; choose from {', '.join(get_args(Compat))}")
    begin = found = 0
    while found < count:
        size = min(BATCH, count - found)
        rows = _records(tool, size, seed, begin, compat, left_over)
        while len(rows) < count - found and size < BATCH:  # too few: more conversations, of which these are the first
            size = min(BATCH, 4 * size)
            rows = _records(tool, size, seed, begin, compat, left_over)
        if not len(rows):
            raise InputError(f"`compat` is {compat!r}, which leaves out all that {tool.name} gives; choose 'none'")
        rows = rows[: count - found]
        yield rows
        found += len(rows)
        begin += BATCH


def _records(tool: Tool, n: int, seed: int, before: int, compat: Compat, left_over: bool) -> np.ndarray:
    """The finite records of `n` conversations, conversation by conversation: [r, d]."""
    capture = _batch(tool, n, seed, before)
    flows = meter(capture.packets, compat=compat)
    kept = np.isfinite(flows.x).all(axis=1)
    if compat == "corrected":
        kept &= flows.packets > 1
    if not left_over and compat not in STREAMED:
        kept &= ~capture.closing[flows.first_packet]
    rows = np.flatnonzero(kept)
    return flows.x[rows[np.argsort(capture.conversation[flows.first_packet[rows]], kind="stable")]]


def _batch(tool: Tool, n: int, seed: int, before: int) -> Capture:
    """`n` conversations that follow `before` others; the first ones are the same for every larger `n`."""
    key = (seed, tool.number, 1 + before // BATCH)
    return play(tool.recipes, n, key, tool.number % NETWORKS, before=before)
