"""Which splits are run: the first ones, or exactly those that are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nids_jax import store
from nids_jax.__main__ import COMMANDS, flags_of, main
from nids_jax.data.table import FlowTable
from nids_jax.pipeline.runner import Runner
from nids_jax.presets import get_preset
from nids_jax.protocols.few_shot import FewShot

JOB = FewShot(
    dataset="mine",
    preset=get_preset("demo"),
    seeds=3,
    generators=("real", "smote"),
    classifiers=("decision_tree",),
    generated=5,
    test_rows=20,
)


@pytest.fixture(scope="module")
def table() -> FlowTable:
    draws = np.random.default_rng(0)
    y = np.repeat(np.arange(2, dtype=np.int32), 60)
    x = draws.normal(size=(120, 4)) + y[:, None]
    return FlowTable(x=x, y=y, features=("a", "b", "c", "d"), classes=("BENIGN", "DoS"), benign="BENIGN")


def figures(folder: Path) -> dict[store.RunKey, tuple]:
    return {store.run_key(r): (r["metrics"], r["confusion"]) for r in store.read(folder)}


def test_named_splits_are_those_of_the_same_number(table: FlowTable, tmp_path: Path):
    for folder, job in (("first", JOB), ("named", replace(JOB, split_seeds=(2, 0, 7)))):
        job.run(table, Runner(output_dir=tmp_path / folder, say=lambda _: None, progress=False))
    first, named = figures(tmp_path / "first"), figures(tmp_path / "named")
    assert [key[5] for key in named] == [2, 2, 0, 0, 7, 7]
    assert {key: value for key, value in first.items() if key[5] != 1} == {
        key: value for key, value in named.items() if key[5] != 7
    }


def test_every_experiment_with_seeds_has_them():
    commands = [name for name, command in COMMANDS.items() if command.protocol]
    assert [name for name in commands if not {"seeds", "split_seeds"} <= flags_of(name).names] == ["cost"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--split_seeds=4,9,4"], "--split_seeds has 4 twice; name each split seed once"),
        (["--split_seeds=3,-1"], "--split_seeds is -1; it must be at least 0"),
        (["--split_seeds=500000"], "--split_seeds is 500,000; it must be at most 499,999"),
        (["--seeds=2", "--split_seeds=3"], "--seeds and --split_seeds both say which splits to run; give one of them"),
    ],
)
def test_bad_splits_are_one_sentence(flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["zero_shot", f"--output_dir={tmp_path}", *flags]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_folder_takes_further_splits(tmp_path: Path, table: FlowTable):
    data = tmp_path / "flows.csv"
    rows = [[*map(str, row), table.classes[label]] for row, label in zip(table.x.tolist(), table.y, strict=True)]
    data.write_text("\n".join(map(",".join, [["a", "b", "c", "d", "Label"], *rows])))
    command = ["detector_comparison", f"--data={data}", "--shots=5", "--classifiers=decision_tree", "--test_rows=20"]
    out = tmp_path / "out"
    for flag in ("--split_seeds=3,4", "--split_seeds=9", "--seeds=1"):
        assert main([*command, flag, f"--output_dir={out}"]) == 0
    assert [record["split_seed"] for record in store.read(out)] == [3, 4, 9, 0]
    assert store.read_json(out / "config.json")["split_seeds"] == []
