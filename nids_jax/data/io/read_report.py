"""What became of every row of the files that were read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nids_jax.errors import shown


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Rows of one file, one class or everything: `read = kept + invalid + excluded + capped`."""

    read: int = 0  # data rows: neither blank nor a repeated header
    kept: int = 0
    invalid: int = 0  # dropped for a missing, infinite or non-numeric value, no label, or the wrong number of fields
    excluded: int = 0  # of classes that were asked to be left out
    capped: int = 0  # valid, but beyond the cap of their class
    duplicate: int = 0  # of those kept: equal in all features and label to an earlier one (they stay in the table)
    malformed: int = 0  # of the invalid: more or fewer fields than the header, or a last line cut short
    blank: int = 0  # lines without any value, counted apart from `read`
    headers: int = 0  # repeats of the header line, counted apart from `read`


@dataclass(frozen=True, kw_only=True)
class ReadReport(Counts):
    """The counts over all files, and where they come from."""

    files: Mapping[str, Counts] = field(default_factory=dict)
    classes: Mapping[str, Counts] = field(default_factory=dict)  # blank lines and malformed rows have no class
    invalid_values: Mapping[str, Mapping[str, int]] = field(
        default_factory=dict
    )  # column -> missing, infinite, … cells
    imputed: Mapping[str, int] = field(default_factory=dict)  # column -> cells that received the column's median
    spellings: Mapping[str, str] = field(default_factory=dict)  # label as spelt in the files -> the class it counts as
    dropped_columns: Mapping[str, str] = field(default_factory=dict)  # header -> why it is no feature
    remarks: tuple[str, ...] = ()  # whatever else a reader of the report would not expect, a sentence each

    def __str__(self) -> str:
        """A table of the classes, and a line for everything else that happened."""
        rows = [("class", "read", "kept", "invalid", "excluded", "capped", "duplicate")]
        rows += [_row(name, counts) for name, counts in self.classes.items()]
        rows.append(_row("all rows", self))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        lines.append(f"files {len(self.files)}, blank lines {self.blank:,}, repeated headers {self.headers:,}")
        if self.malformed:
            lines.append(f"rows with the wrong number of fields {self.malformed:,}")
        for column, found in self.invalid_values.items():
            lines.append(f"column {shown(column)}: " + ", ".join(f"{count:,} {kind}" for kind, count in found.items()))
        if self.imputed:
            cells = ", ".join(f"{shown(column)} {count:,}" for column, count in self.imputed.items())
            lines.append(f"cells filled with their column's median: {cells}")
        if self.spellings:
            pairs = ", ".join(f"{name!r} as {known!r}" for name, known in self.spellings.items())
            lines.append(f"labels counted as one class: {pairs}")
        lost = [name for name, counts in self.classes.items() if counts.read > counts.excluded and not counts.kept]
        if lost:
            lines.append(f"no row is left of: {', '.join(map(shown, lost))}")
        if self.dropped_columns:
            lines.append(
                "columns left out: " + ", ".join(f"{shown(name)} ({why})" for name, why in self.dropped_columns.items())
            )
        return "\n".join([*lines, *map(shown, self.remarks)])


def _row(name: str, counts: Counts) -> tuple[str, ...]:
    numbers = (counts.read, counts.kept, counts.invalid, counts.excluded, counts.capped, counts.duplicate)
    return (shown(name), *(f"{number:,}" for number in numbers))
