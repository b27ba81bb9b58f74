"""A model for each class, trained at once: as each is alone, and its failures by name."""

import jax
import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.generators.gan import GAN, GANConfig, collapsed_classes
from nids_jax.training import loop
from tests.generators.row_independence import check_rows_are_independent

pytestmark = pytest.mark.slow  # its models are trained for minutes

KEY = jax.random.key(7)
COUNTS = {0: 60, 1: 5, 4: 300}  # rows of each class
CONFIG = GANConfig(
    hidden=(16, 16), noise=4, steps=60, batch=16, bounded=True, blocks=((2, 4),), per_class=True, penalty=1.0
)


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Two numbers about a centre of the class's own, and a category; classes mixed up."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
    numbers = rng.normal(np.array([-0.6, 0.0, 0.0, 0.0, 0.6])[y][:, None], 0.1, (len(y), 2))
    category = 2.0 * np.eye(2)[(rng.random(len(y)) < 0.7).astype(int)] - 1.0
    return np.concatenate([numbers, category], axis=1).astype(np.float32), y


@pytest.fixture(scope="module")
def model() -> GAN:
    return GAN("vae_wgan_gp", CONFIG).fit(*rows(), jax.random.key(1))


def test_a_class_beside_others_is_as_it_is_alone(model: GAN):
    x, y = rows()
    assert model.labels_.tolist() == list(COUNTS)
    for place, label in enumerate(COUNTS):
        alone = GAN("vae_wgan_gp", CONFIG).fit(x[y == label], y[y == label], jax.random.key(1))
        for name, values in alone.history_.items():
            assert model.history_[name].shape == (3, 60)
            np.testing.assert_allclose(model.history_[name][place], values[0], rtol=1e-3, atol=1e-4, err_msg=name)
        labels = np.full(50, label)
        ours, theirs = (each.sample(labels, KEY) for each in (model, alone))
        np.testing.assert_allclose(ours[:, :2], theirs[:, :2], atol=1e-3)
        assert (ours[:, 2:] == theirs[:, 2:]).mean() > 0.95  # a draw may tip over on the last digit


def test_models_of_different_classes_begin_differently(model: GAN):
    first = next(iter(jax.tree.leaves(model.state_.generator)))
    assert len(first) == 3
    losses = model.history_["reconstruction"][:, 0]
    assert len(np.unique(losses)) == 3
    np.testing.assert_allclose(model.losses_, model.history_["critic_loss"].mean(axis=0), rtol=1e-6)


def test_a_row_depends_on_its_key_number_and_label_alone(model: GAN):
    check_rows_are_independent(model, columns=4, length=1100)


def test_each_class_has_its_own_categories():
    """A category that a class never has is not drawn for it, though other classes have it."""
    x, y = rows()
    x[y == 1, 2:] = [1.0, -1.0]
    fitted = GAN("vae_wgan_gp", CONFIG).fit(x, y, KEY)
    synthetic = fitted.sample(np.repeat([0, 1, 4], 200), KEY)
    assert (synthetic[200:400, 2:] == [1.0, -1.0]).all()
    assert {tuple(row) for row in synthetic[:200, 2:]} == {(1.0, -1.0), (-1.0, 1.0)}


def test_classes_without_rows_are_refused(model: GAN):
    with pytest.raises(InputError, match="class 3 has no model"):
        model.sample(np.array([0, 3]), KEY)
    with pytest.raises(InputError, match=r"knows 0\.\.4"):
        model.sample(np.array([5]), KEY)


def test_losses_that_are_not_finite_name_the_class():
    x, y = rows()
    x[y == 4, 0] = 3e38
    with pytest.raises(loop.TrainingError, match=r"of class 4 became .* in step 1; .* 3e\+38 in column 0: lower the"):
        GAN("vae_wgan_gp", CONFIG).fit(x, y, KEY)


def test_collapse_names_the_class(monkeypatch: pytest.MonkeyPatch):
    def sample(self: GAN, labels: np.ndarray, key: jax.Array) -> np.ndarray:
        """Class 0 as in training; the others' numbers all alike, their categories not."""
        x, y = rows()
        synthetic = x[np.flatnonzero(y == 0)[np.arange(len(labels)) % 60]]
        return np.where((labels[:, None] == 0) | (np.arange(4) > 1), synthetic, np.float32(0.3))

    monkeypatch.setattr(GAN, "sample", sample)
    remedy = "train for more steps, at a lower rate, or with a smaller beta"
    with pytest.warns(RuntimeWarning, match=f"collapsed: its rows of class 1, 4 are all but the same.*; {remedy}$"):
        GAN("vae_wgan_gp", CONFIG).fit(*rows(), KEY)


def test_collapse_in_categories():
    """Class 0 keeps its categories, 1 loses them, 2 had one row in fifty that differs, 3 had none."""
    y = np.repeat(np.arange(4), 100)
    other = (np.arange(400) % 100) < np.array([50, 50, 2, 0])[y]
    x = np.stack([np.arange(400) % 7 - 3.0, np.where(other, 1.0, -1.0), np.where(other, -1.0, 1.0)], axis=1)
    synthetic = x.copy()
    synthetic[y > 0, 1:] = [-1.0, 1.0]
    assert collapsed_classes(x, y, synthetic, y, ((1, 3),)) == [1]
    assert collapsed_classes(x, y, np.where([True, False, False], 0.5, synthetic), y, ((1, 3),)) == [0, 1, 2, 3]
