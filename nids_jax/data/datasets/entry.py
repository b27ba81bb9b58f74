"""What is known about a dataset: all that the rest of the package asks about one by its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nids_jax.data.io.survey import OnInvalid
from nids_jax.flows.meter import Compat

Method = tuple[str, str]  # a training set and the classifier trained on it, as in the records


class Cell(NamedTuple):
    """What P2 prints of one training set and classifier, in percent."""

    precision: float
    recall: float
    f1: float

    @property
    def impossible(self) -> bool:
        """Whether F1 exceeds (P + R) / 2 by more than rounding to two digits can make it.

        2PR / (P + R) ≤ (P + R) / 2, for every class as for the macro averages; hence the mean of the classes' F1 does
        not exceed the mean of the macro averages either.
        """
        return self.f1 > (self.precision + self.recall) / 2 + 0.01


@dataclass(frozen=True, kw_only=True)
class Printed:
    """The papers' own figures on a dataset, to stand beside ours."""

    few_shot: Mapping[Method, str] = field(default_factory=dict)  # accuracy in P1's Tables IV and V
    detectors: Mapping[int, Mapping[str, float]] = field(default_factory=dict)  # rows a class → {classifier: accuracy}
    imbalance: Mapping[Method, Cell] = field(default_factory=dict)  # P2's Tables 3 and 4
    rows: Mapping[str, int] = field(default_factory=dict)  # P2's Tables 1 and 2
    explained: tuple[str, ...] = ()  # the features that P1 names beside its Fig. 8


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset by name; a new one is a module of this package and a line in its list."""

    name: str
    classes: tuple[str, ...]  # canonical names
    source: str
    benign: str = ""  # the class of traffic that is no attack; default: the first one
    identifiers: frozenset[str] = frozenset()  # further columns that are no features, by normalised header
    attempted: str = ""  # the word that marks flows of attacks without effect (`DoS Hulk - Attempted`)
    spellings: Mapping[str, str] = field(default_factory=dict)  # normalised other spelling -> canonical name
    merged: Mapping[str, str] = field(default_factory=dict)  # the same, where merging is a choice
    cap: int | None = None  # first rows per class that P1 keeps
    test_per_class: int = 1_000  # P1's test rows per class at most (its number for cicids2017, where it says nothing)
    dos_tools: frozenset[str] = frozenset()  # classes that P2 merges into `DoS`
    codes: tuple[str, ...] = ()  # features written as numbers that are names: P2 encodes them one-hot
    on_invalid: OnInvalid = "drop"
    meter: Compat = "corrected"  # the mode of our flow meter that is nearest to the program that metered it
    packaged: str = ""  # a file of the package that holds the whole dataset; else it is read from a folder
    simulated_rows: int = 0  # above 0: the package simulates so many rows of each class, and reads no files
    printed: Printed = Printed()

    def __post_init__(self) -> None:
        if not self.benign:
            object.__setattr__(self, "benign", self.classes[0])


def printed_cells(*lines: tuple[str, tuple[float, ...]]) -> dict[Method, Cell]:
    """Lines of P2's Tables 3 and 4: the training set; P, R and F1 of XGBoost, random forest and decision tree each."""
    classifiers = ("xgboost", "random_forest", "decision_tree")
    return {
        (name, classifier): Cell(figures[i], figures[3 + i], figures[6 + i])
        for name, figures in lines
        for i, classifier in enumerate(classifiers)
    }


def printed_detectors(rows: Mapping[int, tuple[float, ...]]) -> dict[int, dict[str, float]]:
    """Lines of P1's Table IV, by rows a class."""
    columns = ("cnn_bilstm", "bilstm_bigru", "bilstm", "random_forest", "knn", "cnn_bigru")
    return {count: dict(zip(columns, figures, strict=True)) for count, figures in rows.items()}
