"""The detection tables on a small simulated table: what is trained on what, recorded, resumed and reported."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax import store
from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.pipeline import detector
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from nids_jax.protocols.detector_comparison import DetectorComparison
from nids_jax.report.page import build_report
from nids_jax.training.loop import OptimiserConfig

TINY = DetectorConfig(
    network=RecurrentConfig(channels=(4, 4), hidden=(8, 4)),
    optimiser=OptimiserConfig(learning_rate=1e-2),
    batch=16,
    steps=150,
)
JOB = DetectorComparison(
    dataset="made up",
    preset=replace(get_preset("demo"), table=TINY, test_rows=20),
    shots=(3, 6),
    seeds=2,
    classifiers=("knn", "decision_tree"),
)
CLASSES = ("BENIGN", "PortScan", "DDoS")


def _table(seed: int = 0, shift: float = 0.0, classes: tuple[str, ...] = CLASSES) -> FlowTable:
    """Forty rows a class around a point of its own; `shift` moves the whole capture."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(classes), dtype=np.int32), 40)
    x = 10.0 * y[:, None] + shift + rng.normal(size=(len(y), 3))
    return FlowTable(x=x, y=y, features=("a", "b", "c"), classes=classes)


def _run(table: FlowTable, out: Path, job: DetectorComparison = JOB) -> list[str]:
    said: list[str] = []
    job.run(table, Runner(output_dir=out, command=["test"], say=said.append, progress=False))
    return said


def test_every_run_is_recorded_once_and_never_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[str] = []
    make = detector.make_classifier
    monkeypatch.setattr(detector, "make_classifier", lambda name, o: (made.append(name), make(name, o))[1])
    assert len(_run(_table(), tmp_path)) == 8  # shots × splits × classifiers
    assert len(made) == 8
    lines = (tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "records.jsonl").write_text("\n".join([*lines[:3], lines[3][:40]]), encoding="utf-8")  # killed
    _run(_table(), tmp_path)
    assert len(made) == 8 + 5
    found = store.read(tmp_path)
    assert len({store.run_key(record) for record in found}) == len(found) == 8
    before = {store.run_key(run): run["metrics"] for run in map(json.loads, lines)}
    assert {store.run_key(record): record["metrics"] for record in found} == before
    assert {record["rows"]["train"] for record in found} == {9, 18}
    assert min(record["metrics"]["accuracy"] for record in found) > 0.95


def test_neural_detectors_one_by_one_and_at_once(tmp_path: Path):
    job = replace(JOB, classifiers=("cnn_bigru",), shots=(6,))
    _run(_table(), tmp_path / "alone", job)
    _run(_table(), tmp_path / "together", replace(job, together=True))
    alone, together = (store.read(tmp_path / name) for name in ("alone", "together"))
    assert [store.run_key(r) for r in alone] == [store.run_key(r) for r in together]
    assert min(r["metrics"]["accuracy"] for r in [*alone, *together]) > 0.6
    report = build_report(tmp_path / "alone").read_text(encoding="utf-8")
    assert "recall of each class" in report


def test_a_neural_detector_sees_every_row_as_often_as_asked(tmp_path: Path):
    job = replace(JOB, shots=(3, 6), seeds=1, classifiers=("cnn_bigru",), epochs=4)
    _run(_table(), tmp_path, job)
    steps = {
        path.parents[1].name: int(path.name) for path in (tmp_path / "runs").glob("*/steps/*") if path.name.isdigit()
    }
    # Nine rows are one batch of 16, eighteen are two; the preset says 150 steps.
    assert {name.split("-")[-3]: count for name, count in steps.items()} == {"3": 4, "6": 8}


def test_another_capture_is_tested_with_the_same_detector(tmp_path: Path):
    """The other capture is moved so far that everything looks like the last class."""
    frame = pd.DataFrame(_table(1, shift=1000.0).x, columns=list("abc"))
    moved = tmp_path / "moved.csv"
    frame.assign(Label=np.repeat(CLASSES, 40)).to_csv(moved, index=False)
    _run(_table(), tmp_path, replace(JOB, test_data=(str(moved),)))
    by_name: dict[str, list] = {}
    for record in store.read(tmp_path):
        by_name.setdefault(record["dataset"], []).append(record["metrics"])
    assert list(by_name) == ["made up, shared features", "made up → moved.csv"]
    assert min(m["accuracy"] for m in by_name["made up, shared features"]) > 0.95
    for metrics in by_name["made up → moved.csv"]:
        assert metrics["per_class_recall"] == {"BENIGN": 0.0, "PortScan": 0.0, "DDoS": 1.0}
        assert metrics["false_positive_rate"] == 1.0


def test_an_attack_left_out_is_flagged_only_if_it_looks_like_another(tmp_path: Path):
    """Classes lie at 0, 10 and 20: without PortScan (10), its rows fall to either side; without DDoS, to PortScan."""
    _run(_table(), tmp_path, replace(JOB, leave_out=("DDoS",)))
    for record in store.read(tmp_path):
        assert record["dataset"] == "made up without DDoS"
        assert record["classes"] == ["BENIGN", "PortScan"]
        assert record["rows"]["test"] == 40
        assert record["metrics"]["unseen_flagged"] == 1.0
        assert record["metrics"]["accuracy"] > 0.95
    hidden = _table()
    hidden.x[hidden.y == 2] -= 20.0  # now it looks benign
    _run(hidden, tmp_path / "hidden", replace(JOB, leave_out=("DDoS",)))
    assert max(r["metrics"]["unseen_flagged"] for r in store.read(tmp_path / "hidden")) < 0.1
    with pytest.raises(InputError, match="`leave_out` names 'Heartbleed'; choose from DDoS, PortScan, all"):
        replace(JOB, leave_out=("DDoS", "Heartbleed")).describe(_table())
    with pytest.raises(InputError, match="no class is benign: x, y, z; name one with `benign`"):
        replace(JOB, leave_out=("y",)).describe(_table(classes=("x", "y", "z")))
    every = replace(JOB, leave_out=("all",), shots=(3,), seeds=1, classifiers=("knn",))
    _run(_table(), tmp_path / "all", every)
    assert [r["dataset"] for r in store.read(tmp_path / "all")] == ["made up without PortScan", "made up without DDoS"]


def test_jobs_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="`classifiers` names 'svm'"):
        replace(JOB, classifiers=("svm",))
    with pytest.raises(InputError, match="`seeds` is 0"):
        replace(JOB, seeds=0)
    with pytest.raises(InputError, match="`shots` names no number"):
        replace(JOB, shots=())
    with pytest.raises(InputError, match="two experiments"):
        replace(JOB, leave_out=("DDoS",), test_dataset="cicids2017")
    every = tuple(name for name, spec in CLASSIFIERS.items() if not spec.needs and not name.endswith("_paper"))
    assert DetectorComparison(dataset="d", preset=JOB.preset).classifiers == every
