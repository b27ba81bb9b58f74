"""FlowTable: flow records with their labels (the papers' Network Traffic Feature Matrix)."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, kw_only=True)
class FlowTable:
    """NTFM = [F, L] (P1 III.B): `n` flows of `d` features with one label each."""

    x: np.ndarray  # [n, d] float64, raw units
    y: np.ndarray  # [n] int32, index into `classes`
    features: tuple[str, ...]  # d canonical names
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.shape != (len(self.y), len(self.features)):
            raise ValueError(
                f"x has shape {self.x.shape}, but there are {len(self.y)} labels and {len(self.features)} feature names"
            )
        if len(self.y) and not (self.y.min() >= 0 and self.y.max() < len(self.classes)):
            raise ValueError(f"labels span {self.y.min()}..{self.y.max()}, but there are {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.y)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class, in the order of `classes`."""
        found = np.bincount(self.y, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, found, strict=True)}

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
        return replace(self, x=self.x[:, columns], features=tuple(features))
