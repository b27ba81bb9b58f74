"""Which detector is best on few real rows, on another capture, and on attacks that it has never seen?

    python -m experiments.detection --dataset=cicids2017_improved --data_dir=DATA --shots=5,50 --output_dir=out/table4

reproduces P1's Table IV and its Figs. 5 and 6: every detector, trained on 5, 50, … real rows per class, tested on
others.  With --test_dataset=NAME (or --test_data=FILES) each detector is also tested on another capture, on the
features and classes that both have; with --leave_out=CLASS,… (or `all`) each of these attacks in turn is left out of
the training, and the share of it that is flagged as an attack all the same is reported.  Run again, it goes on where
it stopped.
"""

import sys
from itertools import chain
from pathlib import Path

from absl import flags

from experiments import common
from nids_jax import store
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.cli import frame
from nids_jax.data.datasets import NAMES, load
from nids_jax.data.shared import shared
from nids_jax.data.split import deduplicate
from nids_jax.errors import InputError
from nids_jax.protocols import detector_comparison

_TEST_DATASET = flags.DEFINE_string("test_dataset", None, f"Test on this dataset as well: {', '.join(NAMES)}.")
_TEST_DATA = flags.DEFINE_list("test_data", [], "Test on these files as well.")
_LEAVE_OUT = flags.DEFINE_list("leave_out", [], "Attacks to leave out of the training, one at a time; or `all`.")

flags.adopt_module_key_flags(common)
flags.set_default(common.SHOTS, ["5", "50", "500", "5000"])
flags.set_default(common.SEEDS, 5)
flags.set_default(common.CLASSIFIERS, list(CLASSIFIERS))


def main(argv: list[str]) -> None:
    if (_TEST_DATASET.value or _TEST_DATA.value) and _LEAVE_OUT.value:
        raise InputError("--leave_out and --test_dataset ask for two experiments; run them one after the other")
    job = detector_comparison.Detection(
        dataset=common.dataset_name(),
        preset=common.preset(),
        shots=common.numbers(common.SHOTS),
        split_seeds=common.SEEDS.value,
        classifiers=tuple(common.CLASSIFIERS.value),
    )
    output_dir = common.prepare(argv, job.preset)
    table, found = common.read_table(output_dir)
    if _TEST_DATASET.value or _TEST_DATA.value:
        target, _ = load(
            _TEST_DATASET.value, data_dir=common.DATA_DIR.value, data=_TEST_DATA.value or None, on_invalid="drop"
        )
        name = _TEST_DATASET.value or Path(_TEST_DATA.value[0]).name
        table, target, left_out = shared(table, deduplicate(target)[0], (job.dataset, name))
        print(*left_out, sep="\n")
        batches = detector_comparison.other_capture(table, target, name, job)
    elif _LEAVE_OUT.value:
        chosen = detector_comparison.attacks(table, _LEAVE_OUT.value)
        batches = chain.from_iterable(detector_comparison.unseen_attack(table, attack, job) for attack in chosen)
    else:
        batches = detector_comparison.few_rows(table, job)
    store.write_json(output_dir / "data.json", {"dataset": job.dataset, "counts": table.counts, **found})
    detector_comparison.run(batches, job, output_dir, ["python", "-m", "experiments.detection", *sys.argv[1:]], print)
    common.report(output_dir)


if __name__ == "__main__":
    frame.run(main)
