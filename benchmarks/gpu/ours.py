"""This package's programs of `benchmarks.accelerator`, on rows without meaning."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.operations import operations
from benchmarks.programs import CLASSES, FEATURES
from nids_jax import parallel
from nids_jax.classifiers import inference
from nids_jax.classifiers.neural import CrossEntropyObjective, NeuralClassifier
from nids_jax.generators import denoising, gan
from nids_jax.generators.wasserstein import Wasserstein
from nids_jax.presets import Preset
from nids_jax.training import adversarial, loop

PRECISIONS = {"float32": "float32", "tf32": "tensorfloat32", "bfloat16": "float32"}  # → JAX's, of float32 products
EXPLAINED_AGAINST = 10  # background rows of masked batches


class Case(NamedTuple):
    """A program that is timed."""

    rows: int  # of a step
    flop: float  # of its products, all devices together
    most_steps: int  # of a run
    compile: Callable[[], tuple[Any, float | None]]  # (what `run` takes, the bytes that XLA plans to hold)
    run: Callable[[Any, int], Any]  # (compiled, steps) → arrays to wait for


@dataclass(frozen=True)
class Sizes:
    """Whose networks, on how many rows of how many features and classes."""

    preset: Preset
    batch: int
    precision: str  # of PRECISIONS
    features: int = FEATURES
    classes: int = CLASSES

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows [n, d] and labels [n], enough for a batch."""
        count, rng = max(1024, self.batch), np.random.default_rng(0)
        x = rng.uniform(-1, 1, (count, self.features)).astype(np.float32)
        return x, (np.arange(count) % self.classes).astype(np.int32)

    def data(self) -> loop.Data:
        """The same as training takes them.

        CDDPM has a setting of its own for bfloat16; the other networks compute in the type of the rows.
        """
        found = loop.pad(*self.rows())
        return found._replace(x=found.x.astype(self.kind))

    @property
    def kind(self) -> Any:
        """The rows' type."""
        return jnp.bfloat16 if self.precision == "bfloat16" else jnp.float32

    def denoising(self) -> denoising.DenoisingObjective:
        """CDDPM's objective."""
        config = self.preset.generators["cddpm"]
        network = replace(config.network, precision="bfloat16" if self.precision == "bfloat16" else "float32")
        return replace(config, network=network).objective(self.classes)

    def detection(self) -> CrossEntropyObjective:
        """CNN-BiGRU's."""
        network = self.preset.detector.network
        return CrossEntropyObjective(network=network, features=self.features, classes=self.classes)

    def adversarial(self, method: gan.Method) -> Wasserstein:
        """A GAN's, of all classes."""
        config = replace(self.preset.generators["gan"], bounded=True)
        return gan.make_objective(method, config, self.features, self.classes)


def _planned(
    function: Any, arguments: tuple[Any, ...], settings: dict[str, Any]
) -> Callable[[], tuple[Any, float | None]]:
    def compiled() -> tuple[Any, float | None]:
        done = function.lower(*arguments, **settings).compile()
        plan: Any = done.memory_analysis()
        if plan is None:
            return done, None
        # What is given over (a training's state) is counted once.
        held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
        return done, float(held + plan.temp_size_in_bytes)

    return compiled


def _counted(function: Any, arguments: tuple[Any, ...], settings: dict[str, Any]) -> float:
    return operations(lambda *given: function(*given, **settings), *arguments)


def cddpm_training(sizes: Sizes) -> Case:
    """A step is one of the optimiser's."""
    config = sizes.preset.generators["cddpm"]
    plain = replace(sizes, precision="float32").data()  # the network itself goes over to bfloat16
    return _training(sizes.denoising(), config.optimiser, plain, sizes.batch)


def detector_training(sizes: Sizes) -> Case:
    """A step is one of the optimiser's."""
    return _training(sizes.detection(), sizes.preset.detector.optimiser, sizes.data(), sizes.batch)


def _training(objective: Any, optimiser: loop.OptimiserConfig, rows: loop.Data, batch: int) -> Case:
    mesh = parallel.mesh(batch)
    state = loop.initial_state(jax.random.key(0), objective=objective, optimiser=optimiser)
    state, data, key = parallel.everywhere((state, rows, jax.random.key(0)), mesh)
    held, given = [state], (data, key)
    arguments = (state, *given, state.step)
    settings = {"objective": objective, "optimiser": optimiser, "batch": batch}

    def run(compiled: Any, steps: int) -> Any:
        held[0], losses = compiled(held[0], *given, held[0].step + steps)
        return losses

    flop = _counted(loop.advance, arguments, settings)
    return Case(batch, flop, loop.BLOCK, _planned(loop.advance, arguments, settings), run)


def cddpm_sampling(sizes: Sizes) -> Case:
    """A step makes a batch of rows, a tile on each device."""
    objective, config, mesh = sizes.denoising(), sizes.preset.generators["cddpm"], parallel.mesh(sizes.batch)
    state = loop.initial_state(jax.random.key(0), objective=objective, optimiser=config.optimiser)
    edge = jnp.ones(sizes.features)
    tile = sizes.batch // mesh.size
    model, key = parallel.everywhere((denoising.Fitted(state.params, state.rest, -edge, edge), jax.random.key(0)), mesh)
    first = jnp.arange(0, sizes.batch, tile, dtype=jnp.int32)
    labels = jnp.arange(sizes.batch, dtype=jnp.int32).reshape(mesh.size, tile) % sizes.classes
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.ROWS))
    arguments = (model, key, *jax.device_put((first, labels), split), None)
    settings = {"process": denoising.Process(objective, config.sampler, 1.0, None), "mesh": mesh}
    return _single(denoising.sample_tiles, arguments, settings, sizes.batch)


def detector_inference(sizes: Sizes) -> Case:
    """A step classifies a batch of rows, a tile on each device."""
    objective, mesh = sizes.detection(), parallel.mesh(sizes.batch)
    state = loop.initial_state(jax.random.key(0), objective=objective, optimiser=sizes.preset.detector.optimiser)
    params, rest, tiles = parallel.everywhere((state.params, state.rest, jnp.asarray(1)), mesh)
    tile = sizes.batch // mesh.size
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.ROWS))
    rows = jnp.asarray(sizes.rows()[0][: sizes.batch], sizes.kind).reshape(mesh.size, tile, -1)
    arguments = (params, rest, jax.device_put(rows, split), tiles)
    case = _single(inference.tiled_logits, arguments, {"objective": objective, "mesh": mesh, "tile": tile}, sizes.batch)
    return case._replace(run=lambda compiled, _: np.asarray(compiled(*arguments)))  # brought to the host


def _single(function: Any, arguments: tuple[Any, ...], settings: dict[str, Any], rows: int) -> Case:
    compile_ = _planned(function, arguments, settings)
    flop = _counted(function, arguments, settings)
    return Case(rows, flop, 1, compile_, lambda compiled, _: compiled(*arguments))


def masked_batches(sizes: Sizes) -> Case:
    """A step judges a batch of masked rows, from the host and back, in the tiles of `NeuralClassifier`."""
    objective = sizes.detection()
    state = loop.initial_state(jax.random.key(0), objective=objective, optimiser=sizes.preset.detector.optimiser)
    model = NeuralClassifier.trained(sizes.preset.detector, state.params, state.rest, sizes.features, sizes.classes)
    given = masked(sizes)
    one = jnp.zeros((1, 1, sizes.features))
    settings = {"objective": objective, "mesh": parallel.mesh(1), "tile": 1}
    flop = _counted(inference.tiled_logits, (state.params, state.rest, one, jnp.asarray(1)), settings) * sizes.batch
    return Case(sizes.batch, flop, 1, lambda: (None, None), lambda _, __: model.predict_masked(*given))


def masked(sizes: Sizes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A row [d], background rows [k, d], what is present [n, d], and the place of the background row [n]."""
    rng, x = np.random.default_rng(1), sizes.rows()[0]
    present = rng.random((sizes.batch, sizes.features)) < 0.5
    return x[0], x[1 : 1 + EXPLAINED_AGAINST], present, rng.integers(0, EXPLAINED_AGAINST, sizes.batch)


def gan_training(method: gan.Method) -> Callable[[Sizes], Case]:
    """A step is one of the generator's, with those of the critic."""

    def case(sizes: Sizes) -> Case:
        objective, config, data = sizes.adversarial(method), sizes.preset.generators["gan"], sizes.data()
        states, *given = adversarial.begin(objective, data, [(0, int(data.n))], jax.random.key(0)[None])
        held = [states]
        arguments = (states, *given, states.step)
        settings = {"objective": objective, "batch": sizes.batch, "critic_steps": config.critic_steps}

        def run(compiled: Any, steps: int) -> Any:
            held[0], figures = compiled(held[0], *given, held[0].step + steps)
            return figures

        flop = _counted(adversarial.advance, arguments, settings)
        compile_ = _planned(adversarial.advance, arguments, settings)
        return Case(sizes.batch, flop, loop.BLOCK, compile_, run)

    return case


CASES: dict[str, Callable[[Sizes], Case]] = {
    "CDDPM training": cddpm_training,
    "CDDPM sampling": cddpm_sampling,
    "CNN-BiGRU training": detector_training,
    "CNN-BiGRU inference": detector_inference,
    "WCGAN-GP training": gan_training("wcgan_gp"),
    "VAE-WGAN-GP training": gan_training("vae_wgan_gp"),
    "SHAP masked batches": masked_batches,
}
ONE_DEVICE = ("WCGAN-GP training", "VAE-WGAN-GP training")  # a model trains on one
FLOAT32 = ("SHAP masked batches",)  # float32 rows: it has no other setting
