# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions at import, where no checker sees them)
"""Which column of a file is the label: found by its name, or asked for."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nids_jax.data.io.labels import clean_label
from nids_jax.data.io.notation import MISSING
from nids_jax.errors import InputError
from nids_jax.flows.schema import canonical_name, normalise

# Names under which the public intrusion datasets publish their answer, best first.  All of them are kept out of the
# features: `attack_cat` beside `label` would give it away.
LABELS = (
    "label",
    "class",
    "result",
    "attack_cat",
    "attack_type",
    "categorized_result",
    "specific_result",
    "binary_result",
    "attack",
    "attack_label",
    "attack_name",
    "label_binary",
    "label_multiclass",
    "detailed_label",
)

# Of these, the names that say enough where others stand beside them.
_SURE = ("label", "class", "result", "categorized_result", "specific_result", "binary_result")

# Columns that name the kind of attack beside a label of another name; too general to be taken for the label.
BESIDE_LABELS = ("type", "category", "subcategory", "traffic_type")

_LISTED = 20  # columns that an error lists
_COARSE = 2  # values of a label that may only say whether there is an attack


def find_label(header: Sequence[str], names: Sequence[str], path: Path, wanted: str | None, default: int | None) -> int:
    """The number of the label's column: the one `wanted` in any spelling, else one of LABELS, else the default.

    Raises:
      InputError: there is none, or several may be it.
    """
    cells = [cell.strip() for cell in header]
    listed = _listed(cells)
    if wanted is not None:
        for spellings, key in (
            (cells, wanted.strip()),
            ([normalise(cell) for cell in cells], normalise(wanted)),
            (names, canonical_name(wanted)),
        ):
            if key and key in spellings:
                return list(spellings).index(key)
        raise InputError(f"{path} has no column {wanted!r} for the label; its columns are: {listed}")
    found = [name for name in LABELS if name in names]
    rivals = [cell for cell, name in zip(cells, names, strict=True) if name in (*LABELS, "category", "subcategory")]
    if found and found[0] not in _SURE and len(rivals) > 1:
        raise InputError(f"{path} has several columns that may be the label: {', '.join(rivals)}; pass `label_column`")
    if found:
        return names.index(found[0])
    if default is not None:
        return default
    raise InputError(f"{path} has no label column; name one with `label_column`, out of: {listed}")


def _listed(cells: Sequence[str]) -> str:
    """The last columns, where labels mostly are."""
    shown = ", ".join(cells[-_LISTED:])[:3000]
    more = len(cells) - _LISTED
    return f"{shown} and {more:,} before these" if more > 0 else shown


def refuse_coarse(label: int, header: Sequence[str], names: Sequence[str], path: Path, values: list[str]) -> None:
    """Ask for the label where one of two values was found beside a column that may name the kind of attack.

    Raises:
      InputError: there is such a column.
    """
    beside = {*LABELS, *BESIDE_LABELS}
    rivals = [header[i].strip() for i, name in enumerate(names) if i != label and name in beside]
    if rivals and 1 <= len(values) <= _COARSE:
        found = header[label].strip()
        raise InputError(
            f"{path} has the label {found!r}, which holds only {' and '.join(map(repr, values))}, and "
            f"{', '.join(map(repr, rivals))} beside it; say with `label_column` which one to learn"
        )


def shown_values(values: pa.Array) -> list[str]:
    """The distinct values of a sample as text, if they are at most _COARSE; else none."""
    known = pc.unique(pc.drop_null(values))
    if len(known) > 1000:
        return []
    texts = sorted({clean_label(str(each)) for each in known.to_pylist()} - {*MISSING})
    return texts if len(texts) <= _COARSE else []
