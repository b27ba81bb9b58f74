# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions at import, where no checker sees them)
"""Which columns of a file become features, which one is the label, and how text becomes numbers."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nids_jax.data.io.label_column import BESIDE_LABELS, LABELS, find_label, refuse_coarse
from nids_jax.data.io.labels import LONGEST_NAME, clean_label, decode
from nids_jax.data.io.notation import MISSING
from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURES, is_identifier, meant_names, normalise
from nids_jax.sheets import unguarded

Kind = Literal["number", "text", "empty", "sparse", "other"]  # sparse: hardly any row has a value

TIME = "timestamp"  # an identifier that is read where it is asked for: the moment at which the flow started

MOST_COLUMNS = 10_000  # of a file; every one costs time and memory in every row

AFTER_LAST = "empty field at the end of each row"  # a column that the header does not name

_LONG_SAMPLE = 20  # rows without any value, from which a column counts as empty rather than its rows as invalid

_METERED = frozenset(feature.name for feature in FEATURES if feature.kind != "category")

_NUMBER_LIKE = r"^[+-]?[.,]?[0-9][0-9.,'\x{2019}\s_]*(?:[eE][+-]?[0-9]+)?\s*(?:%|[a-zA-Z]{1,2})?$"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)


NO_LABEL = -1  # in place of a label's column


class Coded(NamedTuple):
    """A column of names: `names[codes[i]]`, code -1 where the file has no value."""

    codes: np.ndarray  # [n] int32
    names: list[str]


class Chunk(NamedTuple):
    """Some consecutive data rows of one file, and what was skipped between them."""

    x: np.ndarray  # [n, d] float64; NaN where there is no number, and in categorical columns
    garbled: np.ndarray | None  # [n, d] bool: text where a number belongs; None: nowhere
    text: dict[int, Coded]  # categorical columns by index into the features
    labels: Coded
    blank: int = 0
    headers: int = 0  # repeats of the header line
    malformed: int = 0  # rows with more or fewer fields than the header
    unterminated: bool = False  # this is the file's last line, and no line end follows


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What is read from every file of one source; fixed by the first file."""

    path: Path  # the first file
    features: tuple[str, ...]  # canonical names, in its order
    text: frozenset[str]  # features that hold names
    declared: Mapping[str, tuple[str, ...]]  # categories that the file itself lists (ARFF)
    label: str  # header as published, without outer blanks
    dropped: Mapping[str, str]  # header -> why it is no feature
    identifiers: frozenset[str]  # normalised headers that are no features, beside those that no file's are


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where one file keeps the schema's columns."""

    width: int  # columns of the file
    features: tuple[int, ...]  # column of each feature
    text: tuple[bool, ...]  # whether that feature holds names
    label: int  # NO_LABEL where rows are read without
    label_header: str


def column_names(header: Sequence[str], path: Path) -> tuple[str, ...]:
    """The canonical name of each header; one without latin letters keeps its own text.

    Raises:
      InputError: two columns end up with one name.
    """
    cells = [unguarded(cell.strip()) for cell in header]
    names = meant_names(cells)
    for name, times in Counter(names).items():
        if name and times > 1:
            raise InputError(f"{path} has several columns that mean {name!r}; rename or remove all but one")
    return tuple(names)


def make_schema(
    header: Sequence[str],
    kinds: Sequence[Kind],
    path: Path,
    *,
    label_column: str | None,
    default_label: int | None,
    keep_ports: bool,
    keep_times: bool = False,
    identifiers: frozenset[str] = frozenset(),
    declared: Mapping[int, tuple[str, ...]],
    values: Callable[[int], list[str]] = lambda column: [],
) -> Schema:
    """Choose the features and the label of the first file.

    Args:
      header: the columns' names as published.
      kinds: what each column holds.
      path: the file, for messages.
      label_column: the label's name in any spelling; None looks for `LABELS`.
      default_label: index of the label where neither finds one (ARFF's last nominal attribute).
      keep_ports: keep `destination_port` as a feature.
      keep_times: keep `timestamp` among the features, for whoever takes it out again.
      identifiers: normalised headers of further columns that are no features.
      declared: category names of the columns for which the file lists them.
      values: the distinct values of a column in a sample, where they are few.

    Raises:
      InputError: no label column, no feature, or no port where one is to be kept.
    """
    names = column_names(header, path)
    # A flow meter writes numbers: where a sample of such a column looks like text, its values are broken.
    kinds = ["number" if kind == "text" and name in _METERED else kind for name, kind in zip(names, kinds, strict=True)]
    if keep_times:
        if TIME not in names:
            raise InputError(f"{path} has no column {TIME!r}, so its rows cannot be ordered by time")
        kinds = ["text" if name == TIME else kind for name, kind in zip(names, kinds, strict=True)]
    label = find_label(header, names, path, label_column, default_label)
    if label_column is None:
        refuse_coarse(label, header, names, path, values(label))
    if kinds[label] == "other":
        raise InputError(
            f"column {header[label].strip()!r} of {path} holds neither numbers nor text, so it is no label"
        )
    dropped: dict[str, str] = {}
    features: list[int] = []
    for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        reason = None if keep_times and name == TIME else _not_a_feature(name, kind, keep_ports, identifiers)
        if index == label:
            continue
        if reason:
            dropped[header[index].strip()] = reason
        else:
            features.append(index)
    if not features:
        raise InputError(f"{path} has no feature columns beside the label {header[label].strip()!r}")
    chosen = tuple(names[index] for index in features)
    if keep_ports and "destination_port" not in chosen:
        raise InputError(f"{path} has no destination port column to keep; leave keep_ports off")
    return Schema(
        path=path,
        features=chosen,
        text=frozenset(names[index] for index in features if kinds[index] == "text"),
        declared={names[index]: declared[index] for index in features if index in declared},
        label=header[label].strip(),
        dropped=dropped,
        identifiers=identifiers,
    )


def _not_a_feature(name: str, kind: Kind, keep_ports: bool, identifiers: frozenset[str]) -> str | None:
    if name == "destination_port" and keep_ports:
        return None
    if not name or name.startswith("unnamed"):
        return "row number"
    if name == normalise(AFTER_LAST):
        return "not in the header"
    key = normalise(name)  # nothing is left of a name without latin letters
    if key and (is_identifier(name) or key in identifiers):
        return "identifier"
    if re.sub(r"_\d+$", "", name) in (*LABELS, *BESIDE_LABELS):
        return "another label"
    if kind in ("empty", "sparse"):
        return "no values" if kind == "empty" else "hardly any values"
    return "neither number nor text" if kind == "other" else None


def columns_read(
    header: Sequence[str], path: Path, label_column: str | None, identifiers: frozenset[str]
) -> list[tuple[int, str]]:
    """The number and the name of each column that may become a feature.

    Raises:
      InputError: two columns have one name, or there is no such label column.
    """
    names = column_names(header, path)
    label = None if label_column is None else find_label(header, names, path, label_column, None)
    return [
        (index, header[index].strip())
        for index, name in enumerate(names)
        if index != label and not _not_a_feature(name, "number", False, identifiers)
    ]


def make_layout(schema: Schema, header: Sequence[str], path: Path) -> Layout:
    """Find the schema's columns in a file's header, in whatever order they stand.

    Raises:
      InputError: a feature or the label is missing, or the file has a feature that the first one lacks.
    """
    names = column_names(header, path)
    label = find_label(header, names, path, schema.label, None)
    first = schema.path
    place = {name: number for number, name in enumerate(names)}
    for feature in schema.features:
        if feature not in place:
            raise InputError(f"{path} has no column {feature!r}, which {first} has; read files of one layout together")
    ports = "destination_port" in schema.features
    known = {*schema.features, *column_names(tuple(schema.dropped), first)}
    for index, name in enumerate(names):
        if index != label and name not in known and not _not_a_feature(name, "number", ports, schema.identifiers):
            raise InputError(f"{first} has no column {name!r}, which {path} has; read files of one layout together")
    return Layout(
        width=len(header),
        features=tuple(place[feature] for feature in schema.features),
        text=tuple(feature in schema.text for feature in schema.features),
        label=label,
        label_header=header[label].strip(),
    )


def check_header(header: Sequence[str], path: Path) -> None:
    """Raise an InputError where there are more columns, or longer names, than any table of flows has."""
    if len(header) > MOST_COLUMNS:
        raise InputError(f"{path} has {len(header):,} columns; up to {MOST_COLUMNS:,} are read, so leave some out")
    longest = max(header, key=len, default="")
    if len(longest) > LONGEST_NAME:
        raise InputError(
            f"{path} has a column whose name, {longest[:40]!r} and so on, has {len(longest):,} characters; shorten it"
            f" to {LONGEST_NAME:,} at most"
        )


def refuse_headless(header: Sequence[str], path: Path) -> None:
    """Raise an InputError where most column names are numbers, other than the counting 0, 1, 2, … of some tools."""
    numbers = [cell for cell in (cell.strip() for cell in header) if _NUMBER.fullmatch(cell)]
    counting = [str(start + index) for start in (0, 1) for index in range(len(numbers))]
    if len(numbers) * 2 > len(header) and numbers not in (counting[: len(numbers)], counting[len(numbers) :]):
        raise InputError(f"{path} has no header line: its first line holds numbers, such as {numbers[0]!r}")


def guess_kind(values: pa.Array, header: str, number: str) -> Kind:
    """`text` where most values of a sample do not match `number`, `empty` where a long sample has no value at all."""
    rows = len(values)
    values = pc.drop_null(pc.utf8_trim_whitespace(values))
    known = pc.and_(
        pc.invert(pc.is_in(values, value_set=pa.array(MISSING, values.type))), pc.not_equal(values, header.strip())
    )
    values = values.filter(known)
    numeric = pc.sum(pc.match_substring_regex(values, number)).as_py() or 0
    if not len(values) and rows >= _LONG_SAMPLE:
        return "empty"
    return "text" if numeric * 2 < len(values) else "number"


def share_filled(values: pa.Array) -> float:
    """The share of a sample's cells that have a value; 1 of a short sample."""
    rows = len(values)
    if rows < _LONG_SAMPLE:
        return 1
    values = pc.drop_null(values)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        missing = pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array(MISSING, values.type))
        values = values.filter(pc.invert(missing))
    elif pa.types.is_floating(values.type):
        values = values.filter(pc.invert(pc.is_nan(values)))
    return len(values) / rows


def looks_numeric(values: pa.Array) -> str | None:
    """A value of a sample of text, if most of its values hold little but digits, such as `12%` or `1,23,456`."""
    values = pc.utf8_trim_whitespace(pc.drop_null(values))
    values = values.filter(pc.invert(pc.is_in(values, value_set=pa.array(MISSING, values.type))))
    odd = values.filter(pc.match_substring_regex(values, _NUMBER_LIKE))
    return odd[0].as_py() if len(odd) * 2 > len(values) else None


def to_numbers(values: pa.Array) -> tuple[np.ndarray, np.ndarray | None]:
    """Text → float64, exactly; NaN where there is none, and a mask of the cells that hold something else.

    Every distinct text is read once by Python where Arrow's parser refuses any of them.
    """
    values = pc.utf8_trim_whitespace(values)
    missing = pc.is_in(values, value_set=pa.array(MISSING, values.type))
    values = pc.if_else(missing, pa.scalar(None, values.type), values)
    try:
        return pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), None
    except pa.ArrowInvalid:
        coded = values.dictionary_encode()
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy()
    texts = coded.dictionary.to_pylist()
    numeric = np.array([bool(_NUMBER.fullmatch(text)) for text in texts] + [True])
    numbers = np.array([float(text) if good else np.nan for text, good in zip(texts, numeric, strict=False)] + [np.nan])
    garbled = ~numeric[codes]
    return numbers[codes], garbled if garbled.any() else None


def to_coded(values: pa.Array | pa.ChunkedArray) -> Coded:
    """Text → codes and cleaned names; one name may stand under several codes."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    names = [clean_label(decode(text)) for text in values.dictionary.cast(pa.large_binary()).to_pylist()]
    known = np.array([name not in MISSING for name in names] + [False])
    codes = values.indices.fill_null(len(names)).to_numpy().astype(np.int32)
    return Coded(np.where(known[codes], codes, -1), names)


def unlabelled(count: int) -> Coded:
    """The labels of rows that are read without."""
    return Coded(np.full(count, -1, np.int32), [])


def without_skipped(chunk: Chunk, layout: Layout) -> Chunk:
    """The chunk without its blank rows (nothing but separators) and its repeats of the header, both counted."""
    garbled = np.zeros(chunk.x.shape, bool) if chunk.garbled is None else chunk.garbled
    blank = chunk.labels.codes < 0
    if blank.any():
        no_value = np.isnan(chunk.x) & ~garbled
        for column, coded in chunk.text.items():
            no_value[:, column] = coded.codes < 0
        blank &= no_value.all(axis=1)
    label = clean_label(layout.label_header).lower()
    header = np.array([name.lower() == label for name in chunk.labels.names] + [False])[chunk.labels.codes]
    if header.any():
        header &= garbled[:, ~np.array(layout.text)].all(axis=1)
    keep = ~(blank | header)
    if keep.all():
        return chunk
    return chunk._replace(
        x=chunk.x[keep],
        garbled=None if chunk.garbled is None else chunk.garbled[keep],
        text={column: Coded(coded.codes[keep], coded.names) for column, coded in chunk.text.items()},
        labels=Coded(chunk.labels.codes[keep], chunk.labels.names),
        blank=chunk.blank + int(blank.sum()),
        headers=chunk.headers + int(header.sum()),
    )
