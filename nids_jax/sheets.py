"""Text cells of CSV files that no spreadsheet takes for formulas.

A class may be called `=HYPERLINK(…)`, and whoever opens the file would run that.  Such texts are written with an
apostrophe before them, which spreadsheets take for "this is text", and read without it.

Source: OWASP, "CSV Injection".
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def guarded(text: str) -> str:
    """The text as a cell: an apostrophe before what begins like a formula and is no number."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text that `guarded` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell
