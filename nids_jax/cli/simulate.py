"""Simulated conversations as a capture (pcap, pcapng) with a file of labels, or as flow records (CSV, Parquet).

In a capture, frames are Ethernet and IPv4, with valid checksums, sequence numbers and options.  The label file has a
line for each conversation: its start, 5-tuple and label, which is the name that --tools gave.  A table of flow records
has the meter's features and a column `Label`.  The same flags give the same bytes.

    nids_jax simulate --tools=benign,nmap_syn,hulk --conversations=1000 --output=lab.pcap
    nids_jax simulate --tools=benign,nmap_syn,hulk --flows=100000 --output=lab.parquet
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.output import say
from nids_jax.errors import InputError
from nids_jax.files import make_folder, whole_or_absent
from nids_jax.flows.compat import Compat
from nids_jax.settings import check_settings, setting
from nids_jax.sheets import guarded

if TYPE_CHECKING:
    import numpy as np

    from nids_jax.flows.capture.writer import Labelled
    from nids_jax.flows.packets import Packets
    from nids_jax.flows.simulate.tool import Tool

CAPTURES, TABLES = (".pcap", ".pcapng"), (".csv", ".parquet")
PIECE = 500  # conversations of a tool that are simulated at a time
SPAN = 100_000_000  # µs from a piece to the next: PIECE times the mean time between two conversations of a tool


@dataclass(frozen=True, kw_only=True)
class Simulate:
    """The capture or table:"""

    output: str | None = setting(None, "File to write: NAME.pcap, NAME.pcapng, NAME.csv or NAME.parquet.")
    tools: tuple[str, ...] = setting(
        (), "Whose conversations: names of tools, or labels that they answer; default: all."
    )
    own_tools: str | None = setting(None, "TOML file with tools of one's own.")
    conversations: int = setting(1000, "Conversations of each tool, in a capture.", least=1)
    flows: int = setting(1000, "Flow records of each tool, in a table.", least=1, most=10**12)
    seed: int = setting(0, "Of all that is random, 0 or more.", least=0, most=2**63 - 1)
    labels: str | None = setting(
        None, "File for a capture's labels, as CSV; default: NAME.labels.csv beside the capture."
    )
    compat: Compat = setting(
        "none",
        "Whose flow records a table has (see `nids_jax meter`).",
    )

    def __post_init__(self) -> None:
        check_settings(self)


FLAGS = (Simulate,)


def main(arguments: Sequence[str]) -> None:
    """Write what the flags name."""
    given = Flags(FLAGS)
    given.parse(arguments)
    wanted = given.build(Simulate)
    output = _file("output", wanted.output, (*CAPTURES, *TABLES))
    table = output.suffix.lower() in TABLES
    for name in ("conversations", "labels") if table else ("flows", "compat"):
        if given.given(name):
            kind = "a capture, and `output` is a table" if table else "a table, and `output` is a capture"
            raise InputError(f"`{name}` is about {kind}: {output}; leave it out")
    if table:
        _write_table(wanted, output)
    else:
        _write_capture(wanted, output)


def _write_table(wanted: Simulate, output: Path) -> None:
    """Flow records."""
    with importing():
        from nids_jax.flows.simulate.flow_file import write_flows

    tools = _chosen(wanted.tools, wanted.own_tools)
    make_folder(output.parent, "output")
    form = "csv" if output.suffix.lower() == ".csv" else "parquet"
    with whole_or_absent(output, "output") as file:
        rows = write_flows(file, tools, wanted.flows, wanted.seed, compat=wanted.compat, form=form)
    say(f"flows: {rows:,}, of {len(tools)} tools, in {output}")


def _write_capture(wanted: Simulate, output: Path) -> None:
    """A capture and its labels."""
    labels = output.with_suffix(".labels.csv") if wanted.labels is None else _file("labels", wanted.labels, (".csv",))

    with importing():  # here, because numpy takes longer to import than --help may
        from nids_jax.flows.capture.writer import write_capture

    tools = _chosen(wanted.tools, wanted.own_tools)
    names = list(tools)
    pieces = _Pieces(list(tools.values()), wanted.conversations, wanted.seed)
    make_folder(labels.parent, "labels")
    make_folder(output.parent, "output")
    with ExitStack() as files:
        # The capture, which is entered last, gets its name first.
        table = files.enter_context(whole_or_absent(labels, "labels"))
        capture = files.enter_context(whole_or_absent(output, "output"))
        table.write(b"timestamp,source_ip,source_port,destination_ip,destination_port,protocol,Label\n")
        form = "pcapng" if output.suffix.lower() == ".pcapng" else "pcap"
        conversations = 0
        for each in write_capture(capture, pieces, form):
            _write_labels(table, each, [names[i] for i in pieces.label[each.row].tolist()])
            conversations += len(each.row)
    say(f"packets: {pieces.packets:,}, conversations: {conversations:,}, in {output}", f"labels: {labels}")


class _Pieces:
    """All conversations, `PIECE` of each tool at a time; and the labels of the piece that was given last."""

    def __init__(self, tools: Sequence["Tool"], conversations: int, seed: int):
        self._tools, self._conversations, self._seed = tools, conversations, seed
        self.label: np.ndarray
        self.packets = 0

    def __iter__(self) -> Iterator["Packets"]:
        from dataclasses import replace

        import numpy as np

        for number in range(-(-self._conversations // PIECE)):
            count = min(PIECE, self._conversations - number * PIECE)
            seed = self._seed
            if number:
                seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
            packets, self.label = _traffic(self._tools, count, seed)
            self.packets += len(packets)
            yield replace(packets, time=packets.time + number * SPAN)


def _chosen(names: Sequence[str], path: str | None) -> dict[str, "Tool"]:
    """Name → tool: those that are named, or that answer a label that is named, each once; of no names, all."""
    from nids_jax.flows.simulate.tools import TOOLS, read_tools, tool_of

    own = read_tools(path)
    known = {**TOOLS, **own}
    found = {}
    for name in names:
        tool = known.get(name) or tool_of(name, own)
        if tool is None:
            near = difflib.get_close_matches(
                name, [*known, *(each for tool in known.values() for each in tool.labels)], 1
            )
            hint = f"did you mean {near[0]!r}" if near else "`nids_jax tools` lists them"
            raise InputError(f"`tools` names {name!r}, which is neither a tool nor a label that one answers; {hint}")
        twice = next((other for other, same in found.items() if same == tool and other != name), None)
        if twice:
            raise InputError(f"`tools` names {twice!r} and {name!r}, which are one tool, {tool.name}; leave one out")
        found[name] = tool
    return found or known


def _traffic(tools: Sequence["Tool"], conversations: int, seed: int) -> tuple["Packets", "np.ndarray"]:
    """So many conversations of each tool, in order of time, and the index into `tools` of each packet's tool."""
    from dataclasses import replace

    import numpy as np

    from nids_jax.flows.packets import concatenate
    from nids_jax.flows.simulate.tools import renumbered, tool_packets

    parts = []
    for position, tool in enumerate(tools):
        packets = tool_packets(tool, conversations, seed).packets
        source, destination = (renumbered(host, tool, position) for host in (packets.source, packets.destination))
        parts.append(replace(packets, source=source, destination=destination))
    packets = concatenate(parts)
    order = np.argsort(packets.time, kind="stable")
    return packets.take(order), np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order]


def _file(argument: str, name: str | None, endings: Sequence[str]) -> Path:
    path = Path(name or "")
    if path.suffix.lower() not in endings:
        raise InputError(f"`{argument}` is {name!r}; name a file that ends in {' or '.join(endings)}")
    if path.is_dir():
        raise InputError(f"`{argument}` is {name!r}, which is a folder; name a file")
    return path


def _write_labels(file: BinaryIO, found: "Labelled", labels: Sequence[str]) -> None:
    """A line for each conversation."""
    import csv
    import io

    import numpy as np

    def addresses(numbers: "np.ndarray") -> list[str]:
        parts = [(numbers >> shift & 255).tolist() for shift in (24, 16, 8, 0)]
        return ["{}.{}.{}.{}".format(*each) for each in zip(*parts, strict=True)]

    times = np.datetime_as_string(found.start.astype("datetime64[us]"), unit="us")
    columns = (
        [time.replace("T", " ") + "+00:00" for time in times.tolist()],
        addresses(found.source),
        found.source_port.tolist(),
        addresses(found.destination),
        found.destination_port.tolist(),
        found.protocol.tolist(),
        map(guarded, labels),
    )
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(zip(*columns, strict=True))
    file.write(lines.getvalue().encode())
