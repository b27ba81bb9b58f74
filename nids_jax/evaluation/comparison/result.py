"""What a comparison of two tables found."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Part:
    """A measure of one kind."""

    title: str
    score: float  # 0 to 1, 1 is best; NaN where it could not be measured
    figures: Mapping[str, float]
    unseen: Mapping[str, float]  # the same figures of the real table itself, beside unseen real rows; may be empty
    meaning: str  # what the figures are, and how the score follows from them
    obstacle: str = ""  # why it could not be measured


@dataclass(frozen=True, kw_only=True)
class ColumnFigures:
    """A column of both tables."""

    kind: str  # number or category
    score: float  # shape · (1 − |difference of the shares of missing values|)
    shape: float
    missing_real: float
    missing_synthetic: float
    pairs: float  # mean similarity of its pairs with other columns; NaN where there is no other
    real: Mapping[str, float]  # numbers: quantile by percentage; names: share of the rows, of the most frequent ones
    synthetic: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two tables beside each other; `score` is the mean of the parts' scores that could be measured."""

    score: float
    parts: Mapping[str, Part]
    columns: Mapping[str, ColumnFigures]  # the real table's columns, in its order
    rows: Mapping[str, int]  # of each table
    used: Mapping[str, int]  # rows of a table at most that each measure looked at
    beside: str  # which table the synthetic one was put beside: real or holdout
    label_column: str | None
    left_out: Mapping[str, str]  # column → why it is not compared
    remarks: tuple[str, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON's own types; None where something could not be measured."""
        return _plain(asdict(self))

    def _repr_html_(self) -> str:
        """The parts as a small table, for notebooks."""
        rows = "".join(f"<tr><td>{p.title}</td><td>{shown(p.score)}</td></tr>" for p in self.parts.values())
        return f"<table><tr><th>in all</th><th>{shown(self.score)}</th></tr>{rows}</table>"


def shown(value: float) -> str:
    """A figure in three digits; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
