"""What an experiment is."""

from dataclasses import Field, dataclass
from typing import Any, ClassVar
from typing import Protocol as Interface

from nids_jax.data.split import FOLDS
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.pipeline.runner import Runner
from nids_jax.settings import setting

TUNING_SPLITS = 500_000  # split seeds from here on are those of choices; no run is judged on them


class Protocol(Interface):
    """A frozen dataclass whose settings (`nids_jax.settings`) are the flags of its command.

    One that makes its flows itself has `read()`, which gives the deduplicated table.
    """

    name: ClassVar[str]  # of the command and in the records
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """What data.json says of the table; refuses settings that do not fit it, before anything is computed."""
        ...

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet."""
        ...


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """The split seeds of an experiment."""

    seeds: int = setting(3, "Number of split seeds, from 0.", least=1)
    split_seeds: tuple[int, ...] = setting(
        (), "Exactly these split seeds, such as 3,4,9, instead of the first ones.", least=0, most=TUNING_SPLITS - 1
    )

    @property
    def splits(self) -> tuple[int, ...]:
        """The split seeds, in the order in which they are run."""
        return self.split_seeds or tuple(range(self.seeds))

    def __post_init__(self) -> None:
        """Check the seeds.

        Raises:
          InputError: one of `split_seeds` is there twice.
        """
        twice = [seed for place, seed in enumerate(self.split_seeds) if seed in self.split_seeds[:place]]
        if twice:
            raise InputError(f"`split_seeds` has {twice[0]} twice; name each split seed once")


@dataclass(frozen=True, kw_only=True)
class Disjoint(Seeded):
    """Split seeds of an experiment whose test rows may be kept apart."""

    disjoint_tests: bool = setting(
        False,
        f"Test up to {FOLDS} splits on rows that no other of them tests on: a tenth of each class of 100 rows or more.",
    )

    def __post_init__(self) -> None:
        """Check the seeds.

        Raises:
          InputError: one is named twice, or there are more than can be tested on rows of their own.
        """
        super().__post_init__()
        if self.disjoint_tests and max(self.splits) >= FOLDS:
            raise InputError(
                f"`disjoint_tests` has rows for the split seeds 0 to {FOLDS - 1}, and {max(self.splits)} is asked for; "
                f"give `seeds` up to {FOLDS}, or leave `disjoint_tests` out"
            )
