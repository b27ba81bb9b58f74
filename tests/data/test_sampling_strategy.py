"""How far classes are raised, against imbalanced-learn, and what a command line may say of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.utils import check_sampling_strategy

from nids_jax.data.sampling_strategy import NAMES, Strategy, parse_strategy, raised_counts
from nids_jax.errors import InputError

CLASSES = ("a", "b", "c", "d")
COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=4)
STRATEGIES = st.one_of(
    st.sampled_from([*NAMES, "majority"]),
    st.floats(-0.5, 1.5),
    st.floats(0.01, 1.0),
    st.dictionaries(st.sampled_from(CLASSES), st.integers(-2, 60), min_size=1),
    st.dictionaries(st.sampled_from(CLASSES), st.integers(30, 60), min_size=1),
)


@given(COUNTS, STRATEGIES)
def test_as_imbalanced_learn_understands_it(sizes: list[int], strategy: Strategy):
    """The same rows to add, and an error wherever it raises one."""
    y = np.repeat(CLASSES[: len(sizes)], sizes)
    counts: dict[str, int] = dict(zip(CLASSES, sizes, strict=False))
    try:
        wanted = dict(check_sampling_strategy(strategy, y, "over-sampling") or {})
    except ValueError:
        with pytest.raises(InputError):
            raised_counts(strategy, counts)
        return
    raised = raised_counts(strategy, counts)
    assert list(raised) == list(counts)
    added = {name: raised[name] - counts[name] for name in counts}
    assert added == {name: wanted.get(name, 0) for name in counts}


@given(st.text(max_size=30) | st.text("a:,0 5.", max_size=12))
def test_whatever_is_written_is_understood_or_refused_in_one_sentence(text: str):
    try:
        strategy, refusal = parse_strategy(text), ""
    except InputError as error:
        strategy, refusal = "auto", str(error)
    assert "\n" not in refusal
    assert refusal.startswith("`sampling_strategy`") or not refusal
    assert strategy in NAMES if isinstance(strategy, str) else strategy != {}


@given(st.dictionaries(st.text("aé :-–'", min_size=1).map(str.strip), st.integers(0, 10**9), max_size=4))
def test_class_names_may_hold_anything_but_commas(rows: dict[str, int]):
    rows = {name: count for name, count in rows.items() if name}
    if rows:
        assert parse_strategy(",".join(f" {name} : {count}" for name, count in rows.items())) == rows


def test_the_names_of_the_real_classes_are_read():
    text = "Web Attack - Sql Injection:2000,Heartbleed:500"
    assert parse_strategy(text) == {"Web Attack - Sql Injection": 2000, "Heartbleed": 500}
    assert parse_strategy(" not majority ") == "not majority"
    assert parse_strategy("0.5") == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("majority", "give minority, not minority, not majority, all, auto, a number"),
        ("Bot:2e3", "has 'Bot:2e3'; give CLASS:ROWS"),
        (":5", "has ':5'"),
        ("Bot:5,Bot:6", "names 'Bot' twice"),
    ],
)
def test_what_cannot_be_read(text: str, said: str):
    with pytest.raises(InputError, match=said):
        parse_strategy(text)


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("majority", "choose from minority"),
        ({"Bto": 5}, "names 'Bto'; choose from BENIGN, Bot"),
        ({"Worm": 5}, "names 'Worm'; choose from BENIGN, Bot"),  # a class without rows is not there
        ({"Bot": 4}, "gives 'Bot' 4 rows where it has 5"),
        (float("nan"), r"is nan; as a number it lies in \(0, 1\]"),
        (0.5, "gives 'Bot' 5 rows where it has 5"),
    ],
)
def test_what_does_not_fit_the_classes(strategy: Strategy, said: str):
    with pytest.raises(InputError, match=said):
        raised_counts(strategy, {"BENIGN": 10, "Bot": 5, "Worm": 0})


def test_classes_without_rows_stay_without():
    counts = {"BENIGN": 10, "Bot": 5, "Worm": 0}
    assert raised_counts("auto", counts) == {"BENIGN": 10, "Bot": 10, "Worm": 0}
    assert raised_counts(0.7, counts) == {"BENIGN": 10, "Bot": 7, "Worm": 0}
    with pytest.raises(InputError, match="a number is for two classes and there are 3; name rows, such as x:2000"):
        raised_counts(0.7, dict.fromkeys("xyz", 4))
    with pytest.raises(InputError, match="only BENIGN has rows; balancing needs two classes"):
        raised_counts("auto", {"BENIGN": 10, "Worm": 0})
