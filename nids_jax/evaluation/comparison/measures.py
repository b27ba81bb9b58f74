"""Two tables, and unseen rows where there are any → every part of their comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from pandas.core.util.hashing import hash_pandas_object

from nids_jax.data.io.label_column import LABELS
from nids_jax.evaluation.comparison.likeness import Pairs, marginal, pairs, told
from nids_jax.evaluation.comparison.mixed import Mixed, align
from nids_jax.evaluation.comparison.neighbours import closeness, support
from nids_jax.evaluation.comparison.result import ColumnFigures, Comparison, Part
from nids_jax.evaluation.comparison.utility import as_labels, told_apart, utility
from nids_jax.evaluation.fidelity import C2ST_LEAST_ROWS, C2ST_ROWS, COPY, NEIGHBOURS, coverage, density, draw
from nids_jax.flows.consistency import violations
from nids_jax.flows.schema import FEATURE_NAMES, canonical_name, canonical_names

REAL, SYNTHETIC, HOLDOUT = range(3)
# Rows of each table at most that a measure looks at; of more, so many are drawn.
MOST_ROWS = {
    "columns and pairs": 100_000,
    "told apart": C2ST_ROWS,
    "neighbourhoods and support": 2000,
    "privacy, synthetic and unseen rows": 2000,
    "privacy, real rows": 50_000,
    "detection": 5000,
    "flow rules": 100_000,
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The tables of one comparison: real, synthetic, and unseen real rows where there are any."""

    tables: Mixed
    frames: Sequence[pd.DataFrame]
    label_column: str | None
    seed: int

    @property
    def unseen(self) -> bool:
        return len(self.frames) > HOLDOUT

    @property
    def beside(self) -> int:
        """The table that the synthetic rows are put beside: unseen rows where there are any."""
        return HOLDOUT if self.unseen else REAL

    def drawn(self, *most: str) -> Mixed:
        """So many rows of each table: a name of MOST_ROWS for all, or one each."""
        names = most if len(most) > 1 else most * len(self.frames)
        chosen = [self._chosen(table, MOST_ROWS[name]) for table, name in enumerate(names)]
        return self.tables.take(chosen)

    def _chosen(self, table: int, most: int) -> np.ndarray:
        return draw(np.arange(self.tables.rows(table)), most, np.random.default_rng([self.seed, table]))

    @cached_property
    def likeness(self) -> tuple[dict[str, ColumnFigures], Pairs, dict[str, float]]:
        """The columns; their pairs; and the means of the real rows beside the unseen ones."""
        tables = self.drawn("columns and pairs")
        paired = pairs(tables, self.beside, SYNTHETIC, self.seed)
        found = {}
        for column in tables.columns:
            score, shape, missing = marginal(column, self.beside, SYNTHETIC)
            real, synthetic = told(column, self.beside, SYNTHETIC)
            found[column.name] = ColumnFigures(
                kind=column.kind,
                score=score,
                shape=shape,
                missing_real=missing[0],
                missing_synthetic=missing[1],
                pairs=paired.by_column.get(column.name, float("nan")),
                real=real,
                synthetic=synthetic,
            )
        own = {}
        if self.unseen:
            own["columns"] = float(np.mean([marginal(column, HOLDOUT, REAL).score for column in tables.columns]))
            own["pairs"] = pairs(tables, HOLDOUT, REAL, self.seed).score
        return found, paired, own

    def columns(self) -> Part:
        found, _, own = self.likeness
        score = float(np.mean([each.score for each in found.values()]))
        return Part(
            title="Columns",
            score=score,
            figures={"mean": score, "lowest": min(each.score for each in found.values())},
            unseen={"mean": own["columns"]} if own else {},
            meaning="A column's score is 1 − Kolmogorov-Smirnov distance (numbers) or 1 − total variation (names) of "
            "its known values, times 1 − |difference of the shares of missing values|; the part's is their mean.",
        )

    def pairs(self) -> Part:
        _, paired, own = self.likeness
        return Part(
            title="Pairs of columns",
            score=paired.score,
            figures={"all": paired.score, "numbers": paired.numbers, "with names": paired.names},
            unseen={"all": own["pairs"]} if own else {},
            meaning="Two numbers: 1 − |difference of Pearson's correlations| / 2; otherwise 1 − total variation of the "
            f"contingency tables, numbers in tenths of the real ones. Mean of {paired.used:,} pairs"
            f"{', drawn of more' if paired.drawn else ''}.",
            obstacle="" if paired.used else "there is only one column",
        )

    def told_apart(self) -> Part:
        tables = self.drawn("told apart")
        auc = told_apart(tables, self.beside, SYNTHETIC, self.seed)
        unseen = {"AUC": told_apart(tables, HOLDOUT, REAL, self.seed)} if self.unseen else {}
        return Part(
            title="Told apart by a classifier",
            score=1 - max(0.0, 2 * auc - 1) if auc == auc else auc,
            figures={"AUC": auc},
            unseen=unseen,
            meaning="Cross-validated AUC of boosted trees that tell real from synthetic rows (C2ST); ideal is 0.5. "
            "Score: 1 − (2 · AUC − 1), at most 1.",
            obstacle="" if auc == auc else f"either table needs at least {C2ST_LEAST_ROWS} rows",
        )

    def _points(self) -> list[np.ndarray]:
        """As many rows of each table as the smallest has."""
        points = self.drawn("neighbourhoods and support").coordinates()
        n = min(len(each) for each in points)
        rng = np.random.default_rng([self.seed, 9])
        return [draw(each, n, rng) for each in points]

    def neighbourhoods(self) -> tuple[Part, Part]:
        """Density and coverage; α-precision and β-recall."""
        points = self._points()
        real, synthetic = points[self.beside], points[SYNTHETIC]

        def figures(x: np.ndarray, z: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
            fit = support(x, z)
            return {"density": density(x, z), "coverage": coverage(x, z)}, {
                "α-precision": fit.precision,
                "β-recall": fit.recall,
            }

        near, fit = figures(real, synthetic)
        own = figures(real, points[REAL]) if self.unseen else ({}, {})
        obstacle = "" if len(real) > 1 else "either table needs at least 2 rows"
        return (
            Part(
                title="Density and coverage",
                score=(min(near["density"], 1.0) + near["coverage"]) / 2,
                figures=near,
                unseen=own[0],
                meaning=f"Naeem et al. 2020, with {NEIGHBOURS} neighbours and equally many rows: how often synthetic "
                "rows lie in real rows' neighbourhoods (about 1 is ideal), and the share of real rows with a synthetic "
                "one in theirs. Score: mean of both, density counted as 1 at most.",
                obstacle=obstacle,
            ),
            Part(
                title="α-precision and β-recall",
                score=(max(fit["α-precision"], 0.0) + max(fit["β-recall"], 0.0)) / 2,
                figures=fit,
                unseen=own[1],
                meaning="Alaa et al. 2022, on scaled rows without an embedding: whether the innermost share α of the "
                "real rows holds the share α of the synthetic ones, and the synthetic ones' innermost share β reaches "
                "the share β of the real ones. Score: mean of both.",
                obstacle=obstacle,
            ),
        )

    def privacy(self) -> Part:
        few = "privacy, synthetic and unseen rows"
        points = self.drawn("privacy, real rows", few, *([few] if self.unseen else [])).coordinates()
        unseen = points[HOLDOUT] if self.unseen else None
        found = closeness(points[REAL], points[SYNTHETIC], unseen, self.seed)
        ratio = found.distance / found.unseen if found.unseen > 0 else float("nan")
        equal = self._equal_rows()
        figures = {
            "distance to the closest real row": found.distance,
            "over that of unseen rows": ratio,
            "copies or nearly so": found.copies,
            "equal to a real row": equal[0],
        }
        own = {"distance to the closest real row": found.unseen, "copies or nearly so": found.repeats}
        by_distance = ratio
        if self.unseen:
            figures["nearer to a real than to an unseen row"] = found.nearer
            own |= {"nearer to a real than to an unseen row": 0.5, "equal to a real row": equal[1]}
            by_distance = 2 - 2 * found.nearer
        # A share of copies that real rows have as well is no copying.
        # Among many real rows a copied one may not have been drawn; one that is equal is found all the same.
        copied, usual = max(found.copies, equal[0]), max(found.repeats, equal[1] if self.unseen else 0.0)
        by_copies = 1 - max(0.0, (copied - usual) / (1 - usual)) if usual < 1 else np.nan
        score = float(np.minimum(min(1.0, by_distance), by_copies)) if by_distance == by_distance else float("nan")
        return Part(
            title="Privacy",
            score=score,
            figures=figures,
            unseen=own,
            meaning="Distances are between scaled rows, in standard deviations of the signed logarithms; nearly a copy "
            f"is what is {COPY:.0%} as far from a real row as is usual. Score: the lesser of 1 − (share of copies − "
            "real rows' share) / (1 − real rows' share) and "
            + (
                "2 · (1 − share nearer to a real than to an unseen row), of equally many drawn. "
                if self.unseen
                else "the ratio of the distances (without unseen rows, to the closest other real row), both at most 1. "
            )
            + "Equal rows are looked for among all rows.",
            obstacle="" if score == score else "real rows hardly differ from each other, so nearness says nothing",
        )

    def _equal_rows(self) -> tuple[float, float]:
        """The share of synthetic, and of unseen, rows that equal a real row in all columns; NaN without unseen ones."""
        keys = [hash_pandas_object(pd.DataFrame(cells + 0.0), index=False) for cells in self.tables.cells()]
        found = [float(each.isin(keys[REAL]).mean()) for each in keys[SYNTHETIC:]]
        return found[0], found[1] if self.unseen else float("nan")

    def detection(self) -> Part:
        kept = "the unseen rows" if self.unseen else "a third of the real rows, which neither saw"
        figures, unseen, obstacle = self._detected()
        score = float("nan")
        if not obstacle:
            score = min(1.0, figures["macro F1"] / unseen["macro F1"]) if unseen["macro F1"] > 0 else score
            obstacle = "" if score == score else "a forest trained on the real rows finds no class of the test rows"
        return Part(
            title="Detection",
            score=score,
            figures=figures,
            unseen=unseen,
            meaning="A random forest trained on the synthetic rows, beside one trained on the real rows, both "
            f"tested on {kept}. Score: macro F1 of the former over that of the latter, at most 1.",
            obstacle=obstacle,
        )

    def _detected(self) -> tuple[dict[str, float], dict[str, float], str]:
        """Figures of training on synthetic rows, of training on real rows, and why there are none."""
        if self.label_column is None:
            listed = [column.name for column in self.tables.columns if canonical_name(column.name) in LABELS]
            known = f"{' and '.join(listed)} may each be the label" if listed else "no label column is known"
            return {}, {}, f"{known}; name it with `label_column`"
        tables = self.drawn("detection")
        rest = tables.without(self.label_column, *LABELS)
        if not rest.columns:
            return {}, {}, "there is no column beside the label"
        codes = as_labels(next(column for column in tables.columns if column.name == self.label_column))
        if isinstance(codes, str):
            return {}, {}, codes
        rows = [(x[y >= 0], y[y >= 0]) for x, y in zip(rest.cells(), codes, strict=True)]
        real, synthetic = rows[REAL], rows[SYNTHETIC]
        if self.unseen:
            test = rows[HOLDOUT]
        else:
            order = np.random.default_rng([self.seed, 7]).permutation(len(real[1]))
            cut = -(-len(order) // 3)
            real, test = ((real[0][part], real[1][part]) for part in (order[cut:], order[:cut]))
        if not min(len(each[1]) for each in (real, synthetic, test)):
            return {}, {}, "too few rows have a label"
        one, two = utility(*synthetic, *test, self.seed), utility(*real, *test, self.seed)
        return one.shown(), two.shown(), ""

    def rules(self) -> Part | None:
        """What must hold inside a flow record; None where the columns are none of its."""
        tables = self.drawn("flow rules")
        numbers = [column for column in tables.columns if column.kind == "number"]
        names = canonical_names([column.name for column in numbers])
        if FEATURE_NAMES.isdisjoint(names):
            return None

        def kept(table: int) -> tuple[float, int]:
            broken = violations(np.stack([column.values[table] for column in numbers], axis=1), names)
            return float(1 - np.any([*broken.values()], axis=0).mean()), len(broken)

        (ours, count), (theirs, _) = kept(SYNTHETIC), kept(self.beside)
        return Part(
            title="Rules of flow records",
            score=min(1.0, ours / theirs) if theirs > 0 else float("nan"),
            figures={"rows that keep all": ours},
            unseen={"rows that keep all": theirs},
            meaning=f"The share of rows that break none of the {count} rules that these columns have of those that "
            "every version of CICFlowMeter keeps (a mean lies between the least and the greatest value, and so on). "
            "Score: that share over the real rows'.",
            obstacle="" if theirs > 0 else "no real row keeps all rules: these are columns of another kind",
        )


def measure(frames: Sequence[pd.DataFrame], label_column: str | None, seed: int) -> Comparison:
    """Compare a synthetic table with a real one.

    Args:
      frames: the real table, which the generator learnt from; the synthetic one; and perhaps unseen real rows.
      label_column: each row's class, in any spelling; None: the one column called `Label` or the like, if any.
      seed: of the rows drawn, and of the classifiers.

    Raises:
      InputError: see `mixed.align`; or a column of that name is not among those compared.
    """
    tables = align(frames)
    if label_column is not None:
        label_column = tables.named(label_column)
    else:
        likely = [column.name for column in tables.columns if canonical_name(column.name) in LABELS]
        label_column = likely[0] if len(likely) == 1 else None
    measured = Measured(tables=tables, frames=frames, label_column=label_column, seed=seed)
    parts = {
        "columns": measured.columns(),
        "pairs": measured.pairs(),
        "told_apart": measured.told_apart(),
        **dict(zip(("neighbourhoods", "support"), measured.neighbourhoods(), strict=True)),
        "privacy": measured.privacy(),
        "detection": measured.detection(),
    }
    if (rules := measured.rules()) is not None:
        parts["rules"] = rules
    known = [part.score for part in parts.values() if part.score == part.score]
    return Comparison(
        score=float(np.mean(known)),
        parts=parts,
        columns=measured.likeness[0],
        rows=dict(zip(("real", "synthetic", "holdout"), map(len, frames), strict=False)),
        used=MOST_ROWS,
        beside="holdout" if measured.unseen else "real",
        label_column=label_column,
        left_out=tables.left_out,
        remarks=_remarks(frames),
        seed=seed,
    )


def _remarks(frames: Sequence[pd.DataFrame]) -> tuple[str, ...]:
    """What a reader should know of the sizes."""
    found = []
    if len(frames) <= HOLDOUT:
        found.append(
            "Without unseen rows (`holdout`) the synthetic rows are put beside those that they were learnt from: "
            "copies of these would look perfect everywhere but under privacy."
        )
    most = max(map(len, frames))
    if any(most > count for count in MOST_ROWS.values()):
        found.append("Some measures looked at a part of the rows, drawn at random: see the rows used.")
    if min(map(len, frames)) < 100:
        found.append("With fewer than 100 rows of a kind even a perfect generator scores well below 1.")
    return tuple(found)
