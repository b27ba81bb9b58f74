"""FlowTable: flow records with their labels (the papers' Network Traffic Feature Matrix)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from nids_jax.flows.schema import normalise

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class FlowTable:
    """NTFM = [F, L] (P1 III.B): `n` flows of `d` features with one label each."""

    x: np.ndarray  # [n, d] float64, raw units; a categorical column holds codes 0, 1, …
    y: np.ndarray  # [n] int32, index into `classes`
    features: tuple[str, ...]  # d canonical names
    classes: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # categorical feature -> name of each code
    benign: str | None = None  # the class of traffic that is no attack; None: the one whose name says so, if any

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.shape != (len(self.y), len(self.features)):
            raise ValueError(
                f"x has shape {self.x.shape}, but there are {len(self.y)} labels and {len(self.features)} feature names"
            )
        if len(self.y) and not (self.y.min() >= 0 and self.y.max() < len(self.classes)):
            raise ValueError(f"labels span {self.y.min()}..{self.y.max()}, but there are {len(self.classes)} classes")
        if self.benign is None:
            object.__setattr__(self, "benign", benign_class(self.classes))
        elif self.benign not in self.classes:
            raise ValueError(f"the benign class {self.benign!r} is not among {', '.join(self.classes)}")
        for name, names in self.categories.items():
            if name not in self.features:
                raise ValueError(f"categories are given for {name!r}, which is not a feature")
            codes = self.x[:, self.features.index(name)]
            if not np.isin(codes, np.arange(len(names))).all():
                raise ValueError(f"column {name!r} holds codes outside its {len(names)} categories")

    def __len__(self) -> int:
        return len(self.y)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class, in the order of `classes`."""
        found = np.bincount(self.y, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, found, strict=True)}

    def to_frame(self) -> "pd.DataFrame":
        """The flows as a data frame: categories and the last column, `Label`, as text."""
        import pandas as pd  # here: half a second

        frame = pd.DataFrame(self.x, columns=list(self.features))
        for name, names in self.categories.items():
            frame[name] = [names[int(code)] for code in frame[name]]
        frame["Label"] = [self.classes[label] for label in self.y]
        return frame

    def take(self, rows: np.ndarray) -> "FlowTable":
        """The flows at `rows` (indices or a mask); classes stay as they are, even those left empty."""
        return replace(self, x=self.x[rows], y=self.y[rows])

    def select(self, features: tuple[str, ...]) -> "FlowTable":
        """The same flows with these columns only, in this order.

        Raises:
          ValueError: a name is not among `features`.
        """
        missing = [name for name in features if name not in self.features]
        if missing:
            raise ValueError(f"no column {missing[0]!r}; the table has {', '.join(self.features)}")
        columns = [self.features.index(name) for name in features]
        kept = {name: names for name, names in self.categories.items() if name in features}
        return replace(self, x=self.x[:, columns], features=tuple(features), categories=kept)

    def regroup(self, renamed: Mapping[str, str], classes: tuple[str, ...]) -> "FlowTable":
        """The flows of the classes named in `renamed` (old name → new name); the new names are among `classes`."""
        code = np.array([classes.index(renamed[name]) if name in renamed else -1 for name in self.classes])
        rows = np.flatnonzero(code[self.y] >= 0)
        benign = None if self.benign is None else renamed.get(self.benign)
        return replace(self, x=self.x[rows], y=code[self.y[rows]].astype(np.int32), classes=classes, benign=benign)


def benign_class(classes: Sequence[str]) -> str | None:
    """The class that is no attack: the first called benign…, normal…, background… or legitimate… in any case."""
    names = ("benign", "normal", "background", "legitimate")
    return next((name for name in classes if normalise(name).startswith(names)), None)


def concatenate(tables: Sequence[FlowTable]) -> FlowTable:
    """The rows of all tables, one table after the other.

    Raises:
      ValueError: no table, or their features, classes or categories differ.
    """
    if not tables:
        raise ValueError("there is no table to concatenate")
    first = tables[0]
    for other in tables[1:]:
        for part in ("features", "classes", "categories"):
            if getattr(other, part) != getattr(first, part):
                raise ValueError(f"the tables' {part} differ: {getattr(first, part)} and {getattr(other, part)}")
    return replace(
        first, x=np.concatenate([table.x for table in tables]), y=np.concatenate([table.y for table in tables])
    )
