"""Over-samplers as imbalanced-learn's, which need not be installed: `fit_resample(X, y)` adds rows of small classes."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils import TargetTags

from nids_jax import api, random
from nids_jax.data.sampling_strategy import Strategy, even_rows, raised_counts
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError, shown
from nids_jax.estimators.inputs import CELLS, Columns, RandomState, column_names, rows_and_labels, seed_of
from nids_jax.estimators.resampled import class_labels, dense, longer_labels, longer_rows
from nids_jax.estimators.tags import OverSamplerTags, SamplerInputTags
from nids_jax.flows.consistency import repair, round_like
from nids_jax.flows.meter import Compat
from nids_jax.flows.simulate.tools import read_tools
from nids_jax.generators.raw import InRawUnits
from nids_jax.pipeline.simulation import Simulation
from nids_jax.pipeline.training_sets import SIMULATION_SEED
from nids_jax.presets import get_preset

Wanted = Strategy | Mapping[Any, int] | Callable[[Any], Mapping[Any, int]]


class OverSampler(OneToOneFeatureMixin, BaseEstimator):
    """What the over-samplers here have in common: rows in raw units, columns of text or categories among them.

    Fitted attributes: `sampling_strategy_` (class → rows added), `n_features_in_`, `feature_names_in_`.
    """

    sampling_strategy: Wanted
    random_state: RandomState

    def fit(self, X: Any, y: Any) -> Self:
        """Check X [n, d] and y [n], and find `sampling_strategy_`; nothing is learnt.

        Raises:
          ValueError: rows or labels that scikit-learn refuses.
          InputError: a sampling strategy that does not suit the classes.
        """
        self._checked(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The rows of X [n, d] and the labels y [n] as given, then those that are made of each class to be raised.

        Raises:
          ValueError: rows or labels that scikit-learn refuses.
          InputError: a sampling strategy that does not suit the classes, or rows that cannot be learnt from.
          TrainingError: the generator's training diverged.
        """
        columns, table, classes, added = self._checked(X, y)
        x, codes = self._made(table, added, seed_of(self.random_state)) if added.any() else _nothing(table)
        return longer_rows(X, columns, x), longer_labels(y, classes, codes)

    def _checked(self, X: Any, y: Any) -> tuple[Columns, FlowTable, np.ndarray, np.ndarray]:
        """The columns, the rows as a table, the classes, and how many rows of each are to be made."""
        found, labels = rows_and_labels(self, dense(X), class_labels(y), **CELLS)
        classes, codes = np.unique(labels, return_inverse=True)
        columns = Columns.found(X, found, column_names(self), flows=False)
        table = columns.table(columns.read(found, "error"), codes, classes)
        added = self._possible(table, self._added(table, classes, y))
        self.sampling_strategy_ = {label: int(n) for label, n in zip(classes.tolist(), added, strict=True) if n}
        return columns, table, classes, added

    def _added(self, table: FlowTable, classes: np.ndarray, y: Any) -> np.ndarray:
        """How many rows of each class the sampling strategy asks for, [c]."""
        asked = self.sampling_strategy
        if callable(asked):
            asked = asked(y)
        if isinstance(asked, Mapping):
            known = dict(zip(classes.tolist(), table.classes, strict=True))
            asked = {known.get(label, str(label)): int(rows) for label, rows in asked.items()}
        if len(classes) < 2:
            raise InputError(
                f"there is 1 class only, {shown(classes[0])}, and balancing needs two; add rows of another"
            )
        raised = raised_counts(asked, table.counts)
        return np.array([raised[name] - count for name, count in table.counts.items()])

    def _possible(self, table: FlowTable, added: np.ndarray) -> np.ndarray:
        """What of the rows asked for can be made, [c]."""
        return added

    def _made(self, table: FlowTable, added: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """added[k] rows of each class k in raw units [m, d], and their classes [m]."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> OverSamplerTags:
        return OverSamplerTags(
            estimator_type="sampler",
            target_tags=TargetTags(required=True),
            input_tags=SamplerInputTags(string=True, categorical=True),
        )


def _nothing(table: FlowTable) -> tuple[np.ndarray, np.ndarray]:
    return table.x[:0], table.y[:0]


class GeneratorOverSampler(OverSampler):
    """An over-sampler that trains a generator on the classes to be raised, every class as often as the largest.

    What it makes is brought back to raw units and mended as in the experiments: whole where the column is whole, within
    the rules that relate columns of flow records.
    """

    _generator: ClassVar[str]  # its name in the registry

    def __init__(
        self,
        *,
        sampling_strategy: Wanted = "auto",
        preset: str = "cpu",
        settings: Mapping[str, Any] | None = None,
        scaler: str | None = None,
        random_state: RandomState = None,
    ):
        """
        Args:
          sampling_strategy: as of imbalanced-learn's over-samplers (see `data.sampling_strategy`), or a function of y
            that gives class → rows.
          preset: the size and the training of the generator: demo, cpu, paper, paper_narrow.
          settings: fields of the generator's settings to change, such as {"steps": 500}.
          scaler: one of `data.scaling.SCALERS`; None: the preset's.
          random_state: of the training and of the rows.
        """
        self.sampling_strategy = sampling_strategy
        self.preset = preset
        self.settings = settings
        self.scaler = scaler
        self.random_state = random_state

    def _made(self, table: FlowTable, added: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        preset = get_preset(self.preset)
        codes = np.flatnonzero(added)
        rows = np.flatnonzero(np.isin(table.y, codes))
        rows = rows[even_rows(table.y[rows], seed)]
        scaler = fit_scaler(self.scaler or preset.scaler, table)
        generator = api.make_generator(
            self._generator, preset=self.preset, rows=len(rows), scaler=scaler, **(self.settings or {})
        )
        key = jax.random.key(seed)
        raw = InRawUnits(generator, scaler)
        raw.fit(table.x[rows], np.searchsorted(codes, table.y[rows]), random.stream(key, "fit"))
        labels = np.repeat(codes, added[codes])
        x = raw.sample(np.searchsorted(codes, labels), random.stream(key, "sample"))
        if preset.repair:
            x = repair(round_like(x, table.x), table.features)
        return x, labels


class CDDPMOverSampler(GeneratorOverSampler):
    """Rows of a conditional denoising diffusion model (P1)."""

    _generator = "cddpm"


class VAEWGANGPOverSampler(GeneratorOverSampler):
    """Rows of a conditional VAE with the critic of a WGAN-GP (P2)."""

    _generator = "vae_wgan_gp"


class WCGANGPOverSampler(GeneratorOverSampler):
    """Rows of a conditional Wasserstein GAN with gradient penalty."""

    _generator = "wcgan_gp"


class SimulatedToolsSampler(OverSampler):
    """Flows of the attack tools that stand behind the classes, metered; nothing is learnt.

    The columns are those of flow records by name (a data frame); what no meter gives is drawn from the class's rows.
    Classes without a tool are left as they are, with a warning, unless the sampling strategy names them.
    """

    def __init__(
        self,
        *,
        sampling_strategy: Wanted = "auto",
        compat: Compat = "corrected",
        tool_of: Mapping[str, str] | None = None,
        own_tools: str | Path | None = None,
        random_state: RandomState = None,
    ):
        """
        Args:
          sampling_strategy: as of imbalanced-learn's over-samplers.
          compat: how the rows were metered (see `nids_jax.meter`).
          tool_of: class → tool, where the class's name does not say it.
          own_tools: TOML file with tools of one's own.
          random_state: of the simulation.
        """
        self.sampling_strategy = sampling_strategy
        self.compat: Compat = compat
        self.tool_of = tool_of
        self.own_tools = own_tools
        self.random_state = random_state

    def _simulation(self) -> Simulation:
        return Simulation(compat=self.compat, tool_of=self.tool_of or {}, own=read_tools(self.own_tools))

    def _possible(self, table: FlowTable, added: np.ndarray) -> np.ndarray:
        simulation = self._simulation()
        obstacle = simulation.obstacle(table)
        behind = {} if obstacle else simulation.behind(table.classes)
        without = [table.classes[k] for k in np.flatnonzero(added) if k not in behind]
        if not without:
            return added
        why = obstacle or f"no tool stands behind {', '.join(map(shown, without))}"
        if isinstance(self.sampling_strategy, Mapping):
            raise InputError(
                f"{why}, and `sampling_strategy` names {shown(without[0])}; leave it out, or set `tool_of`"
            )
        warnings.warn(f"{why}: these classes are left as they are", UserWarning, stacklevel=4)
        return np.where(np.isin(np.arange(len(added)), [*behind]), added, 0)

    def _made(self, table: FlowTable, added: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return self._simulation().flows(table, added, SIMULATION_SEED + 1000 * seed)
