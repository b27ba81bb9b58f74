"""Does generating flows help?  Every generator beside the controls: P1's Table V and Fig. 7, and rare attacks.

Each generator is fitted on a few real flows per class and adds `generated` flows per class.  Detectors trained on the
result are compared with the same detectors on the real flows alone (`real`), on copies of them (as many optimiser
steps, nothing new), on as many real flows (`real_all`), and with a random forest on the few.  `timesteps=500,1000` runs
CDDPM for each T; `rates=1e-3,5e-3` lets every training set choose the learning rate of its neural detectors on a split
of its own.  `benign_rows` and `auxiliary` ask the other questions of few-shot detection.
"""

from dataclasses import dataclass
from typing import ClassVar

from nids_jax.classifiers.registry import compared_in
from nids_jax.pipeline.names import default_training_sets
from nids_jax.protocols.few_shot import FewShot
from nids_jax.settings import setting


@dataclass(frozen=True, kw_only=True)
class GeneratorComparison(FewShot):
    """Few-shot detection with all generators, more splits, and no explanations."""

    name: ClassVar[str] = "generator_comparison"

    seeds: int = setting(10, "Number of split seeds, from 0.", least=1)
    generators: tuple[str, ...] = setting(
        default_training_sets("generator_comparison", before=["real"], after=["real_all"]),
        "Training sets to compare: generators (NAME_free: on free features), real, real_weighted and real_all.",
    )
    classifiers: tuple[str, ...] = setting(compared_in("generator_comparison"), "Detectors to train.")
    generations: int = setting(3, "Times to generate per split, from the same trained generator.", least=1)
    explain: bool = setting(False, "Explain the first neural detector on synthetic rows with SHAP.")

    def tested(self) -> int:
        """As many as the preset says; P1 tests on up to 1,000 of a class here, whatever the dataset."""
        return self.preset.test_rows or 1000
