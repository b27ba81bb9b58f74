"""A first look at each file: how it writes its numbers, and, at the first one, which columns are read."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from nids_jax.data.io.columns import (
    Chunk,
    Kind,
    Layout,
    Schema,
    columns_read,
    looks_numeric,
    make_schema,
    share_filled,
)
from nids_jax.data.io.label_column import shown_values
from nids_jax.data.io.notation import Decimal, Notation, find_notation

OnInvalid = Literal["drop", "error", "impute"]

_SPARSE = 0.05  # share of rows with a value, below which a column is left out rather than the other rows


class DataFile(Protocol):
    """What is asked of a CSV, ARFF or Parquet file."""

    path: Path
    header: list[str]
    declared: dict[int, tuple[str, ...]]
    default_label: int | None
    always_plain: bool
    identifiers: frozenset[str]  # normalised headers that are no features in this file

    @property
    def notation(self) -> Notation: ...
    @notation.setter
    def notation(self, found: Notation) -> None: ...
    @property
    def remarks(self) -> list[str]: ...
    @property
    def has_rows(self) -> bool: ...
    def sample(self) -> dict[int, pa.Array]: ...
    def kinds(self, sample: Mapping[int, pa.Array]) -> list[Kind]: ...
    def chunks(self, layout: Layout, advance: Callable[[int], object]) -> Iterator[Chunk]: ...
    def close(self) -> None: ...


class Survey:
    """The schema of the files, fixed by the first one with rows, and what is to be said about them."""

    def __init__(
        self,
        label_column: str | None,
        keep_ports: bool,
        on_invalid: OnInvalid,
        identifiers: frozenset[str],
        decimal: Decimal | None,
        keep_times: bool,
    ) -> None:
        """See `read_flows` for the arguments."""
        self._label_column = label_column
        self._keep_ports = keep_ports
        self._leave_out_sparse = on_invalid == "drop"
        self._identifiers = identifiers
        self._keep_times = keep_times
        self._wanted: Decimal | None = decimal
        self._shown: Decimal | None = None  # by the files so far
        self._notations: defaultdict[str, list[Path]] = defaultdict(list)  # what is said of one -> files
        self._odd: list[str] = []
        self.schema: Schema | None = None

    def look(self, file: DataFile) -> Schema:
        """The schema; the file is told its notation.

        Raises:
          InputError: no label, no feature, or commas that may mean either.
        """
        sample = file.sample()
        if not file.always_plain:
            file.notation = self._notation(file, sample)
        if self.schema is None:
            self.schema = self._make_schema(file, sample)
        return self.schema

    @property
    def remarks(self) -> list[str]:
        """What a reader of the report would not expect, a sentence each."""
        read = []
        for said, paths in self._notations.items():
            others = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
            read.append(f"numbers of {paths[0]}{others} are read with {said}")
        return read + self._odd

    def _notation(self, file: DataFile, sample: Mapping[int, pa.Array]) -> Notation:
        columns = columns_read(file.header, file.path, self._label_column, self._identifiers | file.identifiers)
        texts = {key: sample[key[0]] for key in columns if key[0] in sample and is_text(sample[key[0]])}
        notation = find_notation(texts, file.path, self._wanted, self._shown)
        if notation.shown:
            self._shown = notation.decimal
        if said := str(notation):
            self._notations[said].append(file.path)
        return notation

    def _make_schema(self, file: DataFile, sample: Mapping[int, pa.Array]) -> Schema:
        kinds, identifiers = file.kinds(sample), self._identifiers | file.identifiers
        for column, cells in sample.items():
            share = share_filled(cells)
            if share == 0:
                kinds[column] = "empty"
            elif share < _SPARSE and self._leave_out_sparse:
                kinds[column] = "sparse"
        schema = make_schema(
            file.header,
            kinds,
            file.path,
            label_column=self._label_column,
            default_label=file.default_label,
            keep_ports=self._keep_ports,
            keep_times=self._keep_times,
            identifiers=identifiers,
            declared=file.declared,
            values=lambda column: shown_values(sample[column]) if column in sample else [],
        )
        for column, name in columns_read(file.header, file.path, self._label_column, identifiers):
            odd = looks_numeric(sample[column]) if kinds[column] == "text" and column not in file.declared else None
            if odd is not None and name not in schema.dropped:
                self._odd.append(f"column {name!r} is read as names, though its values, such as {odd!r}, hold digits")
        return schema


def is_text(values: pa.Array) -> bool:
    """Whether a sample's cells are strings."""
    return pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
