"""Generators trained against a critic, by name: `wgan`, `wcgan_gp`, `vae_wgan_gp` (P2) and its ablations.

The ablations are `wcgan_gp` without the autoencoder, `vae_wgan` without the gradient penalty and `vae` without the
critic.  What each of them minimises is an objective of `wasserstein` or `vae_gan`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nids_jax import machine, random
from nids_jax.errors import InputError
from nids_jax.generators.base import check_labels, checked_rows
from nids_jax.generators.heads import Blocks, check_blocks, in_blocks
from nids_jax.generators.spec import Columns, GeneratorSpec, Request
from nids_jax.generators.vae_gan import VAE, VAEWGAN, VAEWGANGP
from nids_jax.generators.wasserstein import WCGANGP, WGAN, Wasserstein
from nids_jax.training import adversarial, loop

Method = Literal["wgan", "wcgan_gp", "vae_wgan_gp", "vae_wgan", "vae"]

_LOOKED_AT = 64  # synthetic rows per class in which a collapse is looked for
_LEAST_SPREAD = 0.05  # of a class's synthetic rows, in units of its training rows'; below it the class has collapsed
# √8p of a category that a share p of rows does not have: at 1/10, _LOOKED_AT rows are alike once in a thousand times.
_TELLING_SPREAD = 0.9


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Settings of all methods; the defaults of clip, penalty, rates and critic steps are the papers'."""

    hidden: tuple[int, ...] = (256, 256)  # of the generator, of the critic and of the encoder
    noise: int = 64  # width of z
    bounded: bool = False  # the rows lie within [-1, 1]: the generator ends in tanh
    blocks: Blocks = ()  # the scaled columns of each categorical feature: `Scaler.blocks`
    per_class: bool = False  # a model for each class, all trained at once, instead of one conditional on it
    steps: int = 10_000  # of the generator
    epochs: int = 0  # above 0, replaces `steps` by so many passes over the rows (`fitted`)
    critic_steps: int = 5  # per step of the generator
    batch: int = 64
    clip: float = 0.01  # wgan, vae_wgan: bound of the critic's weights
    wgan_rate: float = 5e-5  # RMSProp's, in wgan
    penalty: float = 10.0  # λ of wcgan_gp and vae_wgan_gp
    gp_rate: float = 1e-4  # Adam's, in all but wgan
    reconstruction: float = 10.0  # VAEs: weight of the mean error over features, beside the critic's 1
    beta: float = 0.1  # VAEs: weight of the KL term after the warm-up

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("hidden", "bounded", "blocks", "per_class", "epochs") and not value > 0:
                raise InputError(f"`{name}` is {value}; it must be above 0")
        if self.epochs < 0:
            raise InputError(f"`epochs` is {self.epochs}; give at least 0")
        edges = [edge for block in self.blocks for edge in block]
        if edges != sorted(edges) or any(start == stop for start, stop in self.blocks):
            raise InputError(f"blocks are {self.blocks}; each is a first column and one past its last, in order")

    def fitted(self, rows: int, columns: Columns) -> Self:
        """The same for so many training rows with these columns: a pass is a step of the generator for each batch."""
        steps = self.epochs * -(-rows // self.batch) if self.epochs else self.steps
        return replace(self, steps=steps, epochs=0, bounded=columns.bounded, blocks=columns.blocks)


# The rates, clip and λ of the papers on GANs; the weights of P2's eq. 8.
_PAPER = GANConfig(reconstruction=1.0, beta=1.0)

PRESETS: Mapping[str, GANConfig] = {
    "demo": GANConfig(hidden=(64, 64), noise=16, steps=500, wgan_rate=5e-4, gp_rate=1e-3),
    "cpu": GANConfig(hidden=(128, 128, 128), noise=32, steps=1500, wgan_rate=3e-4, gp_rate=5e-4),
    "paper": _PAPER,
    "paper_narrow": _PAPER,
}


def make_objective(method: Method, config: GANConfig, features: int, classes: int) -> Wasserstein:
    """What `method` minimises on rows of so many columns; `classes` is 0 for a model of a single class."""
    c = config
    common: dict[str, Any] = {
        "features": features,
        "classes": classes,
        "hidden": c.hidden,
        "noise": c.noise,
        "bounded": c.bounded,
        "blocks": c.blocks,
    }
    if method == "wgan":
        return WGAN(rate=c.wgan_rate, clip=c.clip, **common)
    common["rate"] = c.gp_rate
    if method == "wcgan_gp":
        return WCGANGP(penalty=c.penalty, **common)
    common |= {"reconstruction": c.reconstruction, "beta": c.beta}
    if method == "vae_wgan_gp":
        return VAEWGANGP(penalty=c.penalty, **common)
    return VAEWGAN(clip=c.clip, **common) if method == "vae_wgan" else VAE(**common)


@lru_cache
def tile_rows(objective: Wasserstein) -> int:
    """Rows sampled together: a row's place in its tile follows from its number, so this fixes all rounding.

    1,024 on CPUs; elsewhere as many as the memory that JAX may use allows (`machine.tile`).
    """
    widths = (objective.noise + objective.classes, *objective.hidden, objective.features)
    # Numbers of four bytes: each layer's products, with the bias and after the activation, and the heads' draws.
    return machine.tile(4 * (4 * sum(widths) + 8 * objective.features), cpu=1024, most=2**14, least=1024)


@partial(jax.jit, static_argnames=("objective",))
def _sample_tile(
    state: adversarial.AdversarialState,
    seen: Array,
    model: np.int32,
    key: Array,
    first: np.int32,
    labels: np.ndarray,
    *,
    objective: Wasserstein,
) -> Array:
    """Rows number first, first + 1, … of one of the models, with these labels [tile] → [tile, d]."""
    critic, generator = jax.tree.map(lambda values: values[model], (state.critic, state.generator))
    both = adversarial.networks(objective, critic, generator)
    ids = first + jnp.arange(labels.shape[0])
    z = random.row_normals(random.rows(random.stream(key, "start"), ids), 0, objective.noise)
    keys = random.rows(random.stream(key, "categories"), ids)
    gumbels = jax.vmap(lambda own: objective.heads.noise(own, 1)[0])(keys)
    out = both.decode(z, jnp.asarray(labels))
    # Finite: the heads take what is not for a training gone astray.
    return objective.heads.rows(jnp.where(seen[model], out, jnp.finfo(out.dtype).min), gumbels)


def collapsed_classes(
    x: np.ndarray, y: np.ndarray, synthetic: np.ndarray, labels: np.ndarray, blocks: Blocks = ()
) -> list[int]:
    """The classes whose synthetic rows all but coincide, in numbers or categories, though their training rows do not.

    Their spread √(E ‖row − E row‖²) is below a twentieth of that of the training rows of the class.  Training rows
    x [n, d] have the labels y [n], synthetic ones [m, d] `labels` [m]; `blocks` are the categories' columns.

    A class of one distinct training row has no spread to lose, nor have categories so even that this many rows of the
    class may well be alike.  The loss of some of a class's modes, or of most of its spread, goes unnoticed.
    """

    def spread(rows: np.ndarray) -> float:
        return float(np.sqrt(rows.var(axis=0, dtype=np.float64).sum()))

    def lost(own: np.ndarray, rows: np.ndarray, least: float) -> bool:
        return np.ptp(own, axis=0).any() and spread(own) >= least and spread(rows) < _LEAST_SPREAD * spread(own)

    inside = in_blocks(blocks, x.shape[1])
    return [
        int(label)
        for label in np.unique(labels)
        for own, rows in [(x[y == label], synthetic[labels == label])]
        if lost(own[:, ~inside], rows[:, ~inside], 0.0) or lost(own[:, inside], rows[:, inside], _TELLING_SPREAD)
    ]


class GAN:
    """A generator of scaled flow features, trained against a critic (`vae`: without).

    One model is conditional on the class, or (`per_class`) each class has its own model, trained on its rows alone.

    Fitted attributes: `state_` (training states, stacked), `n_classes_`, `labels_` (those with training
    rows), `features_` (d), `history_` (of every step of the generator, [steps] each, if `per_class` [labels, steps]:
    generator_loss; with a critic critic_loss, wasserstein = E[D(x,y)] − E[D(x',y)] of synthetic rows x', and
    gradient_norm, E ‖∇_x̂ D‖₂ between real and synthetic rows; of VAEs reconstruction and kl, unweighted), `losses_`
    (the critic's, of `vae` the generator's, [steps], mean over the models).
    """

    def __init__(self, method: Method, config: GANConfig | None = None, *, progress: bool = False):
        if method not in get_args(Method):
            raise InputError(f"unknown method {method!r}; choose from {', '.join(get_args(Method))}")
        self.method: Method = method
        self.config = config or GANConfig()
        self.progress = progress

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Train on scaled rows x [n, d] with labels y [n] = 0, 1, …; of each class that is there, if `per_class`.

        A class's own model depends on its rows, its label and `key` alone.  Warns of classes whose synthetic rows have
        collapsed into one (`collapsed_classes`).

        Raises:
          InputError: no rows, numbers that are not finite, a negative label, or other than one category in a block.
          TrainingError: a loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        c = self.config
        check_blocks(x, c.blocks)
        self.n_classes_ = int(y.max()) + 1
        self.labels_, counts = np.unique(y, return_counts=True)
        self.features_ = x.shape[1]
        if c.per_class:
            order = np.argsort(y, kind="stable")
            x, y = x[order], y[order]
            shares = list(zip(np.cumsum(counts) - counts, counts, strict=True))
            keys = random.rows(random.stream(key, "class"), jnp.asarray(self.labels_))
            names = [f" of class {label}" for label in self.labels_]
        else:
            shares, keys, names = [(0, len(x))], key[None], [""]
        # A category that no row has would now and then be drawn: its logit falls, but not to −∞.
        free = ~in_blocks(c.blocks, x.shape[1])
        self._seen = np.array([free | (x[first : first + n] > 0).any(axis=0) for first, n in shares])
        objective = self._objective()
        self.state_, history = adversarial.train(
            objective,
            loop.pad(x, y),
            shares,
            keys,
            steps=c.steps,
            batch=c.batch,
            critic_steps=c.critic_steps if objective.has_critic else 0,
            names=names,
            title=self.method if self.progress else None,
        )
        self.history_ = history if c.per_class else {name: values[0] for name, values in history.items()}
        self.losses_ = history["critic_loss" if objective.has_critic else "generator_loss"].mean(axis=0)
        self._warn_of_collapse(x, y, random.stream(key, "collapse"))
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """One row per label: labels [m] → [m, d] float32; row i depends on (key, i, labels[i]) alone.

        Of each categorical feature one category is drawn that a training row had (of the class, if `per_class`).

        Raises:
          InputError: a label outside the classes trained on.
        """
        labels = np.asarray(labels, np.int32)
        check_labels(labels, self.n_classes_)
        models = np.searchsorted(self.labels_, labels) if self.config.per_class else np.zeros_like(labels)
        if self.config.per_class and (unknown := np.setdiff1d(labels, self.labels_)).size:
            raise InputError(f"class {unknown[0]} has no model, because no training row is of it; leave it out")
        objective = self._objective()
        size = tile_rows(objective)
        rows = np.zeros((len(labels), self.features_), np.float32)
        for first in range(0, len(labels), size):
            wanted = labels[first : first + size]
            padded = np.pad(wanted, (0, size - len(wanted)))
            whose = models[first : first + size]
            for model in np.unique(whose):
                # Rows of other models' classes are generated too: a row keeps its place in the tile.
                tile = _sample_tile(self.state_, self._seen, model, key, np.int32(first), padded, objective=objective)
                rows[first : first + size][whose == model] = np.asarray(tile)[: len(wanted)][whose == model]
        return rows

    def _warn_of_collapse(self, x: np.ndarray, y: np.ndarray, key: Array) -> None:
        labels = np.repeat(self.labels_, _LOOKED_AT)
        collapsed = collapsed_classes(x, y, self.sample(labels, key), labels, self.config.blocks)
        if collapsed:
            remedy = ", or with a smaller beta" if self.method.startswith("vae") else ""
            warnings.warn(
                f"{self.method} collapsed: its rows of class {', '.join(map(str, collapsed))} are all but the same,"
                f" unlike the training rows; train for more steps, at a lower rate{remedy}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _objective(self) -> Wasserstein:
        return make_objective(self.method, self.config, self.features_, 0 if self.config.per_class else self.n_classes_)


def _spec(
    name: str, method: Method, summary: str, *, per_class: bool = False, compared_in: frozenset[str] = frozenset()
) -> GeneratorSpec:
    def make(request: Request) -> GAN:
        return GAN(method, replace(request.settings or GANConfig(), per_class=per_class), progress=request.progress)

    return GeneratorSpec(name=name, make=make, summary=summary, family="gan", presets=PRESETS, compared_in=compared_in)


_BOTH = frozenset({"generator_comparison", "imbalance"})

SPECS = (
    _spec("wgan", "wgan", "Wasserstein GAN with clipped critic weights, conditional on the class.", compared_in=_BOTH),
    # As its authors have it: they have no labels.
    _spec("wgan_per_class", "wgan", "Wasserstein GAN with clipped critic weights, one per class.", per_class=True),
    _spec("wcgan_gp", "wcgan_gp", "Conditional Wasserstein GAN with gradient penalty.", compared_in=_BOTH),
    _spec("vae", "vae", "Conditional variational autoencoder.", compared_in=_BOTH),
    _spec("vae_wgan", "vae_wgan", "VAE-WGAN-GP with clipped critic weights instead of the gradient penalty."),
    _spec("vae_wgan_gp", "vae_wgan_gp", "Conditional VAE with the critic of a WGAN-GP (P2).", compared_in=_BOTH),
    _spec("vae_wgan_gp_per_class", "vae_wgan_gp", "VAE with the critic of a WGAN-GP, one per class.", per_class=True),
)
