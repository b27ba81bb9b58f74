"""Comparing tables: every figure by another library, a closed form or a plain loop; and tables of every kind."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import nids_jax
from nids_jax.evaluation.comparison import compare, measures
from nids_jax.evaluation.comparison.likeness import BINS, marginal, pairs
from nids_jax.evaluation.comparison.mixed import align
from nids_jax.evaluation.comparison.neighbours import LEVELS, closeness, support
from nids_jax.evaluation.fidelity import NEIGHBOURS, coverage, density


def table(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """A table of mixed types with missing values and a constant column."""
    rng = np.random.default_rng(seed)
    size = rng.normal(shift, 1, rows)
    return pd.DataFrame(
        {
            "Size": size,
            "Weight": 2 * size + rng.normal(size=rows),
            "Service": rng.choice(
                np.array(["http", "dns", None], object), rows, p=[0.6, 0.3 - shift / 10, 0.1 + shift / 10]
            ),
            "Wait": np.where(rng.random(rows) < 0.2, np.nan, rng.exponential(size=rows)),
            "Version": 4,
            "Encrypted": rng.random(rows) < 0.3,
            "Label": np.where(size > shift, "attack", "benign"),
        }
    )


def only(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return pd.DataFrame({name: frame[name] for name in names})


REAL, SYNTHETIC = table(150, 0), table(100, 1, shift=0.8)


def test_columns_agree_with_sdmetrics_and_scipy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        from sdmetrics.single_column import KSComplement, TVComplement
    tables = align([REAL, SYNTHETIC])
    for column in tables.columns:
        found, a, b = marginal(column, 0, 1), REAL[column.name].dropna(), SYNTHETIC[column.name].dropna()
        if column.kind == "number":
            assert found.shape == pytest.approx(KSComplement.compute(a, b), abs=1e-12)
            assert found.shape == pytest.approx(1 - np.asarray(stats.ks_2samp(a, b))[0], abs=1e-12)
        else:
            assert found.shape == pytest.approx(TVComplement.compute(a.astype(str), b.astype(str)), abs=1e-12)
        gap = abs(REAL[column.name].isna().mean() - SYNTHETIC[column.name].isna().mean())
        assert found.score == pytest.approx(found.shape * (1 - gap), abs=1e-12)
    assert [column.kind for column in tables.columns] == [
        *("number", "number", "category", "number", "number", "category", "category")
    ]


def test_pairs_agree_with_sdmetrics():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
    numbers, names = ["Size", "Weight"], ["Encrypted", "Label"]
    r = pairs(align([only(REAL, *numbers), only(SYNTHETIC, *numbers)]), 0, 1, 0)
    assert r.score == pytest.approx(
        CorrelationSimilarity.compute(only(REAL, *numbers), only(SYNTHETIC, *numbers)), abs=1e-12
    )
    c = pairs(align([only(REAL, *names), only(SYNTHETIC, *names)]), 0, 1, 0)
    texts = [only(each, *names).astype(str) for each in (REAL, SYNTHETIC)]
    assert c.score == pytest.approx(ContingencySimilarity.compute(texts[0], texts[1]), abs=1e-12)


def test_a_pair_of_a_number_and_a_name_by_a_plain_loop():
    edges = np.quantile(REAL["Size"], np.arange(1, BINS) / BINS)
    shares = []
    for each in (REAL, SYNTHETIC):
        cells: dict[tuple[int, str], float] = {}
        for size, service in zip(each["Size"], each["Service"], strict=True):
            cell = (sum(size >= edge for edge in edges), str(service))
            cells[cell] = cells.get(cell, 0) + 1 / len(each)
        shares.append(cells)
    expected = 1 - sum(abs(shares[0].get(c, 0) - shares[1].get(c, 0)) for c in shares[0] | shares[1]) / 2
    found = pairs(align([only(each, "Size", "Service") for each in (REAL, SYNTHETIC)]), 0, 1, 0)
    assert found.names == pytest.approx(expected, abs=1e-12)
    assert np.isnan(found.numbers)


def test_density_and_coverage_agree_with_prdc():
    from prdc import compute_prdc

    rng = np.random.default_rng(3)
    real, synthetic = rng.normal(size=(60, 4)), rng.normal(0.3, 1, (50, 4))
    expected = compute_prdc(real_features=real, fake_features=synthetic, nearest_k=NEIGHBOURS)
    assert density(real, synthetic) == pytest.approx(expected["density"])
    assert coverage(real, synthetic) == pytest.approx(expected["coverage"])


def test_support_by_a_plain_loop():
    rng = np.random.default_rng(4)
    real, synthetic = rng.normal(size=(25, 3)), rng.normal(0.5, 1.5, (31, 3))
    middle, own = real.mean(axis=0), synthetic.mean(axis=0)

    def away(point: np.ndarray, other: np.ndarray) -> float:
        return float(np.sqrt(((point - other) ** 2).sum()))

    gaps = [0.0, 0.0]
    levels = [i / (LEVELS - 1) for i in range(LEVELS)]
    for level in levels:
        radius = np.quantile([away(x, middle) for x in real], level) + 1e-9
        gaps[0] += abs(level - sum(away(z, middle) <= radius for z in synthetic) / len(synthetic))
        within = np.quantile([away(z, own) for z in synthetic], level) + 1e-9
        reached = 0
        for i, x in enumerate(real):
            reach = sorted(away(x, other) for j, other in enumerate(real) if j != i)[NEIGHBOURS - 1]
            reached += any(away(x, z) <= reach and away(z, own) <= within for z in synthetic)
        gaps[1] += abs(level - reached / len(real))
    found = support(real, synthetic)
    assert found.precision == pytest.approx(1 - gaps[0] / sum(levels))
    assert found.recall == pytest.approx(1 - gaps[1] / sum(levels))


def test_closeness_by_a_plain_loop():
    rng = np.random.default_rng(5)
    train, unseen = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    synthetic = np.concatenate([train[:10], rng.normal(size=(20, 3))])
    to_train = [min(np.linalg.norm(z - x) for x in train) for z in synthetic]
    to_unseen = [min(np.linalg.norm(z - x) for x in unseen) for z in synthetic]
    usual = np.median([min(np.linalg.norm(u - x) for x in train) for u in unseen])
    found = closeness(train, synthetic, unseen, 0)
    assert found.distance == pytest.approx(np.median(to_train))
    assert found.unseen == pytest.approx(usual)
    assert found.copies == pytest.approx(np.mean([d <= 0.01 * usual for d in to_train]))
    assert found.nearer == pytest.approx(np.mean([a < b for a, b in zip(to_train, to_unseen, strict=True)]))
    alone = closeness(train, synthetic, None, 0)
    others = [min(np.linalg.norm(x - y) for j, y in enumerate(train) if j != i) for i, x in enumerate(train)]
    assert alone.unseen == pytest.approx(np.median(others))
    assert alone.repeats == 0
    assert np.isnan(alone.nearer)


def test_distances_between_names_numbers_and_missing_values():
    frame = pd.DataFrame({"n": [1.0, 1.0, None], "c": ["a", "b", "a"]})
    points = align([frame, frame]).coordinates()[0]
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(1)  # another name
    assert np.linalg.norm(points[0] - points[2]) == pytest.approx(1)  # missing beside a known constant


@pytest.fixture(scope="module")
def found() -> nids_jax.Comparison:
    return compare(REAL, table(120, 7), table(140, 8))


def test_rows_of_one_kind_score_high_and_all_parts_are_there(found: nids_jax.Comparison):
    assert [*found.parts] == ["columns", "pairs", "told_apart", "neighbourhoods", "support", "privacy", "detection"]
    assert found.score > 0.85
    assert found.score == pytest.approx(np.mean([part.score for part in found.parts.values()]))
    assert all(0 <= each.score <= 1 for each in (*found.parts.values(), *found.columns.values()))
    assert (found.label_column, found.beside) == ("Label", "holdout")
    assert found.columns["Service"].missing_real == pytest.approx(table(140, 8)["Service"].isna().mean())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"] == {
        "real": 150,
        "synthetic": 120,
        "holdout": 140,
    }


def test_the_same_call_gives_the_same_figures(found: nids_jax.Comparison):
    assert compare(REAL, table(120, 7), table(140, 8)).to_dict() == found.to_dict()


def test_copies_and_shifted_rows_are_found_out():
    copies = compare(REAL, REAL.iloc[:120], table(140, 8)).parts
    assert copies["privacy"].score == 0
    assert copies["privacy"].figures["equal to a real row"] == copies["privacy"].figures["copies or nearly so"] == 1
    alone = compare(REAL, REAL.iloc[:120])
    assert alone.parts["privacy"].score == 0
    assert alone.beside == "real"
    assert "Without unseen rows" in alone.remarks[0]
    far = compare(REAL, table(120, 7, shift=2.9), table(140, 8)).parts
    assert far["told_apart"].score < 0.1
    assert far["columns"].figures["lowest"] < 0.2
    assert far["neighbourhoods"].score < 0.5


def test_copies_of_rows_that_were_not_drawn_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(measures.MOST_ROWS, "privacy, real rows", 10)
    tables = [only(each, "Size", "Weight") for each in (REAL, REAL, table(140, 8))]
    found = measures.Measured(tables=align(tables), frames=tables, label_column=None, seed=0).privacy()
    assert found.figures["copies or nearly so"] < 0.2
    assert found.score == 0


def test_labels_are_found_named_or_asked_for():
    two = REAL.assign(attack_cat=np.where(REAL["Label"] == "attack", "dos", "none"))
    asked = compare(two, two).parts["detection"]
    assert np.isnan(asked.score)
    assert asked.obstacle == "Label and attack_cat may each be the label; name it with `label_column`"
    chosen = compare(two, two, label_column="Attack Cat")
    assert chosen.label_column == "attack_cat"
    # Without `Label`, which says the same, as a feature; `Size` tells the classes all the same.
    assert chosen.parts["detection"].figures["macro F1"] > 0.9
    free = compare(only(two, "Size", "Weight"), only(two, "Size", "Weight"), label_column="Size").parts["detection"]
    assert "'Size' holds 150 different values" in free.obstacle


def test_flow_rules_where_columns_are_flows():
    table = nids_jax.simulate({"BENIGN": 15, "DDoS": 15})
    broken = table.to_frame().assign(total_fwd_packets=-1.0)
    assert compare(table, table).parts["rules"].score == 1
    assert compare(table, broken).parts["rules"].figures["rows that keep all"] == 0


def test_spellings_types_and_what_is_left_out():
    real = pd.DataFrame({" Flow Duration": [1, 2, 3], "proto": [6.0, 17.0, 6.0], "Src IP": list("abc"), "own": 1})
    synthetic = pd.DataFrame({"flow_duration": ["1", "2.0", "30"], "proto": ["6", "17", "x"], "src_ip": list("abc")})
    tables = align([real, synthetic])
    assert {c.name: c.kind for c in tables.columns} == {"Flow Duration": "number", "proto": "category"}
    assert tables.columns[1].names == ("17", "6", "x")
    assert tables.left_out == {"Src IP": "names a flow, a host or a moment", "own": "not in every table"}


@pytest.mark.parametrize(
    ("real", "synthetic", "said"),
    [
        (REAL, REAL.iloc[:0], "the synthetic table has no rows"),
        (REAL, pd.DataFrame({"other": [1]}), "the tables have no column to compare"),
        (pd.DataFrame({"a": [None]}), pd.DataFrame({"a": [None]}), "a: no values"),
        (pd.DataFrame([[1, 2]], columns=["列", "列"]), REAL, "several columns that mean"),
    ],
)
def test_bad_tables_are_refused(real: pd.DataFrame, synthetic: pd.DataFrame, said: str):
    with pytest.raises(nids_jax.InputError, match=said):
        compare(real, synthetic)


def test_bad_arguments_are_refused():
    with pytest.raises(nids_jax.InputError, match="`label_column` is 'Klass', which cannot be compared"):
        compare(REAL, REAL, label_column="Klass")
    with pytest.raises(nids_jax.InputError, match="`seed` is -1"):
        compare(REAL, REAL, seed=-1)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(),
    st.sampled_from(["", " ", "a", "1", "nan", "=1+1", "é", "2026-01-01"]),
    st.datetimes().map(pd.Timestamp),
)


def test_pairs_that_share_nothing_score_nought_to_the_last_bit():
    """Six shares of a sixth add up, in the order of these codes, to a bit over 1."""
    real = pd.DataFrame({"a": [None, "u", "w", "x", "v", "u"], "b": [None, None, "V", "U", "V", "U"]})
    found = compare(real, pd.DataFrame({"a": [None], "b": ["V"]}))
    assert found.parts["pairs"].score == 0.0


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_table_is_compared_or_refused_in_a_sentence(data: st.DataObject):
    names = data.draw(st.lists(st.sampled_from(["a", "b", "Label", "列", "flow duration"]), min_size=1, unique=True))
    frames = [
        pd.DataFrame(
            {name: pd.Series(data.draw(st.lists(VALUES, min_size=n, max_size=n)), dtype=object) for name in names}
        )
        for n in data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    ]
    try:
        found = compare(*frames)
    except nids_jax.InputError:
        return
    scores = [found.score, *(part.score for part in found.parts.values()), *(c.score for c in found.columns.values())]
    assert all(np.isnan(score) or 0 <= score <= 1 for score in scores)
