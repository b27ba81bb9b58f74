# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions at import, where no checker sees them)
"""How a file writes its numbers: decimal point or comma, and what stands between thousands.

`1.5` and `1234` are plain.  `1,5`, `1.234,5`, `1 234,5`, `1,234.5`, `1'234` are other notations, which a file's sample
shows.  Where it does not show what a comma means (`1,234` alone), it is asked for, not guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from nids_jax.errors import InputError

Decimal = Literal[".", ","]

# What stands for "no value" in the published files.
MISSING = ["", "?", "nan", "NaN", "NAN", "-nan", "null", "NULL", "Null", "N/A", "n/a", "#N/A", "<NA>"]

_MARKS = {",": ",", ".": r"\.", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}  # mark -> its spellings, as a pattern
_UNUSUAL = "[,'\u2019 \u00a0\u2009\u202f]|[.].*[.]"  # what a plain number never has
_NO_NUMBER = "no number"  # put for cells that are none in a file's notation, though they may be in another


@lru_cache
def pattern(decimal: str, thousands: str) -> str:
    """The regular expression of a whole cell that holds a number, for Python's `re` and for RE2.

    Args:
      decimal: the mark between whole and fraction.
      thousands: marks that may stand between groups of three digits; all those of one number are alike.
    """
    point = _MARKS[decimal]
    groups = "".join(rf"|[1-9][0-9]{{0,2}}(?:{_MARKS[mark]}[0-9]{{3}})+(?:{point}[0-9]*)?" for mark in thousands)
    number = rf"(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+{groups})(?:[eE][+-]?[0-9]+)?"
    return rf"^[+-]?(?:{number}|(?i:inf(?:inity)?))$"


@dataclass(frozen=True, kw_only=True)
class Notation:
    """How one file writes its numbers."""

    decimal: Decimal = "."
    thousands: str = ""  # the marks between groups of three digits that it uses
    ungrouped: frozenset[int] = frozenset()  # columns that write thousands without any mark, so it is none there
    examples: Mapping[str, str] = field(default_factory=dict)  # mark -> a number with it, and its column, for people
    shown: bool = False  # the file shows what its commas and points mean

    @property
    def is_plain(self) -> bool:
        """Whether numbers have a decimal point, and nothing between thousands."""
        return self.decimal == "." and not self.thousands

    def pattern(self, column: int) -> str:
        """The regular expression of the numbers of a column."""
        return pattern(self.decimal, "" if column in self.ungrouped else self.thousands)

    def plain(self, values: pa.Array, column: int) -> pa.Array:
        """The cells of a column with its numbers in plain notation; what is no number does not become one."""
        thousands = "" if column in self.ungrouped else self.thousands
        if self.decimal == "." and not thousands:
            return values
        values = pc.utf8_trim_whitespace(values)
        numeric = pc.match_substring_regex(values, self.pattern(column))
        known = pc.is_in(values, value_set=pa.array(MISSING, values.type))
        plain = values
        if thousands:
            plain = pc.replace_substring_regex(plain, "|".join(_MARKS[mark] for mark in thousands), "")
        if self.decimal == ",":
            plain = pc.replace_substring(plain, ",", ".")
        other = pc.if_else(known, values, pa.scalar(_NO_NUMBER, values.type))
        return pc.if_else(numeric, plain, other)

    def __str__(self) -> str:
        """What is not plain about it; empty where nothing is."""
        said = {",": "decimal commas"} if self.decimal == "," else {}
        said |= {mark: f"thousands marked by {mark!r}" for mark in self.thousands}
        return " and ".join(f"{what} ({self.examples[mark]})" for mark, what in said.items() if mark in self.examples)


class _Column:
    """What the distinct cells of a column say about the notation."""

    def __init__(self, number: int, header: str, texts: list[str]) -> None:
        self.number, self.header = number, header
        self.point_only: list[str] = []  # 1.5
        self.comma_only: list[str] = []  # 1,5
        self.comma_either: list[str] = []  # 1,234
        self.numbers: list[str] = []
        for text in texts:
            point, comma = _POINT.match(text), _COMMA.match(text)
            if point or comma:
                self.numbers.append(text)
            if point and not comma:
                self.point_only.append(text)
            elif comma and not point:
                self.comma_only.append(text)
            elif point and "," in text:
                self.comma_either.append(text)
        self.numeric = len(self.numbers) * 2 >= len(texts)
        self.unusual = self.numeric and any(re.search(_UNUSUAL, text) for text in self.numbers)
        self.comma_leads = bool(self.comma_only) and 2 * len(self.comma_only + self.comma_either) > len(texts)
        self.point_leads = 2 * len(self.point_only) > len(texts)


_POINT = re.compile(pattern(".", ", '"))
_COMMA = re.compile(pattern(",", ". '"))
_LONG = re.compile("[+-]?[0-9]{4}")


def find_notation(
    columns: Mapping[tuple[int, str], pa.Array], path: Path, wanted: Decimal | None, before: Decimal | None
) -> Notation:
    """The notation of a file.

    Args:
      columns: (number, header) -> some cells, of the columns that may be features.
      path: the file, for messages.
      wanted: the decimal mark that was asked for, if any.
      before: the decimal mark that earlier files have shown, which counts where this one leaves it open.

    Raises:
      InputError: the cells do not say what a comma means, or columns contradict each other.
    """
    unusual = [key for key, values in columns.items() if pc.any(pc.match_substring_regex(values, _UNUSUAL)).as_py()]
    if wanted is None and not any(_Column(*key, _distinct(columns[key], key[1])).unusual for key in unusual):
        return Notation()  # nearly always, and then without a look at every cell
    read = [_Column(*key, _distinct(values, key[1])) for key, values in columns.items()]
    read = [column for column in read if column.numeric]
    shown = wanted or _decimal(read, path) or before
    if shown is None:
        column = next(c for c in read if c.comma_only or c.comma_either)
        example = (column.comma_only + column.comma_either)[0]
        raise InputError(
            f"column {column.header!r} of {path} holds {example!r}, whose comma may stand before decimals or "
            "between thousands, or in a list; pass `decimal` as ',' or '.'"
        )
    decimal: Decimal = "," if shown == "," else "."
    valid = re.compile(pattern(decimal, _others(decimal)))
    examples: dict[str, str] = {}
    ungrouped = set()
    for column in read:
        long = any(_LONG.match(text) for text in column.numbers)
        if long:
            ungrouped.add(column.number)
        for text in column.numbers:
            if not valid.match(text):
                continue
            for mark in (decimal, *("" if long else _others(decimal))):
                if re.search(_MARKS[mark], text):
                    examples.setdefault(mark, f"{text!r} in {column.header!r}")
    thousands = _others(decimal) if wanted else "".join(mark for mark in _others(decimal) if mark in examples)
    return Notation(
        decimal=decimal, thousands=thousands, ungrouped=frozenset(ungrouped), examples=examples, shown=bool(examples)
    )


def _others(decimal: str) -> str:
    return ". '" if decimal == "," else ", '"


def _decimal(columns: list[_Column], path: Path) -> Decimal | None:
    """The decimal mark that the columns show; None where commas may mean either."""
    points = any(column.point_only for column in columns)
    if not any(column.comma_only for column in columns):
        return None if any(column.comma_either for column in columns) and not points else "."
    commas_lead = [column for column in columns if column.comma_leads]
    if not (points and commas_lead):  # a few cells with commas among points are no numbers
        return "," if commas_lead else "." if points else None
    points_lead = [column for column in columns if column.point_leads]
    if points_lead:
        one, other = commas_lead[0], points_lead[0]
        raise InputError(
            f"{path} writes decimals in two ways, {one.comma_only[0]!r} in column {one.header!r} and "
            f"{other.point_only[0]!r} in {other.header!r}; write them alike, or pass `decimal` as ',' or '.'"
        )
    return ","


def _distinct(values: pa.Array, header: str) -> list[str]:
    texts = pc.unique(pc.utf8_trim_whitespace(values)).to_pylist()
    return [text for text in texts if text is not None and text not in MISSING and text != header.strip()]
