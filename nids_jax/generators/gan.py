"""Generators trained against a critic, by name: `wgan`, `wcgan_gp`, `vae_wgan_gp` (P2); and `vae`, which has none.

What each of them minimises is a game of `wasserstein` or `vae_gan`.
"""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from nids_jax import random, training
from nids_jax.generators import adversarial
from nids_jax.generators.base import check_labels, checked_rows
from nids_jax.generators.vae_gan import VAE, VAEWGANGP
from nids_jax.generators.wasserstein import WCGANGP, WGAN

Method = Literal["wgan", "wcgan_gp", "vae_wgan_gp", "vae"]

_TILE = 1024  # rows sampled together; a row's place in its tile follows from its number, which fixes all rounding
_LOOKED_AT = 64  # generated rows per class in which a collapse is looked for
_LEAST_SPREAD = 0.05  # of a class's generated rows, in units of its training rows'; below it the class has collapsed


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Settings of all methods; the defaults of clip, penalty, rates and critic steps are the papers'."""

    hidden: tuple[int, ...] = (256, 256)  # of the generator, of the critic and of the encoder
    noise: int = 64  # width of z
    bounded: bool = False  # the rows lie within [-1, 1]: the generator ends in tanh
    steps: int = 10_000  # of the generator
    critic_steps: int = 5  # per step of the generator
    batch: int = 64
    clip: float = 0.01  # wgan: bound of the critic's weights
    wgan_rate: float = 5e-5  # RMSProp's
    penalty: float = 10.0  # λ of all others
    gp_rate: float = 1e-4  # Adam's, in all others
    reconstruction: float = 10.0  # VAEs: weight of the mean squared error over columns, beside the critic's 1
    beta: float = 0.1  # VAEs: weight of the KL term after the warm-up

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("hidden", "bounded") and not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0")


@partial(jax.jit, static_argnames=("game",))
def _sample_tile(
    critic: nnx.State, generator: nnx.State, key: Array, first: np.int32, labels: np.ndarray, *, game: WGAN | WCGANGP
) -> Array:
    """Rows number first, first + 1, … with these labels [tile] → [tile, d]."""
    keys = random.rows(random.stream(key, "start"), first + jnp.arange(labels.shape[0]))
    both = adversarial.players(game, critic, generator)
    return both.generate(random.row_normals(keys, 0, game.noise), jnp.asarray(labels))


def collapsed_classes(x: np.ndarray, y: np.ndarray, made: np.ndarray, labels: np.ndarray) -> list[int]:
    """The classes whose made rows all but coincide though their training rows do not.

    That is: their spread √(E ‖row − E row‖²) is below a twentieth of that of the training rows of the class.
    Training rows x [n, d] with labels y [n], made ones [m, d] with `labels` [m].  A class of one distinct training row
    has no spread to lose.  The loss of some of a class's modes, or of most of its spread, goes unnoticed.
    """

    def spread(rows: np.ndarray) -> float:
        return float(np.sqrt(rows.var(axis=0, dtype=np.float64).sum()))

    return [
        int(label)
        for label in np.unique(labels)
        if np.ptp(x[y == label], axis=0).any() and spread(made[labels == label]) < _LEAST_SPREAD * spread(x[y == label])
    ]


class GAN:
    """A conditional generator of scaled flow features, trained against a critic (`vae`: without).

    Fitted attributes: `state_` (training state), `classes_` (their number), `features_` (d), `history_` (of every step
    of the generator, [steps] each: critic_loss, generator_loss; with a critic wasserstein = E[D(x,y)] − E[D(x',y)] of
    made rows x', and gradient_norm, E ‖∇_x̂ D‖₂ between real and made rows; of VAEs reconstruction and kl, unweighted),
    `losses_` (the critic's, of `vae` the generator's, [steps]).
    """

    def __init__(self, method: Method, config: GANConfig | None = None, *, progress: bool = False):
        if method not in get_args(Method):
            raise ValueError(f"unknown method {method!r}; choose from {list(get_args(Method))}")
        self.method: Method = method
        self.config = config or GANConfig()
        self.progress = progress

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Train on scaled rows x [n, d] with labels y [n] = 0, 1, ….

        Warns of classes whose generated rows have collapsed into one (`collapsed_classes`).

        Raises:
          InputError: no rows, numbers that are not finite, or a negative label.
          TrainingError: a loss is no longer finite.
        """
        x, y = checked_rows(x, y)
        self.classes_ = int(y.max()) + 1
        self.features_ = x.shape[1]
        c = self.config
        self.state_, self.history_ = adversarial.train(
            self._game(),
            training.pad(x, y),
            key,
            steps=c.steps,
            batch=c.batch,
            critic_steps=1 if self.method == "vae" else c.critic_steps,  # there is nothing to teach a VAE's critic
            progress=self.method if self.progress else None,
        )
        self.losses_ = self.history_["generator_loss" if self.method == "vae" else "critic_loss"]
        self._warn_of_collapse(x, y, random.stream(key, "collapse"))
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """One row per label: labels [m] → [m, d] float32; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label outside the classes trained on.
        """
        labels = np.asarray(labels, np.int32)
        check_labels(labels, self.classes_)
        rows = [np.zeros((0, self.features_), np.float32)]
        for first in range(0, len(labels), _TILE):
            wanted = labels[first : first + _TILE]
            padded = np.pad(wanted, (0, _TILE - len(wanted)))
            tile = _sample_tile(
                self.state_.critic, self.state_.generator, key, np.int32(first), padded, game=self._game()
            )
            rows.append(np.asarray(tile)[: len(wanted)])
        return np.concatenate(rows)

    def _warn_of_collapse(self, x: np.ndarray, y: np.ndarray, key: Array) -> None:
        labels = np.repeat(np.unique(y), _LOOKED_AT)
        collapsed = collapsed_classes(x, y, self.sample(labels, key), labels)
        if collapsed:
            remedy = ", or with a smaller beta" if self.method in ("vae", "vae_wgan_gp") else ""
            warnings.warn(
                f"{self.method} collapsed: its rows of class {', '.join(map(str, collapsed))} are all but the same,"
                f" unlike the training rows; train for more steps, at a lower rate{remedy}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _game(self) -> WGAN | WCGANGP:
        c = self.config
        common: dict[str, Any] = {
            "features": self.features_,
            "classes": self.classes_,
            "hidden": c.hidden,
            "noise": c.noise,
            "bounded": c.bounded,
        }
        if self.method == "wgan":
            return WGAN(rate=c.wgan_rate, clip=c.clip, **common)
        common |= {"rate": c.gp_rate, "penalty": c.penalty}
        if self.method == "wcgan_gp":
            return WCGANGP(**common)
        game = VAEWGANGP if self.method == "vae_wgan_gp" else VAE
        return game(reconstruction=c.reconstruction, beta=c.beta, **common)
