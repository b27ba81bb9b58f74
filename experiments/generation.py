"""Does generating flows help?  Every generator beside the controls, P1's Table V and Fig. 7, and rare attacks.

    python -m experiments.generation --dataset=cicids2017_improved --data_dir=DATA --output_dir=out/generation

Each generator is fitted on a few real flows per class and adds `--generated` flows per class.  Detectors trained on
the result are compared with the same detectors on the real flows alone (`real`), on copies of them (as many optimiser
steps, nothing new), on as many real flows (`real_all`), and with a random forest on the few.  `--timesteps=500,1000`
runs `cddpm` for each T.  `--rates=1e-3,5e-3` lets every training set choose the learning rate of its neural detectors
on a split of its own.

`--benign_rows=3000` asks the other question: benign flows abound and attacks are rare.  Then only attacks are
generated, `real_weighted` (class weights) joins the controls, and what counts is the recall of attacks at equal
false-positive rate.

`--auxiliary=unlabelled` sets half of every larger class aside as rows without labels, `--auxiliary=benign` half of the
benign ones; the generators `cddpm_adapted` and `cddpm_edit` start from a model trained on them, and `self_training` and
`label_spreading` are detectors that use them.
"""

from typing import get_args

from absl import flags

from experiments import common, generating
from nids_jax.cli import frame
from nids_jax.errors import InputError
from nids_jax.pipeline.auxiliary import Kind

_TIMESTEPS = flags.DEFINE_list("timesteps", [], "Diffusion steps T to run `cddpm` with; default: the preset's.")
_BENIGN_ROWS = flags.DEFINE_integer("benign_rows", None, "Benign rows to train on; default: as few.", lower_bound=1)
_AUXILIARY = flags.DEFINE_enum(
    "auxiliary", None, get_args(Kind), "Plentiful rows beside the few, kept out of the splits; default: none."
)
_RATES = flags.DEFINE_list("rates", [], "Learning rates to choose from for each training set; default: the preset's.")
flags.adopt_module_key_flags(common)
flags.adopt_module_key_flags(generating)
flags.set_default(common.SEEDS, 10)
flags.set_default(common.CLASSIFIERS, ["cnn_bigru", "random_forest", "extra_trees", "xgboost", "knn"])
flags.set_default(generating.GENERATIONS, 3)
flags.set_default(
    generating.GENERATORS,
    [
        *("real", "copies", "jitter", "smote", "adasyn", "cddpm", "cddpm_calibrated"),
        *("wgan", "wcgan_gp", "vae", "vae_wgan_gp", "real_all"),
    ],
)


def _rates() -> tuple[float, ...]:
    try:
        rates = tuple(float(value) for value in _RATES.value)
    except ValueError:
        raise InputError(f"--rates has {','.join(_RATES.value)!r}; give learning rates, such as 1e-3,5e-3") from None
    if not all(0 < rate < float("inf") for rate in rates):
        raise InputError(f"--rates has {','.join(_RATES.value)!r}; learning rates are above 0")
    return rates


def _arms() -> tuple[str, ...]:
    steps = common.numbers(_TIMESTEPS)
    arms: list[str] = []
    for name in generating.GENERATORS.value:
        arms += [f"cddpm_{t}" for t in steps] if name == "cddpm" and steps else [name]
    if _BENIGN_ROWS.value and "real_weighted" not in arms:
        arms.insert(1, "real_weighted")
    return tuple(arms)


def _experiment() -> str:
    """Settings that must not be mixed have names of their own in the records."""
    if _AUXILIARY.value:
        return f"transfer_{_AUXILIARY.value}"
    return "rare_attacks" if _BENIGN_ROWS.value else "generation"


def main(argv: list[str]) -> None:
    generating.run(
        argv,
        "generation",
        experiment=_experiment(),
        arms=_arms(),
        benign_rows=_BENIGN_ROWS.value,
        auxiliary=_AUXILIARY.value,
        rates=_rates(),
        explain=False,
    )


if __name__ == "__main__":
    frame.run(main)
