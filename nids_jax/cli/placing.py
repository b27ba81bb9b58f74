"""Where units of work are carried out, and where their results go: what commands in units have in common."""

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nids_jax.errors import InputError

if TYPE_CHECKING:
    from nids_jax.pipeline.runner import Executor


@dataclass(frozen=True, kw_only=True)
class Placing:
    """What the flags of the same names say; each command words their help."""

    output_dir: str | None
    shard: str | None
    cluster: str | None

    def folder(self) -> Path:
        """The output folder.

        Raises:
          InputError: none is named.
        """
        if not self.output_dir:
            raise InputError("`output_dir` is missing; name a folder for the results")
        return Path(self.output_dir)

    def executor(self, *, computes: bool = True) -> "AbstractContextManager[Executor | None]":
        """Where units are carried out: None is in this process.

        Args:
          computes: whether units compute with JAX.

        Raises:
          InputError: Ray is not installed; within `with`, there is no cluster.
        """
        return executor(self.cluster, computes=computes)

    def share(self) -> tuple[int, int]:
        """(K, N) of `shard`; (0, 1) without one.

        Raises:
          InputError: it is not K/N.
        """
        found = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", self.shard or "0/1")
        if found is None or not int(found[2]):
            raise InputError(f"`shard` is {(self.shard or '')[:80]!r}; write K/N, such as 0/4 for the first of four")
        return int(found[1]), int(found[2])


def executor(address: str | None, *, computes: bool = True) -> "AbstractContextManager[Executor | None]":
    """Where units are carried out: None is in this process, without an address.

    Args:
      address: of a Ray cluster.
      computes: whether units compute with JAX.

    Raises:
      InputError: Ray is not installed, or the address is none; within `with`, there is no cluster.
    """
    if address is None:
        return nullcontext()
    from nids_jax.pipeline.cluster import Cluster  # here, as --help of what needs none imports little

    return Cluster(address, computes=computes)
