"""Chunks of rows → the rows to keep, with a running account of all of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from nids_jax.data.duplicates import repeats
from nids_jax.data.io.columns import TIME, Chunk, Coded, Schema, make_layout
from nids_jax.data.io.labels import LONGEST_NAME, UNLABELLED, is_unlabelled, label_key, natural_order
from nids_jax.data.io.moments import seconds
from nids_jax.data.io.notation import Decimal
from nids_jax.data.io.read_report import Counts, ReadReport
from nids_jax.data.io.survey import DataFile, OnInvalid, Survey
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError

_MAX_CLASSES = 1000
_MAX_CATEGORIES = 256  # a text column with more distinct values is free text,
_FEW_CATEGORIES = 20  # and so is one with more than these and than half as many as there are rows
_NO_LABEL, _LEFT_OUT = -1, -2
_UNKNOWN = "?"  # the category of imputed names


class Collector:
    """The rows kept so far and what became of the others; see `read_flows` for the arguments."""

    def __init__(
        self,
        label_column: str | None,
        keep_ports: bool,
        on_invalid: OnInvalid,
        cap: int | None,
        rename: Callable[[str], str | None] | None,
        identifiers: frozenset[str] = frozenset(),
        decimal: Decimal | None = None,
        keep_times: bool = False,
        keep_unlabelled: bool = False,
    ) -> None:
        self._keep_unlabelled = keep_unlabelled
        self._survey = Survey(label_column, keep_ports, on_invalid, identifiers, decimal, keep_times)
        self._on_invalid = on_invalid
        self._cap = cap
        self._rename = rename or (lambda name: name)
        self._ids: dict[str, int] = {}  # label as published -> class id, or _LEFT_OUT
        self._names: list[str] = []  # class names by id
        self._keys: dict[str, int] = {}  # what a name's spellings have in common -> class id
        self._spellings: dict[str, str] = {}  # other spelling -> class name
        self._encoders: dict[str, dict[str, int]] = {}  # categorical feature -> category name -> code
        self._free_text: set[str] = set()
        self._x = _Rows(0)
        self._y: list[np.ndarray] = []
        self._files: dict[str, Counter[str]] = {}
        self._classes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._invalid_values: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._unlabelled: set[str] = set()  # labels that say that there is none
        self._without_label = 0  # rows

    def read(self, file: DataFile, advance: Callable[[int], object]) -> None:
        """Collect the rows of one file.

        Raises:
          InputError: the file does not fit the first one or cannot be parsed, or holds invalid values where none
            are allowed.
        """
        tally = self._files[str(file.path)] = Counter()
        if not file.has_rows:
            return
        schema = self._look(file)
        layout = make_layout(schema, file.header, file.path)
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for chunk in file.chunks(layout, advance):
            self._add(chunk, schema, tally, found)
        if self._on_invalid == "error":
            _refuse_invalid(file.path, tally, found)
        for column, kinds in found.items():
            self._invalid_values[column] += kinds

    def _look(self, file: DataFile) -> Schema:
        first = self._survey.schema is None
        schema = self._survey.look(file)
        if first:
            self._x = _Rows(len(schema.features))
            for feature in schema.features:
                if feature in schema.text and feature != TIME:
                    names = schema.declared.get(feature, ())
                    self._encoders[feature] = {name: code for code, name in enumerate(names)}
        return schema

    def _add(self, chunk: Chunk, schema: Schema, tally: Counter[str], found: defaultdict[str, Counter[str]]) -> None:
        skipped = chunk.malformed
        if chunk.unterminated and self._cut_short(chunk.labels):
            skipped += 1
            chunk = chunk._replace(x=chunk.x[:0], garbled=None, text={}, labels=Coded(chunk.labels.codes[:0], []))
        tally.update(
            read=len(chunk.x) + skipped,
            invalid=skipped,
            malformed=skipped,
            blank=chunk.blank,
            headers=chunk.headers,
        )
        if not len(chunk.x):
            return
        y = self._class_ids(chunk.labels, schema.label)
        x = chunk.x
        for column, coded in chunk.text.items():
            feature = schema.features[column]
            x[:, column] = seconds(coded) if feature == TIME else self._encode(schema, feature, coded)
        asked = y != _LEFT_OUT
        judged = [column for column, feature in enumerate(schema.features) if feature != TIME]
        incomplete = ~np.isfinite(x if len(judged) == x.shape[1] else x[:, judged]).all(axis=1)
        faulty = (incomplete | (y == _NO_LABEL)) & asked
        if faulty.any():
            _note_faults(chunk, y, faulty, schema, found)
        invalid = (y == _NO_LABEL) | (incomplete & asked & (self._on_invalid != "impute"))
        valid = asked & ~invalid
        keep = self._below_cap(y, valid)
        self._count(chunk.labels, y, tally, invalid=invalid, capped=valid & ~keep, kept=keep)
        if keep.any():
            self._x.append(x if keep.all() else x[keep])
            self._y.append(y[keep])

    def _cut_short(self, labels: Coded) -> bool:
        """Whether the only label is new and just the beginning of a label seen before."""
        if len(labels.codes) != 1 or labels.codes[0] < 0:
            return False
        name = labels.names[labels.codes[0]]
        return name not in self._ids and any(known.startswith(name) for known in self._ids)

    def _class_ids(self, labels: Coded, header: str) -> np.ndarray:
        table = np.full(len(labels.names) + 1, _NO_LABEL, np.int32)
        for code in np.unique(labels.codes[labels.codes >= 0]):
            name = labels.names[code]
            if len(name) > LONGEST_NAME:
                raise InputError(
                    f"column {header!r} holds {name[:40]!r} and so on, {len(name):,} characters, so it is no class"
                    " label; name the label with label_column"
                )
            if is_unlabelled(name):
                self._unlabelled.add(name)
                continue
            if name not in self._ids:
                new = self._rename(name)
                self._ids[name] = _LEFT_OUT if new is None else self._class_id(new)
                if len(self._ids) > _MAX_CLASSES:
                    raise InputError(
                        f"column {header!r} holds more than {_MAX_CLASSES:,} different values, such as {name!r}, so it "
                        "is no class label; name the label with label_column"
                    )
            table[code] = self._ids[name]
        y = table[labels.codes]
        without = y == _NO_LABEL
        self._without_label += int(without.sum())
        if self._keep_unlabelled and without.any():
            y[without] = self._class_id(UNLABELLED)
        return y

    def _class_id(self, name: str) -> int:
        """The number of a class; spellings of one name count as one, the first one read."""
        key = label_key(name)
        if key not in self._keys:
            self._keys[key] = len(self._names)
            self._names.append(name)
        first = self._names[self._keys[key]]
        if name != first:
            self._spellings[name] = first
        return self._keys[key]

    def _encode(self, schema: Schema, feature: str, coded: Coded) -> np.ndarray:
        """Category codes of a text column, NaN where there is no name."""
        encoder = self._encoders[feature]
        if feature in self._free_text:
            return np.zeros(len(coded.codes))
        table = np.full(len(coded.names) + 1, np.nan)
        for code in np.unique(coded.codes[coded.codes >= 0]):
            name = coded.names[code]
            table[code] = encoder.setdefault(name, len(encoder))
        if len(encoder) > _MAX_CATEGORIES and feature not in schema.declared:
            self._free_text.add(feature)
            return np.zeros(len(coded.codes))
        values = table[coded.codes]
        if self._on_invalid == "impute" and np.isnan(values).any():
            values[np.isnan(values)] = encoder.setdefault(_UNKNOWN, len(encoder))
        return values

    def _below_cap(self, y: np.ndarray, valid: np.ndarray) -> np.ndarray:
        if self._cap is None:
            return valid
        keep = np.zeros(len(y), bool)
        for label in np.unique(y[valid]):
            rows = np.flatnonzero(valid & (y == label))
            keep[rows[: self._cap - self._classes[self._names[label]]["kept"]]] = True
        return keep

    def _count(self, labels: Coded, y: np.ndarray, tally: Counter[str], **masks: np.ndarray) -> None:
        for label in np.unique(y[y >= 0]):
            rows = y == label
            self._classes[self._names[label]].update(
                read=int(rows.sum()), **{what: int((mask & rows).sum()) for what, mask in masks.items()}
            )
        for code in np.unique(labels.codes[y == _LEFT_OUT]):
            rows = int((labels.codes == code).sum())
            self._classes[labels.names[code]].update(read=rows, excluded=rows)
        tally.update(excluded=int((y == _LEFT_OUT).sum()), **{what: int(mask.sum()) for what, mask in masks.items()})

    def finish(self, order: Sequence[str], remarks: Sequence[str]) -> tuple[FlowTable, ReadReport]:
        """The table of all kept rows, its classes in `order` and then sorted, and the report with these remarks.

        Raises:
          InputError: no row was kept, or no feature is left.
        """
        total = sum(self._files.values(), Counter[str]())
        schema = self._survey.schema
        if schema is None or not any(self._classes[name]["kept"] for name in self._names if name != UNLABELLED):
            raise InputError(self._why_nothing(total))
        y = np.concatenate(self._y)
        x = self._x.finish()
        imputed = self._impute(x, schema)
        features, x, categories, free_text = self._categorise(x, schema)
        named = {self._names[label] for label in np.unique(y)}
        classes = [name for name in order if name in named]
        classes += natural_order([name for name in named if name not in classes])
        y = np.array([classes.index(name) if name in named else 0 for name in self._names], np.int32)[y]
        table = FlowTable(x=x, y=y, features=features, classes=tuple(classes), categories=categories)
        return table, self._report(table, total, imputed, {**schema.dropped, **free_text}, remarks)

    def _why_nothing(self, total: Counter[str]) -> str:
        files = list(self._files)
        where = files[0] if len(files) == 1 else f"the {len(files)} files from {files[0]} to {files[-1]}"
        if not total["read"]:
            return f"{where} hold{'s' if len(files) == 1 else ''} no data row, only a header"
        total["invalid"] -= total["malformed"]
        schema = self._survey.schema
        judged = total["invalid"] + total["capped"] + total["kept"]
        if schema is not None and judged and self._without_label == judged:
            found = f"holds only {', '.join(map(repr, sorted(self._unlabelled)))}" if self._unlabelled else "is empty"
            return f"no row of {where} has a label: column {schema.label!r} {found}; label them, or pass `label_column`"
        reasons = [f"{total[what]:,} {text}" for what, text in _REASONS.items() if total[what]]
        worst = max(self._invalid_values, key=lambda name: self._invalid_values[name].total(), default=None)
        if worst is not None:
            reasons[-1] += f" (column {worst!r} has {_kinds(self._invalid_values[worst])})"
            if schema is not None and worst in schema.features:
                reasons.append("pass `on_invalid=impute` to fill them")
        return f"no row of {where} can be used: of {total['read']:,} rows " + "; ".join(reasons)

    def _impute(self, x: np.ndarray, schema: Schema) -> dict[str, int]:
        """Replace, in place, what is not finite by the median of its column; cells replaced per feature."""
        imputed: dict[str, int] = {}
        if self._on_invalid != "impute":
            return imputed
        for column, feature in enumerate(schema.features):
            if feature == TIME:
                continue
            if feature in self._encoders:
                unknown = self._encoders[feature].get(_UNKNOWN)
                cells = int((x[:, column] == unknown).sum()) if unknown is not None else 0
            else:
                valid = np.isfinite(x[:, column])
                cells = int((~valid).sum())
                if cells == len(x):
                    raise InputError(f"column {feature!r} has no valid value in any row, so nothing can be imputed")
                x[~valid, column] = np.median(x[valid, column])
            if cells:
                imputed[feature] = cells
        return imputed

    def _categorise(
        self, x: np.ndarray, schema: Schema
    ) -> tuple[tuple[str, ...], np.ndarray, dict[str, tuple[str, ...]], dict[str, str]]:
        """Sort the categories that no file declared, and leave out the columns of free text."""
        categories: dict[str, tuple[str, ...]] = {}
        free_text: dict[str, str] = {}
        for feature, encoder in self._encoders.items():
            column = schema.features.index(feature)
            if feature in schema.declared:
                categories[feature] = tuple(encoder)
                continue
            used = np.unique(x[:, column]).astype(int)
            if feature in self._free_text or len(used) > max(_FEW_CATEGORIES, len(x) // 2):
                free_text[feature] = "free text"
                continue
            names = tuple(encoder)
            if any(len(names[code]) > LONGEST_NAME for code in used):
                free_text[feature] = "free text"
                continue
            categories[feature] = tuple(natural_order([names[code] for code in used]))
            codes = np.zeros(len(names))
            codes[used] = [categories[feature].index(names[code]) for code in used]
            x[:, column] = codes[x[:, column].astype(int)]
        kept = [column for column, feature in enumerate(schema.features) if feature not in free_text]
        if not kept:
            raise InputError(f"no feature is left: {', '.join(free_text)} hold free text")
        features = tuple(schema.features[column] for column in kept)
        return features, x[:, kept] if free_text else x, categories, free_text

    def _report(
        self,
        table: FlowTable,
        total: Counter[str],
        imputed: Mapping[str, int],
        dropped: Mapping[str, str],
        remarks: Sequence[str],
    ) -> ReadReport:
        duplicate = repeats(table.x, table.y)
        total["duplicate"] = int(duplicate.sum())
        ends = np.cumsum([tally["kept"] for tally in self._files.values()])
        for tally, rows in zip(self._files.values(), np.split(duplicate, ends[:-1]), strict=True):
            tally["duplicate"] = int(rows.sum())
        for label, name in enumerate(table.classes):
            self._classes[name]["duplicate"] = int(duplicate[table.y == label].sum())
        names = [*table.classes, *natural_order([name for name in self._classes if name not in table.classes])]
        return ReadReport(
            **total,
            files={path: Counts(**tally) for path, tally in self._files.items()},
            classes={name: Counts(**self._classes[name]) for name in names},
            invalid_values={column: dict(kinds) for column, kinds in self._invalid_values.items()},
            imputed=imputed,
            spellings=self._spellings,
            dropped_columns=dropped,
            remarks=(*self._survey.remarks, *self._costly(total["read"]), *remarks),
        )

    def _costly(self, rows: int) -> list[str]:
        """Columns for whose missing values most rows are dropped."""
        return [
            f"column {name!r} has no value in {kinds['missing']:,} of {rows:,} rows, which are dropped for that"
            for name, kinds in self._invalid_values.items()
            if self._on_invalid == "drop" and 2 * kinds["missing"] > rows
        ]


_REASONS = {
    "kept": "have no label",
    "malformed": "have more or fewer fields than the header",
    "excluded": "are of classes left out",
    "invalid": "are invalid",
}


def _note_faults(
    chunk: Chunk, y: np.ndarray, faulty: np.ndarray, schema: Schema, found: defaultdict[str, Counter[str]]
) -> None:
    """Add up, per column, the missing, infinite and non-numeric cells of the faulty rows."""
    x = chunk.x[faulty]
    garbled = np.zeros(x.shape, bool) if chunk.garbled is None else chunk.garbled[faulty]
    kinds = {"missing": np.isnan(x) & ~garbled, "infinite": np.isinf(x), "non-numeric": garbled}
    for kind, cells in kinds.items():
        for column in np.flatnonzero(cells.any(axis=0)):
            found[schema.features[column]][kind] += int(cells[:, column].sum())
    unlabelled = int((y[faulty] == _NO_LABEL).sum())
    if unlabelled:
        found[schema.label]["missing"] += unlabelled


def _refuse_invalid(path: Path, tally: Counter[str], found: Mapping[str, Counter[str]]) -> None:
    if found:
        column, kinds = max(found.items(), key=lambda item: item[1].total())
        others = f" ({len(found) - 1} more column{'s' * (len(found) > 2)} likewise)" if len(found) > 1 else ""
        raise InputError(f"column {column!r} has {_kinds(kinds)} in {path}{others}; pass `on_invalid=drop`")
    if tally["malformed"]:
        rows = "1 row" if tally["malformed"] == 1 else f"{tally['malformed']:,} rows"
        raise InputError(f"{path} has {rows} with more or fewer fields than the header; pass `on_invalid=drop`")


def _kinds(kinds: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} {kind} value{'s' * (count > 1)}" for kind, count in kinds.items())


class _Rows:
    """Rows in the order they come, in one array that grows."""

    def __init__(self, width: int) -> None:
        self._x = np.empty((0, width))
        self._count = 0

    def append(self, rows: np.ndarray) -> None:
        end = self._count + len(rows)
        if end > len(self._x):
            self._resize(max(end, len(self._x) * 9 // 8))
        self._x[self._count : end] = rows
        self._count = end

    def finish(self) -> np.ndarray:
        self._resize(self._count)
        return self._x

    def _resize(self, count: int) -> None:
        # In place: the system moves a large array's pages rather than its values.
        self._x.resize((count, self._x.shape[1]), refcheck=False)
