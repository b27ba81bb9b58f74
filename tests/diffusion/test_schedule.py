"""Noise schedules against closed forms."""

import numpy as np
import pytest

from nids_jax.diffusion.schedule import Schedule


def test_linear_schedule_is_ho_et_al():
    schedule = Schedule()
    assert schedule.beta[1] == pytest.approx(1e-4)
    assert schedule.beta[1000] == pytest.approx(0.02)
    product = 1.0
    for t in range(1, 1001):
        product *= 1.0 - (1e-4 + (0.02 - 1e-4) * (t - 1) / 999)
    assert schedule.alpha_bar[1000] == pytest.approx(product, rel=1e-12)
    assert schedule.alpha_bar[0] == 1.0


@pytest.mark.parametrize("steps", [500, 1500, 2000])
def test_scaling_keeps_the_noise_at_the_end(steps: int):
    reference = np.log(Schedule().alpha_bar[-1])
    assert np.log(Schedule(steps=steps).alpha_bar[-1]) == pytest.approx(reference, rel=0.02)
    assert np.log(Schedule(steps=steps, scaled=False).alpha_bar[-1]) == pytest.approx(
        reference * steps / 1000, rel=0.02
    )


def test_cosine_schedule_follows_its_curve_and_is_capped():
    schedule = Schedule(kind="cosine", steps=100)
    assert schedule.alpha_bar[50] == pytest.approx(
        np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2, rel=1e-9
    )
    assert schedule.beta.max() == 0.999


def test_log_snr_inverts():
    schedule = Schedule(steps=500)
    t = np.array([1, 7, 250, 500])
    np.testing.assert_allclose(schedule.at_log_snr(schedule.log_snr[t - 1]), t)
    sigma = np.sqrt(1 - schedule.alpha_bar[1:])
    np.testing.assert_allclose(schedule.log_snr, np.log(np.sqrt(schedule.alpha_bar[1:]) / sigma), rtol=1e-9)


@pytest.mark.parametrize("bad", [{"kind": "sigmoid"}, {"steps": 1}, {"steps": 10}])
def test_bad_schedules_are_refused(bad: dict):
    with pytest.raises(ValueError, match=r"schedule|steps"):
        Schedule(**bad)
