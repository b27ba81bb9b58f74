"""`python -m nids_jax.report OUTPUT_DIR`: rebuild the summary, the figures and the page from an experiment's files."""

import argparse
import sys
from collections.abc import Sequence

from nids_jax.errors import InputError
from nids_jax.report.page import build_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the report, print its path; 0 done, 2 bad input (one sentence on standard error)."""
    parser = argparse.ArgumentParser(prog="python -m nids_jax.report", description=__doc__)
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="the --output_dir of an experiment")
    try:
        print(build_report(parser.parse_args(arguments).output_dir))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
