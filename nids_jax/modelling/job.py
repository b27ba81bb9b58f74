"""The whole way from a table of flows to a model: test on held-out rows, calibrate on them, train on all rows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nids_jax.bundle import program
from nids_jax.bundle.calibration import RATES, Calibration
from nids_jax.bundle.model import Model, uncertainty
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, check_names
from nids_jax.flows.compat import DEFAULT
from nids_jax.flows.simulate.tools import TOOLS
from nids_jax.modelling import card, choice
from nids_jax.modelling.evaluation import HeldOut, curves, daily, evaluate
from nids_jax.modelling.fitting import Fitted, Fitter
from nids_jax.modelling.folds import by_time
from nids_jax.modelling.settings import AUTO, Train
from nids_jax.modelling.testing import cross_validated, silent, tested
from nids_jax.pipeline.simulation import Simulation
from nids_jax.store import versions
from nids_jax.training.checkpoint import fingerprint

ATTACK = "Attack"  # the class of all simulated attacks, where nothing names any
UNKNOWN_SHARE = 0.01  # of held-out rows of known classes that count as unknown

Say = Callable[[str], object]


def train(
    table: FlowTable,
    settings: Train | None = None,
    *,
    times: np.ndarray | None = None,
    meter: str | None = None,
    source: str = "a table",
    say: Say | None = None,
    progress: bool = False,
    **more: Any,
) -> Model:
    """Train, test and calibrate a detector on all rows of a table.

    Args:
      table: labelled flows; with `attacks="simulated"` benign ones alone may do.  Equal rows are kept: they say how
        often a flow occurs, and stay together in a fold.
      settings: what is asked for; `more` are fields of it to change (`detector="forests"`).
      times: [n] seconds at which the flows started, for `split="time"`.
      meter: how the flows were metered; None: unknown.
      source: what to call the rows in the card.
      say: told what is done, line by line.

    Raises:
      InputError: rows or settings that cannot be used.
      TrainingError: a training diverged.
    """
    chosen = replace(settings or Train(), **more)
    work = _Work(table, chosen, times, meter, source, say or silent, progress)
    return work.model()


@dataclass(eq=False)
class _Work:
    """The steps of one training; each result is kept."""

    given: FlowTable
    settings: Train
    times: np.ndarray | None
    meter: str | None
    source: str
    say: Say
    progress: bool

    @cached_property
    def table(self) -> FlowTable:
        """The rows to train on, with the classes that the model will know.

        Raises:
          InputError: no class is benign, or there is nothing to tell it from.
        """
        table = self.given
        if table.benign is None:
            raise InputError(
                f"no class is called benign or normal ({', '.join(table.classes)}): name it, `benign_class`"
            )
        benign = table.benign
        if not table.counts[benign]:
            raise InputError(f"the benign class {benign!r} has no row, so no threshold can be set; add benign rows")
        if self.settings.attacks == "simulated":
            return self._without_attacks(table, benign)
        kept = tuple(name for name, count in table.counts.items() if count)
        if len(kept) < 2:
            raise InputError(
                f"there are no rows but those of {benign!r}: add attack rows, or pass `attacks=simulated` to train on"
                " simulated attacks"
            )
        return table.regroup({name: name for name in kept}, kept)

    def _without_attacks(self, table: FlowTable, benign: str) -> FlowTable:
        attacks = tuple(name for name in table.classes if name != benign)
        if attacks and self.settings.tools:
            raise InputError("`tools` is for benign rows alone, and the rows name attacks of their own: leave it out")
        calm = table.take(table.y == table.classes.index(benign))
        if self.settings.tools:
            check_names("tools", self.settings.tools, self.tools)
            return calm.regroup({benign: benign}, (benign, *dict.fromkeys(self.settings.tools)))
        if not attacks:
            return calm.regroup({benign: benign}, (benign, ATTACK))
        # Attacks that no tool stands behind cannot be told from benign rows.
        known = self.simulation.behind((benign, *attacks))
        names = tuple(name for k, name in enumerate(attacks, start=1) if k in known)
        if not names:
            raise InputError(f"no tool stands behind any of {', '.join(attacks)}: name one with `tool_of`")
        return calm.regroup({benign: benign}, (benign, *names))

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The attack tools that there are, one's own first."""
        known = {**self.simulation.own, **TOOLS}
        return tuple(name for name, tool in known.items() if not tool.benign)

    @property
    def merged(self) -> tuple[str, ...]:
        """The tools whose flows are the one attack class, where no row and no flag names any."""
        return self.tools if self.settings.attacks == "simulated" and ATTACK in self.table.classes else ()

    @cached_property
    def simulation(self) -> Simulation:
        """How tools are simulated."""
        settings = self.settings
        compat: Any = settings.compat or self.meter or DEFAULT
        return Simulation.named(settings.tool_of, settings.own_tools, rows=settings.flows, compat=compat)

    @cached_property
    def augmented(self) -> tuple[int, ...]:
        """The classes to which simulated flows are added."""
        few = [k for k, n in enumerate(self.table.counts.values()) if n < self.settings.simulate_below]
        if self.settings.attacks == "simulated" or not few or self.simulation.obstacle(self.table):
            return ()
        known = self.simulation.behind(self.table.classes)
        return tuple(k for k in few if k in known and k != self.benign)

    @property
    def benign(self) -> int:
        assert self.table.benign is not None
        return self.table.classes.index(self.table.benign)

    @cached_property
    def fitter(self) -> Fitter:
        """How every model here is trained."""
        first = Fitter(
            detector=self.settings.detector,
            simulation=self.simulation,
            augmented=self.augmented,
            without_attacks=self.settings.attacks == "simulated",
            merged=self.merged,
            seed=self.settings.seed,
            progress=self.progress,
        )
        if self.settings.detector != AUTO:
            return first
        if first.without_attacks:
            self.say("detector: forests, which find most attacks when all training attacks are simulated")
            return replace(first, detector="forests")
        return choice.choose(first, self.table, self.settings.seed, self.say)

    def model(self) -> Model:
        """Everything, in order."""
        self.tell_rows()
        fitter = self.fitter
        held, calibrated = self._tested()
        figures = evaluate(held, self.rates, self.settings.seed, calibrated)
        doubt = Calibration.of(uncertainty(held.p)).threshold(UNKNOWN_SHARE)
        scores = held.score[held.y == self.benign]
        if not len(scores) and calibrated is not None and len(calibrated):
            self.say("warning: no later row is benign: thresholds are set on the earlier ones")
            scores = calibrated
        if not len(scores):
            raise InputError("no benign row was held out, so no threshold can be set; add benign rows that differ")
        evaluation = {
            "method": self._method(),
            "prevalence": self.settings.prevalence,
            "flows_per_day": self.settings.flows_per_day,
            **figures,
        }
        calibration = Calibration.of(scores)
        for each in evaluation["at"]:
            if each["recall"] is not None:
                limit = max(each["rate"], 1 / (each["benign_rows"] + 1))
                each |= daily(limit, each["recall"], self.settings.prevalence, self.settings.flows_per_day)
        self.say(f"training {fitter.detector} on all {len(self.table):,} rows")
        fitted = fitter.fit(self.table)
        model = self._model(fitted, calibration, doubt.value, evaluation, curves(held))
        return replace(model, card=card.write(model), program=program.export(model))

    @property
    def rates(self) -> tuple[float, ...]:
        """The false-positive rates to report."""
        return tuple(sorted({*RATES, *self.settings.max_false_positives}))

    def tell_rows(self) -> None:
        """Say how many rows there are of each class, real and added, and warn where they are few.

        Raises:
          InputError: as `table`.
        """
        table, settings = self.table, self.settings
        self.say(f"rows to train on: {len(table):,}")
        for k, (name, count) in enumerate(table.counts.items()):
            added = self.added(k)
            self.say(f"  {name}: {count:,} real" + (f" and {added:,} simulated" if added else ""))
        few = [name for k, (name, n) in enumerate(table.counts.items()) if n < settings.least_rows and self._is_real(k)]
        if few:
            self.say(f"warning: fewer than {settings.least_rows} labelled rows of {', '.join(few)}")
        if self.augmented:
            tools = self.simulation.behind(table.classes)
            named = ", ".join(f"{table.classes[k]} ({tools[k].name})" for k in self.augmented)
            self.say(f"simulated flows, all of a class together no heavier than one real row, are added to {named}")

    def _is_real(self, k: int) -> bool:
        return self.settings.attacks == "real" or k == self.benign

    def added(self, k: int) -> int:
        """Simulated flows of class k."""
        simulated = k in self.augmented or not self._is_real(k)
        return self.settings.flows * max(len(self.merged), 1) if simulated else 0

    def _tested(self) -> tuple[HeldOut, np.ndarray | None]:
        """Rows tested by models not trained on them; the benign scores that their thresholds are set on, if others."""
        table = self.table
        if self.settings.split == "folds":
            held = cross_validated(self.fitter, table, self.settings.folds, self.settings.seed, self.say)
            return held, None
        if self.times is None or len(self.times) != len(self.given):
            raise InputError("`split=time` needs the time of each row, and these have none; use `split=folds`")
        times = self.times
        if len(table) != len(self.given):
            times = times[self.given.y == self.given.classes.index(self.given.benign or "")]
        later = by_time(times)
        early, test = table.take(~later), table.take(later)
        p = tested(self.fitter, early, test.x)
        unseen = [name for k, name in enumerate(table.classes) if (test.y == k).any() and not (early.y == k).any()]
        if unseen and not self.fitter.without_attacks:
            self.say(f"warning: no earlier row is of {', '.join(unseen)}: to the test these are attacks never seen")
        inner = cross_validated(self.fitter, early, self.settings.folds, self.settings.seed, self.say)
        calm = inner.score[inner.y == inner.benign]
        held = HeldOut(y=test.y, p=p, fold=np.zeros(len(test), int), classes=table.classes, benign=self.benign)
        return held, calm

    def _method(self) -> str:
        simulated = " Every attack row is simulated, so only benign rows are tested." if not self._is_real(-1) else ""
        if self.settings.split == "time":
            return (
                "Trained on the earlier 70 % of the rows, tested on the later ones; the reported recalls are at"
                f" thresholds set by {self.settings.folds}-fold cross-validation among the earlier rows; the model's"
                f" own thresholds are set on the later benign rows.{simulated}"
            )
        return (
            f"{self.settings.folds}-fold cross-validation on all rows, equal rows in one fold; the recalls at a rate"
            f" are at thresholds set on the benign rows of the other folds.{simulated}"
        )

    def _model(
        self, fitted: Fitted, calibration: Calibration, unknown: float, evaluation: Mapping[str, Any], lines: str
    ) -> Model:
        table, settings = self.table, self.settings
        counts = {
            name: {"real": count, "simulated": self.added(k)} for k, (name, count) in enumerate(table.counts.items())
        }
        told = {
            "detector": self.fitter.detector,
            "data": {
                "source": self.source,
                "rows": len(table),
                "classes": counts,
                "fingerprint": fingerprint(table.x, table.y, np.array([*table.features, *table.classes])),
            },
            "evaluation": evaluation,
            "settings": asdict(settings),
            "versions": versions(),
            "licence": settings.licence or "unknown",
        }
        return Model(
            scaler=fitted.scaler,
            classes=table.classes,
            benign=table.classes[self.benign],
            meter=self.meter,
            fill=_typical(table),
            parts=fitted.parts,
            calibration=calibration,
            rates=self.rates,
            unknown_above=unknown,
            background=fitted.background,
            told=told,
            curves=lines,
        )


def _typical(table: FlowTable) -> np.ndarray:
    """The median of each feature; of a category the most frequent."""
    values = np.median(table.x, axis=0)
    for name in table.categories:
        place = table.features.index(name)
        values[place] = np.bincount(table.x[:, place].astype(int)).argmax()
    return values
