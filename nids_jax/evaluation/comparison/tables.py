"""Tables of any kind, given as data frames, flow tables or files → their comparison."""

from collections.abc import Sequence

import pandas as pd

from nids_jax.data.frames import read_frame
from nids_jax.data.io.sources import PathLike
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.evaluation.comparison.measures import measure
from nids_jax.evaluation.comparison.result import Comparison

Rows = pd.DataFrame | FlowTable | PathLike | Sequence[PathLike]


def compare(
    real: Rows,
    synthetic: Rows,
    holdout: Rows | None = None,
    *,
    label_column: str | None = None,
    seed: int = 0,
) -> Comparison:
    """How much a synthetic table resembles a real one, whether it copies it, and what it is worth to a detector.

    The tables may be of any kind: numbers and names, missing values, constant columns; see `evaluation.comparison`.

    Args:
      real: what the generator learnt from: a data frame, a `FlowTable`, or files.
      synthetic: what it generated.
      holdout: real rows that it has not seen.  With them the synthetic rows are put beside these, and privacy is
        judged by which of the two they are nearer to.
      label_column: each row's class, in any spelling; None looks for `Label` and the like, unless several may be it.
      seed: of the rows drawn from large tables, and of the classifiers.

    Returns:
      A `Comparison`: a score from 0 to 1 for each column, each part and in all.

    Raises:
      InputError: files that cannot be read, a table without rows, tables without a common column, or no such label.
    """
    if seed < 0:
        raise InputError(f"`seed` is {seed}; it must be at least 0")
    given = {"real": real, "synthetic": synthetic, **({} if holdout is None else {"holdout": holdout})}
    frames = {name: _as_frame(rows) for name, rows in given.items()}
    for name, frame in frames.items():
        if not len(frame):
            raise InputError(f"the {name} table has no rows")
    return measure([*frames.values()], label_column, seed)


def _as_frame(rows: Rows) -> pd.DataFrame:
    if isinstance(rows, pd.DataFrame):
        return rows
    return rows.to_frame() if isinstance(rows, FlowTable) else read_frame(rows)
