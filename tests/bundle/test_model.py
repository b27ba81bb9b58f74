"""A model: features by name, verdicts, explanations, the folder, the program."""

import contextlib
import errno
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax.bundle import folder
from nids_jax.bundle.model import Model, load_model
from nids_jax.bundle.parts import Trees
from nids_jax.errors import InputError
from nids_jax.evaluation import shapley
from nids_jax.files import own_checksum
from tests.bundle.models import FEATURES, model, rows

DETECTORS = ["random_forest", "forests", "decision_tree", "xgboost", "cnn_bigru"]


def frame() -> pd.DataFrame:
    table = rows(seed=1)
    found = pd.DataFrame(table.x, columns=[*FEATURES])
    found["protocol"] = [table.categories["protocol"][int(code)] for code in found["protocol"]]
    return found


def test_columns_are_found_by_name():
    expected = model().probabilities(rows(seed=1).x)
    whole = frame()
    spelled = whole.rename(
        columns={
            "flow_duration": " Flow Duration",
            "total_fwd_packets": "Tot Fwd Pkts",
            "packet_length_mean": "pkt_len_mean",
        }
    )
    numbered = whole.assign(protocol=whole["protocol"].astype(int))
    for each in (
        whole,
        whole[[*FEATURES][::-1]],
        spelled.assign(Label="?", more=3),
        numbered,
        numbered.assign(protocol=numbered["protocol"].astype(float)),
        whole.astype(str),
        whole.drop(columns="syn_flag_count"),  # it never varied in training, so the model does not use it
        rows(seed=1),
        rows(seed=1).select(FEATURES[::-1]),
    ):
        np.testing.assert_array_equal(model().predict_proba(each), expected)
    np.testing.assert_array_equal(model().rows(whole), model().arrange(FEATURES, rows(seed=1).x))
    assert model().used == FEATURES[:4]


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="no column total_fwd_packets, packet_length_mean, which the model needs"):
        model().rows(frame().drop(columns=["total_fwd_packets", "packet_length_mean"]))
    with pytest.raises(InputError, match="shape"):
        model().verdicts(np.zeros((3, 2)))


def test_verdicts():
    x = rows(seed=1).x
    found = model().verdicts(x, 0.05)
    p = model().probabilities(x)
    benign = model().classes.index("BENIGN")
    np.testing.assert_array_equal(found.score, 1 - p[:, benign])
    np.testing.assert_array_equal(found.alert, found.score > model().threshold(0.05).value)
    assert 0 < found.alert.sum() < len(x)
    np.testing.assert_array_equal(found.label[~found.alert], benign)
    for row in np.flatnonzero(found.alert):
        attacks = {k: p[row, k] for k in range(3) if k != benign}
        assert found.label[row] == max(attacks, key=attacks.__getitem__)
        assert found.probability[row] == p[row, found.label[row]]
    assert not found.incomplete.any()
    entropy = [-sum(v * np.log(v) for v in row if v) for row in p]
    np.testing.assert_allclose(found.uncertainty, entropy, atol=1e-12)
    np.testing.assert_array_equal(found.unknown, found.uncertainty > model().unknown_above)
    names = model().predict(frame(), 0.05)
    assert names.tolist() == [model().classes[k] for k in found.label]


def test_missing_and_infinite_values_are_filled_in_and_told():
    x = rows(seed=1).x[:4].copy()
    x[0, 0], x[1, 2], x[2, 3], x[3, 4] = np.nan, np.inf, 7, -np.inf
    found = model().verdicts(x)
    assert found.incomplete.tolist() == [True, True, True, False]  # the last column is not used
    filled = rows(seed=1).x[:4].copy()
    typical = np.median(rows().x, axis=0)
    filled[0, 0], filled[1, 2] = typical[0], typical[2]
    filled[2, 3] = np.bincount(rows().x[:, 3].astype(int)).argmax()
    np.testing.assert_array_equal(found.probabilities, model().probabilities(filled))
    assert np.isfinite(model().probabilities(np.full((2, 5), 1e308))).all()
    unread = frame().assign(flow_duration="fast", protocol="none").iloc[:2]
    assert model().verdicts(model().rows(unread)).incomplete.all()
    assert len(model().verdicts(np.zeros((0, 5))).label) == 0


@pytest.mark.parametrize("detector", ["random_forest", "xgboost"])
def test_explanations_add_up_over_a_category(detector):
    x = rows(seed=1).x[:6]
    made = model(detector)
    labels = made.probabilities(x).argmax(axis=1)
    z = made.scaler.transform(x)
    phi = np.mean([part.forest.shapley(z, labels)[0] for part in made.parts if isinstance(part, Trees)], axis=0)
    for row, contributions in enumerate(made.explain(x, top=9)):
        weights = {each.feature: each.weight for each in contributions}
        assert {each.error for each in contributions} == {0.0}  # exact
        assert all(each.signed(3) == f"{each.weight:+.3f}, exact" for each in contributions)
        assert weights["flow_duration"] == pytest.approx(phi[row, 0])
        assert weights.get("protocol", 0) == pytest.approx(phi[row, 3:6].sum())
        assert [each.value for each in contributions] == [
            x[row, FEATURES.index(each.feature)] for each in contributions
        ]
        sizes = [abs(each.weight) for each in contributions]
        assert sizes == sorted(sizes, reverse=True)
    assert [len(each) for each in made.explain(x, top=2)] == [2] * 6
    with pytest.raises(InputError, match="`explain` is 0"):
        made.explain(x, top=0)


def test_a_network_is_explained():
    x = rows(seed=1).x[[0, 60]]
    found = model("cnn_bigru").explain(x, top=3, labels=np.array([0, 1]))
    assert all(1 <= len(each) <= 3 for each in found)
    assert "syn_flag_count" not in {each.feature for one in found for each in one}


def by_definition(made: Model, row: np.ndarray, label: int) -> np.ndarray:
    """Σ over all S without column j of |S|! (m − |S| − 1)! / m! (v(S + j) − v(S)), summed over a feature's columns."""
    few, weights = shapley.summarised(made.background.astype(float), 10)
    z = made.scaler.transform(row[None])[0]
    m = len(z)
    subsets = np.array([[(code >> j) & 1 for j in range(m)] for code in range(2**m)], bool)
    mixed = np.where(subsets[:, None], z, few[None]).reshape(-1, m).astype(np.float32)
    said = np.mean([part.predict_proba(mixed)[:, label] for part in made.parts], axis=0)
    worth = said.reshape(len(subsets), -1) @ weights
    found = np.zeros(len(made.features))
    for j in range(m):
        without = np.flatnonzero(~subsets[:, j])
        size = subsets[without].sum(axis=1)
        share = np.array([math.factorial(s) * math.factorial(m - s - 1) for s in size]) / math.factorial(m)
        found[made.feature_of[j]] += share @ (worth[without + (1 << j)] - worth[without])
    return found


def test_reasons_of_a_network_are_as_wrong_as_they_say(monkeypatch: pytest.MonkeyPatch):
    """Those of a few predictions against exact Shapley values, and two seeds against each other."""
    made, x = model("cnn_bigru"), rows(seed=1).x[::15]
    labels = made.probabilities(x).argmax(axis=1)
    exact = np.array([by_definition(made, row, label) for row, label in zip(x, labels, strict=True)])
    for row, contributions in enumerate(made.explain(x, top=9, labels=labels)):  # few columns: all coalitions
        for each in contributions:
            assert each.error == 0
            assert each.weight == pytest.approx(exact[row, made.features.index(each.feature)], abs=2e-4)
    drawn = []
    estimate = shapley.estimate
    monkeypatch.setattr(shapley, "MANY", 300)
    for seed in range(12):
        monkeypatch.setattr(shapley, "estimate", partial(estimate, seed=seed))
        table = np.zeros((2, *exact.shape))
        for row, contributions in enumerate(made.explain(x, top=9, labels=labels)):
            for each in contributions:
                table[:, row, made.features.index(each.feature)] = each.weight, each.error
        drawn.append(table)
    weights, errors = np.array(drawn).transpose(1, 0, 2, 3)
    known = errors > 1e-6
    assert known.mean() > 0.5
    off = ((weights - exact) / np.where(known, errors, 1))[known]
    assert 0.6 < np.sqrt(np.mean(off**2)) < 1.5
    apart = (weights[::2] - weights[1::2]) / np.hypot(
        *np.where(known, errors, 1).reshape(6, 2, *exact.shape).swapaxes(0, 1)
    )
    assert 0.6 < np.sqrt(np.mean(apart[known[::2] & known[1::2]] ** 2)) < 1.5
    # A category's error is that of its columns' sum, not the sum of theirs.
    protocol = made.features.index("protocol")
    assert known[:, :, protocol].any()


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_saved_model_is_the_same_model(detector, tmp_path):
    model(detector).save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    x = rows(seed=1).x
    np.testing.assert_array_equal(loaded.probabilities(x), model(detector).probabilities(x))
    for name in ("classes", "benign", "meter", "features", "categories", "unknown_above", "card", "program", "curves"):
        assert getattr(loaded, name) == getattr(model(detector), name)
    assert loaded.used == model(detector).used
    assert loaded.threshold(0.1) == model(detector).threshold(0.1)
    loaded.save(tmp_path / "again")
    for file in (tmp_path / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.parametrize("detector", ["forests", "xgboost", "cnn_bigru"])
def test_the_program_runs_without_the_package(detector, tmp_path):
    model(detector).save(tmp_path / "model")
    x = rows(seed=1).x
    np.save(tmp_path / "x.npy", x)
    code = f"""
import sys, jax, numpy as np
jax.config.update("jax_enable_x64", True)
program = jax.export.deserialize(bytearray(open({str(tmp_path / "model" / "model.stablehlo")!r}, "rb").read()))
x = np.load({str(tmp_path / "x.npy")!r})
np.save({str(tmp_path / "p.npy")!r}, np.asarray(program.call(x)))
assert np.asarray(program.call(x[:7])).shape == (7, 3)
assert program.platforms == ("cpu", "cuda")
assert "nids_jax" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tolerance = 1e-5 if detector == "cnn_bigru" else 1e-12
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), model(detector).probabilities(x), atol=tolerance)


def test_loading_and_judging_with_trees_imports_no_jax(tmp_path):
    model().save(tmp_path / "model")
    code = f"""
import sys, numpy as np
from nids_jax.bundle.model import load_model
model = load_model({str(tmp_path / "model")!r})
model.explain(model.clean(np.ones((2, 5)))[0])
assert not model.verdicts(np.ones((3, 5))).incomplete.any()
heavy = {{"jax", "flax", "sklearn", "xgboost", "shap", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_folder_is_not_replaced(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    os.symlink(tmp_path / "full", tmp_path / "link")
    for name, why in (("full", "letter.txt"), ("file", "no folder"), ("link", "no folder")):
        with pytest.raises(InputError, match=why):
            model().save(tmp_path / name)
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    model().save(tmp_path / "empty")
    replace(model(), card="new").save(tmp_path / "empty")
    assert load_model(tmp_path / "empty").card == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full", "link"]


def test_a_kill_while_saving_leaves_the_old_model_or_the_new_one(tmp_path, monkeypatch):
    """The write is stopped at every step in turn; what is there is a whole model, or nothing."""
    model().save(tmp_path / "model")
    real = {name: getattr(folder.os, name) for name in ("rename", "fsync")}
    for stop in range(1, 12):
        steps = 0

        def counted(name, stop=stop):
            def call(*arguments):
                nonlocal steps
                steps += 1
                if steps == stop:
                    raise SystemExit  # as a kill: nothing is cleaned up
                return real[name](*arguments)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(folder.shutil, "rmtree", lambda *a, **k: None)
            for name in real:
                patch.setattr(folder.os, name, counted(name))
            with contextlib.suppress(SystemExit):
                replace(model(), card=f"new {stop}").save(tmp_path / "model")
        if (tmp_path / "model").exists():
            assert load_model(tmp_path / "model").card in (model().card, f"new {stop}")
        for path in [*tmp_path.iterdir()]:
            shutil.rmtree(path)
        model().save(tmp_path / "model")


@pytest.mark.parametrize("stop", ["fsync", "rename"])
def test_a_full_disk_leaves_the_old_model(tmp_path, monkeypatch, stop):
    path, real, calls = tmp_path / "model", getattr(folder.os, stop), []
    model().save(path)

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(folder.os, stop, full)
    with pytest.raises(InputError, match=f"^cannot write {path}: No space left on device; choose another `output`$"):
        replace(model(), card="new").save(path)
    assert load_model(path).card == model().card
    assert [*tmp_path.iterdir()] == [path]


def test_what_a_kill_left_is_removed(tmp_path):
    for name in (".model.1.tmp", ".model.2.old", ".model.3-0a.tmp", ".model.mine", ".models.4.tmp"):
        (tmp_path / name).mkdir()
    model().save(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.mine", ".models.4.tmp", "model"]


def edited(path: Path, change) -> None:
    """A manifest with a change, and with checksums to fit."""
    found = json.loads((path / folder.MANIFEST).read_text())
    change(found)
    found["sha256"] = own_checksum(found)
    (path / folder.MANIFEST).write_text(json.dumps(found))


CHANGES = {
    "a later format": (lambda m: m.update(format=99), "update nids_jax"),
    "another kind": (lambda m: m.update(kind="cake"), "does not describe a detector"),
    "no classes": (lambda m: m.pop("classes"), "no 'classes'"),
    "classes twice": (lambda m: m.update(classes=["a", "a", "BENIGN"]), "different names"),
    "too few classes": (lambda m: m.update(classes=["BENIGN"]), "two or more"),
    "benign elsewhere": (lambda m: m.update(benign="Calm"), "benign class"),
    "a number as a name": (lambda m: m.update(benign=3), "another type"),
    "features in another order": (lambda m: m["features"].reverse(), "other columns"),
    "a feature too few": (lambda m: m["features"].pop(), "other columns"),
    "a list for an object": (lambda m: m.update(scaler=[]), "another type"),
    "an unknown scaler": (lambda m: m["scaler"].update(name="pickle"), "scaler is 'pickle'"),
    "a scaler too short": (lambda m: m["scaler"]["numeric"]["centre"].pop(), "numbers"),
    "text for a number": (lambda m: m["scaler"]["numeric"].update(spread=["1"] * 4), "list of numbers"),
    "a negative spread": (lambda m: m["scaler"]["numeric"].update(spread=[-1] * 4), "negative"),
    "no parts": (lambda m: m.update(parts=[]), "0 parts"),
    "an unknown part": (lambda m: m.update(parts=[{"kind": "code"}]), "kind 'code'"),
    "an unknown link": (lambda m: m["parts"][0].update(link=7), "put together"),
    "a part too many": (lambda m: m["parts"].append(m["parts"][0]), "arrays"),
    "rows of calibration": (lambda m: m["calibration"].update(rows=10**9), "calibration"),
    "rates out of range": (lambda m: m["thresholds"][0].update(rate=7), "rates between"),
    "no object of data": (lambda m: m.update(data=[1]), "another type"),
    "a threshold of text": (lambda m: m["unknown"].update(above="low"), "another type"),
    "a file outside": (lambda m: m["files"].update({"../../etc/passwd": {"bytes": 1, "sha256": ""}}), "other files"),
    "no files": (lambda m: m.update(files={}), "other files"),
    "a huge file": (lambda m: m["files"]["weights.safetensors"].update(bytes=2**47), "expected"),
    "a negative size": (lambda m: m["files"]["weights.safetensors"].update(bytes=-1), "bytes"),
    "a checksum of another type": (lambda m: m["files"]["weights.safetensors"].update(sha256=5), "checksum"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_does_not_fit_is_refused(name, tmp_path):
    change, why = CHANGES[name]
    model().save(tmp_path / "model")
    edited(tmp_path / "model", change)
    with pytest.raises(InputError, match=why) as raised:
        load_model(tmp_path / "model")
    assert "\n" not in str(raised.value)


def test_damage_is_told(tmp_path):
    path = tmp_path / "model"
    for name in (folder.WEIGHTS, folder.CARD, folder.PROGRAM, folder.MANIFEST):
        for damage, why in (
            (lambda content: content[:-2], "bytes|JSON"),
            (lambda content: content[:50] + bytes([content[50] ^ 1]) + content[51:], "checksum|JSON|no '|describe"),
            (lambda content: b"", "bytes|JSON"),
        ):
            model().save(path)
            (path / name).write_bytes(damage((path / name).read_bytes()))
            with pytest.raises(InputError, match=why):
                load_model(path)
            shutil.rmtree(path)
        model().save(path)
        (path / name).unlink()
        with pytest.raises(InputError, match=r"missing|holds no"):
            load_model(path)
        shutil.rmtree(path)
    model().save(path)
    os.rename(path / folder.WEIGHTS, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", path / folder.WEIGHTS)
    with pytest.raises(InputError, match="link"):
        load_model(path)
    (path / folder.WEIGHTS).unlink()
    os.mkfifo(path / folder.WEIGHTS)
    with pytest.raises(InputError, match="no regular file"):
        load_model(path)
    for other in (tmp_path, tmp_path / "nowhere", tmp_path / "elsewhere"):
        with pytest.raises(InputError, match="train"):
            load_model(other)
