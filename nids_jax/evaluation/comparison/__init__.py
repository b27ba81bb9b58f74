"""Synthetic tables of any kind beside real ones: columns, pairs, neighbourhoods, privacy, and what they are worth."""

from nids_jax.evaluation.comparison.measures import MOST_ROWS
from nids_jax.evaluation.comparison.result import ColumnFigures, Comparison, Part
from nids_jax.evaluation.comparison.tables import compare

__all__ = ["MOST_ROWS", "ColumnFigures", "Comparison", "Part", "compare"]
