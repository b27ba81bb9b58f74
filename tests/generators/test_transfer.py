"""Pre-training on auxiliary rows, adaptation to a few, and variations of the few."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nids_jax.diffusion.samplers import DPMpp2M
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.generators import sampler_selection, transfer
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.generators.editing import Edited
from nids_jax.generators.registry import make_generator
from nids_jax.generators.spec import Request
from nids_jax.generators.transfer import AdaptationConfig, Adapted, Pretrained, pretrain
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.training.loop import OptimiserConfig

pytestmark = pytest.mark.slow  # its models are trained for minutes

TINY = CDDPMConfig(
    network=UNetConfig(widths=(8, 8, 16, 16), deep=16, embedding=16),
    schedule=Schedule(steps=100),
    optimiser=OptimiserConfig(learning_rate=5e-3, decay=True, ema_decay=0.99),
    prediction="velocity",
    sampler=DPMpp2M(steps=12),
    steps=2000,
    batch=64,
)
CENTRES = np.array([[-0.7, -0.7], [-0.7, 0.7], [0.7, -0.7], [0.7, 0.7]], np.float32)
SPREAD = 0.05
ADAPTATION = AdaptationConfig(steps=150, optimiser=TINY.optimiser)
KEY = jax.random.key(3)


def mixture(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of four clusters in turn, and which."""
    y = np.arange(rows) % 4
    return (CENTRES[y] + SPREAD * np.random.default_rng(seed).normal(size=(rows, 2))).astype(np.float32), y


@pytest.fixture(scope="module")
def few() -> tuple[np.ndarray, np.ndarray]:
    return mixture(8, 1)


@pytest.fixture(scope="module")
def pretrained() -> Pretrained:
    return pretrain(TINY, mixture(1000, 0)[0], None, jax.random.key(0))


@pytest.fixture(scope="module")
def untaught(pretrained: Pretrained, few: tuple[np.ndarray, np.ndarray]) -> Adapted:
    return Adapted(TINY, pretrained, replace(ADAPTATION, steps=0)).fit(*few, KEY)


def test_pretraining_tells_how_far_a_class_reaches(untaught: Adapted, few: tuple[np.ndarray, np.ndarray]):
    """Variations of two rows of a cluster spread over it; with a model of the few rows alone they leave it."""
    scratch = CDDPM(replace(TINY, steps=ADAPTATION.steps)).fit(*few, KEY)
    seeds, labels = np.repeat(few[0], 16, axis=0), np.repeat(few[1], 16)
    near, far = (
        np.linalg.norm(model.vary(seeds, labels, KEY, levels=4) - CENTRES[labels], axis=1).mean()
        for model in (untaught, scratch)
    )
    assert near < 0.8 * far


def test_adaptation_tells_the_classes_apart(
    pretrained: Pretrained, untaught: Adapted, few: tuple[np.ndarray, np.ndarray]
):
    adapted = Adapted(TINY, pretrained, ADAPTATION).fit(*few, KEY)
    labels = np.arange(128) % 4
    before, after = (
        np.linalg.norm(model.sample(labels, KEY) - CENTRES[labels], axis=1).mean() for model in (untaught, adapted)
    )
    assert after < 0.75 * before


def test_before_adaptation_every_label_means_none(untaught: Adapted, pretrained: Pretrained):
    """No weight differs from the pre-trained model's, so a row is the same whatever its label."""
    mine, theirs = untaught.state_.ema, pretrained.model.state_.ema
    for name in set(mine) - {"labels"}:
        jax.tree.map(np.testing.assert_array_equal, mine[name], theirs[name])
    labels = np.arange(20) % 4
    np.testing.assert_array_equal(untaught.sample(labels, KEY), untaught.sample(np.zeros(20, int), KEY))


def test_rows_of_one_class_teach_its_label_only(pretrained: Pretrained, few: tuple[np.ndarray, np.ndarray]):
    """Auxiliary rows of the benign class know their label; the classes to come start from "no label"."""
    untaught = Adapted(TINY, pretrained._replace(label=2), replace(ADAPTATION, steps=0)).fit(*few, KEY)
    labels = untaught.state_.ema["labels"][...]
    benign, none = pretrained.model.state_.ema["labels"][...]
    np.testing.assert_array_equal(labels, jnp.stack([none, none, benign, none, none]))


def test_variations_range_from_copies_to_samples(untaught: Adapted, few: tuple[np.ndarray, np.ndarray]):
    seeds, labels = np.repeat(few[0], 4, axis=0), np.repeat(few[1], 4)
    away = [
        np.linalg.norm(untaught.vary(seeds, labels, KEY, levels=levels) - seeds, axis=1).mean() for levels in (1, 7, 12)
    ]
    lowest = np.sqrt(1 - TINY.schedule.alpha_bar[1])
    assert away[0] < 2 * lowest
    assert away[0] < away[1] < away[2]
    # Of a seed at the origin nothing is left in pure noise but its norm, off by √(1 − ᾱ_T).
    noise = untaught.vary(np.zeros_like(seeds), labels, KEY, levels=12)
    np.testing.assert_allclose(noise, untaught.sample(labels, KEY), atol=0.02)


def test_edited_rows_depend_on_number_and_label_alone(untaught: Adapted, few: tuple[np.ndarray, np.ndarray]):
    edited = Edited(untaught).fit(*few, KEY)
    labels = np.arange(70) % 4
    whole = edited.sample(labels, KEY)
    np.testing.assert_array_equal(whole[:30], edited.sample(labels[:30], KEY))
    labels[5] = 3
    other = edited.sample(labels, KEY)
    assert not np.array_equal(whole[5], other[5])
    np.testing.assert_array_equal(np.delete(whole, 5, axis=0), np.delete(other, 5, axis=0))
    assert not np.array_equal(whole, edited.sample(labels, jax.random.key(4)))
    assert edited.sample(labels[:0], KEY).shape == (0, 2)
    with pytest.raises(InputError, match="class 9 has no training row; ask for the classes that have some: 0, 1, 2, 3"):
        edited.sample(np.array([1, 9]), KEY)


class Drifting:
    """A model whose variations lie `levels` / 10 beside their seeds."""

    config = CDDPMConfig(sampler=DPMpp2M(steps=20))
    losses_ = np.zeros(0)
    features_ = 2

    def fit(self, x, y, key):
        return self

    def vary(self, seeds, labels, key, *, levels):
        return seeds + np.array([0.0, levels / 10], np.float32)


@pytest.mark.parametrize(("apart", "levels"), [(0.75, 7), (0.01, 1), (50.0, 20), (None, 1)])
def test_the_level_is_the_highest_that_stays_as_close_as_rows_are(apart: float | None, levels: int):
    x = np.array([[0, 0], [apart or 0, 0]][: 1 if apart is None else 2], np.float32)
    model: CDDPM = Drifting()  # pyright: ignore[reportAssignmentType]
    assert Edited(model).fit(x, np.zeros(len(x), int), KEY).levels_ == levels


def test_by_name(pretrained: Pretrained):
    options = Request(settings=TINY)
    with pytest.raises(InputError, match="cddpm_adapted starts from a model of auxiliary rows"):
        make_generator("cddpm_adapted", options)
    scratch = make_generator("cddpm_edit", options)
    assert isinstance(scratch, Edited)
    assert type(scratch.model) is CDDPM
    transferred = make_generator("cddpm_edit", replace(options, pretrained=pretrained))
    assert isinstance(transferred, Edited)
    assert isinstance(transferred.model, Adapted)
    assert transferred.model.adaptation.steps == 0
    assert isinstance(make_generator("cddpm_adapted", replace(options, pretrained=pretrained)), Adapted)


def test_a_sampler_is_chosen_for_the_adapted_model(
    pretrained: Pretrained, few: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    """By `cddpm_adapted` and by `cddpm_edit` on auxiliary rows, as by `cddpm`."""
    cheap = DPMpp2M(steps=5)
    chosen = sampler_selection.Trial(cheap, 0.5, 0.6)
    monkeypatch.setattr(sampler_selection, "select_sampler", lambda *_: chosen)
    monkeypatch.setattr(transfer, "AdaptationConfig", partial(AdaptationConfig, steps=0))
    request = Request(settings=TINY.changed(sampler="auto"), pretrained=pretrained)
    adapted = make_generator("cddpm_adapted", request).fit(*few, KEY)
    assert isinstance(adapted, Adapted)
    assert adapted.config.sampler == cheap
    edited = make_generator("cddpm_edit", request).fit(*few, KEY)
    assert isinstance(edited, Edited)
    assert edited.model.config.sampler == cheap
    assert edited.levels_ <= 5
    assert not hasattr(Adapted, "load")  # it is kept nowhere


def test_pretraining_chooses_no_sampler(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampler_selection, "select_sampler", lambda *_: pytest.fail("chosen"))
    config = replace(TINY, steps=1).changed(sampler="auto")
    assert not pretrain(config, mixture(8, 0)[0], None, KEY).model.config.choose_sampler


def test_bad_input_is_refused(pretrained: Pretrained, untaught: Adapted):
    with pytest.raises(InputError, match="the rows have 3 columns, the pre-trained model knows 2"):
        Adapted(TINY, pretrained).fit(np.zeros((2, 3)), np.array([0, 1]), KEY)
    with pytest.raises(InputError, match=r"seeds have shape \(1, 2\); give one per label, \[2, 2\]"):
        untaught.vary(np.zeros((1, 2)), np.array([0, 1]), KEY, levels=3)
    with pytest.raises(ValueError, match=r"13 levels are asked of a sampler that has 12"):
        untaught.vary(np.zeros((1, 2)), np.array([0]), KEY, levels=13)
