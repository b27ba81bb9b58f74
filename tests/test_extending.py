"""CONTRIBUTING.md, done: a dataset, a generator, a classifier and an experiment of one's own, each in a few lines."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

from nids_jax import __main__ as command_line
from nids_jax.classifiers.base import ClassifierSpec
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.data.datasets import DATASETS
from nids_jax.data.datasets.entry import Dataset, Printed
from nids_jax.data.split import few_shot
from nids_jax.generators.registry import GENERATORS
from nids_jax.generators.spec import GeneratorSpec
from nids_jax.pipeline import detector
from nids_jax.pipeline.training_sets import TrainingRows
from nids_jax.settings import setting
from nids_jax.store import read

MINE = Dataset(
    name="mine",
    classes=("Legitimate use", "Worm"),
    source="made up",
    spellings={"wurm": "Worm"},
    identifiers=frozenset({"sensor"}),
    printed=Printed(few_shot={("real", "knn"): "0.123 (mine)"}),
)


class Means:
    """Every row is the mean of its class."""

    def fit(self, x, y, key):
        self.means_ = np.stack([x[y == label].mean(axis=0) for label in np.unique(y)])
        return self

    def sample(self, labels, key):
        return self.means_[labels]


@dataclass(frozen=True, kw_only=True)
class Smallest:
    """Trains one classifier once."""

    name: ClassVar[str] = "smallest"
    dataset: str
    preset: Any
    rows: int = setting(5, "Rows of each class.", least=2)

    def describe(self, table):
        return {"dataset": self.dataset, "counts": table.counts}

    def run(self, table, runner):
        key = (self.name, self.dataset, "real", "knn", self.rows, 0, 0)
        if runner.is_done(key):
            return
        split = few_shot(table, self.rows, 0, test_per_class=20)
        rows = TrainingRows(split.train.x, split.train.y)
        fitted = detector.fit("knn", detector.ClassifierOptions(), rows, runner.clock)
        found = detector.test(fitted, split.test.x, split.test, runner.clock, split.test_shares)
        runner.record(key, detector.with_training(found, rows))


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of one's own, on disk and in the registry; what else is registered goes with the test."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    frame = pd.DataFrame({"size": y + rng.normal(size=120), "gaps": rng.normal(size=120), "Sensor": y})
    frame["Label"] = np.array(["Legitimate use", "Wurm"])[y]
    (tmp_path / "mine").mkdir()
    frame.to_csv(tmp_path / "mine" / "flows.csv", index=False)
    monkeypatch.setitem(DATASETS, "mine", MINE)  # pyright: ignore[reportArgumentType] (a dict in truth)
    return tmp_path


def run(flows: Path, *arguments: str) -> Path:
    out = flows / "out"
    given = [f"--data_dir={flows}", "--dataset=mine", f"--output_dir={out}", *arguments]
    assert command_line.main([given[-1], *given[:-1]]) == 0
    return out


def test_a_dataset_a_generator_and_a_classifier_of_ones_own(flows: Path, monkeypatch: pytest.MonkeyPatch):
    means = GeneratorSpec(name="means", make=lambda request: Means(), summary="the mean of each class", learns=False)
    bayes = ClassifierSpec(name="bayes", make=lambda options: GaussianNB(), summary="naive Bayes")  # pyright: ignore
    monkeypatch.setitem(GENERATORS, "means", means)
    monkeypatch.setitem(CLASSIFIERS, "bayes", bayes)
    wanted = ["--seeds=2", "--generators=real,means", "--classifiers=knn,bayes", "--generated=3", "--benign_rows=9"]
    out = run(flows, *wanted, "fewshot")
    records = read(out)
    assert len(records) == 2 * 3 * 2  # splits × (real, real_weighted, means) × classifiers
    assert {record["experiment"] for record in records} == {"rare_attacks"}
    for record in records:
        assert record["classes"] == ["Legitimate use", "Worm"]
        assert 0 <= record["metrics"]["false_positive_rate"] <= 1  # the entry says which class is benign
        assert record["rows"]["generated"] == (3 if record["generator"] == "means" else 0)
    assert "means" in (out / "summary.md").read_text(encoding="utf-8")
    described = json.loads((out / "data.json").read_text())
    assert described["counts"] == {"Legitimate use": 60, "Worm": 60}
    assert not any("sensor" in line for line in described["leakage"])  # which would give every flow away


def test_the_papers_figures_of_a_dataset_stand_in_its_entry(flows: Path):
    out = run(flows, "--seeds=2", "--generators=real", "--classifiers=knn", "fewshot")
    assert "0.123 (mine)" in (out / "summary.md").read_text(encoding="utf-8")


def test_an_experiment_of_ones_own(flows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    module = ModuleType("nids_jax.protocols.smallest", "The smallest experiment.")
    module.Smallest = Smallest  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    command = command_line.Command("protocols.smallest", "Smallest", "one classifier, once")
    monkeypatch.setitem(command_line.COMMANDS, "smallest", command)
    out = run(flows, "--rows=7", "smallest")
    (record,) = read(out)
    assert (record["experiment"], record["shots"], record["rows"]["train"]) == ("smallest", 7, 14)
    assert (out / "report.html").exists()
    run(flows, "--rows=7", "smallest")
    assert len(read(out)) == 1
    assert command_line.main(["smallest", "--help"]) == 0
    assert "--rows=5\n      Rows of each class." in capsys.readouterr().out
    assert command_line.main(["smallest", "--rows=1", f"--output_dir={out}"]) == 2
    capsys.readouterr()
    assert command_line.main(["smallest", "--row=7", f"--output_dir={out}"]) == 2
    assert "unknown flag --row; did you mean --rows?" in capsys.readouterr().err
