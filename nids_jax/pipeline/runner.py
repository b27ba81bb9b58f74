"""The runner of all experiments: what is done already, choices on tuning rows, failures, and a record of every run."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from nids_jax import store
from nids_jax.errors import InputError, TrainingError
from nids_jax.runtime import CompileClock
from nids_jax.training import callbacks

TUNING = "tuning.json"
Unit = TypeVar("Unit", bound=Hashable)


@dataclass(kw_only=True)
class Runner:
    """Carries one experiment into its output folder.

    A protocol asks it for its share of the units (splits, mostly), whether a run is recorded, for choices among a few
    candidates, and hands over what a run found.  A recorded run is never computed again.
    """

    output_dir: Path  # receives records.jsonl, tuning.json and runs/
    command: Sequence[str] = ()  # the program's arguments, for the records
    say: Callable[[str], object] = print  # called with a line per finished run
    shard: tuple[int, int] = (0, 1)  # this process takes unit number i where i mod the second is the first
    progress: bool = True  # bars on standard error
    clock: CompileClock = field(default_factory=CompileClock)

    def __post_init__(self) -> None:
        place, count = self.shard
        if not 0 <= place < count:
            raise InputError(f"`shard` is {place}/{count}; shards are numbered from 0 to {count - 1}")
        self.done = store.finished(self.output_dir)
        self._failures: list[str] = []

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Where the runs take place, for the records."""
        return store.environment(self.command)

    def share(self, units: Iterable[Unit]) -> list[Unit]:
        """Those of the units that this process runs, each once however often it is named."""
        place, count = self.shard
        return [unit for number, unit in enumerate(dict.fromkeys(units)) if number % count == place]

    def is_done(self, key: store.RunKey) -> bool:
        """Whether the run with this key is recorded."""
        return key in self.done

    def record(self, key: store.RunKey, found: dict[str, Any]) -> None:
        """Record a finished run under its key: the values of `store.KEY`."""
        entry = {**dict(zip(store.KEY, key, strict=True)), **found, "environment": self.environment}
        store.append(self.output_dir, entry)
        self.done.add(key)

    @contextmanager
    def unit(self, title: str) -> Iterator[None]:
        """Around the runs of a unit: a training that diverges ends this unit and not the others."""
        try:
            with callbacks.unit(title):
                yield
        except TrainingError as error:
            self._failures.append(f"{title}: {error}")
            self.say(f"{title} failed: {error}")

    def finish(self) -> None:
        """To be called when all units are through.

        Raises:
          TrainingError: some of them failed; what the others found is recorded.
        """
        if self._failures:
            more = f" (and {len(self._failures) - 1} more)" if len(self._failures) > 1 else ""
            raise TrainingError(f"{self._failures[0]}{more}; the other runs are recorded")

    def choose(self, entry: str, name: str, candidates: Sequence[float], score: Callable[[float], float]) -> float:
        """The candidate with the highest score, the first of equal ones; scores are kept and never computed again.

        Args:
          entry: what the choice is for, the key in tuning.json.
          name: of what is chosen, for the line that is said.
          score: macro F1 on rows that no run is judged on.
        """
        path = self.output_dir / TUNING
        for candidate in candidates:
            known = store.read_json(path) if path.exists() else {}
            scores = known.setdefault(entry, {})
            if str(candidate) not in scores:
                scores[str(candidate)] = score(candidate)
                store.write_json(path, known)
                self.say(f"tuning, {entry}: {name} {candidate:g}, macro F1 {scores[str(candidate)]:.4f}")
        scores = store.read_json(path)[entry]
        return max(candidates, key=lambda candidate: scores[str(candidate)])
