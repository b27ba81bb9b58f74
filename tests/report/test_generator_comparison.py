"""What the generation experiments report, on made-up runs."""

import numpy as np
import pytest
from scipy import stats

from nids_jax.report import figures, generator_comparison, paper_figures, tables
from nids_jax.report.conditions import grouped
from nids_jax.report.page import build_report
from nids_jax.store import append, read

SEEDS = 5
BASE = {"accuracy": 0.8, "macro_f1": 0.7, "false_positive_rate": 0.01, "attack_recall": 0.9}
GAIN = {"real": [0.0] * 5, "copies": [0.0, 0.01, -0.01, 0.0, 0.005], "smote": [0.05, 0.06, 0.04, 0.05, 0.055]}
FIDELITY = dict.fromkeys(generator_comparison.FIDELITY, 0.25)


def _record(experiment: str, generator: str, classifier: str, seed: int) -> dict:
    value = 0.8 + GAIN.get(generator, GAIN["real"])[seed] + 0.01 * seed
    return {
        "experiment": experiment,
        "dataset": "cicids2017",
        "generator": generator,
        "classifier": classifier,
        "shots": 5,
        "split_seed": seed,
        "generation_seed": 0,
        "metrics": {**BASE, "accuracy": value, "attack_recall_at_0.001": 0.5, "attack_recall_at_0.01": value},
        "timing": {"fit_s": 1.0},
        "rows": {"train": 75, "generated": 0, "test": 100},
        "environment": {},
        "fidelity": {**FIDELITY, "two_sample_auc": None} if generator == "smote" else None,
    }


def _records(experiment: str, *generators: str) -> list[dict]:
    return [_record(experiment, g, c, s) for g in generators for c in ("random_forest", "knn") for s in range(SEEDS)]


@pytest.mark.parametrize(
    ("experiment", "weighted"), [("generator_comparison", ()), ("rare_attacks", ("real_weighted",))]
)
def test_the_verdict_names_who_was_helped_and_the_interval(experiment: str, weighted: tuple[str, ...]):
    *sentences, best = tables.verdict(_records(experiment, "real", *weighted, "copies", "smote"))
    gain = stats.ttest_rel(np.array(GAIN["smote"]) + 1, np.ones(SEEDS)).confidence_interval()
    interval = f"+{np.mean(GAIN['smote']):.4f} [+{gain.low:.4f}, +{gain.high:.4f}]"
    assert len(sentences) == (3 if experiment == "generator_comparison" else 4)
    assert all("smote against" in sentence for sentence in sentences)
    assert f"helped random_forest ({interval}), knn ({interval})." in sentences[0]
    assert not any("hurt" in sentence for sentence in sentences)
    named = "accuracy" if experiment == "generator_comparison" else "attack recall at FPR 1 %"
    assert f"{named}: the best with synthetic rows is random_forest on smote (0.871), the best without is" in best


def test_what_learns_from_auxiliary_rows_is_no_rival_of_the_few():
    assert not [s for s in tables.verdict(_records("transfer_unlabelled", "real", "copies", "smote")) if "best" in s]


def test_the_scores_are_those_of_the_experiment():
    (group, members), *_ = grouped(_records("rare_attacks", "real", "real_weighted", "smote")).items()
    scores, differences, quality = generator_comparison.tables(group, members)
    assert "attack recall at FPR 0.1 %" in scores.header
    assert [row[:2] for row in scores.rows][:2] == [("real", "random_forest"), ("real", "knn")]
    assert differences.header[-1] == "− a class-weighted random forest"
    assert quality.rows == [("smote", *("–" if name == "two_sample_auc" else "0.250" for name in FIDELITY))]


def test_the_papers_sweep_stands_beside_ours_only_where_it_was_run():
    swept = tables.tables(_records("generator_comparison", "real", "cddpm_500"))
    beside = next(t for t in swept if "beside the paper" in t.title)
    assert not [row for row in beside.rows if row[0] == "cddpm_1000"]
    assert not [t for t in tables.tables(_records("rare_attacks", "real")) if "beside the paper" in t.title]


def test_the_radar_has_a_closed_line_of_four_means_for_each_training_set(tmp_path):
    """P1's Fig. 7: on each axis the mean over the splits, worked out here by hand."""
    weighted = {"weighted_precision": 0.6, "weighted_recall": 0.7, "weighted_f1": 0.65}
    for record in _records("generator_comparison", "real", "copies", "smote"):
        append(tmp_path, {**record, "metrics": {**record["metrics"], **weighted}})
    build_report(tmp_path)
    assert (tmp_path / "figures" / "radar1.svg").stat().st_size > 5_000
    (_, members), *_ = grouped(read(tmp_path)).items()
    figure = paper_figures.radar(members)
    assert [axes.get_title("left") for axes in figure.axes] == ["random_forest", "knn"]
    for axes in figure.axes:
        lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in axes.lines}
        assert [*lines] == ["real", "copies", "smote"]
        for name, values in lines.items():
            accuracy = 0.8 + float(np.mean(GAIN[name])) + 0.02
            np.testing.assert_allclose(values, [accuracy, *weighted.values(), accuracy])


def test_the_page_shows_every_metric_of_each_training_set(tmp_path):
    """P1's Fig. 7: a dot for each training set and classifier in each of four panels."""
    for record in _records("generator_comparison", "real", "copies", "smote"):
        metrics = {**record["metrics"], "macro_precision": 0.6, "macro_recall": 0.65}
        append(tmp_path, {**record, "metrics": metrics})
    build_report(tmp_path)
    assert (tmp_path / "figures" / "quality1.svg").stat().st_size > 5_000
    (_, members), *_ = grouped(read(tmp_path)).items()
    figure = figures.quality(members)
    assert [axes.get_title("left") for axes in figure.axes] == [
        "accuracy",
        "macro precision",
        "macro recall",
        "macro F1",
    ]
    for axes, value in zip(figure.axes[1:3], (0.6, 0.65), strict=True):
        dots = [np.asarray(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(dots, np.full((2, 3), value))
