"""Categorical columns: draws against their probabilities, errors against scikit-learn, and GANs on mixed tables."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from nids_jax.data.loading import load
from nids_jax.data.scaling import Scaler, fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.consistency import repair, round_like
from nids_jax.generators.gan import GAN, GANConfig, Method
from nids_jax.generators.heads import TEMPERATURE, Blocks, Heads, check_blocks, one_of

KEY = jax.random.key(7)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("blocks", [(), ((0, 3),), ((1, 3), (3, 4), (6, 9)), ((0, 4), (4, 9))])
def test_rows_are_numbers_and_categories(blocks: Blocks, bounded: bool):
    rng = np.random.default_rng(0)
    out = rng.normal(size=(40, 9)).astype(np.float32)
    heads = Heads(bounded, blocks)
    gumbels = np.asarray(heads.noise(KEY, 40))
    rows = np.asarray(heads.rows(jnp.asarray(out), jnp.asarray(gumbels)))
    number = np.ones(9, bool)
    for start, stop in blocks:
        shifted = out[:, start:stop] + gumbels[:, : stop - start]
        gumbels = gumbels[:, stop - start :]
        np.testing.assert_array_equal(rows[:, start:stop], 2.0 * np.eye(stop - start)[shifted.argmax(axis=1)] - 1.0)
        number[start:stop] = False
    np.testing.assert_allclose(rows[:, number], np.tanh(out[:, number]) if bounded else out[:, number], rtol=1e-6)


def test_categories_are_drawn_as_often_as_their_logits_say():
    shares = np.array([0.6, 0.3, 0.08, 0.02])
    heads = Heads(True, ((1, 5),))
    out = jnp.broadcast_to(jnp.concatenate([jnp.zeros(1), jnp.log(shares) + 3.0]), (20_000, 5))
    drawn = np.asarray(heads.rows(out, heads.noise(KEY, 20_000)))[:, 1:].argmax(axis=1)
    found = np.bincount(drawn, minlength=4) / 20_000
    np.testing.assert_allclose(found, shares, atol=4 * np.sqrt(0.25 / 20_000))


def test_the_gradient_of_a_drawn_category_is_that_of_a_softmax():
    rng = np.random.default_rng(1)
    logits, pull = (jnp.asarray(rng.normal(size=(6, 4)), jnp.float32) for _ in range(2))
    found = jax.vjp(one_of, logits)[1](pull)[0]
    expected = jax.vjp(lambda a: 2.0 * jax.nn.softmax(a / TEMPERATURE) - 1.0, logits)[1](pull)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_show(bad: float):
    rows = np.asarray(one_of(jnp.array([[0.0, bad], [1.0, 0.0]])))
    assert np.isnan(rows[0]).all()
    assert rows[1].tolist() == [1.0, -1.0]


def test_error_against_scikit_learn():
    """Mean over three numbers and two categories."""
    rng = np.random.default_rng(2)
    out = rng.normal(size=(30, 8)).astype(np.float32)
    number, codes = rng.uniform(-1, 1, (30, 3)), rng.integers(0, [3, 2], (30, 2))
    onehot = [2.0 * np.eye(size)[codes[:, i]] - 1.0 for i, size in enumerate((3, 2))]
    x = np.concatenate([number[:, :1], onehot[0], number[:, 1:], onehot[1]], axis=1)
    found = Heads(True, ((1, 4), (6, 8))).error(jnp.asarray(out), jnp.asarray(x, jnp.float32))
    expected = 3 * mean_squared_error(number, np.tanh(out[:, [0, 4, 5]]))
    for i, block in enumerate((out[:, 1:4], out[:, 6:8])):
        p = np.exp(block.astype(np.float64))
        expected += log_loss(codes[:, i], p / p.sum(axis=1, keepdims=True), labels=range(block.shape[1]))
    np.testing.assert_allclose(found, expected / 5, rtol=1e-5)


@pytest.mark.parametrize("row", [[0.5, 0, 1, 0], [0.5, 1, 1, -1], [0.5, 0.9, -0.9, -0.9], [0.5, -1, -1, -1]])
def test_blocks_that_are_no_categories_are_refused(row: list[float]):
    good = np.array([[0.5, 1, -1, -1], [0.2, -1, -1, 1]])
    check_blocks(good, ((1, 4),))
    with pytest.raises(InputError, match="columns 1 to 3 of the training rows do not hold one"):
        check_blocks(np.array([*good, row]), ((1, 4),))
    with pytest.raises(InputError, match="columns 1 to 4 of"):
        GAN("wgan", GANConfig(blocks=((1, 5),))).fit(good, np.zeros(2, int), KEY)
    for blocks in (((1, 3), (2, 4)), ((2, 2),), ((3, 1),)):
        with pytest.raises(ValueError, match="blocks are"):
            GANConfig(blocks=blocks)


def mixed_table(n: int = 600) -> FlowTable:
    """Two classes: a service with a rare third value, a flag that follows the class, a number, a count, a constant."""
    rng = np.random.default_rng(3)
    y = np.arange(n) % 2
    service = np.where(rng.random(n) < 0.06, 2, rng.random(n) < np.where(y == 0, 0.2, 0.7))
    flag = rng.random(n) < np.where(y == 0, 0.9, 0.35)
    size = rng.normal(np.where(service == 1, 3.0, -1.0), 0.5)
    x = np.stack([size, service, rng.poisson(4.0 + 20.0 * y), flag, np.full(n, 7.0)], axis=1)
    categories = {"service": ("dns", "http", "ssh", "never"), "flag": ("no", "yes")}
    features = ("size", "service", "packets", "flag", "version")
    return FlowTable(x=x, y=y.astype(np.int32), features=features, classes=("a", "b"), categories=categories)


def synthetic_of(table: FlowTable, method: Method, config: GANConfig, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As in the experiments: scaled, generated, back in raw units and repaired; `count` rows of each class."""
    scaler: Scaler = fit_scaler("signed_log", table)
    fitted = GAN(method, config).fit(scaler.transform(table.x), table.y, jax.random.key(1))
    labels = np.repeat(np.unique(table.y), count).astype(np.int32)
    return repair(round_like(scaler.inverse(fitted.sample(labels, KEY)), table.x), table.features), labels


def check_categories(table: FlowTable, synthetic: np.ndarray, labels: np.ndarray, within: float) -> None:
    """Each class's categories occurred in training, and as often: total variation at most `within`."""
    for name in table.categories:
        column = table.features.index(name)
        for label in np.unique(labels):
            real, own = table.x[table.y == label, column], synthetic[labels == label, column]
            assert set(own) <= set(table.x[:, column])
            values = np.arange(len(table.categories[name]))
            shares = [(rows[:, None] == values).mean(axis=0) for rows in (real, own)]
            assert 0.5 * np.abs(shares[0] - shares[1]).sum() <= within, (name, label, shares)


# With β = r / features the VAE's loss is a bound on the likelihood of categories; with less, its prior is far from what
# the encoder says, and without a critic nothing tells the decoder.
# Means of the two services' sizes are 4 apart in training; a plain VAE's are 2.2 to 3.1 apart, by the seed.
@pytest.mark.parametrize(
    ("method", "beta", "apart"), [("wcgan_gp", 0.1, 2.5), ("vae_wgan_gp", 0.1, 2.5), ("vae", 2.0, 2.0)]
)
def test_categories_of_a_mixed_table(method: Method, beta: float, apart: float):
    table = mixed_table()
    blocks = fit_scaler("signed_log", table).blocks
    assert blocks == ((1, 5), (6, 8))
    small = GANConfig(hidden=(32, 32), noise=8, steps=600, bounded=True, blocks=blocks)
    synthetic, labels = synthetic_of(table, method, replace(small, penalty=1.0, gp_rate=1e-3, beta=beta), 1000)
    check_categories(table, synthetic, labels, 0.12)
    for name, whole in (("packets", True), ("version", True), ("size", False)):
        column = synthetic[:, table.features.index(name)]
        assert (column == np.rint(column)).all() == whole
    assert (synthetic[:, 4] == 7.0).all()
    # Numbers and categories go together as they do in training.
    sizes = [synthetic[synthetic[:, 1] == service, 0].mean() for service in (0, 1)]
    assert sizes[1] - sizes[0] > apart


@pytest.mark.slow
def test_categories_of_the_gas_pipeline(data_dir: Path):
    table = load("gas_pipeline", data_dir=data_dir, progress=False)[0]
    table = table.take(np.isin(table.y, [1, 2, 4]))
    blocks = fit_scaler("signed_log", table).blocks
    assert len(blocks) == 13
    config = GANConfig(hidden=(64, 64), noise=16, steps=400, bounded=True, blocks=blocks, penalty=1.0, gp_rate=1e-3)
    synthetic, labels = synthetic_of(table, "vae_wgan_gp", config, 300)
    check_categories(table, synthetic, labels, 0.12)
    whole = (table.x == np.rint(table.x)).all(axis=0)
    assert whole.sum() > 15
    np.testing.assert_array_equal(synthetic[:, whole], np.rint(synthetic[:, whole]))
