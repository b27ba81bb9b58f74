"""Verdicts of a trained model on captures, tables of flows, or packets as they are captured.

Captures and tables (CSV, ARFF, Parquet; plain or compressed) are told by their names, folders are searched, and - is a
capture on standard input.  Without --output alerts are printed, a line each, and a summary after them.

    nids_jax detect --model=model monday.pcap tuesday.pcapng.zst --output=alerts.json
    tcpdump -U -w - | nids_jax detect --model=model -
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.metering import Metering, Named, flows_of
from nids_jax.cli.output import emit, say, warn
from nids_jax.data.io.sources import is_table, may_be_table
from nids_jax.errors import InputError
from nids_jax.files import whole_or_absent
from nids_jax.flows.rotated import is_capture
from nids_jax.folders import passed_over, search
from nids_jax.settings import check_settings, setting

if TYPE_CHECKING:
    from nids_jax.bundle.model import Model
    from nids_jax.detection.output import Output
    from nids_jax.detection.verdict import Judged

LIVE = "-"
FORMATS = {".json": "eve", ".jsonl": "eve", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, kw_only=True)
class Detect:
    """The model and its verdicts:"""

    model: str | None = setting(None, "Folder that `nids_jax train` wrote.")
    output: str | None = setting(
        None, "File to write: NAME.json (or .jsonl), NAME.csv, NAME.parquet; or - for standard output."
    )
    format: str = setting(
        "auto",
        "How verdicts are written; default: by the output's name, EVE on standard output, a table for people without "
        "--output.",
        choices=["auto", "eve", "csv", "parquet", "table"],
    )
    max_false_positives: float = setting(0.01, "Share of benign flows that may raise an alert.")
    explain: int = setting(0, "Features to name for each alert, by Shapley values; 0: none.", least=0)

    def __post_init__(self) -> None:
        if not self.model:
            raise InputError("`model` is missing; name a folder that `nids_jax train` wrote")
        if not 0 < self.max_false_positives < 1:
            raise InputError(f"`max_false_positives` is {self.max_false_positives}; give a share between 0 and 1")
        check_settings(self)


FLAGS = (Detect, Metering)


def main(arguments: Sequence[str]) -> None:
    """Judge what the arguments name."""
    given = Flags(FLAGS)
    files = given.parse(arguments, positional=True)
    wanted, metering = given.build(Detect), given.build(Metering)
    if not files:
        raise InputError("no file is named; give captures, tables of flows, folders, or - for standard input")
    live = LIVE in files
    if live and len(files) > 1:
        raise InputError("- is standard input, which goes alone; leave out the other files")
    tables, captures = ([], []) if live else _sorted_out(files)

    with importing():
        from nids_jax.bundle.model import load_model
        from nids_jax.detection.summary import Summary

    model = load_model(Path(wanted.model or ""))
    threshold = model.threshold(wanted.max_false_positives)
    if not threshold.supported:
        warn(f"note: {threshold.sentence}")
    summary = Summary(model.classes, model.benign)
    tell = warn if wanted.output == LIVE else say  # where the events take standard output, all else goes beside it
    # Whoever reads the events may stop; there is nothing left to do then.
    with suppress(BrokenPipeError), ExitStack() as stack:
        output = _output(wanted, live, model.classes, stack)
        for judged in _judged(model, wanted, metering, given.given("compat"), tables, captures, live, tell):
            summary.add(judged)
            output.put(judged)
        output.close()
    for line in summary.lines():
        tell(line)
    if not summary.flows:
        tell("there were no flows")


def _sorted_out(files: Sequence[str]) -> tuple[list[Path], list[Named]]:
    """The tables, and the captures, folders' content included."""
    tables: dict[Path, Path] = {}
    captures: list[Named] = []

    for name in files:
        path = Path(name)
        if path.is_dir():
            found, others = search(path, lambda each: may_be_table(each) or is_capture(each))
            there = [each for each in found if is_capture(each.name) or is_table(each)]
            others = sorted({*others, *found}.difference(there))
            if not there:
                raise InputError(f"the folder {path} holds neither captures nor tables of flows")
            if others:
                warn(passed_over(others))
            tables |= {each.resolve(): each for each in there if not is_capture(each.name)}
            captures += [Named(each, True) for each in there if is_capture(each.name)]
        elif may_be_table(path.name):
            tables.setdefault(path.resolve(), path)
        else:
            captures.append(Named(path, False))
    once = {each.path.resolve(): each for each in reversed(captures)}
    return [*tables.values()], [*reversed(once.values())]


def _judged(
    model: "Model",
    wanted: Detect,
    metering: Metering,
    compat_given: bool,
    tables: Sequence[Path],
    captures: Sequence[Named],
    live: bool,
    tell: Callable[[str], object],
) -> Iterator["Judged"]:
    from nids_jax.detection.verdict import judge

    for path in tables:
        from nids_jax.detection.tables import table_pieces  # here: it imports pandas, which captures do without

        malformed = 0
        for piece in table_pieces(path, model.features, model.categories):
            malformed += piece.malformed
            if len(piece.row):
                yield judge(
                    model,
                    model.rows(piece.frame),
                    piece.observed,
                    max_false_positives=wanted.max_false_positives,
                    reasons=wanted.explain,
                    row=piece.row,
                )
        if malformed:
            warn(f"{path}: {malformed:,} rows left out, which have more or fewer fields than the header")
    if captures or live:
        yield from _of_captures(model, wanted, metering, compat_given, captures, live, tell)


def _of_captures(
    model: "Model",
    wanted: Detect,
    metering: Metering,
    compat_given: bool,
    captures: Sequence[Named],
    live: bool,
    tell: Callable[[str], object],
) -> Iterator["Judged"]:
    from dataclasses import replace

    from nids_jax.detection.observed import of_flows
    from nids_jax.detection.verdict import judge
    from nids_jax.flows.capture.source import Source
    from nids_jax.flows.meter import STREAMED, Flows
    from nids_jax.flows.metering import CaptureMeter

    compat = metering.compat if compat_given or model.meter is None else model.meter
    if live and compat not in STREAMED:
        warn("note: CICFlowMeter's records need a whole capture, so packets of standard input are judged at its end")
    if model.meter is None:
        warn(f"note: it is not known how the rows that the model was trained on were metered; here --compat={compat}")
    elif compat != model.meter:
        warn(
            f"warning: the model was trained on records of --compat={model.meter}, and these are of --compat={compat}; "
            "its verdicts mean less"
        )
    work = CaptureMeter(replace(metering, compat=compat).options(), live=live)

    def verdicts(flows: Flows) -> "Judged":
        return judge(
            model,
            model.arrange(flows.features, flows.x),
            of_flows(flows, work.hosts),
            max_false_positives=wanted.max_false_positives,
            reasons=wanted.explain,
        )

    if live:
        source = Source(sys.stdin.buffer, "standard input")
        yield from map(verdicts, work.take(source, "standard input"))
        yield from map(verdicts, work.finish())
        tell(f"standard input: {work.new_account()}")
        return
    yield from map(verdicts, flows_of(work, captures, tell))


def _output(wanted: Detect, live: bool, classes: Sequence[str], stack: ExitStack) -> "Output":
    """Where the verdicts go; what is to be closed is on the stack.

    Raises:
      InputError: an output that its name or the format does not fit.
    """
    from nids_jax.detection.output import Events, LiveFile, Rows, Table

    name = wanted.output
    form = wanted.format
    if form == "auto":
        form = "table" if name is None else "eve" if name == LIVE else FORMATS.get(Path(name).suffix.lower(), "")
    if not form:
        raise InputError(f"`output` is {name!r}; name a file that ends in .json, .jsonl, .csv or .parquet")
    if form == "table":
        if name not in (None, LIVE):
            raise InputError("a table is for people; leave out `output`, or choose another `format`")
        return Table(say)
    if name in (None, LIVE):
        if form != "eve":
            raise InputError(f"{form} is no format for standard output; name a file with `output`")
        return Events(emit, classes)
    path = Path(name or "")
    if path.is_dir():
        raise InputError(f"`output` is {name!r}, which is a folder; name a file")
    if form == "eve":
        if live:
            file = LiveFile(path)
            stack.callback(file.close)
            return Events(file.write, classes)
        opened = stack.enter_context(whole_or_absent(path, "output"))
        return Events(lambda text: opened.write(text.encode()), classes)
    opened = stack.enter_context(whole_or_absent(path, "output"))
    return Rows(opened, "csv" if form == "csv" else "parquet")
