"""P1's few-shot protocol, stratified splits and deduplication."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.data.split import conflicting_rows, deduplicate, few_shot, for_tuning, set_aside, stratified
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError


def table(*sizes: int, seed: int = 0) -> FlowTable:
    """Classes a, b, … of these sizes, rows shuffled; the only feature is the row's number."""
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int32)
    names = tuple("abcdefgh"[: len(sizes)])
    return FlowTable(x=np.arange(len(y), dtype=float)[:, None], y=y, features=("row",), classes=names)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=1, max_size=5),
    shots=st.integers(1, 70),
    extra=st.integers(0, 70),
    test=st.integers(1, 40),
    seed=st.integers(0, 2**40),
)
def test_few_shot_counts_and_disjointness(sizes: list[int], shots: int, extra: int, test: int, seed: int) -> None:
    flows = table(*sizes)
    split = few_shot(flows, shots, seed, test_per_class=test, extra=extra)
    drawn = np.concatenate([split.train_rows, split.pool_rows, split.test_rows])
    assert len(set(drawn.tolist())) == len(drawn)
    for part, rows in ((split.train, split.train_rows), (split.pool, split.pool_rows), (split.test, split.test_rows)):
        np.testing.assert_array_equal(part.x[:, 0], rows)
        np.testing.assert_array_equal(part.y, flows.y[rows])
    for label, size in enumerate(sizes):
        trained, pooled, tested = (int((part.y == label).sum()) for part in (split.train, split.pool, split.test))
        aside = shots + extra if size > shots + extra else max(size // 2, 1)
        assert (trained, trained + pooled) == (min(shots, aside), aside)
        assert tested == min(test, size - aside)  # up to `test`, or all the rest
        assert min(trained, tested) >= 1
    again = few_shot(flows, shots, seed, test_per_class=test, extra=extra)
    np.testing.assert_array_equal(again.train_rows, split.train_rows)
    np.testing.assert_array_equal(again.test_rows, split.test_rows)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(2, 260), min_size=1, max_size=4),
    shots=st.integers(1, 30),
    extra=st.integers(0, 30),
    test=st.integers(1, 40),
    first=st.integers(0, 9),
)
def test_splits_may_be_tested_on_rows_of_their_own(
    sizes: list[int], shots: int, extra: int, test: int, first: int
) -> None:
    flows = table(*sizes)
    ten = [few_shot(flows, shots, first + n, test_per_class=test, extra=extra, disjoint=True) for n in range(10)]
    for seed, split in enumerate(ten, start=first):
        drawn = np.concatenate([split.train_rows, split.pool_rows, split.test_rows])
        assert len(set(drawn.tolist())) == len(drawn)
        plain = few_shot(flows, shots, seed, test_per_class=test, extra=extra)
        for label, size in enumerate(sizes):
            tested = split.test_rows[flows.y[split.test_rows] == label]
            if size >= 100:
                assert len(tested) == min(test, size // 10)
                assert split.test_shares[label] == 0
            else:
                np.testing.assert_array_equal(tested, plain.test_rows[flows.y[plain.test_rows] == label])
                assert split.test_shares[label] == len(tested) / size
    tested = np.concatenate([split.test_rows for split in ten])
    large = tested[np.array(sizes)[flows.y[tested]] >= 100]
    assert len(set(large.tolist())) == len(large)


def test_papers_classes_that_have_too_few_rows() -> None:
    """Heartbleed 11, Infiltration 36, Sql Injection 21 at k = 50: half of each trains, the other half is tested."""
    split = few_shot(table(11, 36, 21, 51, 50), 50, 0, test_per_class=1000)
    assert list(split.train.counts.values()) == [5, 18, 10, 50, 25]
    assert list(split.test.counts.values()) == [6, 18, 11, 1, 25]
    assert len(split.pool) == 0


def test_real_all_shares_the_test_rows_of_the_few() -> None:
    split = few_shot(table(200, 300, 40), 5, 3, test_per_class=50, extra=50)
    assert list(split.real_all.counts.values()) == [55, 55, 20]
    assert split.real_all.x[:15].tolist() == split.train.x.tolist()
    assert not set(split.real_all.x[:, 0]) & set(split.test.x[:, 0])


def test_more_shots_contain_fewer_and_keep_the_test() -> None:
    flows = table(500, 400)
    few, more = (few_shot(flows, shots, 7, test_per_class=100) for shots in (5, 50))
    assert set(few.train_rows) < set(more.train_rows)
    np.testing.assert_array_equal(few.test_rows, more.test_rows)


def test_the_draw_is_uniform_and_depends_on_the_seed() -> None:
    flows = table(10, 10)
    counts = np.zeros(20)
    for seed in range(2000):
        counts[few_shot(flows, 3, seed, test_per_class=2).train_rows] += 1
    # 2000 draws of 3 in 10: 600 expected, standard deviation 20
    assert np.abs(counts - 600).max() < 90


def test_a_class_keeps_its_rows_when_others_go() -> None:
    flows = table(30, 40)
    alone = FlowTable(x=flows.x, y=np.where(flows.y == 1, 0, 1).astype(np.int32), features=("row",), classes=("b", "a"))
    one, two = (few_shot(which, 5, 0, test_per_class=10) for which in (flows, alone))
    assert set(one.train_rows) == set(two.train_rows)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((5, 1), {}, "class 'b' has 1 row"),
        ((5, 0), {}, "class 'b' has no rows"),
        ((), {}, "no classes"),
        ((5, 5), {"shots": -1}, "shots is -1"),
        ((5, 5), {"test_per_class": 0}, "test_per_class is 0"),
        ((5, 5), {"extra": -1}, "extra is -1"),
        ((5, 5), {"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_split(sizes: tuple[int, ...], options: dict[str, int], message: str) -> None:
    arguments = {"shots": 2, "seed": 0, "test_per_class": 10} | options
    with pytest.raises(InputError, match=message):
        few_shot(table(*sizes), arguments.pop("shots"), arguments.pop("seed"), **arguments)  # type: ignore[arg-type]


def test_stratified() -> None:
    split = stratified(table(100, 10, 2), 0.3, 0)
    assert list(split.test.counts.values()) == [30, 3, 1]
    assert list(split.train.counts.values()) == [70, 7, 1]
    assert sorted([*split.train_rows, *split.test_rows]) == list(range(112))
    assert list(stratified(table(3), 0.01, 0).test.counts.values()) == [1]
    assert list(stratified(table(3), 0.99, 0).train.counts.values()) == [1]
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="test_share"):
            stratified(table(5), share, 0)
    with pytest.raises(InputError, match="has 1 row"):
        stratified(table(5, 1), 0.5, 0)


def test_deduplicate_and_conflicts() -> None:
    x = np.array([[1.0, 2], [1, 2], [3, 4], [1, 2], [3, 4], [-0.0, 0], [0, 0]])
    flows = FlowTable(x=x, y=np.array([0, 0, 1, 1, 1, 0, 0], np.int32), features=("p", "q"), classes=("a", "b"))
    clean, removed = deduplicate(flows)
    assert removed == 3
    assert clean.x.tolist() == [[1, 2], [3, 4], [1, 2], [0, 0]]
    assert clean.y.tolist() == [0, 1, 1, 0]
    assert conflicting_rows(flows) == 3
    assert conflicting_rows(clean) == 2
    assert deduplicate(clean) == (clean, 0)
    empty = flows.take(np.zeros(7, bool))
    assert deduplicate(empty) == (empty, 0)
    assert conflicting_rows(empty) == 0


def test_majority_classes_have_their_own_number_and_no_pool():
    flows = table(500, 30, 60)
    split = few_shot(flows, 5, 0, test_per_class=40, extra=10, majority={"a": 300})
    counts = [[int((part.y == k).sum()) for k in range(3)] for part in (split.train, split.pool, split.test)]
    assert counts == [[300, 5, 5], [0, 10, 10], [40, 15, 40]]
    plain = few_shot(flows, 5, 0, test_per_class=40, extra=10)
    np.testing.assert_array_equal(split.train_rows[300:], plain.train_rows[5:])  # the rare classes keep their rows
    # Of a class with fewer rows than asked for, half train.
    assert (few_shot(flows, 5, 0, test_per_class=40, majority={"b": 300}).train.y == 1).sum() == 15
    with pytest.raises(InputError, match="no class 'z' among a, b, c"):
        few_shot(flows, 5, 0, test_per_class=40, majority={"z": 3})
    with pytest.raises(InputError, match="0 training rows are asked of 'a'"):
        few_shot(flows, 5, 0, test_per_class=40, majority={"a": 0})


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=1, max_size=5),
    share=st.floats(0.1, 0.9),
    least=st.integers(0, 60),
)
def test_what_is_set_aside_is_in_no_split(sizes: list[int], share: float, least: int) -> None:
    flows = table(*sizes)
    wanted = [int(share * size) if size >= least else 0 for size in sizes]
    if not sum(wanted):
        with pytest.raises(InputError, match="of which a share could be set aside"):
            set_aside(flows, share=share, least=least)
        return
    rest, auxiliary = set_aside(flows, share=share, least=least)
    assert sorted([*rest.x[:, 0], *auxiliary.x[:, 0]]) == list(range(len(flows)))
    assert list(auxiliary.counts.values()) == wanted
    for part in (rest, auxiliary):
        np.testing.assert_array_equal(part.y, flows.y[part.x[:, 0].astype(int)])


def test_only_the_classes_named_are_set_aside() -> None:
    flows = table(300, 400, 50)
    _, some = set_aside(flows, classes=("b", "c"))
    assert some.counts == {"a": 0, "b": 200, "c": 0}
    np.testing.assert_array_equal(some.x, (lambda t: t.x[t.y == 1])(set_aside(flows)[1]))
    with pytest.raises(InputError, match="no class 'z' among a, b, c"):
        set_aside(flows, classes=("z",))
    with pytest.raises(InputError, match=r"share is 1\.0; it must lie between 0 and 1"):
        set_aside(flows, share=1.0)


def test_rows_for_tuning_are_few_and_in_no_split():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 3], (300, 30, 9, 4)).astype(np.int32)
    x = np.arange(len(y), dtype=float)[:, None] + rng.random((len(y), 1)) / 2
    table = FlowTable(x=x, y=y, features=("a",), classes=("n", "few", "fewer", "fewest"))
    rest, tuning = for_tuning(table, dict.fromkeys(table.classes, 10))
    assert tuning.counts == {"n": 10, "few": 10, "fewer": 3}  # of four rows a third is one, which is too few
    assert rest.counts == {"n": 290, "few": 20, "fewer": 6, "fewest": 4}
    assert not np.isin(tuning.x, rest.x).any()
    assert sorted([*tuning.x[:, 0], *rest.x[:, 0]]) == x[:, 0].tolist()
    for seed in range(3):
        split = few_shot(rest, 5, seed, test_per_class=100)
        assert not np.isin(tuning.x, split.test.x).any()
    with pytest.raises(InputError, match="tuning takes six rows of each of two classes at least"):
        for_tuning(table.regroup({"few": "few", "fewest": "fewest"}, ("few", "fewest")), {"few": 10, "fewest": 10})
