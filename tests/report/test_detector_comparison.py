"""Table IV and its verdicts, on made-up records."""

import numpy as np
import pytest
from scipy import stats

from nids_jax.report import detector_comparison, paper_figures, tables
from nids_jax.report.conditions import Condition, Group, grouped
from nids_jax.report.page import build_report
from nids_jax.store import append, read

SEEDS = 5


def _record(classifier: str, seed: int, accuracy: float, *, experiment: str = "detector_comparison", **metrics) -> dict:
    return {
        "experiment": experiment,
        "dataset": "cicids2017_improved",
        "generator": "real",
        "classifier": classifier,
        "shots": 5,
        "split_seed": seed,
        "generation_seed": 0,
        "metrics": {
            "accuracy": accuracy,
            "macro_f1": accuracy - 0.1,
            "per_class_recall": {"BENIGN": accuracy, "Bot": 0.5 + seed / 10},
            **metrics,
        },
        "timing": {"fit_s": 1.0},
        "rows": {"train": 10, "generated": 0, "test": 20},
        "environment": {},
        "classes": ["BENIGN", "Bot"],
    }


ACCURACY = {
    "cnn_bigru": [0.90, 0.92, 0.88, 0.91, 0.90],
    "bilstm": [0.80, 0.83, 0.77, 0.80, 0.82],
    "random_forest": [0.95, 0.96, 0.94, 0.95, 0.97],
    "knn": [0.85, 0.97, 0.86, 0.95, 0.88],
}
RECORDS = [_record(name, seed, values[seed]) for name, values in ACCURACY.items() for seed in range(SEEDS)]
GROUP, MEMBERS = next(iter(grouped(RECORDS).items()))


def test_the_table_has_every_detector_beside_the_papers_figure():
    scores, differences, recall = detector_comparison.tables(GROUP, MEMBERS)
    assert scores.header[-1] == "P1 prints (accuracy)"
    by_name = {row[0]: row for row in scores.rows}
    assert by_name["cnn_bigru"][-1] == "0.5189"
    assert by_name["random_forest"][-1] == "0.7649"
    assert by_name["cnn_bigru"][2].startswith("0.902 [")
    assert "unseen attack flagged" not in scores.header
    assert [row[0] for row in differences.rows] == ["bilstm", "random_forest", "knn"]
    assert recall.rows[1][:2] == ("Bot", "0.700")
    other = Group("detector_comparison", "another", 5)
    assert "P1 prints (accuracy)" not in detector_comparison.tables(other, MEMBERS)[0].header


def test_differences_are_paired_by_split_seed():
    found = {row[0]: row[1] for row in detector_comparison.tables(GROUP, MEMBERS)[1].rows}
    for name in ("bilstm", "random_forest", "knn"):
        paired = stats.ttest_rel(ACCURACY["cnn_bigru"], ACCURACY[name]).confidence_interval()
        mean = np.mean(np.subtract(ACCURACY["cnn_bigru"], ACCURACY[name]))
        assert found[name].rstrip("†") == f"{mean:+.4f} [{paired.low:+.4f}, {paired.high:+.4f}]"
    # By Holm's definition, over six comparisons: the made-up macro F1 differs from the accuracy by a constant.
    p = {n: stats.ttest_rel(ACCURACY["cnn_bigru"], ACCURACY[n]).pvalue for n in ("bilstm", "random_forest", "knn")}
    sure = set[str]()
    for place, name in enumerate(sorted([*p, *p], key=p.__getitem__)):
        if p[name] * (6 - place) > 0.05:
            break
        sure.add(name)
    assert sure < p.keys()
    assert {name for name in p if found[name].endswith("†")} == sure


def test_the_verdict_goes_by_the_whole_interval():
    sentences = tables.verdict(RECORDS)
    assert len(sentences) == 3
    for word, rival in (("beats", "bilstm"), ("loses to", "random_forest"), ("shows no difference to", "knn")):
        assert [s for s in sentences if f"CNN-BiGRU {word} {rival} (accuracy" in s]
    alone = [r for r in RECORDS if r["classifier"] == "knn"]
    assert tables.verdict(alone) == ["There are no two training sets or detectors to compare, hence no verdict."]
    one = [r for r in alone if r["split_seed"] == 0]
    assert "There is one split, which shows nothing" in tables.verdict(one)[0]
    once = [r for r in RECORDS if r["split_seed"] == 0]
    assert all("one split seed in common, which shows nothing" in s for s in tables.verdict(once))


def test_bars_of_four_figures_for_each_number_of_rows(tmp_path):
    """P1's Fig. 5: heights are means over the splits, worked out here by hand."""
    weighted = {"weighted_precision": 0.6, "weighted_recall": 0.7, "weighted_f1": 0.65}
    for shots, loss in ((5, 0.3), (50, 0.0)):
        for record in RECORDS:
            metrics = {**record["metrics"], **weighted, "accuracy": record["metrics"]["accuracy"] - loss}
            append(tmp_path, {**record, "shots": shots, "metrics": metrics})
    build_report(tmp_path)
    assert (tmp_path / "figures" / "detectors1.svg").stat().st_size > 5_000
    ((_, by_shots),) = tables.of_shots(grouped(read(tmp_path)), detector_comparison).items()
    figure = paper_figures.detectors(by_shots)
    assert [axes.get_title("left") for axes in figure.axes] == [*paper_figures.WEIGHTED.values()]
    names = [str(container.get_label()) for container in figure.axes[0].containers]
    assert sorted(names) == sorted(ACCURACY)
    for container in figure.axes[0].containers:
        heights = [bar.get_height() for bar in container]
        mean = np.mean(ACCURACY[str(container.get_label())])
        np.testing.assert_allclose(heights, [mean - 0.3, mean])
    for axes, value in zip(figure.axes[1:], weighted.values(), strict=True):
        np.testing.assert_allclose([[bar.get_height() for bar in each] for each in axes.containers], value)


def test_unseen_attacks_have_a_column():
    records = [_record("knn", s, 0.9, experiment="unseen_attack", unseen_flagged=0.25) for s in range(2)]
    group, members = next(iter(grouped(records).items()))
    scores = detector_comparison.tables(group, members)[0]
    assert scores.rows[0][scores.header.index("unseen attack flagged")].startswith("0.250")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["knn", "cnn_bigru", "bilstm", "random_forest"], ["cnn_bigru", "bilstm"]),
        (["knn", "xgboost"], ["knn", "xgboost"]),
    ],
)
def test_confusion_matrices_of_the_networks_come_first(names, wanted):
    members = {Condition("real", name): [] for name in names}
    assert [condition.classifier for condition in detector_comparison.shown(members)] == wanted
