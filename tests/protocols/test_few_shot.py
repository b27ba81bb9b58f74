"""The whole job on a small table: records, files, resuming, and no recompilation."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from nids_jax import random, store
from nids_jax.classifiers.neural import DetectorConfig
from nids_jax.data import split as split_rows
from nids_jax.data.scaling import Scaler
from nids_jax.data.split import deduplicate
from nids_jax.data.table import FlowTable
from nids_jax.diffusion.samplers import DPMpp2M
from nids_jax.diffusion.schedule import Schedule
from nids_jax.errors import InputError, TrainingError
from nids_jax.flows.consistency import repair
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_flows
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.generators.gan import GANConfig
from nids_jax.generators.spec import Columns
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.nn.unet1d import UNetConfig
from nids_jax.pipeline.auxiliary import Kind, separate
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import PRESETS, Preset, get_preset
from nids_jax.protocols.few_shot import FewShot
from nids_jax.report.page import build_report
from nids_jax.runtime import CompileClock
from nids_jax.training.checkpoint import fingerprint
from nids_jax.training.loop import OptimiserConfig

DIFFUSION = CDDPMConfig(
    network=UNetConfig(widths=(8, 8, 16, 16), deep=16, embedding=16),
    schedule=Schedule(steps=100),
    sampler=DPMpp2M(steps=12),
    steps=60,
    batch=16,
)
TINY = Preset(
    generators={"cddpm": DIFFUSION, "gan": GANConfig(hidden=(16,), noise=4, steps=20)},
    detector=DetectorConfig(network=RecurrentConfig(channels=(8, 8), hidden=(8, 4)), batch=16, steps=60),
    table=DetectorConfig(network=RecurrentConfig(channels=(8, 8), hidden=(8, 4)), batch=16, steps=60),
    test_rows=20,
    shap_rows=1,
    shap_samples=200,
)
CLASSES = ("BENIGN", "PortScan", "FTP-Patator")
JOB = FewShot(
    dataset="simulated", preset=TINY, seeds=2, generated=10, generators=("real", "copies", "cddpm", "real_all")
)


def run(table: FlowTable, job: FewShot, out: Path) -> list[str]:
    """What was said."""
    said: list[str] = []
    job.run(table, Runner(output_dir=out, command=["test"], say=said.append, progress=False))
    return said


@pytest.fixture(scope="module")
def table() -> FlowTable:
    x, y = simulate_flows(dict.fromkeys(CLASSES, 60), seed=0)
    names = [CLASSES.index(SIMULATED_CLASSES[label]) for label in y]
    whole = FlowTable(x=x, y=np.array(names, np.int32), features=CICIDS2017, classes=CLASSES)
    return whole.select(CICIDS2017[1:])


@pytest.fixture(scope="module")
def finished(table: FlowTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One split, then the second with every function already compiled."""
    out = tmp_path_factory.mktemp("fewshot")
    run(table, replace(JOB, seeds=1), out)
    clock = CompileClock()
    run(table, JOB, out)
    (out / "compilations").write_text(str(clock.count))
    return out


def test_nothing_recompiles_after_the_first_split(finished: Path):
    assert (finished / "compilations").read_text() == "0"


def test_what_is_named_twice_runs_once(table: FlowTable, tmp_path: Path):
    job = replace(JOB, generators=("real", "real"), classifiers=("knn", "knn"), seeds=1)
    run(table, job, tmp_path)
    assert len((tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_every_run_has_one_record_that_adds_up(finished: Path):
    found = store.read(finished)
    assert len(found) == 2 * 4 * 2
    assert len({store.run_key(record) for record in found}) == len(found)
    for record in found:
        assert set(record["metrics"]["per_class_recall"]) == set(CLASSES)
        matrix = np.array(record["confusion"])
        assert record["metrics"]["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum())
        assert matrix.sum() == record["rows"]["test"] == 60
        extra = {"real": (15, 0), "copies": (15, 30), "cddpm": (15, 30), "real_all": (45, 0)}[record["generator"]]
        assert (record["rows"]["train"], record["rows"]["generated"]) == extra
        assert record["timing"].keys() >= {"compile_s", "fit_s", "sample_s", "classify_s"}


def test_a_finished_run_is_never_computed_twice(finished: Path, table: FlowTable):
    before = (finished / "records.jsonl").read_bytes()
    assert run(table, JOB, finished) == []
    assert (finished / "records.jsonl").read_bytes() == before


def test_a_lost_record_comes_back_the_same(finished: Path, table: FlowTable, tmp_path: Path):
    """Interrupted after half of the runs: the rest is computed, and every metric is the same to the last bit."""
    lines = (finished / "records.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "records.jsonl").write_text("".join(lines[:9]) + lines[9][:40])
    run(table, JOB, tmp_path)

    def metrics(folder: Path) -> dict:
        return {store.run_key(record): record["metrics"] for record in store.read(folder)}

    assert metrics(tmp_path) == metrics(finished)


def test_synthetic_flows_are_raw_consistent_and_labelled(finished: Path, table: FlowTable):
    frame = pd.read_parquet(finished / "runs" / "shots5-split0" / "synthetic.parquet")
    assert list(frame.columns) == [*table.features, "Label"]
    assert Counter(frame["Label"]) == dict.fromkeys(CLASSES, 10)
    values = {name: frame[name].to_numpy() for name in ("total_fwd_packets", "flow_iat_min", "flow_iat_max")}
    np.testing.assert_array_equal(values["total_fwd_packets"] % 1, 0)
    assert np.all(values["flow_iat_min"] <= values["flow_iat_max"])
    train = pd.read_parquet(finished / "runs" / "shots5-split0" / "train.parquet")
    assert Counter(train["Label"]) == dict.fromkeys(CLASSES, 5)
    assert frame["flow_duration"].to_numpy().max() <= train["flow_duration"].to_numpy().max() * 1.001


def test_the_checkpoint_generates_the_rows_on_file(finished: Path, table: FlowTable):
    folder = finished / "runs" / "shots5-split1"
    model, about = CDDPM.load(folder / "cddpm")
    assert about["classes"] == list(CLASSES)
    key = random.stream(random.stream(jax.random.key(1), "cddpm"), "sample")
    rows = model.sample(np.repeat(np.arange(3), 10), jax.random.fold_in(key, 0))
    raw = Scaler.from_json(about["scaler"]).inverse(rows)
    train = pd.read_parquet(folder / "train.parquet").drop(columns="Label").to_numpy()
    whole = np.array([all(float(value).is_integer() for value in column) for column in train.T])
    raw[:, whole] = np.rint(raw[:, whole])
    raw = repair(raw, table.features)
    on_file = pd.read_parquet(folder / "synthetic.parquet").drop(columns="Label").to_numpy()
    np.testing.assert_array_equal(raw, on_file)


def test_explanations_and_report(finished: Path):
    shap = json.loads((finished / "runs" / "shots5-split0" / "shap.json").read_text())
    assert [item["class"] for item in shap["local"]] == list(CLASSES)
    for item in shap["local"]:
        assert item["base"] + sum(item["phi"]) == pytest.approx(item["probability"], abs=1e-3)
    page = build_report(finished).read_text(encoding="utf-8")
    assert "nothing shown" in page or "no difference shown" in page or "helped" in page or "hurt" in page


@pytest.fixture(scope="module")
def rare(table: FlowTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Attacks are rare, benign flows are not; two learning rates to choose from."""
    out = tmp_path_factory.mktemp("rare")
    job = replace(
        JOB,
        seeds=1,
        generations=2,
        generators=("real", "real_weighted", "jitter", "cddpm", "cddpm_calibrated", "smote_free"),
        classifiers=("random_forest",),
        benign_rows=30,
        explain=False,
    )
    run(table, job, out)
    run(table, replace(job, generators=("real", "jitter"), classifiers=("cnn_bigru",), rates=(1e-5, 1e-2)), out)
    return out


def test_only_attacks_are_generated_where_benign_flows_abound(rare: Path):
    found = store.read(rare)
    assert len(found) == 2 + 4 * 2 + 2 + 2  # class weights join the controls
    for record in found:
        made = 0 if record["generator"].startswith("real") else 20
        tested = 60 if record["classifier"] == "random_forest" else 50  # learning rates were chosen on rows set aside
        assert record["rows"] == {"train": 40, "generated": made, "test": tested}
        assert 0 <= record["metrics"]["attack_recall_at_0.01"] <= 1
        assert ("fidelity" in record) == (made > 0)
    frame = pd.read_parquet(rare / "runs" / "shots5-split0" / "synthetic.parquet")
    assert Counter(frame["Label"]) == {"PortScan": 10, "FTP-Patator": 10}


def test_calibrated_rows_come_from_the_same_model_and_lie_nearer(rare: Path):
    folder = rare / "runs" / "shots5-split0"
    assert (folder / "cddpm").exists()
    assert not (folder / "cddpm_calibrated").exists()
    ratio = {r["generator"]: r["fidelity"]["nearest_train_ratio"] for r in store.read(rare) if "fidelity" in r}
    assert ratio["cddpm_calibrated"] < ratio["cddpm"]


def test_a_training_set_may_name_the_number_of_timesteps():
    name = TrainingSetName("cddpm_50")
    assert (name.generator, name.model, name.timesteps, name.free) == ("cddpm", "cddpm_50", 50, False)
    assert name.settings(TINY) == replace(DIFFUSION, schedule=Schedule(steps=50))
    assert TrainingSetName("cddpm").settings(TINY) == DIFFUSION
    calibrated = TrainingSetName("cddpm_calibrated_free")
    assert (calibrated.generator, calibrated.model, calibrated.free) == ("cddpm_calibrated", "cddpm_free", True)
    job = replace(JOB, generators=("real", "cddpm", "real"), timesteps=(50, 40), benign_rows=9)
    assert [each.text for each in job.training_sets] == ["real", "real_weighted", "cddpm_50", "cddpm_40"]


def test_rows_from_free_features_are_consistent(rare: Path):
    consistent = {r["generator"]: r["fidelity"]["consistent"] for r in store.read(rare) if "fidelity" in r}
    assert consistent["smote_free"] == 1
    assert consistent["jitter"] < 1


def test_each_training_set_chooses_its_learning_rate_on_rows_of_its_own(rare: Path):
    tuning = json.loads((rare / "tuning.json").read_text())
    assert list(tuning) == [f"5 shots, {name}, cnn_bigru" for name in ("real", "real_weighted", "jitter")]
    for scores in tuning.values():
        assert scores["0.01"] > scores["1e-05"]  # at which nothing is learnt in 60 steps
    assert (rare / "runs" / "shots5-split0" / "cnn_bigru-jitter-1-0.01").exists()
    assert not (rare / "runs" / "shots5-split0" / "cnn_bigru-jitter-1-1e-05").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "arms", "classifiers", "splits"),
    [
        ("unlabelled", ("real", "cddpm_edit"), ("random_forest", "self_training"), 2),
        pytest.param("benign", ("real", "cddpm_adapted"), ("random_forest",), 1, marks=pytest.mark.slow),
    ],
)
def test_auxiliary_rows_serve_every_split_and_are_in_none(
    tmp_path: Path, kind: Kind, arms: tuple[str, ...], classifiers: tuple[str, ...], splits: int
):
    job = replace(
        JOB,
        auxiliary=kind,
        generators=arms,
        classifiers=classifiers,
        seeds=splits,
        explain=False,
    )
    x, y = simulate_flows(dict.fromkeys(CLASSES, 300), seed=0)
    names = [CLASSES.index(SIMULATED_CLASSES[label]) for label in y]
    repeated = FlowTable(x=x, y=np.array(names, np.int32), features=CICIDS2017, classes=CLASSES)
    table, _ = deduplicate(repeated.select(CICIDS2017[1:]))
    run(table, job, tmp_path)
    found = store.read(tmp_path)
    assert len(found) == splits * len(arms) * len(classifiers)
    extra = 10 if kind == "benign" else 0  # benign rows instead of generated ones
    for record in found:
        made = 0 if record["generator"] == "real" else 30 - extra
        assert (record["rows"]["train"], record["rows"]["generated"]) == (15 + extra, made)
    rest, auxiliary = separate(table, kind, TINY, tmp_path / "runs" / "pretrained", progress=False)
    counts = [n for name, n in table.counts.items() if n >= 200 and (kind == "unlabelled" or name == "BENIGN")]
    assert len(auxiliary.table) == sum(n // 2 for n in counts) > 0
    about = json.loads((tmp_path / "runs" / "pretrained" / "description.json").read_text())
    assert about["rows"] == fingerprint(auxiliary.x, np.zeros(len(auxiliary.x), np.int32))
    held = {row.tobytes() for row in auxiliary.table.x}
    for seed in range(splits):
        split = split_rows.few_shot(rest, 5, seed, test_per_class=20, extra=10)
        assert not held & {row.tobytes() for row in np.concatenate([split.train.x, split.test.x])}


def test_bad_jobs_are_refused(table: FlowTable, tmp_path: Path):
    with pytest.raises(InputError, match=r"`generators` names 'gan'; choose from adasyn, cddpm, .*copies, .*, wgan"):
        replace(JOB, generators=("real", "gan"))
    with pytest.raises(InputError, match="'real_all_free', but real_all makes no scaled rows: drop the _free"):
        replace(JOB, generators=("real_all_free",))
    with pytest.raises(InputError, match="`classifiers` names nothing"):
        replace(JOB, classifiers=())
    with pytest.raises(InputError, match=r"cddpm_7: .* use at least 21 steps"):
        replace(JOB, generators=("cddpm_7",))
    with pytest.raises(InputError, match="`timesteps` is about cddpm"):
        replace(JOB, generators=("real", "smote"), timesteps=(50,))
    two = FlowTable(x=table.x[:2], y=np.array([0, 1], np.int32), features=table.features, classes=("x", "y"))
    with pytest.raises(InputError, match="`benign_rows` is 9, but no class is benign: x, y; name one with `benign`"):
        replace(JOB, benign_rows=9).majority(two)
    assert replace(JOB, benign_rows=9).majority(replace(two, benign="y")) == {"y": 9}
    attacks = table.regroup({name: name for name in CLASSES[1:]}, CLASSES[1:])
    with pytest.raises(InputError, match="`auxiliary` is 'benign', but no class is: PortScan, FTP-Patator"):
        run(attacks, replace(JOB, auxiliary="benign"), tmp_path)
    with pytest.raises(InputError, match="choose one"):
        replace(JOB, auxiliary="benign", benign_rows=9)
    for wrong in ({"generators": ("cddpm_adapted",)}, {"classifiers": ("self_training",)}):  # without auxiliary rows
        with pytest.raises(InputError, match="choose from"):
            replace(JOB, **wrong)
    with pytest.raises(InputError, match="choose from"):  # without packets
        replace(JOB, generators=("packets",))
    with pytest.raises(InputError, match="`disjoint_tests` has rows for the split seeds 0 to 9, and 10 is asked for"):
        replace(JOB, seeds=11, disjoint_tests=True)
    with pytest.raises(InputError, match="`generated` is 0"):
        replace(JOB, generated=0)
    with pytest.raises(InputError, match=r"unknown preset 'gpu'; choose from demo, cpu, paper"):
        get_preset("gpu")
    single = table.take(np.concatenate([np.flatnonzero(table.y == 0), np.flatnonzero(table.y == 1)[:1]]))
    with pytest.raises(InputError, match="class 'PortScan' has 1 row"):
        run(single, JOB, tmp_path)


def test_a_training_that_diverges_costs_no_other_run(table: FlowTable, tmp_path: Path):
    wild = replace(TINY.detector, optimiser=OptimiserConfig(learning_rate=1e30))
    job = replace(JOB, preset=replace(TINY, detector=wild), generators=("real",), seeds=2, explain=False)
    with pytest.raises(TrainingError, match=r"5 shots, split 0, real: the loss became .* \(and 1 more\)"):
        run(table, replace(job, classifiers=("random_forest", "cnn_bigru")), tmp_path)
    assert [record["classifier"] for record in store.read(tmp_path)] == 2 * ["random_forest"]


def test_shards_share_the_splits_and_are_merged(table: FlowTable, tmp_path: Path):
    job = replace(JOB, generators=("real", "smote"), classifiers=("decision_tree",), seeds=3, explain=False)
    run(table, job, tmp_path / "whole")
    for place in range(2):
        folder = tmp_path / f"shard{place}"
        job.run(table, Runner(output_dir=folder, shard=(place, 2), say=lambda _: None, progress=False))
        store.write_config(folder, {"preset": "demo"})
        store.write_json(folder / "data.json", {"fingerprint": "same"})
    assert {record["split_seed"] for record in store.read(tmp_path / "shard1")} == {1}
    store.merge([tmp_path / "shard0", tmp_path / "shard1"], tmp_path / "all")

    def metrics(folder: Path) -> dict:
        return {store.run_key(record): record["metrics"] for record in store.read(folder)}

    assert metrics(tmp_path / "all") == metrics(tmp_path / "whole")
    store.write_json(tmp_path / "shard1" / "data.json", {"fingerprint": "other"})
    with pytest.raises(InputError, match="holds runs on other rows"):
        store.merge([tmp_path / "shard0", tmp_path / "shard1"], tmp_path / "mixed")
    with pytest.raises(InputError, match="shards are numbered from 0 to 1"):
        Runner(output_dir=tmp_path, shard=(2, 2))


def test_each_generated_set_is_tested_twice(table: FlowTable, tmp_path: Path):
    """P1's six tests: three generations, twice each (here two)."""
    job = replace(JOB, generators=("real", "jitter"), classifiers=("random_forest",), seeds=1, generations=2, tests=2)
    run(table, job, tmp_path)
    found = {(record["generator"], record["generation_seed"]): record for record in store.read(tmp_path)}
    assert sorted(found) == [*(("jitter", number) for number in range(4)), ("real", 0), ("real", 1)]
    looks = [found["jitter", number]["fidelity"] for number in range(4)]
    assert looks[0] == looks[1] != looks[2] == looks[3]


def test_paper_preset_is_the_papers():
    paper = PRESETS["paper"]
    config = paper.generators["cddpm"]
    assert config.fitted(75, Columns()).steps == 2000 * 2
    assert paper.detector.total_steps(75) == 200
    assert config.sampler.calls(config.schedule) == config.schedule.steps == 1000
    assert (config.label_dropout, config.guidance, config.clip, config.optimiser.ema_decay) == (0.0, 1.0, False, 0.0)
    narrow = PRESETS["paper_narrow"]
    assert replace(narrow.generators["cddpm"], network=config.network) == config
    assert replace(narrow, generators=paper.generators) == paper
