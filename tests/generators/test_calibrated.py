"""Drawing generated rows in towards the training rows."""

import jax
import numpy as np
import pytest

from nids_jax.generators.calibrated import Calibrated

LINE = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [10.0, 10.0]], np.float32)
Y = np.array([0, 0, 0, 2])


class Offset:
    """The first training row of the class, moved by a fixed amount."""

    def __init__(self, by: float):
        self.by = by

    def fit(self, x, y, key):
        self.first = {k: x[y == k][0] for k in np.unique(y)}
        return self

    def sample(self, labels, key):
        return np.stack([self.first[k] + np.array([0.0, self.by], np.float32) for k in labels])


@pytest.mark.parametrize(("by", "factor"), [(4.0, 0.25), (0.5, 1.0), (0.0, 1.0)])
def test_rows_end_up_as_far_away_as_real_rows_lie_apart(by: float, factor: float):
    """Real rows of class 0 are 1 apart; nothing is ever pushed away; a class of one row follows the others."""
    model = Calibrated(Offset(by)).fit(LINE, Y, jax.random.key(0))
    assert model.factor_ == pytest.approx(factor)
    synthetic = model.sample(np.array([0, 2, 0]), jax.random.key(1))
    np.testing.assert_allclose(synthetic, [[0, by * factor], [10, 10 + by * factor], [0, by * factor]], rtol=1e-6)


def test_single_rows_leave_everything_as_it_is():
    model = Calibrated(Offset(4.0)).fit(LINE[[0, 3]], Y[[0, 3]], jax.random.key(0))
    assert model.factor_ == 1.0
