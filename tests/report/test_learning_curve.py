"""The learning curve: what rows with simulation are worth, against a curve whose answer is known."""

import numpy as np
import pytest

from nids_jax.report import figures, learning_curve, tables
from nids_jax.report.conditions import grouped


def _run(generator: str, shots: int, seed: int, accuracy: float) -> dict:
    return {
        "experiment": "learning_curve",
        "dataset": "d",
        "generator": generator,
        "classifier": "random_forest",
        "shots": shots,
        "split_seed": seed,
        "generation_seed": 0,
        "metrics": {"accuracy": accuracy, "macro_f1": accuracy, "per_class_recall": {}},
    }


def _height(rows: float) -> float:
    return float(0.15 * np.log1p(rows))


# Every row with simulation does as three times as many without, and two more.
REAL = [_run("real", n, seed, _height(n) + 0.01 * seed) for n in (1, 2, 5, 10, 50) for seed in range(6)]
SIMULATED = [_run("simulated", n, s, _height(3 * n + 2) + 0.01 * s) for n in (0, 1, 2, 5, 50) for s in range(6)]
GROUPS = grouped([*REAL, *SIMULATED])
((GROUP, CURVE),) = tables.of_shots(GROUPS, learning_curve).items()


@pytest.mark.parametrize("shots", [0, 1, 2, 5])
def test_rows_with_simulation_are_worth_what_was_put_in(shots: int):
    """The curve is a straight line on the scale on which it is interpolated; below 1 row it bends by the seeds' gap."""
    value = learning_curve.worth(CURVE, shots, "random_forest", "accuracy")
    assert value is not None
    assert np.expm1(value.mean) == pytest.approx(3 * shots + 2, rel=0.02)
    assert value.n == 6


def test_beyond_the_curve_there_is_only_its_end():
    value = learning_curve.worth(CURVE, 50, "random_forest", "accuracy")
    assert value is not None
    assert np.expm1(value.mean) == pytest.approx(50)
    line = next(row for row in learning_curve.tables(GROUP, CURVE)[0].rows if row[0] == "50")
    assert line[-1] == "over 50"


def test_the_tables_and_the_verdict():
    accuracy, macro = learning_curve.tables(GROUP, CURVE)
    assert [row[0] for row in accuracy.rows] == ["0", "1", "2", "5", "10", "50"]
    assert accuracy.rows[0][1] == accuracy.rows[0][3] == "–"  # nothing is trained on no rows
    assert accuracy.rows[4][2] == "–"
    assert accuracy.rows[1][3].startswith("+0.1648 [")  # 0.15 log(6 / 2)
    assert macro.title.endswith("macro F1")
    found = tables.verdict([*REAL, *SIMULATED])
    assert len(found) == 1
    assert "no real rows a class with simulation are worth 2.0" in found[0]
    figure = figures.learning_curve(CURVE)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["accuracy", "macro F1"]
