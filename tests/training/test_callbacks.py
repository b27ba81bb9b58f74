"""Callbacks hear of every block of steps, can stop a training, and write what the losses were."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.generators.gan import GAN, GANConfig
from nids_jax.training import callbacks
from nids_jax.training.loop import pad, train
from tests.training.test_loop import OBJECTIVE, OPTIMISER

ROWS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(12, 2)


def run(steps: int = 120, title: str | None = "a line") -> np.ndarray:
    data = pad(ROWS, np.zeros(12, np.int32))
    return train(OBJECTIVE, OPTIMISER, data, jax.random.key(0), steps=steps, batch=8, title=title)[1]


def test_each_block_is_told_with_its_mean_loss():
    heard = []
    with callbacks.attached([lambda *told: heard.append(told) or None]), callbacks.unit("split 3"):
        losses = run()
    run()  # nobody listens any more
    assert [(name, step) for name, step, _ in heard] == [("split 3: a line", step) for step in (50, 100, 120)]
    parts = np.split(losses, [50, 100])
    assert [figures["loss"] for *_, figures in heard] == pytest.approx([part.mean() for part in parts], rel=1e-6)


def test_true_stops_the_training_and_others_hear_of_it_too():
    heard = []

    def stop(run: str, step: int, figures) -> bool:
        return step >= 100

    with callbacks.attached([stop, lambda *told: heard.append(told) or None]):
        losses = run(steps=400)
    assert len(losses) == 100
    assert len(heard) == 2
    np.testing.assert_array_equal(losses[:50], run()[:50])


def test_a_callback_attached_inside_another_is_heard_beside_it():
    heard = []
    with callbacks.attached([lambda *told: heard.append("outer") or None]):
        with callbacks.attached([lambda *told: heard.append("inner") or None]):
            run(steps=50)
        run(steps=50, title=None)
    assert heard == ["outer", "inner", "outer"]


def test_json_lines_are_always_written(tmp_path: Path):
    with callbacks.writers(tmp_path, ()):
        losses = run()
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [(line["run"], line["step"]) for line in lines] == [("a line", 50), ("a line", 100), ("a line", 120)]
    assert lines[0]["loss"] == pytest.approx(losses[:50].mean(), rel=1e-6)
    with callbacks.writers(tmp_path / "none", ()):
        pass
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path: Path):
    path = tmp_path / "training.jsonl"
    path.symlink_to("/dev/full")
    said = f"^cannot write {path}: No space left on device; choose another `output_dir`$"
    with pytest.raises(InputError, match=said), callbacks.writers(tmp_path, ()):
        run()


def test_tensorboard_reads_its_files(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

    with callbacks.writers(tmp_path, ("tensorboard",)), callbacks.unit("split 0/1"):
        losses = run()
    (file,) = (tmp_path / "tensorboard" / "split 0_1_ a line").iterdir()
    found, content = [], file.read_bytes()
    while content:  # TFRecord: length, its checksum, the event, its checksum
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        content = content[16 + length :]
    assert [(step, tag) for step, tag, _ in found] == [(50, "loss"), (100, "loss"), (120, "loss")]
    assert found[0][2] == pytest.approx(losses[:50].mean(), rel=1e-5)


@pytest.mark.filterwarnings("ignore")  # of its own libraries, which age
def test_mlflow_has_a_run_for_each_training(tmp_path: Path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with callbacks.writers(tmp_path, ("mlflow",)):
        losses = run()
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (found,) = client.search_runs([client.get_experiment_by_name("nids_jax").experiment_id])
    assert found.info.run_name == "a line"
    history = client.get_metric_history(found.info.run_id, "loss")
    assert [each.step for each in history] == [50, 100, 120]
    assert history[0].value == pytest.approx(losses[:50].mean(), rel=1e-5)


def test_an_unknown_writer_or_one_that_is_not_installed_is_refused(tmp_path: Path, monkeypatch):
    with pytest.raises(InputError, match="`log_to` names 'wandb'; choose from tensorboard, mlflow"):
        callbacks.writers(tmp_path, ("wandb",)).__enter__()
    monkeypatch.setattr(callbacks, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'nids-jax\[mlflow\]'"):
        callbacks.writers(tmp_path, ("mlflow",)).__enter__()


def test_adversarial_networks_are_told_of_by_their_method_and_last_step():
    heard = []
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (40, 3)).astype(np.float32), np.repeat([0, 1], 20)
    model = GAN("vae", GANConfig(hidden=(8,), noise=2, steps=60, batch=16, bounded=True), progress=True)
    with callbacks.attached([lambda *told: heard.append(told) or None]):
        model.fit(x, y, jax.random.key(0))
    assert [(run, step) for run, step, _ in heard] == [("vae", 50), ("vae", 60)]
    for _, step, figures in heard:
        assert figures == pytest.approx({name: values[step - 1] for name, values in model.history_.items()})
