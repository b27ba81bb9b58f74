"""Scalers against scikit-learn, round trips, and what they must survive."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm, rankdata
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from nids_jax.data.scaling import SCALERS, Scaler, fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError

NAMES = sorted(SCALERS)
BOUNDED = ["minmax", "quantile_uniform", "signed_log"]


def flows(n: int = 200) -> np.ndarray:
    """Columns as flow records have them: durations over decades, counts, a flag, mostly zero, one constant."""
    random = np.random.default_rng(0)
    columns = [
        10.0 ** random.uniform(0, 8, n),
        random.integers(0, 2000, n),
        random.integers(0, 2, n),
        np.where(random.random(n) < 0.95, 0, random.uniform(0, 1e9, n)),
        np.full(n, -7.25),
        -random.uniform(1, 1e6, n),
    ]
    return np.stack(columns, axis=1).astype(float)


def test_minmax_and_zscore_are_scikit_learns() -> None:
    x = flows()
    np.testing.assert_allclose(
        fit_scaler("minmax", x).transform(x)[:, :4], MinMaxScaler((-1, 1)).fit_transform(x)[:, :4], atol=1e-6
    )
    np.testing.assert_allclose(fit_scaler("zscore", x).transform(x), StandardScaler().fit_transform(x), atol=1e-5)


def test_signed_log_is_minmax_of_logarithms() -> None:
    x = flows()
    logs = np.sign(x) * np.log(1 + np.abs(x))
    expected = MinMaxScaler((-1, 1)).fit_transform(logs)
    np.testing.assert_allclose(
        fit_scaler("signed_log", x).transform(x)[:, [0, 1, 5]], expected[:, [0, 1, 5]], atol=1e-6
    )


def test_quantile_is_the_normal_score_of_the_rank() -> None:
    x = flows()
    share = (np.apply_along_axis(rankdata, 0, x) - 0.5) / len(x)  # average ranks
    share[:, 4] = 0.5
    np.testing.assert_allclose(fit_scaler("quantile", x).transform(x), norm.ppf(share), atol=1e-6)
    np.testing.assert_allclose(fit_scaler("quantile_uniform", x).transform(x), 2 * share - 1, atol=1e-6)


def test_quantile_keeps_a_thousand_points() -> None:
    x = np.random.default_rng(0).standard_normal((20_000, 1)) * 1e6
    scaler = fit_scaler("quantile", x)
    z = scaler.transform(x)
    assert np.abs(np.sort(z[:, 0]) - norm.ppf((np.arange(20_000) + 0.5) / 20_000)).max() < 0.01
    assert abs(z.std() - 1) < 0.01
    np.testing.assert_allclose(scaler.transform(scaler.inverse(z)), z, atol=1e-5)
    assert len(scaler.to_json()["numeric"]["values"][0]) <= 1000


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_in_raw_and_in_scaled_space(name: str) -> None:
    x = flows()
    scaler = fit_scaler(name, x)
    z = scaler.transform(x)
    assert z.dtype == np.float32
    back = scaler.inverse(z)
    assert back.dtype == np.float64
    np.testing.assert_allclose(scaler.transform(back), z, atol=1e-5 * np.ptp(z))
    assert (back[:, 4] == -7.25).all()
    assert (z[:, 4] == 0).all()
    assert (scaler.bounded and np.abs(z).max() <= 1) or not scaler.bounded
    assert scaler.bounded == (name in BOUNDED)
    np.testing.assert_array_equal(np.round(back[:, 1]), x[:, 1])  # counts come back as whole numbers


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_anything_finite_stays_finite(name: str, data: st.DataObject) -> None:
    shape = st.tuples(st.integers(1, 8), st.just(2))
    train = data.draw(hnp.arrays(np.float64, shape, elements=st.one_of(finite, st.integers(0, 2).map(float))))
    test = data.draw(hnp.arrays(np.float64, shape, elements=finite))
    scaler = Scaler.from_json(json.loads(json.dumps(fit_scaler(name, train).to_json())))
    z = scaler.transform(train)
    if scaler.bounded:
        assert np.abs(z).max() <= 1
    back = scaler.inverse(z)
    for column in range(2):
        values = train[:, column]
        if values.min() == values.max():
            assert (back[:, column] == values[0]).all()
            assert (z[:, column] == 0).all()
        order = np.argsort(values, kind="stable")
        assert (np.diff(z[order, column]) >= 0).all()  # order survives
    seen = scaler.transform(test)
    assert np.isfinite(seen).all()
    assert np.isfinite(scaler.inverse(seen)).all()
    wild = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
    assert np.isfinite(scaler.inverse(wild)).all()


@pytest.mark.parametrize("name", NAMES)
def test_rows_beyond_the_training_range_are_not_clipped(name: str) -> None:
    train = np.linspace(0, 100, 50)[:, None]
    scaler = fit_scaler(name, train)
    z = scaler.transform(np.array([[-1e6], [-50], [0], [100], [150], [1e6]]))[:, 0]
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose(scaler.inverse(z[:, None])[[1, 4], 0], [-50, 150], rtol=1e-4)


def categorical(n: int = 60) -> FlowTable:
    random = np.random.default_rng(1)
    x = np.stack([random.uniform(0, 9, n), random.integers(0, 3, n), random.normal(size=n), np.zeros(n)], axis=1)
    x[:3, 1] = [0, 1, 2]
    return FlowTable(
        x=x,
        y=np.zeros(n, np.int32),
        features=("size", "proto", "rate", "state"),
        classes=("x",),
        categories={"proto": ("icmp", "tcp", "udp"), "state": ("on", "off")},
    )


@pytest.mark.parametrize("name", NAMES)
def test_categories_become_columns_and_come_back_exactly(name: str) -> None:
    table = categorical()
    scaler = fit_scaler(name, table)
    assert scaler.columns == ("size", "proto=icmp", "proto=tcp", "proto=udp", "rate", "state=on", "state=off")
    assert scaler.blocks == ((1, 4), (5, 7))
    assert scaler.width == 7
    z = scaler.transform(table.x)
    codes = table.x[:, [1, 3]]
    expected = OneHotEncoder(sparse_output=False).fit(np.array([[0, 0], [1, 1], [2, 1]])).transform(codes)
    np.testing.assert_array_equal(z[:, [1, 2, 3, 5, 6]], 2 * expected - 1)
    noisy = z + np.random.default_rng(0).uniform(-0.9, 0.9, z.shape)
    np.testing.assert_array_equal(scaler.inverse(noisy)[:, [1, 3]], table.x[:, [1, 3]])
    again = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    np.testing.assert_array_equal(again.transform(table.x), z)
    np.testing.assert_array_equal(again.inverse(noisy), scaler.inverse(noisy))
    assert (again.features, again.categories, again.bounded) == (scaler.features, scaler.categories, scaler.bounded)
    array = fit_scaler(name, table.x, {1: 3, 3: 2})
    np.testing.assert_array_equal(array.transform(table.x), z)


@pytest.mark.parametrize("name", NAMES)
def test_only_categories(name: str) -> None:
    table = categorical().select(("proto", "state"))
    scaler = fit_scaler(name, table)
    np.testing.assert_array_equal(scaler.inverse(scaler.transform(table.x)), table.x)


def test_refusals() -> None:
    x = flows(5)
    table = categorical()
    scaler = fit_scaler("minmax", table)
    unknown = table.x.copy()
    unknown[0, 1] = 3
    holes = table.x.copy()
    holes[1, 2] = np.nan
    for call, message in (
        (lambda: fit_scaler("robust", x), "unknown scaler 'robust'; choose from minmax"),
        (lambda: fit_scaler("minmax", x[:0]), "no training rows"),
        (lambda: fit_scaler("minmax", np.array([[1.0], [np.inf]])), "column 'column 0' of the training rows"),
        (lambda: fit_scaler("minmax", x[0]), r"shape \(6,\)"),
        (lambda: fit_scaler("minmax", x, {0: 2}), "outside its 2 categories"),
        (lambda: fit_scaler("minmax", table, {1: 3}), "knows its categories"),
        (lambda: scaler.transform(x), r"needs \[n, 4\]"),
        (lambda: scaler.transform(unknown), "column 'proto' holds codes outside its 3 categories"),
        (lambda: scaler.transform(holes), "column 'rate' of the raw rows"),
        (lambda: scaler.inverse(table.x), r"needs \[n, 7\]"),
        (lambda: scaler.inverse(np.full((1, 7), np.nan)), "column 'size' of the scaled rows"),
        (lambda: Scaler.from_json({"name": "minmax"}), "no description of a scaler"),
        (lambda: Scaler.from_json({"name": "x", "features": [], "categories": [], "constants": []}), "unknown scaler"),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_spans_all_of_float64(name: str) -> None:
    x = np.array([[-1.0e308], [0.0], [0.0], [1.0], [1.79e308]])
    scaler = fit_scaler(name, x)
    z = scaler.transform(x)
    back = scaler.inverse(z)
    assert np.isfinite(back).all()
    np.testing.assert_allclose(scaler.transform(back), z, atol=1e-5)
    np.testing.assert_allclose(back[[0, 4]], x[[0, 4]], rtol=1e-3)
