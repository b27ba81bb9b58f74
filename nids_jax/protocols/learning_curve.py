"""What a labelled flow is worth: detectors against real rows per class, with and without simulated rows.

For each split seed and each number of real rows per class, from none on, a detector is trained on these rows alone
(`real`) and with flows of the simulated tools that stand behind the classes (`simulated`); all numbers of rows share
the test rows.  The report says how many real rows a few with simulation are worth.  Run again, it goes on where it
stopped.
"""

from dataclasses import dataclass
from typing import ClassVar

from nids_jax.protocols.few_shot import FewShot
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class LearningCurve(FewShot):
    """Few-shot detection over many numbers of rows."""

    name: ClassVar[str] = "learning_curve"
    keeps: ClassVar[bool] = False

    shots: tuple[int, ...] = setting(
        (0, 1, 2, 5, 10, 20, 50, 100),
        "Real training rows per class; with 0, simulated ones alone.",
        least=0,
        most=1_000_000,
    )
    seeds: int = setting(10, "Number of split seeds, from 0.", least=1)
    generators: tuple[str, ...] = setting(("real", "simulated"), "Training sets to compare.")
    classifiers: tuple[str, ...] = setting(("random_forest",), "Detectors to train.")
    explain: bool = setting(False, "Explain the first neural detector on synthetic rows with SHAP.")

    @property
    def fixed(self) -> dict[str, int]:
        """What a rerun in the same folder must not change: the test rows of small classes depend on it."""
        return {"largest of shots": max(self.shots)}

    def extra(self, shots: int) -> int:
        """As many rows are set aside for every number of shots, so that all are tested on the same ones."""
        return max(self.shots) - shots
