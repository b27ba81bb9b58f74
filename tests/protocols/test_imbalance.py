"""Balancing on a small simulated table: how many rows of what, chosen on which rows, recorded, resumed and refused."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler

from nids_jax import store
from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.data.sampling_strategy import even_rows
from nids_jax.data.split import stratified
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.generators.gan import GANConfig
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.pipeline import detector, training_sets
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.pipeline.runner import Runner
from nids_jax.pipeline.training_sets import TrainingRows, TrainingSets
from nids_jax.presets import get_preset, with_family
from nids_jax.protocols import imbalance
from nids_jax.protocols.imbalance import Imbalance
from nids_jax.report.page import build_report

TINY = replace(
    with_family(get_preset("demo"), "gan", GANConfig(hidden=(16,), noise=4, steps=20, gp_rate=1e-3)),
    table=DetectorConfig(network=RecurrentConfig(channels=(), cells=("gru",), hidden=(4,)), batch=16, steps=5),
)
SIZES = {"BENIGN": 90, "PortScan": 40, "FTP-Patator": 20}
JOB = Imbalance(
    dataset="simulated",
    preset=TINY,
    fractions=(0.2, 1.0),
    seeds=2,
    generators=("real", "real_weighted", "smote", "vae_wgan_gp"),
    classifiers=("decision_tree", "knn"),
)


@pytest.fixture(scope="module")
def table() -> FlowTable:
    x, y = simulate_flows(SIZES, seed=0)
    names = [list(SIZES).index(SIMULATED_CLASSES[label]) for label in y]
    whole = FlowTable(x=x, y=np.array(names, np.int32), features=CICIDS2017, classes=tuple(SIZES))
    return whole.select(CICIDS2017[1:])


def _run(table: FlowTable, job: Imbalance, out: Path) -> list[str]:
    said: list[str] = []
    job.run(table, Runner(output_dir=out, command=["test"], say=said.append, progress=False))
    return said


def _sets(table: FlowTable, raised: dict[str, int], out: Path) -> TrainingSets:
    """The training sets of split 0, in which choices are made: nothing is kept on disk."""
    split = stratified(table, imbalance.TEST_SHARE, 0)
    runs = imbalance._SplitRuns(JOB, table, Runner(output_dir=out, progress=False), 0)
    return runs._training_sets(split, raised, jax.random.key(0), "tuning")


def _rows(sets: TrainingSets, name: str, fraction: float) -> TrainingRows:
    return sets.rows(TrainingSetName(name), 0, fraction)


@pytest.fixture(scope="module")
def finished(table: FlowTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("balance")
    said = _run(table, JOB, out)
    assert len(said) == 2 * 2 * (4 + 3 * 2)  # seeds × classifiers × (training sets + those that choose × fractions)
    return out


def test_every_run_has_one_record_that_adds_up(finished: Path):
    found = store.read(finished)
    assert len(found) == 2 * 4 * 2
    for record in found:
        assert record["rows"]["test"] == np.sum(record["confusion"]) == 27 + 12 + 6
        assert record["training_rows"] == [63, 28, 14]
        assert record["rows"]["train"] == 105
        matrix = np.array(record["confusion"])
        recall = np.diagonal(matrix) / matrix.sum(axis=1)
        assert list(record["metrics"]["per_class_recall"].values()) == pytest.approx(recall)
        assert record["metrics"]["macro_recall"] == pytest.approx(recall.mean())
        made = {None: [0, 0, 0], 0.2: [0, 7, 10], 1.0: [0, 35, 49]}[record["fraction"]]
        generates = not record["generator"].startswith("real")
        assert record["generated_rows"] == (made if generates else [0, 0, 0])
        assert record["rows"]["generated"] == sum(record["generated_rows"])
        assert (record["fraction"] is None) == (record["generator"] == "real")
        assert ("fidelity" in record) == generates
        assert record["timing"].keys() >= {"compile_s", "fit_s", "classify_s"}


def test_each_training_set_has_the_fraction_that_did_best_on_validation_rows(finished: Path):
    tuning = json.loads((finished / "tuning.json").read_text())
    for record in store.read(finished):
        scores = tuning.get(f"split {record['split_seed']}, {record['generator']}, {record['classifier']}")
        if record["generator"] == "real":
            assert scores is None  # nothing to choose
        else:
            assert list(scores) == ["0.2", "1.0"]
            assert record["fraction"] == (1.0 if scores["1.0"] > scores["0.2"] else 0.2)


def test_test_rows_choose_nothing(table: FlowTable, finished: Path, tmp_path: Path):
    """With nonsense in the test rows every choice is the same, to the last bit of its scores."""
    job = replace(JOB, seeds=1, generators=("smote",))
    spoilt = replace(table, x=table.x.copy())
    spoilt.x[stratified(table, imbalance.TEST_SHARE, 0).test_rows] = 1e6
    _run(spoilt, job, tmp_path)
    before, after = (json.loads((folder / "tuning.json").read_text()) for folder in (finished, tmp_path))
    assert after.items() <= before.items()
    assert len(after) == 2
    assert max(record["metrics"]["accuracy"] for record in store.read(tmp_path)) < 0.7


def test_what_is_finished_is_never_computed_again(
    table: FlowTable, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed within the second split: what is missing is computed, no more, and comes out the same."""
    made: list[str] = []
    make = detector.make_classifier
    monkeypatch.setattr(detector, "make_classifier", lambda name, o: (made.append(name), make(name, o))[1])
    assert _run(table, JOB, finished) == []
    assert made == []
    lines = (finished / "records.jsonl").read_text().splitlines(keepends=True)
    tuning = json.loads((finished / "tuning.json").read_text())
    last = list(tuning)[-1]
    tuning[last].pop("1.0")
    (tmp_path / "records.jsonl").write_text("".join(lines[:-2]) + lines[-2][:50])
    (tmp_path / "tuning.json").write_text(json.dumps(tuning))
    _run(table, JOB, tmp_path)
    assert made == ["knn", "decision_tree", "knn"]  # a fraction, and the two runs that were lost

    def figures(folder: Path) -> dict:
        return {store.run_key(r): (r["metrics"], r["fraction"], r.get("fidelity")) for r in store.read(folder)}

    assert figures(tmp_path) == figures(finished)
    assert json.loads((tmp_path / "tuning.json").read_text()) == json.loads((finished / "tuning.json").read_text())


@pytest.mark.parametrize("strategy", ["minority", "not minority", "auto", {"PortScan": 50, "FTP-Patator": 45}])
def test_balanced_counts_are_those_of_imbalanced_learn(table: FlowTable, strategy, tmp_path: Path):
    """Its over-sampler gets the class names, as `Imbalance` does; ties between classes do not occur here."""
    train = stratified(table, imbalance.TEST_SHARE, 0).train
    raised = Imbalance(dataset="d", preset=TINY, sampling_strategy=strategy).raised(train)
    y = np.array(train.classes)[train.y]
    wanted = Counter(RandomOverSampler(sampling_strategy=strategy, random_state=0).fit_resample(train.x, y)[1].tolist())
    for name in ("copies", "smote", "adasyn"):
        rows = _rows(_sets(table, raised, tmp_path), name, 1.0)
        assert Counter(np.array(train.classes)[rows.y].tolist()) == wanted
        assert np.isfinite(rows.x).all()
    copies = _rows(_sets(table, raised, tmp_path), "copies", 1.0)
    real = {tuple(row) for row in copies.x[: len(train)].round(4).tolist()}
    assert {tuple(row) for row in copies.x.round(4).tolist()} == real


def test_class_weights_count_as_the_rows_would(table: FlowTable, tmp_path: Path):
    sets = _sets(table, {"BENIGN": 63, "PortScan": 63, "FTP-Patator": 63}, tmp_path)
    for fraction, totals in ((1.0, [63, 63, 63]), (0.2, [63, 35, 24])):
        rows = _rows(sets, "real_weighted", fraction)
        assert np.multiply(rows.class_weights, [63, 28, 14]) == pytest.approx(totals)
        assert len(rows.y) == 105
        raised = _rows(sets, "smote", fraction)
        assert np.bincount(raised.y).tolist() == totals


def test_rows_of_a_smaller_fraction_are_among_those_of_a_larger(table: FlowTable, tmp_path: Path):
    sets = _sets(table, {"BENIGN": 63, "PortScan": 63, "FTP-Patator": 63}, tmp_path)
    few, many = (_rows(sets, "smote", fraction) for fraction in (0.3, 0.9))
    for label in (1, 2):
        shorter, longer = few.x[few.y == label], many.x[many.y == label]
        np.testing.assert_array_equal(shorter, longer[: len(shorter)])


class _Means:
    """A generator whose rows are the means of the rows it was fitted on, and which remembers these."""

    def fit(self, x, y, key):
        self.x, self.y = x, y
        return self

    def sample(self, labels, key):
        return np.stack([self.x[self.y == label].mean(axis=0) for label in labels])


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> Callable[[], _Means]:
    made: list[_Means] = []
    monkeypatch.setattr(training_sets, "make_generator", lambda name, request: (made.append(_Means()), made[-1])[1])
    return lambda: made[-1]


def test_learned_generators_see_the_raised_classes_evenly(table: FlowTable, means, tmp_path: Path):
    """BENIGN and PortScan stay as they are: the model's one class is FTP-Patator, and gets that label back."""
    sets = _sets(table, {"BENIGN": 63, "PortScan": 28, "FTP-Patator": 40}, tmp_path)
    for name in ("wgan", "cddpm"):
        rows = _rows(sets, name, 1.0)
        assert means().y.tolist() == [0] * 14
        assert rows.y[105:].tolist() == [2] * 26
    sets = _sets(table, {"BENIGN": 90, "PortScan": 28, "FTP-Patator": 40}, tmp_path)
    rows = _rows(sets, "wgan", 1.0)
    assert np.bincount(means().y).tolist() == [63, 63]
    _rows(sets, "smote", 1.0)
    assert np.bincount(means().y).tolist() == [63, 28, 14]
    # Each made row is near the mean of its own class, up to whole numbers and repair.
    centres = np.stack([rows.x[:105][rows.y[:105] == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(rows.x[105:, None] - centres, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, rows.y[105:])


def test_even_rows():
    y = np.repeat([3, 5, 9], [7, 2, 16])
    rows = even_rows(y, seed=1)
    for label in (3, 5, 9):
        found = np.bincount(rows[y[rows] == label], minlength=len(y))[y == label]
        assert found.sum() == 16
        assert np.ptp(found) <= 1
    assert not np.array_equal(rows, even_rows(y, seed=2))
    np.testing.assert_array_equal(rows, even_rows(y, seed=1))


def test_a_network_and_the_report(table: FlowTable, finished: Path, tmp_path: Path):
    job = replace(JOB, generators=("real_weighted",), classifiers=("cnn_bigru",), seeds=1, fractions=(1.0,))
    _run(table, job, tmp_path)
    assert not (tmp_path / "tuning.json").exists()
    curves = json.loads((tmp_path / "runs" / "split0" / "curves.json").read_text())
    assert len(curves["cnn_bigru/real_weighted"]) == 5
    page = build_report(finished).read_text(encoding="utf-8")
    for part in ("rows of each class", "paired differences in macro F1", "Rows in two dimensions", "Training curves"):
        assert part in page


def test_bad_jobs_are_refused(table: FlowTable, tmp_path: Path):
    with pytest.raises(InputError, match="`generators` names 'cddpm_calibrated'; choose from"):
        replace(JOB, generators=("real", "cddpm_calibrated"))
    with pytest.raises(InputError, match="`classifiers` names nothing"):
        replace(JOB, classifiers=())
    with pytest.raises(InputError, match="`seeds` is 0"):
        replace(JOB, seeds=0)
    for fractions in ((0.0, 1.0), (float("nan"),), (1.5,)):
        with pytest.raises(InputError, match=r"above 0 and up to 1|give a finite number"):
            replace(JOB, fractions=fractions)

    def fails(table: FlowTable, job: Imbalance, message: str) -> None:
        for do in (lambda: _run(table, job, tmp_path), lambda: job.describe(table)):
            with pytest.raises(InputError, match=message):
                do()

    def some(*sizes: int) -> FlowTable:
        return table.take(np.concatenate([np.flatnonzero(table.y == k)[:n] for k, n in enumerate(sizes)]))

    fails(
        table, replace(JOB, sampling_strategy={"Worm": 500}), "names 'Worm'; choose from BENIGN, PortScan, FTP-Patator"
    )
    fails(
        table, replace(JOB, sampling_strategy={"PortScan": 20}), "gives 'PortScan' 20 rows where it has 28 to train on"
    )
    fails(table, replace(JOB, sampling_strategy=0.5), "is 0.5, but a number is for two classes")
    fails(some(20, 20, 20), JOB, "=auto` raises no class; the training rows are BENIGN 14")
    fails(some(20, 20, 1), JOB, "class 'FTP-Patator' has 1 row; a split needs 2")
    fails(some(20, 10, 2), JOB, "'FTP-Patator' has 1 row to train on, and choosing among fractions takes 2")
    assert not list(tmp_path.iterdir())
    single = replace(some(9, 0, 0), classes=("BENIGN",))
    fails(single, JOB, "only BENIGN has rows; balancing needs two classes")
