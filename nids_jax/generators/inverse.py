"""Flow records of conversations inferred from the real ones, on other networks and between other hosts.

From each training row a conversation is inferred packet by packet (`flows.simulate.inverse`), played again with what
networks and hosts vary, and metered as the rows were.  No tool needs to be known, and nothing is trained.
"""

from collections.abc import Collection, Sequence
from typing import Self

import jax
import numpy as np
from jax import Array

from nids_jax import random
from nids_jax.errors import InputError
from nids_jax.flows.compat import DEFAULT, Compat
from nids_jax.flows.meter import TIMEOUT
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate.inverse.conversation import Conversation, infer
from nids_jax.flows.simulate.inverse.records import SIDES, TELLING, told
from nids_jax.flows.simulate.inverse.replay import Spread, metered, vary
from nids_jax.generators.resampling import Copies
from nids_jax.generators.spec import GeneratorSpec

_METERED = {feature.name: place for place, feature in enumerate(FEATURES)}


class Inverse(Copies):
    """Records of the conversations behind rows of the class, drawn with replacement and varied.

    Columns that no meter gives, and header lengths that no packet has (CICFlowMeter writes some), are the row's own.
    Rows are in raw units.

    Fitted attributes: `x_` [n, d] float64, `y_` [n].
    """

    losses_ = None

    def __init__(
        self,
        features: Sequence[str],
        compat: Compat = DEFAULT,
        categories: Collection[str] = (),
        spread: Spread | None = None,
    ):
        """Set what the rows' columns are.

        Args:
          features: the canonical names of the columns.
          compat: how the rows were metered, and how the new ones are.
          categories: columns that hold codes of names instead of the meter's numbers.
          spread: how much conversations vary.

        Raises:
          InputError: none of the columns says how many packets or bytes a flow has, or how long it lasts.
        """
        self.features = tuple(features)
        self.compat: Compat = compat
        self.spread = spread or Spread()
        self._known = tuple(name if name not in categories else "" for name in self.features)
        if not set(TELLING) & set(self._known):
            raise InputError(
                "inverse infers conversations from flow records, and none of these columns says how many packets or"
                " bytes a flow has, or how long it lasts"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, key: Array) -> Self:
        """Keeps x [n, d], in raw units, and y [n]; `key` is not used."""
        super().fit(x, y, key)
        self.x_ = np.asarray(x, np.float64)
        self._inferred: dict[int, Conversation] = {}
        durations = told(self.x_, self._known, self.compat)["flow_duration"]
        self._timeout = int(max(TIMEOUT, durations.max(initial=0)))
        return self

    def sample(self, labels: np.ndarray, key: Array) -> np.ndarray:
        """labels [m] → rows [m, d] in raw units; row i depends on (key, i, labels[i]) alone.

        Raises:
          InputError: a label that no fitted row has.
        """
        rows = self._drawn(labels, key)
        self._infer(np.unique(rows))
        seed = np.asarray(jax.random.key_data(random.stream(key, "inverse"))).tolist()
        talks = (
            vary(self._inferred[row], self.spread, np.random.default_rng([*seed, number]))
            for number, row in enumerate(rows.tolist())
        )
        return self._rows(rows, *metered(talks, self.compat, self._timeout))

    def _infer(self, rows: np.ndarray) -> None:
        """Infer the conversations of these rows that are not inferred yet."""
        missing = [row for row in rows.tolist() if row not in self._inferred]
        columns = told(self.x_[missing], self._known, self.compat)
        for place, row in enumerate(missing):
            self._inferred[row] = infer({name: column[place] for name, column in columns.items()}, self.compat)

    def _rows(self, rows: np.ndarray, made: np.ndarray, found: np.ndarray) -> np.ndarray:
        """What a meter made of conversations like those of `rows`, in the columns of these."""
        x = self.x_[rows]
        result = x.copy()
        column = {name: x[:, place] for place, name in enumerate(self._known)}
        nothing = np.full(len(x), np.nan)
        for place, name in enumerate(self._known):
            if name in _METERED:
                result[:, place] = np.where(found, made[:, _METERED[name]], x[:, place])
        for side in SIDES:
            # Less than a byte a packet: what CICFlowMeter reads off packets that have no such header.
            impossible = column.get(f"{side}_header_length", nothing) < column.get(f"total_{side}_packets", nothing)
            for name in (f"{side}_header_length", f"{side}_header_length_1", f"{side}_segment_size_min"):
                if name in column:
                    place = self._known.index(name)
                    result[impossible, place] = x[impossible, place]
        if {"total_tcp_flow_time", "flow_duration"} <= column.keys():  # a connection may have begun in another record
            whole, own = (np.nan_to_num(column[name], posinf=0) for name in ("total_tcp_flow_time", "flow_duration"))
            before = np.maximum(whole - own, 0)
            result[:, self._known.index("total_tcp_flow_time")] += before
        return result


SPEC = GeneratorSpec(
    name="inverse",
    make=lambda request: Inverse(request.features, request.compat, request.categories),
    summary="Conversations inferred from the training rows, varied and metered again.",
    learns=False,
    needs="columns",
    metered=True,
    compared_in=frozenset({"generator_comparison"}),
)
