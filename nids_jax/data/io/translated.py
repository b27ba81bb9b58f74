"""A file whose columns are another tool's: under this package's names, and in its units."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from nids_jax.data.io.columns import Chunk, Coded, Kind, Layout
from nids_jax.data.io.dialects import PROTOCOLS, Dialect
from nids_jax.data.io.labels import clean_label
from nids_jax.data.io.notation import MISSING, Notation
from nids_jax.data.io.survey import DataFile
from nids_jax.flows.schema import canonical_name, normalise

_ABSENT = "-"  # the name of what a flow lacks


class Translated:
    """What is asked of a file, of one in a dialect."""

    def __init__(self, file: DataFile, dialect: Dialect):
        """
        Args:
          file: opened; closed with this.
          dialect: of its header.
        """
        self._file, self._dialect = file, dialect
        self.path = file.path
        self.default_label = file.default_label
        self.always_plain = file.always_plain
        keys = [normalise(cell) for cell in file.header]
        there = {canonical_name(key) for key in keys if key not in dialect.columns}
        new = {key: dialect.columns[key] for key in keys if dialect.columns.get(key, "") not in {"", *there}}
        self.header = [new.get(key, cell) for key, cell in zip(keys, file.header, strict=True)]
        self._factors = {place: dialect.factors[key] for place, key in enumerate(keys) if key in dialect.factors}
        self._names = {place for place, key in enumerate(keys) if key in dialect.names}
        self._labels = {place: dialect.unlabelled[key] for place, key in enumerate(keys) if key in dialect.unlabelled}
        self._protocol = next((place for place, name in enumerate(self.header) if name == "protocol"), None)
        self.declared = {place: names for place, names in file.declared.items() if place != self._protocol}
        self.identifiers = file.identifiers | dialect.identifiers

    @property
    def notation(self) -> Notation:
        return self._file.notation

    @notation.setter
    def notation(self, found: Notation) -> None:
        self._file.notation = found

    @property
    def has_rows(self) -> bool:
        return self._file.has_rows

    @property
    def remarks(self) -> list[str]:
        return [*self._file.remarks, f"{self.path} has the columns of {self._dialect}"]

    def sample(self) -> dict[int, pa.Array]:
        return self._file.sample()

    def kinds(self, sample: Mapping[int, pa.Array]) -> list[Kind]:
        kinds = list(self._file.kinds(sample))
        for place in self._names:
            kinds[place] = "text"
        if self._protocol is not None and kinds[self._protocol] == "text" and self._protocol in sample:
            found = {clean_label(cell or "").lower() for cell in sample[self._protocol].to_pylist()}
            kinds[self._protocol] = "number" if found - {each.lower() for each in MISSING} <= {*PROTOCOLS} else "text"
        return kinds

    def chunks(self, layout: Layout, advance: Callable[[int], object]) -> Iterator[Chunk]:
        """The data rows in this package's units."""
        as_number = [
            i
            for i, (place, text) in enumerate(zip(layout.features, layout.text, strict=True))
            if place == self._protocol and not text
        ]
        inner = Layout(
            width=layout.width,
            features=layout.features,
            text=tuple(text or i in as_number for i, text in enumerate(layout.text)),
            label=layout.label,
            label_header=layout.label_header,
        )
        factors = np.array([self._factors.get(place, 1.0) for place in layout.features])
        for chunk in self._file.chunks(inner, advance):
            text = dict(chunk.text)
            x, garbled = chunk.x, chunk.garbled
            for i in as_number:
                x[:, i], wrong = _numbered(text.pop(i))
                if wrong.any():
                    garbled = np.zeros(x.shape, bool) if garbled is None else garbled
                    garbled[:, i] = wrong
            if (factors != 1).any():
                x *= factors
            if self._dialect.absent is not None:
                _fill(x, garbled, [self._absent(place) for place in layout.features], {*text})
                text = {i: _named(coded, _ABSENT) for i, coded in text.items()}
            labels = chunk.labels
            if layout.label in self._labels:
                labels = _named(labels, self._labels[layout.label])
            yield chunk._replace(x=x, garbled=garbled, text=text, labels=labels)

    def _absent(self, place: int) -> float:
        absent = self._dialect.absent or {}
        return absent.get(normalise(self._file.header[place]), 0.0)

    def close(self) -> None:
        self._file.close()


def _numbered(coded: Coded) -> tuple[np.ndarray, np.ndarray]:
    """Names of protocols, or their numbers, as numbers, and which of them are neither."""
    table = np.full(len(coded.names) + 1, np.nan)
    for code, name in enumerate(coded.names):
        key = name.lower()
        table[code] = PROTOCOLS[key] if key in PROTOCOLS else float(key) if key.isascii() and key.isdigit() else np.nan
    values = table[coded.codes]
    return values, np.isnan(values) & (coded.codes >= 0)


def _fill(x: np.ndarray, garbled: np.ndarray | None, absent: list[float], names: set[int]) -> None:
    """Put what stands for absence where a number is missing."""
    missing = np.isnan(x) if garbled is None else np.isnan(x) & ~garbled
    for i, value in enumerate(absent):
        if i not in names:
            x[missing[:, i], i] = value


def _named(coded: Coded, name: str) -> Coded:
    """The column with a name where it has none."""
    if (coded.codes >= 0).all():
        return coded
    return Coded(np.where(coded.codes < 0, len(coded.names), coded.codes).astype(np.int32), [*coded.names, name])
