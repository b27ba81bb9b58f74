"""The runner of all experiments: what is done already, choices on tuning rows, failures, and a record of every run.

An experiment is made of units of work, which `each` carries out: one after the other in this process, or wherever an
`Executor` takes them, such as the machines of a cluster (`pipeline.cluster`).  Other work in units (the captures of
many sensors, the files of a generation) goes the same way; its results are files, so it asks for no record.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nids_jax import store
from nids_jax.errors import InputError, TrainingError
from nids_jax.runtime import CompileClock
from nids_jax.training import callbacks

TUNING = "tuning.json"
Unit = TypeVar("Unit", bound=Hashable)


class Executor(Protocol):
    """Where units of work are carried out, if not one after the other in this process."""

    def run(
        self,
        runner: "Runner",
        units: Sequence[Any],
        work: Callable[..., Any],
        shared: Sequence[Any],
        title: Callable[[Any], str],
    ) -> list[Any]:
        """As `Runner.each`; what a unit hands over reaches this runner."""
        ...


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
    executor: Executor | None = None  # where units are carried out; None: here, one after the other
    failures: list[str] = field(default_factory=list)  # of units, each with its title

    def __post_init__(self) -> None:
        place, count = self.shard
        if not 0 <= place < count:
            raise InputError(f"`shard` is {place}/{count}; shards are numbered from 0 to {count - 1}")
        self.done, self.scores = self.recorded()

    def recorded(self) -> tuple[set[store.RunKey], dict[str, dict[str, float]]]:
        """The keys of the runs on the disk, and the scores of choices, by what is chosen for and by candidate."""
        path = self.output_dir / TUNING
        return store.finished(self.output_dir), store.read_object(path) if path.exists() else {}

    @cached_property
    def clock(self) -> CompileClock:
        """Of all compilations since the first question, which is before the first of them."""
        return CompileClock()

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Where the runs take place, for the records."""
        return store.environment(self.command)

    def share(self, units: Iterable[Unit]) -> list[Unit]:
        """Those of the units that this process runs, each once however often it is named."""
        place, count = self.shard
        return [unit for number, unit in enumerate(dict.fromkeys(units)) if number % count == place]

    def each(
        self, units: Sequence[Unit], work: Callable[..., Any], *shared: Any, title: Callable[[Any], str] = str
    ) -> list[Any]:
        """Carry out `work(runner, unit, *shared)` for every unit; what it returned, None where a unit was given up.

        Units do not depend on each other.  Elsewhere than here, `work`, the units and what they share go to other
        processes as copies; a unit has results by the runner that it is given, and by what it returns.

        Args:
          title: of a unit, for messages.
        """
        if self.executor is not None:
            return self.executor.run(self, units, work, shared, title)
        return [work(self, unit, *shared) for unit in units]

    def is_done(self, key: store.RunKey) -> bool:
        """Whether the run with this key is recorded."""
        return key in self.done

    def record(self, key: store.RunKey, found: dict[str, Any]) -> None:
        """Record a finished run under its key: the values of `store.KEY`."""
        self.keep(key, {**dict(zip(store.KEY, key, strict=True)), **found, "environment": self.environment})

    def keep(self, key: store.RunKey, entry: dict[str, Any]) -> None:
        """Put a run's record on the disk."""
        store.append(self.output_dir, entry)
        self.done.add(key)

    @contextmanager
    def unit(self, title: str) -> Iterator[None]:
        """Around the runs of a unit: a training that diverges ends this unit and not the others."""
        try:
            with callbacks.unit(title):
                yield
        except TrainingError as error:
            self.failed(title, str(error))

    def failed(self, title: str, why: str) -> None:
        """Remember that a unit failed, for the end, and say so."""
        self.failures.append(f"{title}: {why}")
        self.say(f"{title} failed: {why}")

    def finish(
        self, kept: str = "the other runs are recorded", error: type[TrainingError | InputError] = TrainingError
    ) -> None:
        """To be called when all units are through.

        Args:
          kept: what became of the others.
          error: raised where some of them failed; it names the first, and says how many more there are.
        """
        if self.failures:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise error(f"{self.failures[0]}{more}; {kept}")

    def choose(
        self, entry: str, name: str, candidates: Sequence[float], score: Callable[[float], float] | None
    ) -> float:
        """The candidate with the highest score, the first of equal ones; scores are kept and never computed again.

        Args:
          entry: what the choice is for, the key in tuning.json.
          name: of what is chosen, for the line that is said.
          score: macro F1 on rows that no run is judged on; None where the candidates have been scored before.

        Raises:
          TrainingError: `score` is None, and a candidate has no score because its training diverged.
        """
        for candidate in candidates:
            if str(candidate) not in self.scores.get(entry, {}):
                if score is None:
                    raise TrainingError(f"no {name} could be chosen for {entry}")
                self.keep_score(entry, str(candidate), score(candidate))
                self.say(f"tuning, {entry}: {name} {candidate:g}, macro F1 {self.scores[entry][str(candidate)]:.4f}")
        return max(candidates, key=lambda candidate: self.scores[entry][str(candidate)])

    def keep_score(self, entry: str, candidate: str, score: float) -> None:
        """Put a candidate's score on the disk."""
        self.scores.setdefault(entry, {})[candidate] = score
        store.write_json(self.output_dir / TUNING, self.scores)
