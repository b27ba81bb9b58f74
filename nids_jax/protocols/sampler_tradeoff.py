"""How few calls of the network do: samplers and their steps, against ancestral sampling with every step.

Of each split a CDDPM is trained on the few real rows, and every candidate of sampler selection (`sampler=auto`)
generates rows with it.  The table says how well a classifier tells these from the rows of all steps (C2ST AUC, 0.5: not
at all), how far they lie from real test rows, and what a random forest learns from them alone.  Run again, it goes on
where it stopped.
"""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np

from nids_jax import random, store
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.split import few_shot
from nids_jax.data.table import FlowTable
from nids_jax.diffusion.samplers import SAMPLERS, Sampler
from nids_jax.evaluation.fidelity import fidelity
from nids_jax.generators import sampler_selection
from nids_jax.generators.cddpm import CDDPM
from nids_jax.pipeline import detector
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.training_sets import TrainingRows
from nids_jax.presets import Preset
from nids_jax.protocols.base import Seeded
from nids_jax.settings import setting
from nids_jax.training.description import plain

FOREST = "random_forest"  # learns from the synthetic rows alone


@dataclass(frozen=True, kw_only=True)
class SamplerTradeoff(Seeded):
    """What to run."""

    name: ClassVar[str] = "sampler_tradeoff"

    dataset: str  # what the records call the data
    preset: Preset
    shots: int = setting(5, "Real training rows per class.", least=1, most=1_000_000)
    seeds: int = setting(5, "Number of split seeds, from 0.", least=1)
    generated: int = setting(50, "Rows to generate per class.", least=1, most=1_000_000)
    test_rows: int | None = setting(None, "Test rows per class at most; default: the preset's.", least=1)

    def describe(self, table: FlowTable) -> dict[str, Any]:
        """For data.json: the table's counts."""
        return {"dataset": self.dataset, "counts": table.counts}

    def run(self, table: FlowTable, runner: Runner) -> None:
        """Do every run that is not recorded yet, on a deduplicated table.

        Raises:
          InputError: a class with too few rows, or files of another job.
          TrainingError: a training diverged.
        """
        runner.each(runner.share(self.splits), self._split, table, title="split {}".format)
        runner.finish()

    def _split(self, runner: Runner, seed: int, table: FlowTable) -> None:
        with runner.unit(f"split {seed}"):
            self._run_split(table, runner, seed)

    def _run_split(self, table: FlowTable, runner: Runner, seed: int) -> None:
        config = self.preset.generators["cddpm"]
        candidates = sampler_selection.candidates(config.schedule)
        keys: dict[Sampler, store.RunKey] = {
            sampler: (self.name, self.dataset, title(sampler), FOREST, self.shots, seed, 0) for sampler in candidates
        }
        missing = [sampler for sampler in candidates if not runner.is_done(keys[sampler])]
        if not missing:
            return
        tested = self.test_rows or self.preset.tested(self.dataset)
        split = few_shot(table, self.shots, seed, test_per_class=tested)
        train, test = split.train, split.test
        scaler = fit_scaler(self.preset.scaler, train)
        x, test_x = scaler.transform(train.x), scaler.transform(test.x)
        key = random.stream(jax.random.key(seed), "cddpm")
        model = CDDPM(
            self.preset.fitted(config, scaler, len(x)),
            checkpoint_dir=runner.output_dir / "runs" / f"shots{self.shots}-split{seed}" / "cddpm",
            about=self.preset.about(scaler, train, train.classes, self.dataset),
            progress=runner.progress,
        )
        with runner.clock.timed() as fitting:
            model.fit(x, train.y, random.stream(key, "fit"))
        model.progress = False
        labels = np.repeat(np.unique(train.y), self.generated)

        def rows(sampler: Sampler, noise: int, of: np.ndarray = labels) -> np.ndarray:
            here = jax.random.fold_in(random.stream(key, "sample"), noise)
            return model.with_sampler(sampler).sample(of, here)

        wanted = rows(sampler_selection.reference(config.schedule), 0)
        for sampler in missing:
            rows(sampler, 1, labels[:1])  # compilation
            start = time.perf_counter()
            synthetic = rows(sampler, 1)
            seconds = time.perf_counter() - start
            trial = sampler_selection.compare(synthetic, wanted, sampler)
            training = TrainingRows(
                synthetic,
                labels,
                synthetic=len(labels),
                timing={"generator_fit_s": fitting["run"], "sample_s": seconds, "generator_compile_s": 0.0},
                fidelity=fidelity(x, train.y, test_x, test.y, synthetic, labels),
            )
            forest = detector.fit(FOREST, ClassifierOptions(seed=seed), training, runner.clock)
            record = detector.with_training(
                detector.test(forest, test_x, test, runner.clock, split.test_shares), training
            )
            record["metrics"] |= {
                "calls": sampler.calls(config.schedule),
                "rows_per_second": len(labels) / seconds,
                "reference_c2st_auc": trial.auc,
                "indistinguishable": int(trial.indistinguishable),
            }
            runner.record(keys[sampler], {**record, "sampler": plain(sampler)})
            macro_f1 = record["metrics"]["macro_f1"]
            runner.say(f"split {seed}, {title(sampler)}: AUC {trial.auc:.3f}, macro-F1 {macro_f1:.4f}")


def title(sampler: Sampler) -> str:
    """`dpmpp_2m, 20 steps`."""
    names = {kind: name for name, kind in SAMPLERS.items()}
    return f"{names[type(sampler)]}, {sampler.steps} steps"
