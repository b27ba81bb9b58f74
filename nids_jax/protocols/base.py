"""What an experiment is."""

from dataclasses import Field
from typing import Any, ClassVar
from typing import Protocol as Interface

from nids_jax.data.table import FlowTable
from nids_jax.pipeline.runner import Runner


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
