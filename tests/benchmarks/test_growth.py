"""The arithmetic of curves of growth."""

import numpy as np
import pytest

from benchmarks import growth
from benchmarks.growth import Point, next_costs, slope, slopes, table, upper_half


def points(*pairs: tuple[int, float]) -> list[Point]:
    return [Point(size=n, seconds=s, spread=(s, s), first_s=s + 1, mib=s * 10) for n, s in pairs]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_slope_of_a_power_is_its_exponent(power: float) -> None:
    sizes = np.array([10, 30, 77, 200, 500])
    assert slope([*sizes], [*(3 * sizes**power)]) == pytest.approx(power)


def test_no_slope_of_one_point_or_of_nothing() -> None:
    assert slope([10], [1.0]) is None
    assert slope([10, 100], [1.0, 0.0]) is None


def test_slopes_leave_out_the_small_sizes_with_their_fixed_costs() -> None:
    found = points((1, 5.0), (10, 5.0), (100, 10.0), (1000, 100.0))
    assert [each.size for each in upper_half(found)] == [100, 1000]
    assert slopes(found) == (pytest.approx(1), pytest.approx(1))


def test_the_next_point_is_foreseen_by_the_last_two() -> None:
    assert next_costs(points((10, 1.0), (100, 100.0)), 1000) == (pytest.approx(10_000), pytest.approx(10_000))
    assert next_costs(points((10, 1.0), (100, 1.0)), 1000) == (pytest.approx(10), pytest.approx(100))
    assert next_costs(points((10, 1.0)), 30) == (pytest.approx(3), pytest.approx(30))


def test_a_curve_ends_before_a_run_that_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_measured_apart", lambda what, size, repeats: points((size, size / 1000))[0])
    found = growth.curve("near", growth.Growth(limit_s=100, limit_mib=10**6))
    assert [each.size for each in found] == [1_000, 3_000, 10_000, 30_000, 100_000]
    shown = table({"near": found}, "Title")
    assert shown.rows[-1][-2:] == ("1.00", "1.00")
    assert shown.rows[0][-2:] == ("", "")


def test_a_point_is_measured_in_its_process() -> None:
    found = growth.measure("duplicates", 1000, 2)
    assert found.size == 1000
    assert 0 < found.spread[0] <= found.seconds <= found.spread[1]
