"""Sampler selection: the sampler with the fewest calls whose rows are indistinguishable from the reference's."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from nids_jax.diffusion.samplers import DDPM, DPMpp2M, Sampler
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.generators import diffusion_model, sampler_selection
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.training.description import plain
from tests.generators.test_cddpm import KEY, TINY, rows

SCHEDULE = Schedule(steps=200)


def normals(sampler: Sampler, seed: int) -> np.ndarray:
    """512 standard normals of each sampler and seed."""
    return np.random.default_rng([seed, sampler.calls(SCHEDULE), len(type(sampler).__name__)]).normal(size=(512, 6))


def test_candidates_come_by_cost_and_end_with_every_step():
    found = sampler_selection.candidates(SCHEDULE)
    calls = [sampler.calls(SCHEDULE) for sampler in found]
    assert calls == sorted(calls)
    assert found[-1] == DDPM(steps=200)
    assert all(sampler.steps < 30 for sampler in sampler_selection.candidates(Schedule(steps=30))[:-1])


def test_the_first_that_is_indistinguishable_is_chosen():
    """Rows with fewer than 20 calls are shifted; those with 20 are as they should be."""

    def sample(sampler: Sampler, seed: int) -> np.ndarray:
        return normals(sampler, seed) + (0.8 if sampler.calls(SCHEDULE) < 20 else 0.0)

    chosen = sampler_selection.select_sampler(sample, SCHEDULE)
    assert chosen.sampler.calls(SCHEDULE) == 20
    assert chosen.indistinguishable


def test_where_none_does_every_step_is_taken():
    def sample(sampler: Sampler, seed: int) -> np.ndarray:
        return normals(sampler, seed) + seed  # not even the reference is like itself

    chosen = sampler_selection.select_sampler(sample, SCHEDULE)
    assert chosen.sampler == DDPM(steps=200)
    assert not chosen.indistinguishable
    assert chosen.auc > 0.7


@pytest.mark.slow
def test_equal_distributions_are_indistinguishable_about_nineteen_times_in_twenty():
    wanted = normals(DDPM(steps=200), 0)

    def indistinguishable(seed: int, shift: float) -> bool:
        rows = normals(DDPM(steps=200), seed) + shift
        return sampler_selection.compare(rows, wanted, DDPM()).indistinguishable

    assert sum(indistinguishable(seed, 0.0) for seed in range(1, 31)) >= 24  # 23 or fewer have a chance of 0.3 %
    # And unequal ones, by a seventh of a deviation in each of six columns, are not.
    assert sum(indistinguishable(seed, 0.15) for seed in range(1, 7)) <= 1


def test_a_model_keeps_its_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampler_selection, "_CANDIDATES", (DPMpp2M(steps=12),))
    monkeypatch.setattr(diffusion_model, "_COMPARED", 60)
    config = replace(TINY, steps=4, sampler=DDPM(steps=100), choose_sampler=True)
    model = CDDPM(config, checkpoint_dir=tmp_path).fit(*rows(), KEY)
    assert (tmp_path / "sampler.json").exists()
    assert model.config.sampler in (DPMpp2M(steps=12), DDPM(steps=100))
    monkeypatch.setattr(sampler_selection, "select_sampler", lambda *_: pytest.fail("chosen again"))
    loaded, _ = CDDPM.load(tmp_path)
    assert loaded.config.sampler == model.config.sampler
    labels = np.arange(20) % 3
    np.testing.assert_array_equal(loaded.sample(labels, KEY), model.sample(labels, KEY))
    plainly = CDDPM(replace(config, choose_sampler=False, sampler=model.config.sampler)).fit(*rows(), KEY)
    np.testing.assert_array_equal(plainly.sample(labels, KEY), model.sample(labels, KEY))


def test_a_checkpoint_that_cannot_be_written_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = CDDPM(replace(TINY, steps=4)).fit(*rows(), KEY)
    trial = sampler_selection.Trial(DPMpp2M(steps=12), 0.5, 0.6)
    monkeypatch.setattr(sampler_selection, "select_sampler", lambda *_: trial)
    (tmp_path / "file").write_text("where a folder should be")
    with pytest.warns(UserWarning, match=f"not kept: cannot write {tmp_path / 'file' / 'sampler.json'}: [^;]*$"):
        model.choose_sampler(tmp_path / "file")
    assert model.config.sampler == trial.sampler


def test_auto_asks_for_a_choice():
    auto = CDDPMConfig().changed(sampler="auto", guidance=2.0)
    assert (auto.choose_sampler, auto.guidance, auto.sampler) == (True, 2.0, CDDPMConfig().sampler)
    assert not auto.changed(sampler="ddim", sampler_steps=50).choose_sampler
    assert auto.changed().choose_sampler
    with pytest.raises(InputError, match="`sampler` auto chooses the steps as well; leave `sampler_steps` out"):
        CDDPMConfig().changed(sampler="auto", sampler_steps=20)
    with pytest.raises(InputError, match="leave `variance` out"):
        CDDPMConfig().changed(sampler="auto", variance="beta")


def test_a_choice_that_cannot_be_read_is_refused(tmp_path: Path):
    model = CDDPM(TINY)
    for text, said in (
        ("{}", "there is no 'sampler'"),
        ("[]", "no JSON object"),
        ('{"sampler": {"type": "Euler"}}', 'of the type "Euler"'),
        (json.dumps({"sampler": plain(DDPM(steps=500)), "auc": 0.5, "threshold": 0.6}), "takes 500 steps"),
        (json.dumps({"sampler": plain(DPMpp2M()), "auc": "low", "threshold": 0.6}), "'auc' is .*another type"),
    ):
        (tmp_path / "sampler.json").write_text(text)
        with pytest.raises(InputError, match=f"sampler.json.*{said}"):
            model.choose_sampler(tmp_path)


def test_samples_of_one_seed_are_of_one_key():
    model = CDDPM(replace(TINY, steps=4)).fit(*rows(), jax.random.key(0))
    labels = np.arange(9) % 3
    other = model.with_sampler(DPMpp2M(steps=12))
    assert model.config.sampler == TINY.sampler
    np.testing.assert_array_equal(other.sample(labels, KEY), model.sample(labels, KEY))
