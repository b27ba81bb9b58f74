"""Figures of held-out rows, beside plain loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nids_jax.modelling.evaluation import HeldOut, _auc, curves, daily, evaluate


def held(n: int = 400, seed: int = 0) -> HeldOut:
    draws = np.random.default_rng(seed)
    y = draws.choice(3, n, p=[0.7, 0.2, 0.1])
    p = draws.dirichlet([1, 1, 1], n)
    p[np.arange(n), y] += 0.7
    p = np.round(p / p.sum(axis=1, keepdims=True), 2)  # ties
    p /= p.sum(axis=1, keepdims=True)
    return HeldOut(y=y, p=p, fold=np.arange(n) % 4, classes=("BENIGN", "A", "B"), benign=0)


def test_recall_at_a_rate_uses_thresholds_of_the_other_folds():
    rows = held()
    found = evaluate(rows, (0.05,), seed=0)["at"][0]
    flagged = []
    for score, fold in zip(rows.score, rows.fold, strict=True):
        calm = sorted(rows.score[(rows.y == 0) & (rows.fold != fold)], reverse=True)
        flagged.append(score > calm[int(0.05 * (len(calm) + 1)) - 1])
    flagged = np.array(flagged)
    each = [flagged[rows.y == k].mean() for k in (1, 2)]
    assert found["recall"] == pytest.approx(np.mean(each))
    assert found["measured_rate"] == pytest.approx(flagged[rows.y == 0].mean())
    assert found["per_class_recall"] == pytest.approx({"A": each[0], "B": each[1]})
    assert found["supported"]
    assert not evaluate(rows, (0.0001,), seed=0)["at"][0]["supported"]


def test_figures_and_intervals():
    rows = held()
    found = evaluate(rows, (0.05,), seed=0)
    attack = rows.y != 0
    assert found["roc_auc"] == pytest.approx(roc_auc_score(attack, rows.score))
    assert _auc(rows.score, attack) == pytest.approx(found["roc_auc"])
    assert found["accuracy"] == np.mean(rows.p.argmax(axis=1) == rows.y)
    for name, value in (("accuracy", found["accuracy"]), ("roc_auc", found["roc_auc"])):
        low, high = found["interval"][name]
        assert low <= value <= high
        assert high - low < 0.1
    assert evaluate(rows, (0.05,), seed=0) == found


def test_benign_rows_alone_have_no_recall():
    rows = held()
    calm = rows.y == 0
    alone = HeldOut(y=rows.y[calm], p=rows.p[calm], fold=rows.fold[calm], classes=rows.classes, benign=0)
    found = evaluate(alone, (0.01,), seed=0)
    assert found["at"] == []
    assert found["roc_auc"] is None
    assert curves(alone) == "curve,x,y,threshold\n"


def test_a_day():
    found = daily(rate=0.01, recall=0.9, prevalence=0.001, flows=1_000_000)
    assert found == pytest.approx(
        {"alerts_per_day": 900 + 9990, "false_alerts_per_day": 9990, "precision": 900 / 10890}
    )
    assert daily(0.0, 0.0, 0.5, 10)["precision"] == 0.0


def test_curves_run_from_corner_to_corner():
    lines = [line.split(",") for line in curves(held()).splitlines()[1:]]
    roc = np.array([[float(x), float(y)] for name, x, y, _ in lines if name == "roc"])
    assert roc[0].tolist() == [0, 0]
    assert roc[-1].tolist() == [1, 1]
    assert (np.diff(roc, axis=0) >= 0).all()
    assert any(name == "precision_recall" for name, *_ in lines)
