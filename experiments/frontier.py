"""How few calls of the network do: samplers and their steps, against ancestral sampling with every step.

    python -m experiments.frontier --dataset=cicddos2019 --data_dir=DATA --preset=demo --output_dir=out/frontier

Of each split a CDDPM is trained on the few real rows, and every candidate of `--sampler=auto` generates rows with it.
The table says how well they are told from the rows of all steps (0.5: not at all), how far they lie from unseen real
rows, and what a random forest learns from them alone.  Run again, it goes on where it stopped.
"""

import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import common, generating
from nids_jax import random, store
from nids_jax.classifiers.registry import ClassifierOptions, make_classifier
from nids_jax.cli import frame
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.split import few_shot
from nids_jax.data.table import FlowTable
from nids_jax.diffusion.samplers import SAMPLERS, Sampler
from nids_jax.evaluation.fidelity import fidelity
from nids_jax.evaluation.metrics import detection_metrics
from nids_jax.files import write_atomic
from nids_jax.generators import sampler_selection
from nids_jax.generators.cddpm import CDDPM
from nids_jax.presets import Preset
from nids_jax.report import figures, sampler_tradeoff
from nids_jax.report.style import save
from nids_jax.report.tables import markdown
from nids_jax.training.checkpoint import plain

for name in (*common.key_flags([common], without=[common.CLASSIFIERS.name]), generating.GENERATED.name):
    flags.declare_key_flag(name)
flags.set_default(common.SEEDS, 5)

NAMES = {kind: name for name, kind in SAMPLERS.items()}


def title(sampler: Sampler) -> str:
    """`dpmpp_2m, 20 steps`."""
    return f"{NAMES[type(sampler)]}, {sampler.steps} steps"


def measure(table: FlowTable, preset: Preset, shots: int, seed: int, directory: Path) -> list[dict[str, Any]]:
    """A split's figures of every candidate and of the reference, the reference last."""
    split = few_shot(table, shots, seed, test_per_class=preset.tested(common.dataset_name()))
    train, test = split.train, split.test
    scaler = fit_scaler(preset.scaler, train)
    x, held = scaler.transform(train.x), scaler.transform(test.x)
    key = random.stream(jax.random.key(seed), "cddpm")
    config = preset.generator_options(scaler, rows=len(x)).cddpm
    about = preset.about(scaler, train, train.classes, common.dataset_name())
    model = CDDPM(config, checkpoint_dir=directory / "cddpm", about=about, progress=True)
    model.fit(x, train.y, random.stream(key, "fit"))
    labels = np.repeat(np.unique(train.y), generating.GENERATED.value)
    model.progress = False

    def rows(sampler: Sampler, noise: int, of: np.ndarray = labels) -> np.ndarray:
        here = jax.random.fold_in(random.stream(key, "sample"), noise)
        return model.with_sampler(sampler).sample(of, here)

    wanted = rows(sampler_selection.reference(config.schedule), 0)
    found = []
    for sampler in sampler_selection.candidates(config.schedule):
        rows(sampler, 1, labels[:1])  # compilation
        start = time.perf_counter()
        made = rows(sampler, 1)
        seconds = time.perf_counter() - start
        trial = sampler_selection.compare(made, wanted, sampler)
        quality = fidelity(x, train.y, held, test.y, made, labels)
        forest = make_classifier("random_forest", ClassifierOptions(seed=seed)).fit(made, labels)
        scores = detection_metrics(test.y, forest.predict_proba(held), test.classes, None)
        found.append(
            {
                "sampler": title(sampler),
                "settings": plain(sampler),
                "calls": sampler.calls,
                "rows_per_second": len(labels) / seconds,
                "told_apart": trial.auc,
                "passed": trial.passed,
                "wasserstein": quality["wasserstein"],
                "two_sample_auc": quality["two_sample_auc"],
                "macro_f1": scores["macro_f1"],
            }
        )
        print(f"split {seed}, {title(sampler)}: AUC {trial.auc:.3f}, macro-F1 {scores['macro_f1']:.4f}", flush=True)
    return found


def main(argv: list[str]) -> None:
    preset, shots = common.preset(), common.numbers(common.SHOTS)[0]
    output_dir = common.prepare(argv, preset)
    table, _ = common.read_table(output_dir)
    splits = []
    for seed in range(common.SEEDS.value):
        path = output_dir / "runs" / f"shots{shots}-split{seed}" / "sampler_tradeoff.json"
        if not path.exists():
            store.write_json(path, measure(table, preset, shots, seed, path.parent))
        splits.append(store.read_json(path))
    environment = store.environment(["python", "-m", "experiments.frontier", *sys.argv[1:]])
    heading = f"{common.dataset_name()}, {shots} rows a class, preset {common.PRESET.value}, {environment['device']}"
    text = markdown(sampler_tradeoff.table(splits, heading))
    store.write_json(output_dir / "sampler_tradeoff.json", {"environment": environment, "splits": splits})
    write_atomic(output_dir / "sampler_tradeoff.md", text.encode())
    save(figures.frontier(sampler_tradeoff.points(splits)), output_dir / "sampler_tradeoff.png")
    print(text)


if __name__ == "__main__":
    frame.run(main)
