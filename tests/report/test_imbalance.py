"""What the balancing experiment reports, on made-up runs, and P2's figures against its own text."""

import numpy as np
import pytest
from scipy import special, stats

from nids_jax.data.datasets import Cell, printed
from nids_jax.evaluation.metrics import detection_metrics
from nids_jax.report import imbalance, tables
from nids_jax.report.conditions import Condition, grouped

SEEDS = 5
CLASSES = ["Normal", "DoS", "MFCI"]
F1 = {
    ("real", "xgboost"): [0.60, 0.62, 0.58, 0.61, 0.60],
    ("real", "knn"): [0.50, 0.52, 0.48, 0.51, 0.50],
    ("real_weighted", "xgboost"): [0.60, 0.63, 0.58, 0.60, 0.61],
    ("smote", "xgboost"): [0.66, 0.67, 0.64, 0.66, 0.67],
    ("vae_wgan_gp", "xgboost"): [0.56, 0.57, 0.55, 0.57, 0.56],
}


def _record(generator: str, classifier: str, seed: int, *, dataset: str = "gas_pipeline") -> dict:
    value = F1[generator, classifier][seed]
    raises = not generator.startswith("real")
    return {
        "experiment": "imbalance",
        "dataset": dataset,
        "generator": generator,
        "classifier": classifier,
        "shots": None,
        "split_seed": seed,
        "generation_seed": 0,
        "metrics": {
            "accuracy": 0.9,
            "macro_precision": value + 0.1,
            "macro_recall": value - 0.05,
            "macro_f1": value,
            "per_class_recall": {"Normal": 1.0, "DoS": 0.5, "MFCI": seed / 10},
        },
        "timing": {"fit_s": 1.0},
        "rows": {"train": 1400, "generated": 0, "test": 600},
        "environment": {},
        "classes": CLASSES,
        "training_rows": [1300, 70, 30],
        "generated_rows": [0, 0, 0],
        "fraction": None if generator == "real" else (0.1 if seed < 3 else 0.5),
        "fidelity": dict.fromkeys(("wasserstein", "copied"), 0.25) if raises else None,
        "confusion": [[500, 50, 7], [10, 20, 0], [5, 5, 3]],
    }


def _members(dataset: str = "gas_pipeline"):
    return next(iter(grouped(_record(*key, seed, dataset=dataset) for key in F1 for seed in range(SEEDS)).items()))


def test_the_tables_have_ours_beside_the_papers():
    statistics, scores, recall, differences, fidelity = imbalance.tables(*_members())
    rows = {row[0]: row[1:] for row in statistics.rows}
    # 557 and 1,300 of 2,000 rows; P2's share is the one that it prints
    assert rows["Normal"] == ("1,857", "92.8500%", "1,300", "557", "61,156", "63.0351%")
    assert rows["CMRI"] == ("–", "–", "–", "–", "15,466", "15.9412%")
    assert [row[0] for row in statistics.rows][:3] == ["Normal", "DoS", "MFCI"]
    by_arm = {row[:2]: row[2:] for row in scores.rows}
    # Nadeau and Bengio's t for 600 rows to test on and 1,400 to train on, laid off on the scale of logits
    values = np.array(F1["smote", "xgboost"])
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * np.sqrt(1 / 5 + 600 / 1400)

    def figure(shift: float) -> str:
        mean = values.mean() + shift
        low, high = special.expit(special.logit(mean) + np.array([-1, 1]) * half / (mean * (1 - mean)))
        return "{:.3f} [{:.3f}, {:.3f}]".format(*np.round((mean, low, high), 4))

    assert by_arm["smote", "xgboost"] == (
        *("5", "5", "0.1 × 3, 0.5 × 2"),
        *map(figure, (0.1, -0.05, 0.0)),
        "0.6232, 0.6135, 0.6182",
    )
    assert by_arm["real", "xgboost"][2] == "–"
    assert by_arm["real", "xgboost"][-1] == "0.6087, 0.6012, 0.6149 (impossible)"
    assert by_arm["real", "knn"][-1] == "–"
    assert "12 F1, 2 are impossible" in scores.note
    assert recall.header[2:] == ("MFCI (30)",)  # DoS has just 5 %
    assert recall.rows[1] == ("real", "xgboost", "0.200")
    assert fidelity.rows[0][:2] == ("smote", "0.250")
    against = {row[:2]: row[2:] for row in differences.rows}
    paired = stats.ttest_rel(F1["vae_wgan_gp", "xgboost"], F1["smote", "xgboost"]).confidence_interval()
    wide = (paired.high - paired.low) / 2 * np.sqrt(1 + 5 * 600 / 1400)
    assert against["vae_wgan_gp", "xgboost"][-1] == f"{-0.098:+.4f} [{-0.098 - wide:+.4f}, {-0.098 + wide:+.4f}]†"
    assert against["vae_wgan_gp", "xgboost"][2] == "–"  # there are no copies
    assert differences.header[2:] == ("− real", "− class weights", "− copies", "− SMOTE")


def test_other_data_stand_alone():
    statistics, scores, *_ = imbalance.tables(*_members("mine.csv"))
    assert statistics.header[-1] == "to test on"
    assert scores.header[-1] == "macro F1"
    assert "P2's" not in scores.note


def test_the_verdict_goes_by_whole_intervals():
    sentences = tables.verdict(_record(*key, seed) for key in F1 for seed in range(SEEDS))
    raw = "its classifier on the same rows without it"
    wanted = [
        f"real_weighted against {raw}, macro F1: no difference shown with xgboost.",
        "real_weighted against SMOTE, macro F1: hurt xgboost (-0.0560 [",
        f"smote against {raw}, macro F1: helped xgboost (+0.0580 [",
        f"vae_wgan_gp against {raw}, macro F1: hurt xgboost (-0.0400 [",
        "vae_wgan_gp against SMOTE, macro F1: hurt xgboost (-0.0980 [",
    ]
    for sentence, start in zip(sentences, wanted, strict=True):
        assert sentence.startswith(f"imbalance on gas_pipeline, {start}"), sentence


def test_a_verdict_over_few_seeds_is_preliminary():
    sentences = tables.verdict(_record(*key, seed) for key in F1 for seed in range(3))
    assert len(sentences) == 5
    assert all(sentence.endswith("; fewer than 5 seeds, so preliminary.") for sentence in sentences)


def test_impossible_cells_are_told_from_the_figures():
    """Seven of the 24; a cell that rounding may explain is not one."""
    cells = [cell for name in ("cicids2017", "gas_pipeline") for cell in printed(name).imbalance.values()]
    assert len(cells) == 24
    assert sum(cell.impossible for cell in cells) == 7
    assert not any(Cell(60, 60, f1).impossible for f1 in (50.0, 60.0, 60.01))
    assert all(Cell(60, 60, f1).impossible for f1 in (60.02, 70.0))
    assert printed("gas_pipeline").imbalance["vae_wgan_gp", "random_forest"] == (89.05, 86.14, 83.64)


def test_no_detector_of_ours_gets_an_impossible_cell():
    rng = np.random.default_rng(0)
    for _ in range(100):
        y, guess = rng.integers(0, 3, (2, 40))
        figures = detection_metrics(y, np.where(rng.random(40) < 0.5, y, guess), CLASSES, None)
        assert not Cell(*(100 * figures[name] for name in imbalance.METRICS)).impossible


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([("real", "knn"), ("real", "xgboost"), ("vae_wgan_gp", "xgboost")], [1, 2]),
        ([("real", "knn"), ("smote", "knn")], [0]),
        ([("smote", "knn"), ("copies", "knn"), ("adasyn", "knn")], [0, 1]),
    ],
)
def test_confusion_matrices_of_real_rows_and_the_papers_method(names, wanted):
    members = {Condition(*name): [] for name in names}
    assert imbalance.shown(members) == [Condition(*names[i]) for i in wanted]
