"""Deduplication, and the splits into training and test rows.  Order, always: clean → deduplicate → split → scale."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nids_jax.data.duplicates import first_equal, repeats
from nids_jax.data.table import FlowTable, concatenate
from nids_jax.errors import InputError

_AUXILIARY_SEED = 2**31  # of `set_aside`; no split is asked for by this seed
_TUNING_SEED = 2**31 + 1  # of `for_tuning`
_FOLD_SEED = 2**31 + 2  # of the folds of `few_shot`
FOLDS = 10  # splits that can be tested on rows of their own
_LEAST_FOLD = 10  # rows of a class in each of them; smaller classes share theirs


@dataclass(frozen=True, kw_only=True)
class Split:
    """Disjoint rows of one table: for training, for testing, and a pool of further training rows."""

    train: FlowTable
    test: FlowTable
    pool: FlowTable
    train_rows: np.ndarray  # rows of the table that was split, int64
    test_rows: np.ndarray
    pool_rows: np.ndarray
    test_shares: np.ndarray  # [c] of each class's test rows, how many another split has too on average

    @property
    def real_all(self) -> FlowTable:
        """The training rows and the pool: as many real rows as an augmented training set holds."""
        return concatenate([self.train, self.pool])


def deduplicate(table: FlowTable) -> tuple[FlowTable, int]:
    """The table without rows that equal an earlier one in every feature and the label, and how many those were."""
    repeated = repeats(table.x, table.y)
    return (table.take(~repeated), int(repeated.sum())) if repeated.any() else (table, 0)


def conflicting_rows(table: FlowTable) -> int:
    """How many rows share all their features with a row of another class; no classifier can get all of them right."""
    group = first_equal(table.x)
    lowest = np.full(len(table), len(table.classes))
    highest = np.full(len(table), -1)
    np.minimum.at(lowest, group, table.y)
    np.maximum.at(highest, group, table.y)
    return int((lowest[group] != highest[group]).sum())


def few_shot(
    table: FlowTable,
    shots: int,
    seed: int,
    *,
    test_per_class: int,
    extra: int = 0,
    majority: Mapping[str, int] | None = None,
    disjoint: bool = False,
) -> Split:
    """P1's few-shot split (IV.B): `shots` training rows of each class, uniformly at random; test on others.

    Of a class with n rows, r = shots + extra rows are set aside if n > r, else half of them (⌊n/2⌋, at least 1).  The
    first min(shots, r) of those train and the rest are the pool; of the other rows up to `test_per_class` are the test.
    With `extra=0` this is P1's protocol to the letter.  With `extra=50`, the 5-shot training set and its 55 real rows
    (`Split.real_all`) are tested on the same rows.

    One permutation per class, a function of the seed and the class's name, decides everything: training rows are taken
    from its front and test rows from its end.  So the rows of 5 shots are among those of 50, a class keeps its rows
    when others come or go, and wherever rows abound the test set is the same for any number of shots.

    Args:
      table: deduplicated flows.
      shots: training rows per class; 0 leaves none but those of `majority`.
      seed: of the draw, at least 0.
      test_per_class: test rows per class at most (P1: 1,000 for CIC-IDS2017, 10,000 for CIC-DDoS2019).
      extra: further real rows per class to set aside in `pool`.
      majority: {class: training rows} of classes that are not rare; none of their rows are set aside in `pool`.
      disjoint: no two of `FOLDS` seeds in a row share test rows: each class of at least 100 rows is divided once into
        `FOLDS` equal parts, of which part seed mod `FOLDS` is tested and the others are drawn from.  Smaller classes
        are tested as without it.

    Returns:
      Rows class by class, each in the order drawn.

    Raises:
      InputError: an argument out of range, a class of `majority` that is not there, or one with fewer than two rows.
    """
    majority = majority or {}
    unknown = [name for name in majority if name not in table.classes]
    if unknown:
        raise InputError(f"there is no class {unknown[0]!r} among {', '.join(table.classes)}")
    for name, value in majority.items():
        if value < 1:
            raise InputError(f"{value} training rows are asked of {name!r}; ask for at least 1")
    for name, value, least in (("shots", shots, 0), ("test_per_class", test_per_class, 1), ("extra", extra, 0)):
        if value < least:
            raise InputError(f"{name} is {value}; it must be at least {least}")
    train: list[np.ndarray] = []
    pool: list[np.ndarray] = []
    test: list[np.ndarray] = []
    shares: list[float] = []
    folds = _folds(table, seed) if disjoint else [np.empty(0, np.int64)] * len(table.classes)
    for name, every, fold in zip(table.classes, _shuffled_classes(table, seed), folds, strict=True):
        rows = every[~np.isin(every, fold)]
        trained = majority.get(name, shots)
        aside = trained + (0 if name in majority else extra)
        if len(rows) <= aside:
            aside = max(len(rows) // 2, 1)
        train.append(rows[: min(trained, aside)])
        pool.append(rows[min(trained, aside) : aside])
        test.append(fold[:test_per_class] if len(fold) else rows[max(aside, len(rows) - test_per_class) :])
        shares.append(0.0 if len(fold) else len(test[-1]) / len(rows))
    return _split(table, np.concatenate(train), np.concatenate(test), np.concatenate(pool), np.array(shares))


def _folds(table: FlowTable, seed: int) -> list[np.ndarray]:
    """Of each class the rows of the part that a seed tests on; none of a class too small to be divided."""
    place, found = seed % FOLDS, []
    for rows in _shuffled_classes(table, _FOLD_SEED):
        size = len(rows) // FOLDS if len(rows) >= FOLDS * _LEAST_FOLD else 0
        found.append(rows[place * size : (place + 1) * size])
    return found


def set_aside(
    table: FlowTable, *, share: float = 0.5, least: int = 200, classes: Sequence[str] | None = None
) -> tuple[FlowTable, FlowTable]:
    """(rest, auxiliary): rows kept out of every split of `rest`, for what needs many rows and no or few labels.

    Of each of `classes` (None: of all) with n ≥ `least` rows ⌊share · n⌋, uniformly at random; smaller ones keep all.
    The draw depends on the class's name and size alone, so that whatever learns from these rows serves all splits.

    Args:
      table: deduplicated flows.
      share: between 0 and 1, both excluded.

    Returns:
      Both in the table's order, which tells nothing of the splits.

    Raises:
      InputError: the share is out of range, a class is not there, or none is large enough.
    """
    if not 0 < share < 1:
        raise InputError(f"share is {share}; it must lie between 0 and 1")
    unknown = [name for name in classes or () if name not in table.classes]
    if unknown:
        raise InputError(f"there is no class {unknown[0]!r} among {', '.join(table.classes)}")
    taken = np.zeros(len(table), bool)
    for name, rows in zip(table.classes, _shuffled_classes(table, _AUXILIARY_SEED), strict=True):
        if len(rows) >= least and (classes is None or name in classes):
            taken[rows[: int(share * len(rows))]] = True
    if not taken.any():
        raise InputError(f"no class has the {least} rows of which a share could be set aside")
    return table.take(~taken), table.take(taken)


def for_tuning(table: FlowTable, rows: Mapping[str, int]) -> tuple[FlowTable, FlowTable]:
    """(rest, tuning): labelled rows on which settings are chosen, kept out of every split of `rest`.

    Of each class min(rows[name], ⌊n/3⌋) of its n rows, uniformly at random; none where that is fewer than two.

    Args:
      table: deduplicated flows.
      rows: how many of each class.

    Returns:
      The rest in the table's order, and the tuning rows, with the classes that have some.

    Raises:
      InputError: no class has rows to spare.
    """
    taken = np.zeros(len(table), bool)
    for name, own in zip(table.classes, _shuffled_classes(table, _TUNING_SEED), strict=True):
        count = min(rows[name], len(own) // 3)
        if count >= 2:
            taken[own[:count]] = True
    names = tuple(name for name, count in table.take(taken).counts.items() if count)
    if len(names) < 2:
        raise InputError("tuning takes six rows of each of two classes at least; leave it out, or give more rows")
    return table.take(~taken), table.take(taken).regroup({name: name for name in names}, names)


def stratified(table: FlowTable, test_share: float, seed: int) -> Split:
    """A random split that keeps each class's share: round(n · test_share) test rows of n, at least one on each side.

    Args:
      table: deduplicated flows.
      test_share: between 0 and 1, both excluded.
      seed: of the draw, at least 0.

    Returns:
      Rows class by class in random order; the pool is empty.

    Raises:
      InputError: the share is out of range, or a class has fewer than two rows.
    """
    if not 0 < test_share < 1:
        raise InputError(f"test_share is {test_share}; it must lie between 0 and 1")
    train: list[np.ndarray] = []
    test: list[np.ndarray] = []
    shares: list[float] = []
    for rows in _shuffled_classes(table, seed):
        tested = min(max(round(len(rows) * test_share), 1), len(rows) - 1)
        train.append(rows[: len(rows) - tested])
        test.append(rows[len(rows) - tested :])
        shares.append(tested / len(rows))
    return _split(table, np.concatenate(train), np.concatenate(test), np.empty(0, np.int64), np.array(shares))


def draw(table: FlowTable, per_class: int, seed: int) -> FlowTable:
    """Up to `per_class` rows of each class, uniformly at random; of the same permutations as the splits.

    Raises:
      InputError: a class with fewer than two rows.
    """
    return table.take(np.concatenate([rows[:per_class] for rows in _shuffled_classes(table, seed)]))


def _shuffled_classes(table: FlowTable, seed: int) -> list[np.ndarray]:
    """The rows of each class in an order that depends on the seed, the class's name and its number of rows."""
    if seed < 0:
        raise InputError(f"the split seed is {seed}; it must be at least 0")
    if not table.classes:
        raise InputError("the table has no classes, so there is nothing to split")
    shuffled = []
    for label, (name, count) in enumerate(table.counts.items()):
        if count < 2:
            rows = "1 row" if count == 1 else "no rows"
            raise InputError(f"class {name!r} has {rows}; a split needs 2, one to train and one to test: exclude it")
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        shuffled.append(generator.permutation(np.flatnonzero(table.y == label)))
    return shuffled


def _split(table: FlowTable, train: np.ndarray, test: np.ndarray, pool: np.ndarray, shares: np.ndarray) -> Split:
    return Split(
        train=table.take(train),
        test=table.take(test),
        pool=table.take(pool),
        train_rows=train,
        test_rows=test,
        pool_rows=pool,
        test_shares=shares,
    )


def class_shares(part: FlowTable, whole: FlowTable) -> np.ndarray:
    """Of each class's rows in the whole, how many the part has, [c]; 0 of a class without rows."""
    return np.array([*part.counts.values()]) / np.maximum([*whole.counts.values()], 1)
