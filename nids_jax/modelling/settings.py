"""What `train` is asked for: settings that are flags and arguments alike."""

from dataclasses import dataclass
from typing import Literal

from nids_jax.errors import InputError
from nids_jax.flows.compat import DEFAULT, Compat
from nids_jax.modelling.fitting import DETECTORS
from nids_jax.settings import check_settings, setting

AUTO = "auto"
FLOWS, FLOWS_ALONE = 1600, 400  # as in docs/results/simulated.md and zero-shot.md


@dataclass(frozen=True, kw_only=True)
class Train:
    """What to train, and how to test it:"""

    detector: str = setting(AUTO, "The kind of detector; auto chooses by cross-validation.", choices=[AUTO, *DETECTORS])
    attacks: Literal["real", "simulated"] = setting(
        "real", "Where attack rows come from; simulated: from tools alone, beside real benign rows."
    )
    split: Literal["folds", "time"] = setting(
        "folds", "What is tested: every row by cross-validation, or the later rows by a model of the earlier ones."
    )
    folds: int = setting(5, "Folds of the cross-validation.", least=2)
    least_rows: int = setting(20, "Warn of classes with fewer labelled rows.", least=1)
    simulate_below: int = setting(
        20, "Add simulated flows to classes with fewer labelled rows, where a tool is known; 0: to none.", least=0
    )
    simulated_rows: int | None = setting(
        None,
        f"Flows to simulate of such a class; default: {FLOWS}, without attack rows {FLOWS_ALONE}.",
        least=1,
        most=1_000_000,
    )
    tools: tuple[str, ...] = setting(
        (), "With benign rows alone: attack tools to simulate, each a class; default: all there are, as one class."
    )
    tool_of: tuple[str, ...] = setting((), "Tools behind classes whose names do not say so, as CLASS=TOOL,….")
    own_tools: str | None = setting(None, "TOML file with tools of one's own; they answer to their labels.")
    compat: Compat | None = setting(
        None,
        "How the rows were metered, and simulated flows are; default: as the dataset was, else unknown, and simulated"
        f" flows as --compat={DEFAULT}.",
    )
    max_false_positives: tuple[float, ...] = setting(
        (), "Further false-positive rates to tell thresholds of, beside 0.001 and 0.01."
    )
    prevalence: float = setting(0.001, "Share of flows that are attacks, for alerts per day and precision.")
    flows_per_day: int = setting(1_000_000, "Flows per day, for the same.", least=1, most=10**12)
    licence: str | None = setting(None, "Licence of the rows, for the model card; default: unknown.")
    seed: int = setting(0, "Of all random draws.", least=0, most=2**32 - 1)

    @property
    def flows(self) -> int:
        """Flows to simulate of a class."""
        return self.simulated_rows or (FLOWS if self.attacks == "real" else FLOWS_ALONE)

    def __post_init__(self) -> None:
        if self.detector not in (AUTO, *DETECTORS):
            raise InputError(f"`detector` is {self.detector!r}; choose from {', '.join((AUTO, *DETECTORS))}")
        if not 0 < self.prevalence < 1:
            raise InputError(f"`prevalence` is {self.prevalence}; give a share between 0 and 1, such as 0.001")
        for rate in self.max_false_positives:
            if not 0 < rate < 1:
                raise InputError(f"`max_false_positives` has {rate}; give rates between 0 and 1, such as 0.01")
        check_settings(self)
        if self.tools and self.attacks != "simulated":
            raise InputError("`tools` is about simulated attacks; pass `attacks=simulated` as well")
