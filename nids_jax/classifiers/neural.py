"""Neural detectors, trained by the shared loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec
from scipy.special import softmax
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight

from nids_jax import parallel
from nids_jax.classifiers.base import Classifier, ClassifierOptions, ClassifierSpec
from nids_jax.classifiers.inference import in_calls, logits_of, mixed
from nids_jax.errors import InputError
from nids_jax.nn.detector import NETWORKS, NetworkConfig, RecurrentConfig
from nids_jax.nn.layers import Uniforms
from nids_jax.training import loop
from nids_jax.training.checkpoint import fingerprint, train_resumably
from nids_jax.training.description import plain
from nids_jax.training.loop import Data, OptimiserConfig, TrainState


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Train on part of the rows, and keep the parameters that did best on the rest."""

    validation: float = 0.2  # share of the rows, of every class in proportion
    patience: int = 4  # looks without improvement before stopping; there is one every BLOCK steps

    def __post_init__(self) -> None:
        if not 0.0 < self.validation < 1.0 or self.patience < 1:
            raise ValueError(f"{self}: validation lies between 0 and 1, patience is at least 1")


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Settings of a neural detector's training."""

    network: NetworkConfig = RecurrentConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    batch: int = 64
    steps: int = 0  # optimiser steps; 0: `epochs` passes over the rows, within the limits
    epochs: int = 100
    limits: tuple[int, int] = (0, 0)  # fewest and most steps; 0: no limit
    # True: a row weighs n / (classes · rows of its class), as scikit-learn's "balanced"; numbers: a row of class k, the
    # k-th of them.  Only their proportions count.
    class_weights: bool | tuple[float, ...] = False
    early_stopping: EarlyStopping | None = None

    def total_steps(self, rows: int) -> int:
        """Optimiser steps of a training on this many rows."""
        fewest, most = self.limits
        steps = max(self.epochs * -(-rows // self.batch), fewest)
        return self.steps or (min(steps, most) if most else steps)


@dataclass(frozen=True, kw_only=True)
class CrossEntropyObjective:
    """−log p(label | x), summed over the rows with their weights."""

    network: NetworkConfig
    features: int
    classes: int

    def build(self, init: Uniforms) -> nnx.Module:
        return self.network.build(self.features, self.classes, init)

    def loss(self, network: Any, x: Array, y: Array, weight: Array, key: Array) -> Array:
        return jnp.sum(weight * self.losses(network(x, key=key), y))

    def losses(self, logits: Array, y: Array) -> Array:
        """The loss of every row, logits [B, classes] → [B]."""
        wanted = jax.nn.one_hot(y, self.classes)
        return optax.softmax_cross_entropy(logits.astype(jnp.float32), wanted)


class NeuralClassifier:
    """CNN-BiGRU and its rivals behind the classifier interface.

    Fitted attributes: `classes_` [c], `features_` (their number), `state_`, `losses_` [steps].
    """

    def __init__(
        self,
        config: DetectorConfig | None = None,
        *,
        seed: int = 0,
        checkpoint_dir: str | Path | None = None,
        progress: str | None = None,
    ):
        """`checkpoint_dir` keeps progress there and resumes from it (but with early stopping, which starts again);
        `progress` titles a bar on standard error.
        """
        self.config = config or DetectorConfig()
        self.seed = seed
        self.checkpoint_dir = checkpoint_dir
        self.progress = progress

    @classmethod
    def trained(cls, config: DetectorConfig, params: nnx.State, rest: nnx.State, features: int, classes: int) -> Self:
        """A classifier of the classes 0, 1, … that need not be trained: its network has these parameters."""
        found = cls(config)
        found.features_, found.classes_ = features, np.arange(classes)
        found.state_ = TrainState(params, rest, (), params, jnp.zeros((), jnp.int32))
        found.losses_ = np.zeros(0, np.float32)
        return found

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Train on scaled rows x [n, d] with integer labels y [n]; `sample_weight` [n] says how much each row counts.

        Only the weights' proportions matter; they multiply the class weights.

        Raises:
          InputError: no rows, shapes that do not match, fewer than two classes, too few rows to keep some for
            validation, or a checkpoint of another run.
          TrainingError: the loss is no longer finite.
        """
        x, codes = self._check(x, y)
        config, key = self.config, jax.random.key(self.seed)
        if config.early_stopping:
            self.state_, self.losses_ = self._fit_until_best(config.early_stopping, x, codes, key, sample_weight)
            return self
        description = {
            "kind": "detector",
            "config": plain(config),
            "classes": self.classes_.tolist(),
            "rows": fingerprint(x, codes),
            "seed": self.seed,
            **({} if sample_weight is None else {"weights": fingerprint(np.asarray(sample_weight))}),
        }
        self.state_, self.losses_ = train_resumably(
            self._objective(),
            config.optimiser,
            self._data(x, codes, sample_weight),
            key,
            steps=config.total_steps(len(x)),
            batch=config.batch,
            directory=self.checkpoint_dir,
            description=description,
            title=self.progress,
        )
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """P(class | row): x [n, d] → [n, c] float32.

        Raises:
          InputError: values that are not finite.
        """
        x = np.asarray(x, np.float32)
        if not np.isfinite(x).all():
            raise InputError("rows to classify hold missing or infinite values; clean them first")
        return softmax(logits_of(self._objective(), self.state_, x), axis=1)

    def predict_masked(
        self, row: np.ndarray, background: np.ndarray, present: np.ndarray, place: np.ndarray
    ) -> np.ndarray:
        """P(class | row) of n mixtures of rows, which are made on the devices: [n, c] float32.

        Args:
          row: [d] scaled, as the background.
          background: [k, d].
          present: [n, d] bool, where a mixture has the row's value.
          place: [n] int, the background row whose values it has elsewhere.
        """
        mesh = parallel.mesh()
        sharding = NamedSharding(mesh, PartitionSpec(parallel.ROWS))
        known = parallel.everywhere((jnp.asarray(row, jnp.float32), jnp.asarray(background, jnp.float32)), mesh)

        def rows(share: Callable[[np.ndarray], np.ndarray]) -> Array:
            chosen = jax.device_put((share(present), share(place.astype(np.int32))), sharding)
            return mixed(*known, *chosen, sharding=sharding)

        return softmax(in_calls(self._objective(), self.state_, len(present), rows), axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The likeliest class of each row: x [n, d] → [n]."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _check(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.asarray(x, np.float32), np.asarray(y)
        if x.ndim != 2 or len(x) != len(y) or len(x) == 0:
            raise InputError(f"training rows have shape {x.shape} and labels {y.shape}; expected [n, d] and [n], n > 0")
        self.features_ = x.shape[1]
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"all {len(y)} training rows have label {self.classes_[0]}; a detector needs two classes")
        return x, codes

    def _data(self, x: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray | None = None) -> Data:
        chosen = self.config.class_weights
        weight = np.asarray(chosen)[self.classes_[codes]] if isinstance(chosen, tuple) else None
        if chosen is True:
            weight = compute_sample_weight("balanced", codes)
        if sample_weight is None:
            return loop.pad(x, codes, weight=weight)
        rows, own = repeated(_checked_weights(sample_weight, len(x)))
        return loop.pad(x[rows], codes[rows], weight=own if weight is None else weight[rows] * own)

    def _objective(self) -> CrossEntropyObjective:
        return CrossEntropyObjective(network=self.config.network, features=self.features_, classes=len(self.classes_))

    def _fit_until_best(
        self, stopping: EarlyStopping, x: np.ndarray, codes: np.ndarray, key: Array, weights: np.ndarray | None
    ) -> tuple[TrainState, np.ndarray]:
        try:
            kept, held = train_test_split(
                np.arange(len(x)), test_size=stopping.validation, stratify=codes, random_state=self.seed
            )
        except ValueError as error:
            raise InputError(f"early stopping cannot keep rows of every class for validation: {error}") from None
        held_x, held_codes = x[held], jnp.asarray(codes[held])
        objective = self._objective()
        lowest, best, since = np.inf, None, 0  # `since`: looks since the best

        def look(state: TrainState, losses: np.ndarray) -> bool:
            nonlocal lowest, best, since
            loss = float(objective.losses(jnp.asarray(logits_of(objective, state, held_x)), held_codes).mean())
            since += 1
            if loss < lowest:
                # A copy: the loop goes on in the same memory.
                lowest, best, since = loss, jax.tree.map(jnp.copy, state), 0
            return since >= stopping.patience

        _, losses = loop.train(
            objective,
            self.config.optimiser,
            self._data(x[kept], codes[kept], None if weights is None else np.asarray(weights)[kept]),
            key,
            steps=self.config.total_steps(len(kept)),
            batch=self.config.batch,
            on_block=look,
            title=self.progress,
        )
        return jax.device_put(best, jax.local_devices()[0]), losses


def repeated(weights: np.ndarray, most: int = 65_536) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are met in training as often as their weights [n] ask: row numbers [m], and what is left to weigh [m].

    A batch holds few of many rows.  If the heavy ones were rare among them, most batches would have none, and a step
    would follow whatever light ones it met: so each row is there in proportion to its weight, as near as whole numbers
    and at most about `most` rows come to it, and the loss makes up for the rest.
    """
    positive = weights[weights > 0]
    unit = max(float(positive.min()), float(weights.sum()) / most)
    times = np.where(weights > 0, np.maximum(np.rint(weights / unit), 1), 0).astype(np.int64)
    rows = np.repeat(np.arange(len(weights)), times)
    return rows, (weights / np.maximum(times, 1))[rows] / unit


def _checked_weights(weights: np.ndarray, rows: int) -> np.ndarray:
    weights = np.asarray(weights, np.float64)
    if weights.shape != (rows,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError(f"row weights have shape {weights.shape}; give each of the {rows} rows one of at least 0")
    return weights


def fit_together(classifiers: Sequence[NeuralClassifier], sets: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """`fit` of several classifiers at once, one set (x, y) of rows each, side by side on the devices (`vmap`).

    On accelerators that small networks leave idle, many cost little more than one; on CPUs, nothing is gained.

    Raises:
      InputError: as `fit`.
      ValueError: classifiers that differ in more than their seed, that stop early or keep checkpoints; or sets that
        differ in their classes or their number of rows or columns.
    """
    first = classifiers[0].config
    if any(c.config != first or c.checkpoint_dir for c in classifiers) or first.early_stopping:
        raise ValueError("detectors trained together share one configuration, without early stopping or checkpoints")
    checked = [c._check(x, y) for c, (x, y) in zip(classifiers, sets, strict=True)]
    if any(not np.array_equal(c.classes_, classifiers[0].classes_) for c in classifiers):
        raise ValueError("detectors trained together need the same classes")
    states, losses = loop.train_together(
        classifiers[0]._objective(),
        first.optimiser,
        [c._data(x, codes) for c, (x, codes) in zip(classifiers, checked, strict=True)],
        jnp.stack([jax.random.key(c.seed) for c in classifiers]),
        steps=first.total_steps(len(checked[0][0])),
        batch=first.batch,
    )
    for classifier, state, own in zip(classifiers, states, losses, strict=True):
        classifier.state_, classifier.losses_ = jax.device_put(state, jax.local_devices()[0]), own


def _spec(name: str, layers: str, *experiments: str) -> ClassifierSpec:
    def make(options: ClassifierOptions) -> Classifier:
        config = options.detector or DetectorConfig()
        config = replace(config, class_weights=options.class_weights or config.class_weights)
        if name != "cnn_bigru":  # the configuration's own network stands for this one
            config = replace(config, network=NETWORKS[name])
        return NeuralClassifier(
            config, seed=options.seed, checkpoint_dir=options.checkpoint_dir, progress=options.progress
        )

    return ClassifierSpec(
        name=name, make=make, summary=f"neural network: {layers}", neural=True, compared_in=frozenset(experiments)
    )


SPECS = (
    _spec(
        "cnn_bigru", "convolutions, bidirectional GRU (P1)", "few_shot", "generator_comparison", "detector_comparison"
    ),
    _spec("cnn_bigru_paper", "the same with the GRU as P1 writes it (eqs. 13 to 16)"),
    _spec("cnn_bilstm", "convolutions, bidirectional LSTM", "detector_comparison"),
    _spec("bilstm_bigru", "bidirectional LSTM, bidirectional GRU", "detector_comparison"),
    _spec("bilstm", "two bidirectional LSTMs", "detector_comparison"),
)
