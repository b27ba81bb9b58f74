"""How often an attack that no row of training was of is flagged: as an attack, as unknown, or as either.

    python -m experiments.left_out_attacks --data_dir=DATA --detectors=random_forest,xgboost

For each attack class in turn a model is trained on two thirds of the rows of the others, calibrated on the last third
(1 % of benign rows are alerts, 1 % of all rows unknown), and judges all rows of the class left out.  Three measures of
being unknown are compared: the entropy of the class probabilities, one minus the largest of them, and the distance to
the nearest of 4,000 training rows in scaled columns.  At most 1,000 rows of each class of the corrected CIC-IDS2017.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.command import asked
from nids_jax.bundle.calibration import Calibration
from nids_jax.bundle.model import uncertainty
from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import run
from nids_jax.cli.output import say
from nids_jax.data.loading import load
from nids_jax.data.split import deduplicate
from nids_jax.data.table import FlowTable
from nids_jax.modelling.fitting import DETECTORS, Fitted, Fitter
from nids_jax.pipeline.simulation import Simulation
from nids_jax.settings import setting

REFERENCES = 4000
RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What to run."""

    dataset: str = setting("cicids2017_improved", "The rows.")
    data_dir: str | None = setting(None, "Folder with one folder per dataset; default: $NIDS_DATA_DIR.")
    detectors: tuple[str, ...] = setting(("random_forest", "xgboost"), "Which to train.")
    max_per_class: int = setting(1000, "Rows of each class at most.", least=10)


def main(arguments: Sequence[str]) -> None:
    """Print a line for each class left out and each detector, and the means."""
    wanted = asked(LeftOut, "experiments.left_out_attacks", __doc__, arguments)
    if wanted is None:
        return
    table, _ = load(wanted.dataset, data_dir=wanted.data_dir, max_per_class=wanted.max_per_class)
    table, _ = deduplicate(table)
    for detector in wanted.detectors:
        assert detector in DETECTORS
        lines = [_left_out(table, name, detector) for name in table.classes if name != table.benign]
        measures = [*lines[0]]
        for measure in measures:
            say(f"{detector}, mean, {measure}: {np.mean([line[measure] for line in lines]):.3f}")


def _left_out(table: FlowTable, name: str, detector: str) -> dict[str, float]:
    """Shares of the rows of a class that a model of the others flags, by the way of flagging."""
    assert table.benign is not None
    known = tuple(each for each in table.classes if each != name)
    draws = np.random.default_rng(0)
    rest = table.regroup({each: each for each in known}, known)
    order = draws.permutation(len(rest))
    held, train = rest.take(order[: len(rest) // 3]), rest.take(order[len(rest) // 3 :])
    fitted = Fitter(detector=detector, simulation=Simulation()).fit(train)
    x = table.x[table.y == table.classes.index(name)]
    benign = known.index(table.benign)
    p, q = fitted.probabilities(held.x), fitted.probabilities(x)
    calm = Calibration.of(1 - p[held.y == benign, benign]).threshold(RATE)
    attack = 1 - q[:, benign] > calm.value
    far = _distances(fitted, train, held.x), _distances(fitted, train, x)
    found = {"attack": float(attack.mean())}
    for measure, here, there in (
        ("entropy", uncertainty(p), uncertainty(q)),
        ("1 - largest probability", 1 - p.max(axis=1), 1 - q.max(axis=1)),
        ("distance", *far),
    ):
        unknown = there > Calibration.of(here).threshold(RATE).value
        found[f"unknown by {measure}"] = float(unknown.mean())
        found[f"either by {measure}"] = float((unknown | attack).mean())
    shown = ", ".join(f"{measure} {share:.2f}" for measure, share in found.items())
    say(f"{detector}, {name} ({len(x):,} rows) left out: {shown}")
    return found


def _distances(fitted: Fitted, train: FlowTable, x: np.ndarray) -> np.ndarray:
    """Euclidean distance of each raw row to the nearest of some training rows, in scaled columns."""
    draws = np.random.default_rng(0)
    rows = fitted.scaler.transform(train.x[draws.permutation(len(train))[:REFERENCES]])
    z = fitted.scaler.transform(x)
    squares = (rows**2).sum(axis=1)
    nearest = [(squares - 2 * z[start : start + 1024] @ rows.T).min(axis=1) for start in range(0, len(z), 1024)]
    return np.sqrt(np.maximum(np.concatenate(nearest) + (z**2).sum(axis=1), 0))


if __name__ == "__main__":
    sys.exit(run(lambda: main, sys.argv[1:], lambda: Flags((LeftOut,)).names))
