"""Records on disk: whole lines, torn lines, strict JSON, flags that must not change."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax import store
from nids_jax.errors import InputError
from tests.full_disk import files_of_at_most

KEYS = {
    "experiment": "fewshot",
    "dataset": "cicids2017",
    "generator": "cddpm",
    "classifier": "cnn_bigru",
    "shots": 5,
    "split_seed": 0,
    "generation_seed": 0,
}


def run(split: int | np.integer = 0, **other):
    return {**KEYS, "split_seed": split, "metrics": {"accuracy": 0.5}, **other}


def test_records_come_back_in_order_and_are_found_finished(tmp_path):
    assert store.read(tmp_path / "new") == []
    for split in (2, 0, 1):
        store.append(tmp_path / "new", run(split, note="Web Attack – XSS\n\u2028"))
    found = store.read(tmp_path / "new")
    assert [record["split_seed"] for record in found] == [2, 0, 1]
    assert found[0]["note"] == "Web Attack – XSS\n\u2028"
    assert store.finished(tmp_path / "new") == {store.run_key(run(k)) for k in range(3)}
    assert store.run_key(run(np.int64(1))) in store.finished(tmp_path / "new")
    assert len((tmp_path / "new" / "records.jsonl").read_bytes().split(b"\n")) == 4


def test_every_cut_of_the_last_line_is_ignored_and_repaired(tmp_path):
    store.append(tmp_path, run(0))
    store.append(tmp_path, run(1, note="–"))
    path = tmp_path / "records.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole) + 1):
        path.write_bytes(whole[:end])
        complete = end >= len(whole) - 1  # all but the line end is a record all the same
        assert [record["split_seed"] for record in store.read(tmp_path)] == ([0, 1] if complete else [0])
        store.append(tmp_path, run(2))
        expected = [0, 1, 2] if complete else [0, 2]
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["split_seed"] for line in lines] == expected


@pytest.mark.parametrize(
    "line", [b"{}", b"[1]", b"nonsense", b"\x00\x00", b'{"experiment": NaN}', b"[" * 100_000, b'{"a": "\xff"}']
)
def test_a_damaged_line_in_the_middle_is_named(tmp_path, line):
    store.append(tmp_path, run(0))
    path = tmp_path / "records.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())
    with pytest.raises(InputError, match=r"line 2 of .*records\.jsonl"):
        store.read(tmp_path)


def test_of_a_run_recorded_twice_the_last_record_holds(tmp_path):
    for accuracy in (0.1, 0.9):
        store.append(tmp_path, run(0, metrics={"accuracy": accuracy}))
    assert [record["metrics"]["accuracy"] for record in store.read(tmp_path)] == [0.9]


def test_what_is_not_finite_becomes_null_and_numpy_becomes_numbers(tmp_path):
    metrics = {"accuracy": np.float32("nan"), "macro_f1": float("inf"), "weighted_f1": np.float64(0.25)}
    store.append(tmp_path, run(0, metrics=metrics, confusion=np.eye(2, dtype=np.int64), names=("a", "b")))
    line = (tmp_path / "records.jsonl").read_text()
    record = json.loads(line, parse_constant=pytest.fail)
    assert record["metrics"] == {"accuracy": None, "macro_f1": None, "weighted_f1": 0.25}
    assert record["confusion"] == [[1, 0], [0, 1]]
    assert record["names"] == ["a", "b"]


def test_a_number_too_large_for_a_float_is_no_number(tmp_path):
    line = json.dumps(run(0)).replace("0.5", "1e999")
    (tmp_path / "records.jsonl").write_text(line + "\n")
    assert store.read(tmp_path)[0]["metrics"]["accuracy"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split_seed": None}, "split_seed = None, which is not a whole number"),
        ({"shots": 0.5}, "shots = 0.5"),
        ({"dataset": 3}, "dataset = 3, which is not text"),
        ({"metrics": 0.5}, "no 'metrics' table"),
        ({"metrics": {"accuracy": "high"}}, "accuracy = 'high'"),
        ({"environment": None}, "no 'environment' table"),
        ({"note": object()}, "no form in JSON"),
    ],
)
def test_what_is_no_record_is_not_written(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        store.append(tmp_path, run(0, **{k: v for k, v in change.items() if k != "split_seed"}) | change)
    with pytest.raises(InputError, match="'generator'"):
        store.append(tmp_path, {name: value for name, value in run().items() if name != "generator"})
    assert not (tmp_path / "records.jsonl").exists()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None)  # each is flushed to a disk that others use too
@given(json_values)
def test_any_json_value_survives_even_lone_surrogates(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("any")
    store.append(folder, run(0, note=[value, "\ud800"]))
    assert store.read(folder)[0]["note"] == [value, "\ud800"]
    store.write_json(folder / "value.json", value)
    assert store.read_json(folder / "value.json") == value


def test_flags_that_decide_results_must_stay(tmp_path):
    flags = {"dataset": "cicids2017", "preset": "small", "seeds": 2, "shots": (5,), "rate": 0.1, "output_dir": tmp_path}
    store.write_config(tmp_path, flags)
    store.write_config(tmp_path, {**flags, "seeds": 5, "shots": [5, 50]})
    assert json.loads((tmp_path / "config.json").read_text())["seeds"] == 5
    store.write_config(tmp_path, {**flags, "preset": "paper"})  # no runs yet: nothing to spoil
    store.write_config(tmp_path, {**flags, "shots": [5, 50]})
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match=r'`preset` = "small", and now it is "paper".*another `output_dir`'):
        store.write_config(tmp_path, {**flags, "preset": "paper"})
    with pytest.raises(InputError, match=r"`rate` = 0\.1, and now it is not set"):
        store.write_config(tmp_path, {name: value for name, value in flags.items() if name != "rate"})
    store.write_config(tmp_path, {**flags, "shots": [5, 50], "new": None})  # of a later version, not given
    with pytest.raises(InputError, match=r"`new` = not set, and now it is 3"):
        store.write_config(tmp_path, {**flags, "new": 3})
    store.write_config(tmp_path, {**flags, "shots": [5, 50], "switch": False})
    store.write_config(tmp_path, {**flags, "shots": [5, 50]})  # as an earlier version would
    with pytest.raises(InputError, match=r"`switch` = not set, and now it is true"):
        store.write_config(tmp_path, {**flags, "switch": True})
    store.write_config(tmp_path, {**flags, "shots": [5, 50], "switch": None})
    with pytest.raises(InputError, match=r"`switch` = not set, and now it is false"):  # where unset means the preset's
        store.write_config(tmp_path, {**flags, "switch": False})
    store.write_config(tmp_path, {**flags, "shots": [5, 50]})
    assert json.loads((tmp_path / "config.json").read_text())["shots"] == [5, 50]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "runs"]


@pytest.mark.parametrize("content", ["", "[]", "3", "null", '"a"', "{", '{"a": NaN}'])
def test_a_damaged_note_is_named(tmp_path, content):
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(InputError, match=r"job\.json"):
        store.claim(tmp_path / "job.json", {"a": 1}, "another job")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": NaN}'])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match=r"config\.json"):
        store.write_config(tmp_path, {})


def test_an_output_dir_that_is_a_file_is_named(tmp_path):
    path = tmp_path / "taken"
    path.write_text("")
    for write in (store.append, store.write_config):
        with pytest.raises(InputError, match=r"cannot write .*`output_dir`"):
            write(path, run())
    with pytest.raises(InputError, match="cannot read"):
        store.read(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    store.write_json(tmp_path / "a.json", 1)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        store.write_json(tmp_path / "a.json", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert store.read_json(tmp_path / "a.json") == 1


def test_the_environment_names_device_versions_and_command():
    found = store.environment(["python", "-m", "experiments.fewshot", "--output_dir=my out"])
    assert found["command"] == "python -m experiments.fewshot '--output_dir=my out'"
    assert store.environment("as it is")["command"] == "as it is"
    assert found["numpy"] == np.__version__
    assert {"device", "backend", "platform", "jax", "python", "cpu_count"} <= found.keys()
    revision = found["git_revision"]
    assert revision is None or set(revision.removesuffix("-dirty")) <= set("0123456789abcdef")
    json.dumps(found, allow_nan=False)


def test_a_full_disk_keeps_the_records_before(tmp_path):
    store.append(tmp_path, run(0))
    size = (tmp_path / store.RECORDS).stat().st_size
    said = f"^cannot write {tmp_path / store.RECORDS}: File too large; choose another `output_dir`$"
    with files_of_at_most(size + 50), pytest.raises(InputError, match=said):
        store.append(tmp_path, run(7))
    assert len(store.read(tmp_path)) == 1
    store.append(tmp_path, run(8))
    assert [each["split_seed"] for each in store.read(tmp_path)][1:] == [8]
