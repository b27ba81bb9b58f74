"""Rows with another near them, against a plain double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.data.near import has_near


def by_a_double_loop(asked: np.ndarray, known: np.ndarray, tolerance: float) -> list[bool]:
    return [
        any(all(abs(a - b) <= tolerance for a, b in zip(row, other, strict=True)) for other in known.tolist())
        for row in asked.tolist()  # Python's floats: the distance of the largest from their negatives is infinite
    ]


def test_the_farthest_rows() -> None:
    rows = np.array([[-1.7e308], [1.7e308]])
    for tolerance in (0.0, 1e300):
        assert not has_near(rows[:1], rows[1:], tolerance).any()
        assert has_near(rows, rows, tolerance).tolist() == [True, True]


@settings(deadline=None, max_examples=200)
@given(data=st.data(), tolerance=st.sampled_from([0.0, 0.1, 0.25, 1.0, 1e300]), width=st.integers(1, 4))
def test_any_rows(data: st.DataObject, tolerance: float, width: int) -> None:
    # Multiples of the tolerance and their neighbours among the floats: distances on the very edge.
    edges = [k * tolerance for k in range(-3, 4)] + [float(np.nextafter(k * tolerance, 9)) for k in range(-3, 4)]
    value = st.sampled_from(edges) | st.floats(-1e308, 1e308) | st.sampled_from([0.0, -0.0, 5e-324])
    rows = st.lists(st.tuples(*[value] * width), max_size=25)
    asked = np.array(data.draw(rows), float).reshape(-1, width)
    known = np.array(data.draw(rows), float).reshape(-1, width)
    assert has_near(asked, known, tolerance).tolist() == by_a_double_loop(asked, known, tolerance)


@pytest.mark.parametrize("spread", [1e-3, 1, 30])
def test_crowds(spread: float) -> None:
    """Rows in crowds narrower than the tolerance, about as wide, and far wider."""
    random = np.random.default_rng(0)
    centres = random.normal(0, 100, (5, 6))
    asked = centres[random.integers(0, 5, 300)] + spread * random.random((300, 6))
    known = centres[random.integers(0, 4, 250)] + spread * random.random((250, 6))
    distances = np.abs(asked[:, None] - known).max(axis=2)
    assert has_near(asked, known, 0.3).tolist() == (distances <= 0.3).any(axis=1).tolist()


def test_rows_are_left_as_they_are() -> None:
    asked, known = np.arange(12.0).reshape(6, 2), np.arange(8.0).reshape(4, 2) + 0.5
    before = asked.copy(), known.copy()
    assert has_near(asked, known, 0.5).all(axis=0) == np.False_
    np.testing.assert_array_equal(asked, before[0])
    np.testing.assert_array_equal(known, before[1])


def test_many_copies_of_two_rows() -> None:
    asked = np.repeat([[0.0, 0.0], [0.0, 1.5]], 20_000, axis=0)
    known = np.repeat([[0.0, 3.0], [0.0, 1.4]], 20_000, axis=0)
    assert has_near(asked, known, 1.0).sum() == 20_000
