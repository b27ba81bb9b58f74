"""Training and sampling of CDDPM and of the GANs, beside the same networks in PyTorch."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks import untrained
from benchmarks.speed.stopwatch import THREADS, Figure, Run, Stopwatch, Work, baseline, flop, seconds
from nids_jax import parallel
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.generators.denoising import DenoisingObjective, tiles
from nids_jax.generators.gan import GANConfig, Method, make_objective
from nids_jax.generators.wasserstein import Wasserstein
from nids_jax.presets import Preset
from nids_jax.training import adversarial
from nids_jax.training import loop as training_loop
from nids_jax.training.loop import BLOCK

FEATURES, CLASSES = 77, 15
TOGETHER = 8  # models of single classes, trained at once
_TILES = 4  # of rows, of the forward pass and of sampling, on each device
_GAN_STEPS = 20


def data(rows: int) -> training_loop.Data:
    """Rows without meaning, of all classes."""
    rng = np.random.default_rng(0)
    return training_loop.pad(rng.uniform(-1, 1, (rows, FEATURES)), np.arange(rows) % CLASSES)


def cddpm(watch: Stopwatch, preset: Preset) -> list[Figure]:
    """The network's forward pass, training, sampling, and the paper's loop."""
    config = preset.generators["cddpm"]
    objective, key = config.objective(CLASSES), jax.random.key(0)
    model = untrained.diffusion_model(config, FEATURES, CLASSES)
    found, per_row = _forward(watch, objective, model)
    train = untrained.training(objective, config.optimiser, model.state_, data(75), batch=config.batch, steps=BLOCK)
    call = tiles(objective, FEATURES).small * parallel.mesh().size  # rows computed together, whether asked for or not
    labels = np.arange(_TILES * call) % CLASSES
    calls = config.sampler.calls(config.schedule)
    theirs = _torch_cddpm(config, labels)
    work = Work(
        amount=BLOCK,
        unit="steps",
        flop=None if per_row is None else 3 * per_row * config.batch * BLOCK,  # back takes two products for one forth
        note=f"batch {config.batch}",
    )
    found += watch.time("CDDPM, training", train, work, _rivals(theirs, work, training="the same in PyTorch"))

    def sampling(rows: int) -> Work:
        operations = None if per_row is None else per_row * -(-rows // call) * call * calls
        return Work(amount=rows, unit="rows", flop=operations, note=f"{calls} calls a row")

    named = {"batched": "the same in PyTorch, one batch", "compiled": "… with torch.compile"}
    work = sampling(len(labels))
    found += watch.time("CDDPM, sampling", lambda: model.sample(labels, key), work, _rivals(theirs, work, **named))
    if "step" in theirs:
        # The paper makes 50 rows of one class after the other, T calls of the network from the host for each.
        whole = config.schedule.steps * CLASSES
        all_classes = np.arange(50 * CLASSES) % CLASSES
        work = sampling(len(all_classes))
        ours, one = watch.time(
            "CDDPM, 50 rows of each class",
            lambda: model.sample(all_classes, key),
            work,
            {"the paper's loop in PyTorch": (theirs["step"], Work(amount=work.amount, unit="rows"))},
        )
        note = f"from one of its {whole:,} calls"
        assert one.times_ours is not None
        loop = replace(one, times_ours=one.times_ours * whole, steady_s=one.steady_s * whole)
        found += [ours, replace(loop, work=replace(loop.work, note=note))]
    return found


def _forward(watch: Stopwatch, objective: DenoisingObjective, model: CDDPM) -> tuple[list[Figure], float | None]:
    """The network alone, on tiles of rows as sampling calls it, on every device; and its operations for a row."""
    mesh = parallel.mesh()
    tile, count = tiles(objective, FEATURES).small, _TILES * mesh.size
    x = jax.random.normal(jax.random.key(0), (count, tile, FEATURES))
    t, y = jnp.ones(tile), jnp.zeros(tile, jnp.int32)

    def predict(params: nnx.State, x: jax.Array) -> jax.Array:
        return training_loop.network(objective, params, model.state_.rest)(x, t, y)

    whole, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(parallel.ROWS)
    each = jax.shard_map(
        lambda params, own: jax.lax.map(lambda rows: predict(params, rows), own),
        mesh=mesh,
        in_specs=(whole, split),
        out_specs=split,
    )
    forward = jax.jit(each)
    params, x = jax.device_put(
        (model.state_.params, x), (jax.sharding.NamedSharding(mesh, whole), jax.sharding.NamedSharding(mesh, split))
    )
    of_tile = flop(predict, model.state_.params, jnp.zeros((tile, FEATURES)))
    per_row = None if of_tile is None else of_tile / tile
    rows = count * tile
    work = Work(
        amount=rows, unit="rows", flop=None if per_row is None else per_row * rows, note=f"tiles of {tile} rows"
    )
    return watch.time("CDDPM's network, forward", lambda: forward(params, x), work), per_row


def _rivals(theirs: dict[str, Run], work: Work, **titles: str) -> dict[str, tuple[Run, Work]]:
    return {title: (theirs[name], work) for name, title in titles.items() if name in theirs}


def _torch_cddpm(config: CDDPMConfig, labels: np.ndarray) -> dict[str, Run]:
    """A block of training steps; rows of these labels in one batch, eager and compiled; a step of the paper's loop."""
    torch_cddpm = baseline("torch_cddpm", "PyTorch")
    if torch_cddpm is None:
        return {}
    torch_cddpm.torch.set_num_threads(THREADS)
    network = torch_cddpm.UNet1d(config.network, CLASSES)
    compiled = torch_cddpm.torch.compile(network, dynamic=False)
    rows = data(75)
    train = torch_cddpm.training(
        network,
        config.schedule,
        np.asarray(rows.x)[:75],
        np.asarray(rows.y)[:75],
        batch=config.batch,
        label_dropout=config.label_dropout,
    )

    def sampling(predict: Callable[..., object]) -> Run:
        return lambda: torch_cddpm.scanned(predict, config.schedule, config.sampler, labels.tolist(), FEATURES)

    return {
        "training": lambda: train(BLOCK),
        "batched": sampling(network),
        "compiled": sampling(compiled),
        "step": lambda: torch_cddpm.ancestral(network, config.schedule, [0] * 50, FEATURES, 1),
    }


def gans(watch: Stopwatch, preset: Preset) -> list[Figure]:
    """Training of the conditional GANs, and of models of single classes at once."""
    config = replace(preset.generators["gan"], bounded=True)
    found = []
    methods: dict[Method, str] = {"wcgan_gp": "WCGAN-GP", "vae_wgan_gp": "VAE-WGAN-GP"}
    for method, name in methods.items():
        objective = make_objective(method, config, FEATURES, CLASSES)
        work = Work(amount=_GAN_STEPS, unit="steps", note=f"batch {config.batch}, {config.critic_steps} critic steps")
        theirs = _torch_gan(objective, config)
        rivals = {"the same in PyTorch": (theirs, work)} if theirs else None
        found += watch.time(f"{name}, training", _gan_training(objective, config, 1), work, rivals)
        objective = make_objective(method, config, FEATURES, 0)
        one = _gan_training(objective, config, 1)
        work = replace(work, amount=_GAN_STEPS * TOGETHER)
        found += watch.time(
            f"{name}, {TOGETHER} models of one class at once",
            _gan_training(objective, config, TOGETHER),
            work,
            {"… one after the other": (lambda one=one: [one() for _ in range(TOGETHER)], work)},
        )
    return found


def _torch_gan(objective: Wasserstein, config: GANConfig) -> Run | None:
    """One thread or all, whichever is faster there: its operations are small."""
    torch_gan = baseline("torch_gan", "PyTorch")
    if torch_gan is None:
        return None
    rows = data(1024)
    train = torch_gan.build(
        objective, np.asarray(rows.x), np.asarray(rows.y), batch=config.batch, critic_steps=config.critic_steps
    )

    def trial(threads: int) -> float:
        train(1, threads)
        return seconds(lambda: train(3, threads))

    fastest = min({1, THREADS}, key=trial)
    return lambda: train(_GAN_STEPS, fastest)


def _gan_training(objective: Wasserstein, config: GANConfig, models: int) -> Run:
    """Some steps with each of the models, on 1,024 rows."""
    keys = jax.random.split(jax.random.key(0), models)
    state, *given = adversarial.begin(objective, data(1024), [(0, 1024)] * models, keys)
    held = [state]

    def train() -> None:
        held[0], figures = adversarial.advance(
            held[0],
            *given,
            held[0].step + _GAN_STEPS,
            objective=objective,
            batch=config.batch,
            critic_steps=config.critic_steps,
        )
        jax.block_until_ready(figures)

    return train
