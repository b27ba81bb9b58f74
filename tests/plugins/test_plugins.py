"""Generators, classifiers and datasets of other packages: by a flag, and by entry points."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import jax
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTENC
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

import nids_jax
from nids_jax import __main__ as command_line
from nids_jax.classifiers import registry as classifiers
from nids_jax.classifiers.base import ClassifierOptions
from nids_jax.generators import registry as generators
from nids_jax.generators.spec import Columns, GeneratorSpec, Request
from nids_jax.store import read
from tests.plugins import examples

KEY = jax.random.key(3)


@pytest.fixture(autouse=True)
def _registries() -> Iterator[None]:
    with examples.registries_kept():
        yield


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with flows.csv and the page's modules."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    frame = pd.DataFrame({"size": y + rng.normal(size=120), "gaps": rng.normal(size=120), "Sensor": y})
    frame["Label"] = np.array(["Legitimate use", "Wurm"])[y]
    (tmp_path / "lab").mkdir()
    for name in ("flows.csv", "lab/flows.csv"):
        frame.to_csv(tmp_path / name, index=False)
    for name, source in examples.SOURCES.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str) -> int:
    return command_line.main(line.split()[1:])


def test_the_pages_commands_run(flows: Path):
    wanted = [
        ({"real", "smote", "their_smote"}, {"random_forest", "GaussianNB"}),
        ({"real", "copies", "Noise"}, {"random_forest"}),
        ({"real"}, {"random_forest", "NearestMean"}),
    ]
    for command, (sets, detectors) in zip(examples.COMMANDS, wanted, strict=True):
        assert run(f"{command} --preset=demo --generations=1 --generated=8") == 0
        records = read(flows / command.rpartition("=")[2])
        assert {record["generator"] for record in records} == sets
        assert {record["classifier"] for record in records} == detectors
        assert all(record["rows"]["generated"] in (0, 16) for record in records)
    assert "their_smote" in (flows / "out" / "rivals" / "summary.md").read_text(encoding="utf-8")
    with examples.registries_kept():  # a report needs no plug-in
        for name in ("their_smote", "Noise"):
            del generators.GENERATORS[name]
        assert run("nids_jax report out/rivals") == 0
    assert run(examples.COMMANDS[1] + " --preset=demo --generations=1 --generated=8") == 0  # goes on: nothing is left
    assert len(read(flows / "out" / "noise")) == 2 * 3


def test_entry_points_go_by_their_names(flows: Path):
    assert examples.ENTRY_POINTS is not None
    groups = tomllib.loads(examples.ENTRY_POINTS[1])["project"]["entry-points"]
    groups["nids_jax.generators"] |= {"gone": "no_such_module:Thing", "cddpm": "my_generator:Noise"}
    info = flows / "lab_plugins-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-plugins\nVersion: 1\n")
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in each.items()) for group, each in groups.items()]
    (info / "entry_points.txt").write_text("\n\n".join(lines))
    arguments = ["--dataset=lab", "--data_dir=.", "--seeds=2", "--preset=demo", "--generated=8", "--generations=1"]
    arguments += ["--generators=real,noise", "--classifiers=nearest_mean", "--output_dir=out", "--benign_rows=9"]
    done = subprocess.run(
        [sys.executable, "-m", "nids_jax", "fewshot", *arguments],
        cwd=flows,
        env={"PYTHONPATH": f"{flows}:{Path(nids_jax.__file__).parents[1]}", "HOME": str(flows), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "no_such_module:Thing (entry point 'gone' of nids_jax.generators) is left out: ModuleNotFound" in done.stderr
    assert "(entry point 'cddpm' of nids_jax.generators) is left out: its name is taken" in done.stderr
    records = read(flows / "out")
    assert {record["generator"] for record in records} == {"real", "real_weighted", "noise"}
    assert {record["classifier"] for record in records} == {"nearest_mean"}
    assert records[0]["classes"] == ["Legitimate use", "Worm"]


def module(monkeypatch: pytest.MonkeyPatch, **contents: Any) -> None:
    made = ModuleType("other")
    vars(made).update(contents)
    monkeypatch.setitem(sys.modules, "other", made)


class Broken:
    """Fails in every way that is asked for."""

    fails: ClassVar[str] = ""

    def __init__(self):
        if self.fails == "init":
            raise ValueError("no licence\nat all")

    def fit(self, x: np.ndarray, y: np.ndarray, key: Any = None) -> "Broken":
        if self.fails == "fit":
            raise ValueError("too few rows")
        return self

    def sample(self, labels: np.ndarray, key: Any) -> np.ndarray:
        if self.fails == "sample":
            raise KeyError("weights")
        return np.full((len(labels), 3 if self.fails == "shape" else 2), np.nan if self.fails == "nan" else 0.0)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 5), 0.2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("other", "unknown generator 'other'"),
        (":Broken", "`generators` has ':Broken'; write package.module:Class, or package.module:Class:name"),
        ("other:Broken:a:b", "`generators` has 'other:Broken:a:b'; write"),
        ("no_such.module:Thing", "`generators` names the module 'no_such.module', and there is no 'no_such'; install"),
        ("other:Nothing", "but the module other has no 'Nothing'; its classes: Broken, Dict"),
        ("other:function", "other:function is no class, but of the type function; name a class"),
        (
            "sklearn.naive_bayes:GaussianNB",
            "GaussianNB has no method sample or fit_resample; give the class fit",
        ),
        ("other:SPEC", "other:SPEC has a family of settings, which no plug-in has"),
        ("other:Broken:cddpm", "the name 'cddpm' is taken; give it another: other:Broken:name"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_refused_in_a_sentence(given: str, said: str, monkeypatch: pytest.MonkeyPatch):
    spec = GeneratorSpec(name="mine", make=lambda _: Broken(), summary="Mine.", family="mine")
    module(monkeypatch, Broken=Broken, Dict=dict, function=lambda: None, SPEC=spec)
    with pytest.raises(nids_jax.InputError) as error:
        generators.make_generator(given, Request())
    assert said in str(error.value)


def test_a_module_that_fails_is_told_of(flows: Path, capsys: pytest.CaptureFixture):
    (flows / "bad_module.py").write_text("import not_there_at_all\n")
    command = "nids_jax fewshot --data=flows.csv --generators=bad_module:X --output_dir=out"
    assert run(command) == 2
    assert (
        "error: --generators names 'bad_module', which cannot be imported: ModuleNotFoundError: No module named"
        " 'not_there_at_all'" in capsys.readouterr().err
    )
    assert not (flows / "out").exists()


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("init", "other:Broken failed in being made without arguments: ValueError: no licence"),
        ("fit", "other:Broken failed in `fit`: ValueError: too few rows"),
        ("sample", "other:Broken failed in `sample`: KeyError: 'weights'"),
        ("shape", r"other:Broken gave rows of shape \(2, 3\) in `sample`, and not \(2, 2\)"),
        ("nan", "other:Broken gave values that are missing or infinite in `sample`"),
    ],
)
def test_what_fails_in_a_generator_is_told_of(fails: str, said: str, monkeypatch: pytest.MonkeyPatch):
    module(monkeypatch, Broken=Broken)
    monkeypatch.setattr(Broken, "fails", fails)
    with pytest.raises(nids_jax.InputError, match=said):
        generators.make_generator("other:Broken", Request()).fit(np.eye(2), np.arange(2), KEY).sample(np.arange(2), KEY)


def test_what_fails_in_a_classifier_is_told_of(monkeypatch: pytest.MonkeyPatch):
    module(monkeypatch, Broken=Broken)
    x, y = np.eye(4), np.array([0, 0, 3, 3])
    with pytest.raises(nids_jax.InputError, match=r"other:Broken gave probabilities of shape \(4, 5\), or some"):
        nids_jax.make_classifier("other:Broken").fit(x, y).predict_proba(x)
    with pytest.raises(nids_jax.InputError, match="LinearSVC has no method predict_proba; give the class fit"):
        nids_jax.make_classifier("sklearn.svm:LinearSVC")


def test_a_foreign_classifier_is_what_it_is_elsewhere():
    rng = np.random.default_rng(0)
    y = np.repeat([2, 5, 6], [30, 20, 5])
    x = rng.normal(size=(55, 3)) + y[:, None] / 3
    weights = rng.integers(1, 4, 55).astype(float)
    ours = nids_jax.make_classifier("sklearn.naive_bayes:GaussianNB").fit(x, y, weights)
    np.testing.assert_array_equal(ours.classes_, [2, 5, 6])
    np.testing.assert_allclose(ours.predict_proba(x), GaussianNB().fit(x, y, weights).predict_proba(x))
    # Neighbours take no weights: their rows are repeated.
    ours = nids_jax.make_classifier("sklearn.neighbors:KNeighborsClassifier").fit(x, y, weights)
    times = np.repeat(np.arange(55), weights.astype(int))
    np.testing.assert_allclose(ours.predict_proba(x), KNeighborsClassifier().fit(x[times], y[times]).predict_proba(x))
    balanced = classifiers.make_classifier("sklearn.naive_bayes:GaussianNB", ClassifierOptions(class_weights=True))
    each = (55 / 3 / np.array([30, 20, 5]))[np.unique(y, return_inverse=True)[1]]
    np.testing.assert_allclose(balanced.fit(x, y).predict_proba(x), GaussianNB().fit(x, y, each).predict_proba(x))
    drawn = nids_jax.make_classifier("sklearn.tree:ExtraTreeClassifier", seed=4).fit(x, y)
    assert drawn.model_.random_state == 4  # pyright: ignore[reportAttributeAccessIssue]


def test_smote_nc_gets_categories_as_codes():
    """Columns 1 to 3 are the categories of a feature: each new row has one, and the numbers lie between neighbours."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [20, 4])
    codes = rng.integers(0, 3, 24)
    x = np.column_stack([rng.normal(size=24), np.where(codes[:, None] == np.arange(3), 1, -1), rng.normal(size=24)])
    request = Request(columns=Columns(blocks=((1, 4),)))
    made = generators.make_generator("imblearn.over_sampling:SMOTENC", request).fit(x, y, KEY)
    rows = made.sample(np.ones(1500, int), KEY)
    np.testing.assert_array_equal(np.sort(rows[:, 1:4], axis=1), np.tile([-1, -1, 1], (1500, 1)))
    own = x[y == 1]
    assert (rows[:, [0, 4]] >= own[:, [0, 4]].min(axis=0) - 1e-6).all()
    assert (rows[:, [0, 4]] <= own[:, [0, 4]].max(axis=0) + 1e-6).all()
    # The library itself, told the same by hand, draws the same categories.
    told: Any = {"categorical_features": [2], "sampling_strategy": {1: 4 + 1024}, "k_neighbors": 3}
    values = np.asarray(SMOTENC(**told).fit_resample(np.column_stack([x[:, [0, 4]], codes]), y)[0])
    assert set(np.unique(rows[:, 1:4].argmax(axis=1))) == set(np.unique(values[24:, 2]).astype(int))
    with pytest.raises(nids_jax.InputError, match="SMOTENC wants columns of categories, and these rows have none"):
        generators.make_generator("imblearn.over_sampling:SMOTENC", Request()).fit(x, y, KEY)


def test_a_sampler_that_takes_rows_away_is_no_over_sampler():
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.repeat([0, 1], 20)
    made = generators.make_generator("imblearn.combine:SMOTEENN", Request()).fit(x, y, KEY)
    with pytest.raises(nids_jax.InputError, match="SMOTEENN did not keep the rows given and add to them"):
        made.sample(y, KEY)
    few = generators.make_generator("imblearn.over_sampling:SMOTE:other_smote", Request()).fit(x[19:], y[19:], KEY)
    with pytest.raises(nids_jax.InputError, match=r"SMOTE failed in `fit_resample` for class 0 of 1 rows: \w+Error"):
        few.sample(np.zeros(3, int), KEY)
