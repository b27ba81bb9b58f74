"""`nids_jax COMMAND --flags`, or `python -m nids_jax COMMAND --flags`."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nids_jax.cli import ending


class Command(NamedTuple):
    """Where a command is found, and a line about it."""

    module: str  # with `main(arguments)` and FLAGS; of an experiment, the protocol's
    protocol: str  # the protocol's class; empty for what is no experiment
    summary: str
    jax: bool = True  # it computes


COMMANDS = {
    "fewshot": Command("protocols.few_shot", "FewShot", "few flows per class: do synthetic ones help?"),
    "generator_comparison": Command(
        "protocols.generator_comparison", "GeneratorComparison", "every generator beside its controls (P1, Table V)"
    ),
    "learning_curve": Command(
        "protocols.learning_curve", "LearningCurve", "what a labelled flow is worth, with simulated flows and without"
    ),
    "zero_shot": Command(
        "protocols.zero_shot", "ZeroShot", "attacks found by training on benign rows and simulated attacks alone"
    ),
    "imbalance": Command(
        "protocols.imbalance", "Imbalance", "rare attacks raised by over-samplers (P2, Tables 3 and 4)"
    ),
    "detector_comparison": Command(
        "protocols.detector_comparison", "DetectorComparison", "every detector on few rows (P1, Table IV)"
    ),
    "explanations": Command(
        "protocols.explanations", "Explanations", "which features verdicts rest on, by Shapley values (P1, Fig. 8)"
    ),
    "packet_augmentation": Command(
        "protocols.packet_augmentation", "PacketComparison", "captured flows with their packets varied"
    ),
    "sampler_tradeoff": Command("protocols.sampler_tradeoff", "SamplerTradeoff", "how few calls of the network do"),
    "cost": Command("protocols.cost", "Cost", "what each generator costs (P1, Table VI)"),
    "train": Command("cli.train", "", "a detector from labelled flows: tested, calibrated, written to a folder"),
    "generate": Command("cli.generate", "", "any number of flows from a trained model, to Parquet or CSV files"),
    "meter": Command("cli.meter", "", "captures (pcap, pcapng) to flow records, as a CSV or Parquet file", jax=False),
    "detect": Command(
        "cli.detect", "", "a trained model's verdicts on captures, tables, or packets as they come", jax=False
    ),
    "tools": Command("cli.tools", "", "the traffic tools that can be simulated, and the labels they answer", jax=False),
    "simulate": Command(
        "cli.simulate", "", "simulated conversations to a capture (pcap, pcapng), with labels", jax=False
    ),
    "compare": Command(
        "cli.compare", "", "a synthetic table beside a real one: alike, private, useful? (any columns)", jax=False
    ),
    "report": Command("cli.report", "", "the report of an experiment's folder, or of several shards", jax=False),
}
USAGE = "\n".join(
    [
        "usage: nids_jax COMMAND --flags",
        "",
        *(f"  {name:22}{command.summary}" for name, command in COMMANDS.items()),
        "",
        "nids_jax COMMAND --help lists a command's flags; nids_jax --version says which version this is.",
    ]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name (those of the process by default); the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given[0] if given else "", given[1:])
    except KeyboardInterrupt:  # before a command has begun
        print(ending.SENTENCE, file=sys.stderr)
        return ending.INTERRUPTED


def _run(name: str, arguments: Sequence[str]) -> int:
    from nids_jax.cli import frame, known_flags, output

    output.prepare()
    name = name.replace("-", "_") if not name.startswith("-") else name
    if name in ("--help", "-h", "help"):
        output.say(*USAGE.split("\n"))
        return frame.DONE
    if name == "--version":
        import nids_jax

        output.say(f"nids_jax {nids_jax.__version__}")
        return frame.DONE
    if name not in COMMANDS:
        found = f"unknown command {name!r}" if name else "no command"
        output.warn(f"error: {found}; choose from {', '.join(COMMANDS)}")
        return frame.BAD_INPUT
    command = COMMANDS[name]

    def own() -> set[str]:
        return {*known_flags.KNOWN[name]} if name in known_flags.KNOWN else flags_of(name).names

    def load() -> Callable[[Sequence[str]], object]:
        known_flags.refuse_unknown(name, arguments)
        if command.jax:
            frame.start_jax()
        action = _action(command)

        def run(arguments: Sequence[str]) -> None:
            from nids_jax.cli.flags import HelpRequested, UnknownFlagError

            try:
                action(arguments)
            except HelpRequested:
                text = sys.modules[_module(command)].__doc__ or ""
                output.say(*flags_of(name).help(f"nids_jax {name}: {command.summary}", text).split("\n"))
            except UnknownFlagError as error:
                raise UnknownFlagError(error.flag, known_flags.hint(name, error.flag, own())) from None

        return run

    return frame.run(load, arguments, own)


def _module(command: Command) -> str:
    return f"nids_jax.{command.module}"


def _action(command: Command) -> Callable[[Sequence[str]], object]:
    """What runs the command."""
    module = importlib.import_module(_module(command))
    if not command.protocol:
        return module.main
    from nids_jax.cli import experiment

    return lambda arguments: experiment.run(getattr(module, command.protocol), arguments)


def flags_of(name: str) -> Any:
    """The flags of a command."""
    from nids_jax.cli.flags import Flags

    command = COMMANDS[name]
    module = importlib.import_module(_module(command))
    if not command.protocol:
        return Flags(module.FLAGS)
    from nids_jax.cli import experiment

    return experiment.flags_of(getattr(module, command.protocol))


def entry_point() -> None:
    """The installed command."""
    ending.own_process()
    status = main()
    if status == ending.INTERRUPTED:  # a library that was left in the middle may crash while it is taken down
        ending.without_taking_down(status)
    sys.exit(status)


if __name__ == "__main__":
    entry_point()
