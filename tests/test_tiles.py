"""Rows computed together: on CPUs as ever, elsewhere by the device's memory, and the same rows either way."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nids_jax import machine, parallel
from nids_jax.classifiers import inference
from nids_jax.classifiers.neural import CrossEntropyObjective, NeuralClassifier
from nids_jax.generators import denoising, gan
from nids_jax.generators.cddpm import CDDPM
from nids_jax.generators.denoising import DenoisingObjective, Tiles
from nids_jax.nn.layers import Uniforms
from nids_jax.presets import get_preset
from tests.classifiers.test_neural import TINY as DETECTOR
from tests.generators.test_cddpm import KEY, TINY, rows


class Device:
    """One of an accelerator's, with so much memory for JAX."""

    platform = "gpu"

    def __init__(self, limit: int | None):
        self._limit = limit

    def memory_stats(self) -> dict[str, int] | None:
        return None if self._limit is None else {"bytes_limit": self._limit, "bytes_in_use": self._limit - 1}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def there(limit: int | None) -> None:
        for cached in (denoising.tiles, gan.tile_rows, inference._largest_tile):
            cached.cache_clear()
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        monkeypatch.setattr(jax, "local_devices", lambda: [Device(limit)])

    yield there
    monkeypatch.undo()
    for cached in (denoising.tiles, gan.tile_rows, inference._largest_tile):
        cached.cache_clear()


def objectives() -> tuple[DenoisingObjective, CrossEntropyObjective, Any]:
    preset = get_preset("cpu")
    config = preset.generators["cddpm"]
    diffusion = DenoisingObjective(
        network=config.network, schedule=config.schedule, classes=15, prediction="noise", label_dropout=0.1
    )
    detector = CrossEntropyObjective(network=preset.detector.network, features=77, classes=15)
    return diffusion, detector, gan.make_objective("wcgan_gp", preset.generators["gan"], 77, 15)


def test_cpus_have_the_tiles_that_they_had():
    diffusion, detector, adversarial = objectives()
    assert denoising.tiles(diffusion, 77) == Tiles(64, 64)
    assert [inference._tiling(detector, n) for n in (1, 10**6)] == [(64, 8), (64, 8)]
    assert gan.tile_rows(adversarial) == 1024


def test_a_tile_is_a_power_of_two_that_fits_the_memory(gpu: Any):
    gpu(2 * 2**30)
    assert machine.tile(2**20, cpu=64, most=2**16) == 2048
    assert machine.tile(2**20 + 1, cpu=64, most=2**16) == 1024
    assert machine.tile(2**20, cpu=64, most=512) == 512
    assert machine.tile(2**40, cpu=64, most=2**16) == 64
    gpu(3 * 2**30 - 1)  # a driver that takes a little more changes nothing
    assert machine.tile(2**20, cpu=64, most=2**16) == 2048
    gpu(None)
    assert machine.tile(1, cpu=64, most=2**16, least=1024) == 1024


def test_larger_memories_have_larger_tiles(gpu: Any):
    diffusion, detector, adversarial = objectives()
    found = []
    for gib in (6, 18, 60):
        gpu(gib * 2**30)
        found.append((denoising.tiles(diffusion, 77).large, inference._largest_tile(detector)))
        assert gan.tile_rows(adversarial) == 2**14
        assert denoising.tiles(diffusion, 77, guidance=2.0).large == denoising.tiles(diffusion, 77).large // 2
    (small, middle, large) = found
    assert small[0] < middle[0] < large[0]
    assert small[1] < middle[1] < large[1]
    # All that is computed on the way is more than what XLA holds at once, but not without bound.
    taken = machine.row_bytes(
        lambda x: detector.build(Uniforms())(x),  # pyright: ignore[reportCallIssue]
        ((77,), jnp.float32),
    )
    planned = 71.5 * 2**20 / 1024  # by benchmarks.programs, for 1,024 rows
    assert planned < taken < 20 * planned
    for rows_left, tile in ((1, 1024), (1024, 1024), (1025, 8192), (10**6, inference._largest_tile(detector))):
        assert inference._tiling(detector, rows_left) == (tile, 1)


def test_calls_cover_every_row_once_at_its_own_place():
    sizes = Tiles(4, 16)
    for devices in (1, 2, 3):
        for first, stop in ((0, 50), (3, 9), (15, 17), (14, 40), (20, 21), (0, 0)):
            calls = [*sizes.calls(first, stop, devices)]
            covered = [row for start, end, _ in calls for row in range(max(start, first), end)]
            assert covered == [*range(first, stop)], (devices, first, stop)
            for start, end, tile in calls:
                assert tile == (4 if start < 16 else 16)
                assert start % tile == 0
                assert end - start <= tile * devices
                assert start >= 16 or end <= 16


def test_rows_of_two_sizes_of_tiles_are_the_rows(monkeypatch: pytest.MonkeyPatch):
    """As on a GPU: the first 256 in tiles of 32, from there on in tiles of 256."""
    x, y = rows(30)
    model = CDDPM(TINY).fit(x, y, jax.random.key(1))
    labels = np.arange(700) % 3
    plain = model.sample(labels, KEY)
    monkeypatch.setattr(denoising, "tiles", lambda *_: Tiles(32, 256))
    monkeypatch.setattr("nids_jax.generators.diffusion_model.tiles", lambda *_: Tiles(32, 256))
    mixed = model.sample(labels, KEY)
    np.testing.assert_allclose(mixed, plain, atol=1e-4)
    # Whatever is asked for, in whatever pieces, and on however many devices: the same bits.
    np.testing.assert_array_equal(model.sample(labels[:300], KEY), mixed[:300])
    pieces = [*model.stream(labels, KEY, chunk=77, first=200, stop=650)]
    np.testing.assert_array_equal(np.concatenate(pieces), mixed[200:650])
    one = parallel.mesh(1)
    monkeypatch.setattr(parallel, "mesh", lambda *_: one)
    np.testing.assert_array_equal(model.sample(labels, KEY), mixed)


def test_verdicts_of_large_tiles_are_the_verdicts(monkeypatch: pytest.MonkeyPatch):
    x = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
    model = NeuralClassifier(DETECTOR)
    trained = model.fit(x[:60], np.arange(60) % 3)
    plain = trained.predict_proba(x)
    monkeypatch.setattr(inference, "_tiling", lambda _, rows: (256 if rows <= 256 else 512, 1))
    np.testing.assert_allclose(trained.predict_proba(x), plain, atol=1e-6)
