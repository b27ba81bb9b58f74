"""Every jitted program of the package, with arguments of given shapes: to be lowered, counted or compiled.

    python -m benchmarks.programs [--preset=cpu] [--batches=64,1024,16384] [--only=CDDPM]

Prints what each program takes at each batch: floating-point operations of its products, the arguments' and the
temporaries' memory as XLA plans it for this machine's devices, and which accelerators' memory that fits.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.command import asked
from benchmarks.operations import operations
from nids_jax import parallel
from nids_jax.classifiers import inference, neural
from nids_jax.cli import frame
from nids_jax.cli.flags import Flags
from nids_jax.diffusion.samplers import SAMPLERS
from nids_jax.generators import denoising, gan, resampling
from nids_jax.nn.detector import NETWORKS
from nids_jax.presets import get_preset
from nids_jax.report.conditions import Table
from nids_jax.report.tables import markdown
from nids_jax.settings import setting
from nids_jax.training import adversarial, loop
from nids_jax.training.loop import Data

FEATURES, CLASSES = 77, 15  # of the published datasets, without the port
SIZES = (8, 24, 80)  # GB of memory of usual accelerators
STEPS = 12  # of a sampler
GANS: tuple[gan.Method, ...] = ("wgan", "wcgan_gp", "vae", "vae_wgan", "vae_wgan_gp")


class Program(NamedTuple):
    """A jitted function with the shapes of its arguments."""

    name: str
    function: Any  # jitted
    arguments: tuple[Any, ...]  # arrays or their shapes
    settings: dict[str, Any]  # static arguments by name

    def lowered(self) -> Any:
        """The program, lowered for this machine's devices."""
        return self.function.lower(*self.arguments, **self.settings)

    def flop(self) -> float:
        """Operations of a call's products: of a training's, those of one step."""
        return operations(lambda *given: self.function(*given, **self.settings), *self.arguments)

    def exported(self, platforms: Sequence[str]) -> str:
        """StableHLO of the program for other platforms, as text."""
        return jax.export.export(self.function, platforms=platforms)(*self.arguments, **self.settings).mlir_module()


def programs(preset_name: str, batch: int, *, features: int = FEATURES, classes: int = CLASSES) -> list[Program]:
    """All of them with the networks of a preset: trainings, samplers, inference, explanations.

    Args:
      batch: rows of a training's batch, of a tile that is sampled, of a block that is classified.
    """
    preset = get_preset(preset_name)
    key = jax.eval_shape(lambda: jax.random.key(0))
    rows = Data(_array(1024, features), _array(1024, of=jnp.int32), _array(1024), _array(of=jnp.int32))
    stop = _array(of=jnp.int32)
    found = []
    config: Any = preset.generators["cddpm"]
    objective = config.objective(classes)
    state = jax.eval_shape(
        lambda: loop.initial_state(jax.random.key(0), objective=objective, optimiser=config.optimiser)
    )
    training = {"objective": objective, "optimiser": config.optimiser, "batch": batch}
    found.append(Program("CDDPM, training", loop.advance, (state, rows, key, stop), training))
    low, high = _array(features), _array(features)
    model = denoising.Fitted(state.params, state.rest, low, high)
    for name in SAMPLERS:
        process = denoising.Process(objective, SAMPLERS[name](steps=STEPS), 1.0, None)
        mesh = parallel.mesh(1, 1)
        given = (model, key, _array(mesh.size, of=jnp.int32), _array(mesh.size, batch, of=jnp.int32), None)
        settings = {"process": process, "mesh": mesh}
        found.append(Program(f"CDDPM, sampling, {name}", denoising.sample_tiles, given, settings))
    for method in GANS:
        found += _adversarial(method, preset.generators["gan"], rows, key, stop, batch, classes)
    for name, network in {"cnn_bigru": preset.detector.network, **NETWORKS}.items():
        found += _detector(name, network, preset.detector.optimiser, rows, key, stop, batch, classes)
    found.append(Program("jitter, normals", resampling._normal_tile, (key, stop), {"width": features}))
    found.append(Program("SMOTE, uniforms", resampling._uniform_tile, (key, stop), {}))
    return found


def _adversarial(
    method: gan.Method, config: gan.GANConfig, rows: Data, key: Any, stop: Any, batch: int, classes: int
) -> list[Program]:
    features = rows.x.shape[1]
    objective = gan.make_objective(method, config, features, classes)
    one = jax.eval_shape(lambda: adversarial.initial_state(jax.random.key(0), objective=objective))
    states = jax.tree.map(lambda a: jax.ShapeDtypeStruct((1, *a.shape), a.dtype), one._replace(step=None))
    states = states._replace(step=stop)
    shares = adversarial.Share(_array(1, of=jnp.int32), _array(1, of=jnp.int32))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    critic_steps = config.critic_steps if objective.has_critic else 0
    settings = {"objective": objective, "batch": batch, "critic_steps": critic_steps}
    given = (states, _array(1, features, of=jnp.bool_), stop, key, stop, _array(batch, of=jnp.int32))
    return [
        Program(f"{method}, training", adversarial.advance, (states, rows, shares, keys, stop), settings),
        Program(f"{method}, sampling", gan._sample_tile, given, {"objective": objective}),
    ]


def _detector(
    name: str, network: Any, optimiser: loop.OptimiserConfig, rows: Data, key: Any, stop: Any, batch: int, classes: int
) -> list[Program]:
    objective = neural.CrossEntropyObjective(network=network, features=rows.x.shape[1], classes=classes)
    state = jax.eval_shape(lambda: loop.initial_state(jax.random.key(0), objective=objective, optimiser=optimiser))
    training = {"objective": objective, "optimiser": optimiser, "batch": batch}
    judging = {"objective": objective, "mesh": parallel.mesh(1, 1), "tile": batch}
    given = (state.params, state.rest, _array(1, batch, rows.x.shape[1]), stop)
    return [
        Program(f"{name}, training", loop.advance, (state, rows, key, stop), training),
        Program(f"{name}, inference", inference.tiled_logits, given, judging),
    ]


def _array(*shape: int, of: Any = jnp.float32) -> Any:
    return jax.ShapeDtypeStruct(shape, of)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """What to look at:"""

    preset: str = setting("cpu", "Whose networks.")
    batches: tuple[int, ...] = setting((64, 1024, 16384), "Rows of a batch.", least=1)
    only: tuple[str, ...] = setting((), "Programs whose name begins so; default: all.")


def memory(preset: str, batches: Sequence[int], only: Sequence[str] = ()) -> Table:
    """A line for each program and batch: operations a call, memory of arguments and temporaries, what it fits."""
    lines = []
    for batch in batches:
        for program in programs(preset, batch):
            if only and not program.name.startswith(tuple(only)):
                continue
            compiled = program.lowered().compile()
            plan: Any = compiled.memory_analysis()
            held = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
            fits = ", ".join(str(size) for size in SIZES if held <= 0.8 * size * 1e9) or "none"
            mib = (plan.argument_size_in_bytes / 2**20, plan.temp_size_in_bytes / 2**20)
            flop = program.flop()
            lines.append((program.name, f"{batch:,}", f"{flop:.3g}", *(f"{m:,.1f}" for m in mib), fits))
    header = ("program", "batch", "FLOP", "arguments, MiB", "temporaries, MiB", "fits, GB")
    note = (
        f"Preset {preset}, {FEATURES} features, {CLASSES} classes, as XLA plans it for {jax.default_backend()}.  FLOP "
        f"are those of products: of a training's step (GANs: with the critic's), of a sampler's {STEPS} steps.  Fits: "
        "arguments, results and temporaries take at most four fifths."
    )
    return Table("Memory of every program", header, lines, note)


def main(arguments: Sequence[str]) -> None:
    """Print what the flags ask for."""
    wanted = asked(Programs, "benchmarks.programs", __doc__, arguments)
    if wanted is None:
        return
    print(markdown(memory(wanted.preset, wanted.batches, wanted.only)))


if __name__ == "__main__":
    frame.start_jax()
    sys.exit(frame.run(lambda: main, sys.argv[1:], lambda: Flags([Programs]).names))
