"""Does raising rare attack classes help?  Over-samplers, learned generators and class weights, P2's Tables 1 to 4.

    python -m experiments.balance --dataset=cicids2017 --merge_dos --data_dir=DATA --output_dir=out/balance
    python -m experiments.balance --dataset=gas_pipeline --data_dir=DATA --output_dir=out/gas

Seven tenths of each class train and three are the test, at the classes' own proportions, z-scored as in the paper
unless --scaler says otherwise.  Each training set raises the rare classes by rows of its own making (`real` leaves them
as they are, `real_weighted` weighs them instead) up to --sampling_strategy, or a fraction of the way there that it
chooses on a part of the training rows; every training set chooses among the same --fractions.  Run again, it goes on
where it stopped.
"""

import sys
from dataclasses import replace

from absl import flags

from experiments import common, generating
from nids_jax import store
from nids_jax.cli import frame
from nids_jax.data.sampling_strategy import parse_strategy
from nids_jax.data.scaling import SCALERS
from nids_jax.errors import InputError
from nids_jax.protocols import imbalance

_STRATEGY = flags.DEFINE_string(
    "sampling_strategy",
    "auto",
    "Rows to raise classes to, as in imbalanced-learn: minority, 'not minority', 'not majority' (auto), all: these to "
    "the largest class's; a share of that, of two classes; or CLASS:ROWS,CLASS:ROWS,….",
)
_FRACTIONS = flags.DEFINE_list(
    "fractions",
    ["0.03", "0.1", "0.3"],
    "How much of the way there, to choose from for each training set and classifier; 1 balances the classes.",
)
_SCALER = flags.DEFINE_enum("scaler", "zscore", sorted(SCALERS), "How columns are scaled; the paper's is zscore.")
_WITHOUT = {common.SHOTS.name, common.TEST_ROWS.name, generating.GENERATED.name}  # all rows are used
for name in common.key_flags([common, generating], without=_WITHOUT):
    flags.declare_key_flag(name)
flags.set_default(common.SEEDS, 5)
flags.set_default(common.CLASSIFIERS, ["xgboost", "random_forest", "decision_tree"])
flags.set_default(
    generating.GENERATORS,
    [
        *("real", "real_weighted", "copies", "smote", "adasyn"),
        *("wgan", "wcgan_gp", "vae", "vae_wgan_gp", "cddpm"),
    ],
)


def _fractions() -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in _FRACTIONS.value)
    except ValueError:
        raise InputError(f"--fractions has {','.join(_FRACTIONS.value)!r}; give numbers, such as 0.1,0.3") from None


def main(argv: list[str]) -> None:
    for name in sorted(_WITHOUT):
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} means nothing here, where all rows are used; leave it out")
    job = imbalance.Balance(
        dataset=common.dataset_name(),
        preset=replace(generating.preset(), scaler=_SCALER.value),
        strategy=parse_strategy(_STRATEGY.value),
        fractions=_fractions(),
        split_seeds=common.SEEDS.value,
        generations=generating.GENERATIONS.value,
        arms=tuple(generating.GENERATORS.value),
        classifiers=tuple(common.CLASSIFIERS.value),
    )
    output_dir = common.prepare(argv, job.preset)
    table, found = common.read_table(output_dir)
    store.write_json(output_dir / "data.json", {**imbalance.describe(table, job), **found})
    imbalance.run(table, job, output_dir, ["python", "-m", "experiments.balance", *sys.argv[1:]], print)
    common.report(output_dir)


if __name__ == "__main__":
    frame.run(main)
