"""Training rows from simulated tools: which tool stands behind a class, its flows in the dataset's own columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from nids_jax.data.scaling import Scaler
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.meter import Compat
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate.tools import TOOLS, Tool, read_tools, tool_flows, tool_of

# "agreement": a class weighs more, the better a forest that knows simulated flows alone recognises its real rows.
Weighting = Literal["agreement", "equal"]
TREES = 120  # of that forest


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """How tools are simulated beside real rows."""

    rows: int | None = 1600  # of each class; None: as many as the protocol adds
    weight: float | None = 1.0  # of all simulated rows of a class together, in real rows; None: each counts as one
    weighting: Weighting = "agreement"
    compat: Compat = "corrected"  # the meter's mode: as the dataset was metered
    tool_of: Mapping[str, str] = field(default_factory=dict)  # class → tool, before what the class's name says
    own: Mapping[str, Tool] = field(default_factory=dict)  # tools of one's own, by name; their labels go first

    @classmethod
    def named(cls, tool_of: Sequence[str], own_tools: str | None, **settings: Any) -> "Simulation":
        """What flags say: `tool_of` as CLASS=TOOL, `own_tools` as the path of a TOML file; further settings as given.

        Raises:
          InputError: an entry is not CLASS=TOOL, or the file is no file of tools.
        """
        parts = [entry.partition("=") for entry in tool_of]
        wrong = [entry for entry, (name, _, tool) in zip(tool_of, parts, strict=True) if not (name and tool)]
        if wrong:
            raise InputError(f"`tool_of` has {wrong[0]!r}; write CLASS=TOOL,CLASS=TOOL")
        return cls(tool_of={name: tool for name, _, tool in parts}, own=read_tools(own_tools), **settings)

    def behind(self, classes: Sequence[str]) -> dict[int, Tool]:
        """The tool of each class that has one, by the class's number.

        Raises:
          InputError: `tool_of` names no class or no tool.
        """
        tools = {**TOOLS, **self.own}
        for name, tool in self.tool_of.items():
            if name not in classes:
                raise InputError(f"`tool_of` names the class {name!r}; choose from {', '.join(classes)}")
            if tool not in tools:
                raise InputError(f"`tool_of` names the tool {tool!r}; choose from {', '.join(sorted(tools))}")
        found = {
            label: tools[self.tool_of[name]] if name in self.tool_of else tool_of(name, self.own)
            for label, name in enumerate(classes)
        }
        return {label: tool for label, tool in found.items() if tool is not None}

    def without(self, classes: Sequence[str]) -> list[str]:
        """The classes that no tool stands behind; they are left as they are."""
        known = self.behind(classes)
        return [name for label, name in enumerate(classes) if label not in known]

    def described(self, classes: Sequence[str]) -> dict[str, Any]:
        """For data.json: the tool behind each class that has one, and the classes without."""
        tools = {classes[label]: tool.name for label, tool in self.behind(classes).items()}
        return {"tools": tools, "without_a_tool": self.without(classes)}

    def remark(self, classes: Sequence[str]) -> str | None:
        """What is to be said of the classes that no tool stands behind; None where all have one."""
        without = self.without(classes)
        return f"no tool stands behind {', '.join(without)}: nothing is simulated of these classes" if without else None

    def obstacle(self, table: FlowTable) -> str | None:
        """Why nothing can be simulated of a table's classes; None where something can.

        Raises:
          InputError: `tool_of` names no class or no tool.
        """
        if not self.behind(table.classes):
            return f"no tool stands behind any of {', '.join(table.classes)}"
        metered = {feature.name for feature in FEATURES}
        named = [name for name in table.categories if name in metered]
        if named:
            return f"column {named[0]!r} holds names, and flows are simulated with numbers there"
        if not metered & set(table.features):
            return f"these rows have none of the columns of flow records ({', '.join(table.features[:5])}, …)"
        return None

    def beside(
        self,
        table: FlowTable,
        scaled: np.ndarray,
        scaler: Scaler,
        counts: np.ndarray,
        seed: int,
        row_weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is to be trained on beside a table's rows: counts[k] simulated flows of each class k that has a tool.

        Args:
          scaled: [n, width] the table's rows, as `scaler` gives them.
          row_weights: [n] how much each of these counts; None: 1.

        Returns:
          Scaled rows [m, width], their classes [m], and how much each weighs in real rows [m].

        Raises:
          InputError: as `flows` and `class_weights`.
        """
        x, labels = self.flows(table, counts, seed)
        more = scaler.transform(x)
        return more, labels, shared_out(self.class_weights(more, labels, scaled, table.y, row_weights), labels)

    def class_weights(
        self,
        x: np.ndarray,
        y: np.ndarray,
        real_x: np.ndarray,
        real_y: np.ndarray,
        row_weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """What the simulated rows of each class weigh together, in real rows: [c], for the classes 0 … max(y).

        With the weighting "agreement" a class k with n_k real rows weighs w (1 + Σ p) / (1 + n_k).  The sum is over
        those rows; p is the probability of the class k that a random forest on simulated rows alone gives to each.
        So a class without real rows weighs w, and one whose tool is not what its rows came from w / (1 + n_k), if other
        classes are simulated too: where there is one, nothing else could be recognised.

        Args:
          x [m, d], y [m]: simulated rows, at least one, and their classes.
          real_x [n, d], real_y [n]: the real training rows, scaled alike.
          row_weights: [n] how many rows each of these stands for; None: 1.

        Raises:
          InputError: there is no weight to share out.
        """
        if self.weight is None:
            raise InputError("each simulated row counts as one here; give `weight` a number")
        weights = np.full(int(y.max()) + 1, self.weight)
        simulated = np.isin(real_y, y)
        if self.weighting == "agreement" and simulated.any():
            forest = RandomForestClassifier(TREES, n_jobs=-1, random_state=0).fit(x, y)
            labels = real_y[simulated]
            given = forest.predict_proba(real_x[simulated])
            own = given[np.arange(len(labels)), np.searchsorted(forest.classes_, labels)]
            times = np.ones(len(labels)) if row_weights is None else row_weights[simulated]
            sums, counts = (np.bincount(labels, each, len(weights)) for each in (own * times, times))
            weights = weights * (1 + sums) / (1 + counts)
        return weights

    def flows(
        self, like: FlowTable, counts: np.ndarray, seed: int, *, left_over: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """counts[k] flows of the tool behind each class k that has one.

        Columns that the meter does not give are drawn from the real rows of the class, or of all classes where it has
        none.  A class's flows depend on its tool and the seed alone; the first of them are the same for any count.

        Args:
          like: the real training rows: their columns, classes and values of columns that no meter gives.
          left_over: whether what a meter leaves over of a connection's close counts (see `tool_flows`).

        Returns:
          x [m, d] in raw units, y [m], class by class.

        Raises:
          InputError: nothing can be simulated of these classes.
        """
        obstacle = self.obstacle(like)
        if obstacle:
            raise InputError(f"{obstacle}: leave `simulated` out")
        parts, labels = [np.empty((0, len(like.features)))], [np.empty(0, np.int32)]
        for label, tool in self.behind(like.classes).items():
            if counts[label] < 1:
                continue
            parts.append(self._rows(tool, int(counts[label]), like, label, seed, left_over=left_over))
            labels.append(np.full(len(parts[-1]), label, np.int32))
        return np.concatenate(parts), np.concatenate(labels)

    def everyday(self, like: FlowTable, each: int, seed: int) -> np.ndarray:
        """`each` flows of every benign tool there is, one's own included, in the columns of `like`: [m, d]."""
        benign = [tool for tool in {**TOOLS, **self.own}.values() if tool.benign]
        label = -1 if like.benign is None else like.classes.index(like.benign)
        return np.concatenate([self._rows(tool, each, like, label, seed) for tool in benign])

    def _rows(
        self, tool: Tool, count: int, like: FlowTable, label: int, seed: int, *, left_over: bool = True
    ) -> np.ndarray:
        x, features = tool_flows(tool, count, seed, compat=self.compat, left_over=left_over)
        return _in_columns(x, features, like, label, seed)


def _in_columns(x: np.ndarray, features: Sequence[str], like: FlowTable, label: int, seed: int) -> np.ndarray:
    """Rows x [n, f] with these features as rows [n, d] of the table's columns."""
    given = dict(zip(features, x.T, strict=True))
    own = np.flatnonzero(like.y == label)
    own = own if len(own) else np.arange(len(like))
    drawn = np.random.default_rng([seed, label]).choice(own, len(x)) if len(own) else None
    missing = np.zeros((len(x), len(like.features))) if drawn is None else like.x[drawn]
    columns = [given.get(name, missing[:, place]) for place, name in enumerate(like.features)]
    return np.stack(columns, axis=1)


def shared_out(class_weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much each of the rows with labels y [m] weighs, when those of a class share its weight [c] evenly: [m]."""
    return (class_weights / np.maximum(np.bincount(y, minlength=len(class_weights)), 1))[y]
