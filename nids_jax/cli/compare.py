"""How much a synthetic table resembles a real one, whether it copies it, and what it is worth to a detector.

nids_jax compare real.csv synthetic.csv --holdout=unseen.csv --output_dir=out/compare

REAL is what the generator learnt from, SYNTHETIC what it made: files or folders, with any columns (numbers, names,
missing values).  The result is comparison.json and report.html, with a score from 0 to 1 for each column, each part
and in all.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from nids_jax import store
from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import importing
from nids_jax.cli.output import say
from nids_jax.errors import InputError
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class Compare:
    """What to compare, and where to:"""

    holdout: str | None = setting(None, "Real rows that the generator has not seen: a file or a folder.")
    label_column: str | None = setting(None, "Each row's class; default: Label and the like.")
    seed: int = setting(0, "Of the rows drawn from large tables, and of the classifiers.", least=0)
    output_dir: str = setting("out/compare", "Folder for comparison.json and report.html.")


FLAGS = (Compare,)


def main(arguments: Sequence[str]) -> None:
    """Compare the tables that are named."""
    given = Flags(FLAGS)
    tables = given.parse(arguments, positional=True)
    wanted = given.build(Compare)
    if len(tables) != 2:
        raise InputError(f"{len(tables)} tables are named; name two, as in: nids_jax compare REAL SYNTHETIC")
    with importing():
        from nids_jax.evaluation.comparison import compare
        from nids_jax.report.comparison import verdict, write_comparison
    real, synthetic = tables
    found = compare(real, synthetic, wanted.holdout, label_column=wanted.label_column, seed=wanted.seed)
    command = shlex.join(["nids_jax", "compare", *arguments])
    page = write_comparison(found, wanted.output_dir, store.provenance(command))
    say(*verdict(found), str(page))
