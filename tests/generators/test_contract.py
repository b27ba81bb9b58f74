"""What every generator of the registry must do, whatever it is."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import numpy as np
import pytest

from nids_jax.diffusion.samplers import DPMpp2M
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.generators import registry, transfer
from nids_jax.generators.base import Generator
from nids_jax.generators.cddpm_config import CDDPMConfig
from nids_jax.generators.gan import GANConfig
from nids_jax.generators.registry import GENERATORS, known, make_generator
from nids_jax.generators.resampling import Copies
from nids_jax.generators.spec import Columns, GeneratorSpec, Request
from nids_jax.generators.transfer import AdaptationConfig, Pretrained, pretrain
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.presets import PRESETS
from tests.generators.row_independence import check_rows_are_independent
from tests.plugins import examples

KEY = jax.random.key(5)
EXPERIMENTS = {"few_shot", "generator_comparison", "imbalance"}
# Plug-ins must do the same: the page's own, and over-samplers of imbalanced-learn.
SAMPLERS = ("SMOTE", "RandomOverSampler")
PLUGINS = [examples.GENERATOR, *(f"imblearn.over_sampling:{name}:foreign_{name.lower()}" for name in SAMPLERS)]
EVERY = [*GENERATORS, *PLUGINS]
MADE = [name for name, spec in GENERATORS.items() if spec.needs in ("", "auxiliary")] + PLUGINS

pytestmark = pytest.mark.filterwarnings("ignore:.*collapsed:RuntimeWarning")  # after two steps


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Two classes of eight rows, far apart, within [-1, 1]."""
    y = np.arange(16) % 2
    x = np.where(y == 0, -0.5, 0.5)[:, None] + np.random.default_rng(0).uniform(-0.3, 0.3, (16, 4))
    return x.astype(np.float32), y


def settings(spec: GeneratorSpec) -> Any:
    """The family's demo preset, shrunk."""
    if not spec.family:
        return None
    tiny: dict[str, Any] = {
        "cddpm": {
            "network": UNetConfig(widths=(4, 4, 4, 4), deep=4, embedding=4),
            "schedule": Schedule(steps=30),
            "sampler": DPMpp2M(steps=2),
            "steps": 2,
        },
        "gan": {"hidden": (8,), "noise": 2, "steps": 2, "critic_steps": 1},
    }
    config: Any = spec.presets["demo"]
    return replace(config, batch=8, **tiny[spec.family]).fitted(16, Columns(bounded=True))


@pytest.fixture(scope="module", autouse=True)
def _adaptation_shares_what_the_cddpm_compiles() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        optimiser = settings(GENERATORS["cddpm"]).optimiser
        patch.setattr(transfer, "AdaptationConfig", partial(AdaptationConfig, steps=2, optimiser=optimiser))
        yield


@cache
def pretrained() -> Pretrained:
    """Untrained: that compiles nothing."""
    return pretrain(replace(settings(GENERATORS["cddpm"]), steps=0), rows()[0], None, jax.random.key(0))


@pytest.fixture(autouse=True)
def _plugins() -> Iterator[None]:
    examples.install()
    with examples.registries_kept():
        yield


def spec_of(name: str) -> GeneratorSpec:
    return GENERATORS[known([name])[0]]


@cache
def fitted(name: str) -> Generator:
    spec = spec_of(name)
    request = Request(settings=settings(spec), pretrained=pretrained() if spec.needs == "auxiliary" else None)
    return make_generator(name, request).fit(*rows(), jax.random.key(1))


@pytest.mark.parametrize("name", MADE)
def test_one_finite_row_for_each_label_from_the_key_its_number_and_its_label(name: str):
    check_rows_are_independent(fitted(name), columns=4, length=1100)
    assert np.isfinite(fitted(name).sample(np.array([0, 1, 1]), KEY)).all()


@pytest.mark.parametrize("name", MADE)
def test_a_class_without_training_rows_is_refused(name: str):
    with pytest.raises(InputError, match=r"9|0\.\.1"):
        fitted(name).sample(np.array([0, 9]), KEY)


@pytest.mark.parametrize("name", GENERATORS)
def test_what_it_needs_is_asked_for(name: str):
    spec = GENERATORS[name]
    asked = {"auxiliary": "auxiliary rows", "weighted tools": "tools"}
    asked |= {what: what for what in ("packets", "tools", "columns")}
    assert spec.needs in ("", *asked)
    if spec.needs:
        with pytest.raises(InputError, match=f"{name} .*{asked[spec.needs]}"):
            make_generator(name, Request(settings=settings(spec)))


@pytest.mark.parametrize("name", EVERY)
def test_its_specification_is_complete(name: str):
    spec = spec_of(name)
    assert spec.name == known([name])[0]
    assert spec.summary.endswith(".")
    assert "\n" not in spec.summary
    assert len(spec.summary) < 80
    assert set(spec.presets) == ({*PRESETS} if spec.family else set())
    family = [other.presets for other in GENERATORS.values() if other.family == spec.family]
    assert all(presets == spec.presets for presets in family)
    assert spec.compared_in <= EXPERIMENTS
    if spec.samples_model_of:
        source = GENERATORS[spec.samples_model_of]
        assert source.family == spec.family
        assert not source.samples_model_of


def test_the_registry_is_in_the_order_of_the_reports():
    assert ", ".join(GENERATORS) == (
        "copies, jitter, smote, adasyn, retimed, inverse, cddpm, cddpm_calibrated, cddpm_adapted, cddpm_edit, packets,"
        " packets_resent, simulated, simulated_inverse, wgan, wgan_per_class, wcgan_gp, vae, vae_wgan, vae_wgan_gp,"
        " vae_wgan_gp_per_class"
    )
    compared = {name: {spec.name for spec in GENERATORS.values() if name in spec.compared_in} for name in EXPERIMENTS}
    assert compared["few_shot"] == {"copies", "cddpm", "simulated"}
    assert compared["imbalance"] == {"copies", "smote", "adasyn", "cddpm", "wgan", "wcgan_gp", "vae", "vae_wgan_gp"}
    assert compared["generator_comparison"] == compared["imbalance"] | {
        "jitter",
        "retimed",
        "inverse",
        "cddpm_calibrated",
        "simulated",
        "simulated_inverse",
    }
    assert [name for name, spec in GENERATORS.items() if spec.timesteps] == ["cddpm"]
    assert [name for name, spec in GENERATORS.items() if not spec.repeated_rows] == ["cddpm_calibrated"]


def test_settings_are_fitted_to_rows_and_columns():
    config = CDDPMConfig(epochs=3, batch=10)
    assert config.fitted(25, Columns(bounded=True)) == replace(config, epochs=0, steps=9)
    assert not CDDPMConfig().fitted(25, Columns()).clip
    assert not CDDPMConfig(clip=False).fitted(25, Columns(bounded=True)).clip
    columns = Columns(bounded=True, blocks=((1, 3),))
    assert GANConfig().fitted(25, columns) == GANConfig(bounded=True, blocks=((1, 3),))


def test_a_further_generator_takes_one_entry(monkeypatch: pytest.MonkeyPatch):
    """A module with its specification, and the line in the registry that names it."""
    spec = GeneratorSpec(name="toy", make=lambda _: Copies(), summary="Copies by another name.", learns=False)
    monkeypatch.setattr(registry, "GENERATORS", {**GENERATORS, spec.name: spec})
    generator = make_generator("toy", Request()).fit(*rows(), KEY)
    assert generator.sample(np.array([1, 0]), KEY).shape == (2, 4)
    with pytest.raises(InputError, match=r"unknown generator 'tou'; choose from copies, .*, toy"):
        make_generator("tou", Request())
