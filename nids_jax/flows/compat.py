"""Whose flow records: the names of the meter's modes.  No imports, so that --help needs no compiled code."""

from typing import Literal

Compat = Literal["none", "corrected", "cicflowmeter", "cicids2017", "cicids2018", "cicddos2019"]
DEFAULT: Compat = "none"  # where nothing is said, and of rows that nobody knows the origin of
STREAMED: tuple[Compat, ...] = ("none", "corrected")  # the modes that need no whole capture
