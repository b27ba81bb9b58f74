"""The specification of a generator: all that the rest of the package asks about one by its name."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from nids_jax.flows.compat import DEFAULT, Compat
from nids_jax.generators.base import Generator
from nids_jax.generators.heads import Blocks


class Columns(NamedTuple):
    """What a generator must know of the scaled columns."""

    bounded: bool = False  # they lie within [-1, 1]
    blocks: Blocks = ()  # the columns of each categorical feature (`Scaler.blocks`)


class Settings(Protocol):
    """A generator's settings: a frozen dataclass."""

    def fitted(self, rows: int, columns: Columns) -> Self:
        """The same for so many training rows with these columns."""
        ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """What generators may need to be made; each takes what concerns it."""

    settings: Any = None  # the family's `Settings`, fitted to the rows; None for a generator without a family
    pretrained: Any = None  # a `transfer.Pretrained` model of auxiliary rows, scaled alike
    checkpoint_dir: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)  # stored with the checkpoint
    progress: bool = False
    columns: Columns = field(default_factory=Columns)  # of the scaled rows
    # For a generator of rows in raw units: the canonical names of the columns, which of them hold codes of names, and
    # how the rows were metered.
    features: tuple[str, ...] = ()
    categories: Collection[str] = ()
    compat: Compat = DEFAULT


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec:
    """A generator by name.

    The registry lists the specifications in the order in which reports show them.
    """

    name: str
    make: Callable[[Request], Generator]
    summary: str  # one line for `--help` and the documentation
    family: str = ""  # whose settings it takes: the specs of a family share one config and its presets
    presets: Mapping[str, Settings] = field(default_factory=dict)  # the family's settings by preset
    learns: bool = True  # it trains a model, which the rows of a majority class would swamp
    samples_model_of: str = ""  # the generator whose trained model it samples, where that is another
    timesteps: bool = False  # `NAME_500` is this generator with T = 500
    # "auxiliary", "packets" or "tools": it cannot be made without these; "weighted tools": nor without weights for
    # rows; "columns": it makes rows in raw units, whose columns it knows by name.
    needs: str = ""
    beside: str = ""  # the generator whose rows stand beside the simulated ones, those of a class together as heavy
    starts_from_auxiliary: bool = False  # it makes use of a pre-trained model where there is one
    metered: bool = False  # its rows are what a meter makes of packets, so that nothing in them is to be repaired
    repeated_rows: bool = True  # it may be fitted on rows that repeat
    compared_in: frozenset[str] = frozenset()  # experiments that run it unless told otherwise
