"""Summaries and verdicts against figures worked out by hand or with pandas and scipy."""

import csv

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from nids_jax.report import conditions, tables


def run(generator, classifier, split, accuracy, generation: int | None = 0, **other):
    return {
        "experiment": "fewshot",
        "dataset": "cicids2017",
        "generator": generator,
        "classifier": classifier,
        "shots": 5,
        "split_seed": split,
        "generation_seed": generation,
        "metrics": {"accuracy": accuracy, "macro_f1": accuracy / 2, "false_positive_rate": None},
        "timing": {"fit_s": float(split), "sample_s": None},
        "rows": {"train": 75},
        "environment": {},
        **other,
    }


def grouped(cddpm, copies, forest=()):
    """Runs of the conditions that a verdict looks at: a list of accuracies over generations for each split."""
    runs = [run("cddpm", "cnn_bigru", s, a, g) for s, row in enumerate(cddpm) for g, a in enumerate(row)]
    runs += [run("copies", "cnn_bigru", s, a) for s, a in enumerate(copies)]
    return runs + [run("real", "random_forest", s, a) for s, a in enumerate(forest)]


def test_summary_csv_against_pandas_and_scipy(tmp_path):
    cddpm = [[0.9, 0.8], [0.7, 0.8], [0.85, 0.75], [0.9, 0.9]]
    records = grouped(cddpm, [0.7, 0.75, 0.7, 0.8], [0.8, 0.8, 0.7, 0.9])
    tables.write_summary(tmp_path, records[::-1])
    table = pd.read_csv(tmp_path / "summary.csv").set_index(["generator", "classifier"])
    assert len(table) == 3
    row = table.loc[("cddpm", "cnn_bigru")]
    splits = [0.85, 0.75, 0.8, 0.9]
    half = stats.t.ppf(0.975, 3) * stats.sem(splits) / (0.825 * 0.175)  # on the scale of logits
    low, high = special.expit(special.logit(0.825) + np.array([-half, half]))
    assert row[["accuracy", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx([0.825, low, high])
    assert row[["split_seeds", "runs", "accuracy_n"]].tolist() == [4, 8, 4]
    for control, values in (("copies", [0.7, 0.75, 0.7, 0.8]), ("forest", [0.8, 0.8, 0.7, 0.9])):
        theirs = stats.ttest_rel(splits, values).confidence_interval(0.95)
        names = [f"accuracy_minus_{control}{end}" for end in ("_low", "_high", "_n")]
        assert row[names].tolist() == pytest.approx([theirs.low, theirs.high, 4])
    assert row["fit_s"] == pytest.approx(1.5)
    assert row["rows_train"] == 75
    assert table["sample_s"].isna().tolist() == [True] * 3
    assert table["false_positive_rate"].isna().tolist() == [True] * 3
    assert table["accuracy_minus_copies"].isna().tolist() == [True, True, False]
    assert table["accuracy_minus_forest"].isna().tolist() == [True, False, False]


def test_the_order_of_the_records_does_not_matter(tmp_path):
    records = grouped([[0.9], [0.8]], [0.7, 0.6], [0.5, 0.4])
    records += [run("zebra", "own", 0, 0.1), run("real", "cnn_bigru", 0, 0.3, shots=50, generation=None)]
    tables.write_summary(tmp_path / "a", records)
    tables.write_summary(tmp_path / "b", records[::-1])
    for name in ("summary.csv", "summary.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    rows = list(csv.DictReader((tmp_path / "a" / "summary.csv").read_text().splitlines()))
    assert [row["generator"] for row in rows] == ["real", "copies", "cddpm", "zebra", "real"]
    assert [row["shots"] for row in rows] == ["5"] * 4 + ["50"]


@pytest.mark.parametrize(
    ("gain", "word"),
    [
        ([0.1, 0.12, 0.11, 0.09, 0.1], "generation helped"),
        ([-0.1, -0.12, -0.11, -0.09, -0.1], "generation hurt"),
        ([0.1, -0.05, 0.2, -0.1, 0.05], "no difference shown"),
        ([0.0] * 5, "no difference shown"),
    ],
)
def test_the_verdict_follows_the_interval(gain, word):
    copies = [0.5, 0.55, 0.6, 0.5, 0.45]
    cddpm = [[c + g - 0.01, c + g + 0.01] for c, g in zip(copies, gain, strict=True)]
    against_copies, against_forest, _ = tables.verdict(grouped(cddpm, copies, copies))
    for sentence in (against_copies, against_forest):
        assert word in sentence
        assert sum(other in sentence for other in ("helped", "hurt", "no difference")) == 1
        assert "n = 5 split seeds" in sentence
        assert "preliminary" not in sentence
    low = stats.ttest_rel([c + g for c, g in zip(copies, gain, strict=True)], copies).confidence_interval().low
    if any(gain):
        assert f"[{low:+.4f}," in against_copies
    assert "copies of the real rows" in against_copies
    assert "random forest on the real rows" in against_forest


def test_one_seed_shows_nothing_however_large_the_gain():
    sentence = tables.verdict(grouped([[0.99, 0.98, 0.97]], [0.1], [0.1]))[0]
    assert "shows nothing" in sentence
    assert "helped" not in sentence
    assert "n = 1" in sentence


def test_few_seeds_are_called_preliminary_and_missing_arms_give_no_verdict():
    against_copies, against_forest, _ = tables.verdict(grouped([[0.9], [0.8]], [0.5, 0.41]))
    assert "preliminary" in against_copies
    assert "no verdict" in against_forest
    assert tables.verdict([]) == ["There are no finished runs, hence no verdict."]


def test_jitter_and_smote_are_controls_where_they_ran():
    records = grouped([[0.9], [0.8]], [0.5, 0.4], [0.5, 0.4]) + [run("smote", "cnn_bigru", s, 0.95) for s in range(2)]
    sentences = tables.verdict(records)
    assert len(sentences) == 4
    assert "against SMOTE" in sentences[2]
    assert "the best with synthetic rows is cnn_bigru on smote (0.950)" in sentences[3]


def test_the_best_detectors_with_and_without_generated_rows():
    records = grouped([[0.6], [0.7]], [0.5, 0.4], [0.8, 0.7]) + [run("cddpm", "xgboost", s, 0.72) for s in range(2)]
    records += [run("real_all", "random_forest", s, 0.99) for s in range(2)]  # no fair rival: it has more real rows
    sentence = tables.verdict(records)[-1]
    low, high = stats.ttest_rel([0.72, 0.72], [0.8, 0.7]).confidence_interval()
    assert (
        "with synthetic rows is xgboost on cddpm (0.720), the best without is random_forest on real (0.750)" in sentence
    )
    assert f"difference -0.0300 [{low:+.4f}, {high:+.4f}], n = 2 split seeds; fewer than 5, so preliminary." in sentence
    unfinished = tables.verdict([*records, run("smote", "xgboost", 0, 0.99)])[-1]
    assert "xgboost on cddpm (0.720)" in unfinished  # an condition with fewer splits is no rival yet
    (nothing,) = tables.verdict(grouped([], [0.5, 0.4], [0.8, 0.7]))  # nothing was generated
    assert "no verdict" in nothing
    assert len(tables.verdict(grouped([[0.6]], [0.5], [0.8]))) == 2  # one seed shows nothing


def test_without_cddpm_the_verdict_is_about_what_was_generated():
    records = [
        run(name, "knn", s, value + s / 100) for name, value in (("real", 0.5), ("copies", 0.5)) for s in range(6)
    ]
    records += [run("simulated", "knn", s, 0.7 + s / 100 + s % 2 / 500) for s in range(6)]
    sentences = tables.verdict(records)
    assert (
        "simulated against its classifier on the same rows without it, accuracy: helped knn (+0.2010 [" in sentences[0]
    )
    assert "simulated against copies, accuracy: helped knn" in sentences[1]
    assert not any("no verdict" in sentence for sentence in sentences)


def test_datasets_and_shots_are_never_mixed():
    other = [{**record, "dataset": "cicddos2019"} for record in grouped([[0.9], [0.9]], [0.1, 0.1])]
    more = [{**record, "shots": 50} for record in grouped([[0.2], [0.2]], [0.9, 0.9])]
    verdicts = tables.verdict(grouped([[0.5], [0.5]], [0.5, 0.5]) + other + more)
    assert len(verdicts) == 9
    words = [next((w for w in ("helped", "hurt", "no difference", "no verdict") if w in v), "best") for v in verdicts]
    assert words[2::3] == ["best"] * 3
    assert words[::3] == ["helped", "no difference", "hurt"]


@pytest.mark.parametrize(
    ("dataset", "shots", "figure"),
    [
        ("cicids2017", 5, "0.805, 0.863, 0.818, 0.721"),
        ("cicids2017_improved", 5, "0.9721"),
        ("cicddos2019", 5, "0.2944"),
        ("cicids2017", 50, None),
        ("simulated", 5, None),
    ],
)
def test_the_papers_figures_stand_beside_ours_and_are_marked(dataset, shots, figure):
    records = [{**run("cddpm", "cnn_bigru", s, 0.6), "dataset": dataset, "shots": shots} for s in range(3)]
    found = [table for table in tables.tables(records) if "P1 prints" in table.header]
    assert len(found) == (figure is not None)
    if figure is not None:
        text = tables.markdown(found[0])
        assert figure in text
        assert "different data" in text
        assert "0.600 [0.600, 0.600]" in text


def test_markdown_columns_line_up_and_bars_in_names_are_escaped(tmp_path):
    tables.write_summary(tmp_path, [run("a|b\nc", "cnn_bigru", 0, 0.5), run("real", "knn", 0, 0.25)])
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "a\\|b c" in text
    block = [line for line in text.splitlines() if line.startswith("|")][:4]
    assert len({len(line) for line in block}) == 1


def test_no_records_give_empty_summaries(tmp_path):
    tables.write_summary(tmp_path, [])
    assert (tmp_path / "summary.csv").read_text() == "experiment,dataset,shots,generator,classifier\n"
    assert "no finished runs" in (tmp_path / "summary.md").read_text()


def test_an_interval_of_a_share_stays_within_its_bounds():
    """Two seeds far apart: Student's t alone would run from −5.6 to 6.6."""
    runs = [run("real", "knn", seed, value) for seed, value in enumerate((0.02, 0.98))]
    found = conditions.interval(runs, "accuracy")
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.0, 1.0), abs=1e-6)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.high < 1
    others = [run("copies", "knn", seed, value) for seed, value in enumerate((0.98, 0.02))]
    members = conditions.grouped([*runs, *others])
    (group,) = members.values()
    apart = conditions.difference(
        group, conditions.Condition("real", "knn"), conditions.Condition("copies", "knn"), "accuracy"
    )
    assert apart is not None
    assert (apart.low, apart.high) == (-1.0, 1.0)
