"""CDDPM: row identity, counts, resuming after a kill, and that it learns a known mixture."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from nids_jax import parallel
from nids_jax.diffusion.samplers import DDIM, DDPM, DPMpp2M
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError
from nids_jax.generators import denoising
from nids_jax.generators.cddpm import _TYPES, CDDPM, CDDPMConfig
from nids_jax.generators.cddpm_config import PRESETS
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.runtime import CompileClock
from nids_jax.training.description import from_plain, plain
from nids_jax.training.loop import OptimiserConfig, TrainingError

TINY = CDDPMConfig(
    network=UNetConfig(widths=(8, 8, 16, 16), deep=16, embedding=16),
    schedule=Schedule(steps=100),
    sampler=DPMpp2M(steps=12),
    steps=60,
    batch=16,
)
KEY = jax.random.key(7)


def rows(n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 3
    centres = np.array([[-0.8] * 8, [0.0] * 8, [0.8] * 8])
    x = centres[y] + 0.05 * np.random.default_rng(0).normal(size=(n, 8))
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def model() -> CDDPM:
    return CDDPM(TINY).fit(*rows(), jax.random.key(1))


def test_chunks_and_other_rows_never_change_a_row(model: CDDPM):
    labels = np.arange(150) % 3
    whole = model.sample(labels, KEY, chunk=1000)
    assert whole.shape == (150, 8)
    for chunk in (1, 64):
        np.testing.assert_array_equal(whole, model.sample(labels, KEY, chunk=chunk))
    np.testing.assert_array_equal(whole[:70], model.sample(labels[:70], KEY))
    changed = labels.copy()
    changed[3] = (changed[3] + 1) % 3
    other = model.sample(changed, KEY)
    assert not np.array_equal(whole[3], other[3])
    np.testing.assert_array_equal(np.delete(whole, 3, axis=0), np.delete(other, 3, axis=0))
    assert not np.array_equal(whole, model.sample(labels, jax.random.key(8)))


def test_stream_gives_pieces_of_the_size_asked_for(model: CDDPM):
    pieces = [len(piece) for piece in model.stream(np.zeros(70, int), KEY, chunk=32)]
    assert pieces == [32, 32, 6]
    assert model.sample(np.zeros(0, int), KEY).shape == (0, 8)


def test_rows_stay_within_the_training_range(model: CDDPM):
    x, _ = rows()
    out = model.sample(np.arange(64) % 3, KEY)
    assert (out >= x.min(axis=0) - 1e-6).all()
    assert (out <= x.max(axis=0) + 1e-6).all()


def test_a_constant_column_stays_constant():
    x, y = rows()
    x[:, 2] = 0.25
    out = CDDPM(TINY).fit(x, y, KEY).sample(np.arange(9) % 3, KEY)
    np.testing.assert_array_equal(out[:, 2], np.float32(0.25))


@pytest.mark.slow
def test_learns_a_mixture():
    config = replace(TINY, steps=1500, batch=64)
    x, y = rows(300)
    labels = np.repeat(np.arange(3), 200)
    out = CDDPM(config).fit(x, y, KEY).sample(labels, KEY)
    for label, centre in enumerate((-0.8, 0.0, 0.8)):
        assert np.abs(np.median(out[labels == label], axis=0) - centre).max() < 0.1


@pytest.mark.slow
def test_guidance_pushes_rows_apart():
    """With w > 1 the classes' means lie at least as far apart as with w = 1."""
    x, y = rows(300)
    fitted = CDDPM(replace(TINY, steps=600, batch=64, clip=False)).fit(x, y, KEY)
    labels = np.repeat([0, 2], 100)
    gaps = []
    for weight in (0.0, 1.0, 2.0):
        fitted.config = replace(fitted.config, guidance=weight)
        out = fitted.sample(labels, KEY)
        gaps.append(out[100:].mean() - out[:100].mean())
    assert gaps[0] < 0.3 < gaps[1] < gaps[2]


def test_saved_and_loaded(tmp_path: Path, model: CDDPM):
    fitted = CDDPM(TINY, checkpoint_dir=tmp_path, about={"classes": ["a", "b", "c"]}).fit(*rows(), jax.random.key(1))
    loaded, about = CDDPM.load(tmp_path)
    assert about == {"classes": ["a", "b", "c"]}
    assert loaded.config == TINY
    labels = np.arange(10) % 3
    np.testing.assert_array_equal(loaded.sample(labels, KEY), model.sample(labels, KEY))
    np.testing.assert_array_equal(loaded.losses_, fitted.losses_)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path):
    x, y = rows()
    CDDPM(TINY, checkpoint_dir=tmp_path).fit(x, y, KEY)
    with pytest.raises(InputError, match=r"another run \(different rows\)"):
        CDDPM(TINY, checkpoint_dir=tmp_path).fit(x[::-1], y[::-1], KEY)
    with pytest.raises(InputError, match="different config"):
        CDDPM(replace(TINY, batch=8), checkpoint_dir=tmp_path).fit(x, y, KEY)
    with pytest.raises(InputError, match="no checkpoint"):
        CDDPM.load(tmp_path / "nothing")


TRAIN = """
import sys, numpy as np, jax
from dataclasses import replace
from nids_jax.runtime import enable_compilation_cache
from tests.generators.test_cddpm import TINY, rows
from nids_jax.generators.cddpm import CDDPM
enable_compilation_cache()
model = CDDPM(replace(TINY, steps=500), checkpoint_dir=sys.argv[1]).fit(*rows(), jax.random.key(1))
np.savez(sys.argv[2], model.losses_, *jax.tree.leaves(model.state_))
"""


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_weights(tmp_path: Path):
    def start(directory: Path, out: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(directory), str(out)], env={**os.environ, "PYTHONPATH": "."}
        )

    assert start(tmp_path / "whole", tmp_path / "whole.npz").wait() == 0
    killed = start(tmp_path / "killed", tmp_path / "killed.npz")
    steps = tmp_path / "killed" / "steps"
    deadline = time.monotonic() + 120
    while not (steps.is_dir() and any(path.name.isdigit() and int(path.name) >= 100 for path in steps.iterdir())):
        assert killed.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed.npz").exists()
    assert start(tmp_path / "killed", tmp_path / "killed.npz").wait() == 0
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "killed.npz") as resumed:
        for name in whole.files:
            np.testing.assert_array_equal(whole[name], resumed[name])


def test_bad_input_is_refused(model: CDDPM):
    x, y = rows()
    with pytest.raises(InputError, match="no training rows"):
        CDDPM(TINY).fit(x[:0], y[:0], KEY)
    with pytest.raises(InputError, match="label -1 is negative"):
        CDDPM(TINY).fit(x, y - 1, KEY)
    with pytest.raises(InputError, match=r"the model knows 0\.\.2"):
        model.sample(np.array([3]), KEY)
    with pytest.raises(InputError, match="`chunk` is 0"):
        model.sample(np.array([1]), KEY, chunk=0)
    with pytest.raises(ValueError, match="unknown `prediction` 'score'"):
        CDDPMConfig(prediction="score")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`label_dropout` above 0"):
        CDDPMConfig(guidance=2.0, label_dropout=0.0)


def test_settings_change_one_by_one():
    config = CDDPMConfig()
    assert config.changed() == config
    assert config.changed(sampler="ddim", sampler_steps=30).sampler == DDIM(steps=30)
    assert config.changed(sampler_steps=30).sampler == replace(config.sampler, steps=30)
    assert config.changed(sampler="ddpm", variance="beta").sampler == DDPM(variance="beta")
    assert config.changed(guidance=2.0).guidance == 2.0
    assert config.changed(precision="bfloat16").network == UNetConfig(precision="bfloat16")
    assert config.changed(schedule="cosine", scale_schedule=False).schedule == Schedule(kind="cosine", scaled=False)
    assert config.with_timesteps(500).schedule == Schedule(steps=500)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampler": "euler"}, "unknown `sampler` 'euler'; choose from ddim, ddpm"),
        ({"sampler": "ddim", "sampler_steps": 1001}, "takes 1001 steps; give from 2 to the 1000 steps"),
        ({"guidance": float("inf")}, "`guidance` is inf; give a finite weight"),
        ({"precision": "half"}, "unknown `precision` 'half'"),
        ({"schedule": "sigmoid"}, "unknown `schedule` 'sigmoid'"),
        ({"variance": "beta"}, "`variance` 'beta' is an option of the sampler ddpm alone"),
        ({"sampler": "ddpm", "variance": "learned"}, "unknown `variance` 'learned'"),
    ],
)
def test_changes_that_do_not_go_together_are_refused(changes: dict, said: str):
    with pytest.raises(InputError, match=said):
        CDDPMConfig().changed(**changes)


@pytest.mark.parametrize("timesteps", [500, 1500, 2000])
def test_the_ancestral_sampler_takes_every_step_of_any_schedule(timesteps: int):
    config = PRESETS["paper"].with_timesteps(timesteps)
    grid = config.sampler.grid(config.schedule)
    assert grid.t.tolist() == list(range(timesteps, 0, -1))
    assert config.sampler.calls(config.schedule) == timesteps


def test_timesteps_fit_the_sampler():
    with pytest.raises(InputError, match="takes 1000 steps; give from 2 to the 500 steps"):
        PRESETS["paper"].changed(sampler_steps=1000).with_timesteps(500)
    with pytest.raises(InputError, match="the schedule has 1 steps"):
        CDDPMConfig().with_timesteps(1)


def test_settings_survive_json():
    config = CDDPMConfig(sampler=DDPM(steps=500, variance="beta"), optimiser=OptimiserConfig(learning_rate=1e-4))
    assert from_plain(plain(config), _TYPES) == config


def test_values_out_of_bounds_are_reported_not_returned(model: CDDPM):
    broken = CDDPM(replace(TINY, clip=False))
    broken.n_classes_, broken.features_ = model.n_classes_, model.features_
    broken._set_range(np.zeros(8), np.ones(8))
    broken.state_ = model.state_._replace(ema=jax.tree.map(lambda a: a * np.nan, model.state_.ema))
    with pytest.raises(TrainingError, match="not finite"):
        broken.sample(np.zeros(3, int), KEY)


def test_what_is_compiled_ahead_is_not_compiled_again(model: CDDPM):
    ready = model.with_sampler(DPMpp2M(steps=3))
    clock = CompileClock()
    ready.compile()
    compiled = clock.count
    assert compiled > 0
    ready.sample(np.arange(70) % 3, KEY)
    assert clock.count == compiled


def test_nothing_goes_between_host_and_device_while_a_tile_is_sampled(model: CDDPM):
    mesh = parallel.mesh()
    fitted = denoising.Fitted(model.state_.ema, model.state_.rest, model.low_, model.high_)
    process = denoising.Process(model._objective(), TINY.sampler, TINY.guidance, None)
    first = 64 * np.arange(mesh.size, dtype=np.int32)
    given = parallel.everywhere((fitted, KEY), mesh)
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.ROWS))
    given += jax.device_put((first, np.zeros((mesh.size, 64), np.int32)), split)
    jax.block_until_ready(given)
    with jax.transfer_guard("disallow"):
        rows = jax.block_until_ready(denoising.sample_tiles(*given, None, process=process, mesh=mesh))
    np.testing.assert_array_equal(
        np.asarray(rows).reshape(-1, 8), model.sample(np.zeros(64 * mesh.size, np.int32), KEY)
    )
