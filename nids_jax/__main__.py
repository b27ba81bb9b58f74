"""`nids_jax COMMAND --flags`, or `python -m nids_jax COMMAND --flags`."""

import importlib
import sys

COMMANDS = {
    "generate": "any number of flows from a trained model, to Parquet or CSV files",
    "meter": "captures (pcap, pcapng) to flow records, as a CSV or Parquet file",
}


def main() -> None:
    """Run the command that the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        lines = [f"  {each:10} {what}" for each, what in COMMANDS.items()]
        usage = "\n".join(["usage: nids_jax COMMAND --flags (COMMAND --help lists them)", *lines])
        if name in ("--help", "-h", "help"):
            print(usage)
            return
        print(
            f"error: {f'unknown command {name!r}' if name else 'no command'}; choose from {', '.join(COMMANDS)}"
            f"\n{usage}",
            file=sys.stderr,
        )
        sys.exit(2)
    command = importlib.import_module(f"nids_jax.commands.{name}")
    sys.argv[:2] = [command.__name__]  # --help lists the flags of the module of this name
    command.frame.run(command.main)


if __name__ == "__main__":
    main()
