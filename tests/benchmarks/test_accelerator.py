"""The benchmark of accelerators, on a CPU: operations, lines of points, what fails, what is kept."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from benchmarks import accelerator
from benchmarks.accelerator import Accelerator
from benchmarks.gpu import ours, peaks, point
from benchmarks.gpu.ours import CASES, Sizes
from benchmarks.gpu.point import Point, key, measured
from benchmarks.operations import operations
from benchmarks.speed.detectors import _multiplications
from nids_jax import machine
from nids_jax.cli import frame
from nids_jax.errors import InputError
from nids_jax.generators.gan import GANConfig
from nids_jax.nn.detector import RecurrentConfig
from nids_jax.presets import Preset, get_preset, with_family

MACHINE = {"device": "NVIDIA H200", "devices": 2, "backend": "gpu", "jax": "1", "jaxlib": "1", "preset": "cpu"}


def tiny() -> Preset:
    demo = get_preset("demo")
    network = RecurrentConfig(channels=(4, 3), hidden=(3, 2))
    cddpm = demo.generators["cddpm"]
    small = replace(cddpm, network=replace(cddpm.network, widths=(2, 2, 2, 2), deep=2, embedding=2))
    preset = replace(demo, detector=replace(demo.detector, network=network))
    preset = with_family(preset, "gan", GANConfig(hidden=(4,), noise=2, critic_steps=2))
    return with_family(preset, "cddpm", small)


def sizes(precision: str = "float32", batch: int = 32) -> Sizes:
    return Sizes(tiny(), batch, precision, features=8, classes=3)


def at(program: str, **changed: Any) -> Point:
    return Point(program, 32, "float32", "one", "demo", ("nids_jax",), 2)._replace(**changed)


def test_operations_count_loops_for_all_their_turns():
    a, b = jnp.ones((8, 16)), jnp.ones((16, 16))
    one = 2 * 8 * 16 * 16
    assert operations(jnp.matmul, a, b) == one
    assert operations(lambda a: jax.lax.fori_loop(0, 5, lambda _, x: x @ b, a), a) == 5 * one
    assert operations(lambda a, n: jax.lax.fori_loop(0, n, lambda _, x: x @ b, a), a, 3, turns=7) == 7 * one
    assert operations(jax.jit(lambda a: jax.lax.cond(a[0, 0] > 0, lambda: a, lambda: a @ b)), a) == one
    image, kernel = jnp.ones((4, 10, 3)), jnp.ones((5, 3, 7))

    def convolved(x: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(x, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))

    assert operations(convolved, image) == 2 * (4 * 6 * 7) * (5 * 3)


def test_operations_of_the_detector_are_those_that_its_layers_ask_for():
    given = Sizes(get_preset("cpu"), 4, "float32")
    network = given.preset.detector.network
    assert isinstance(network, RecurrentConfig)
    # The first convolution has one channel, which is no product of matrices.
    spread = given.features * 3 * network.channels[0]
    wanted = 2 * (_multiplications(network, given.classes, given.features) - spread)
    found = ours.detector_inference(given).flop / given.batch
    # Convolutions are done in blocks, which have their neighbours' edges as well.
    assert wanted <= found < 1.2 * wanted


def test_peaks_are_of_whole_names():
    assert peaks.of_sheet("NVIDIA H200", "bfloat16") == 989.5e12
    assert peaks.of_sheet("NVIDIA L40S", "float32") is None
    assert peaks.of_sheet("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "float32") is None
    assert peaks.of_sheet("Tesla T4", "tf32") is None


def test_a_point_has_a_line_for_each_runner(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(point, "_RUN_S", 0.01)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "benchmarks.rivals.torch_detector", raising=False)
    asked = at("CNN-BiGRU inference", runners=("nids_jax", "PyTorch"))
    theirs, mine = measured(asked, sizes())
    assert theirs == {**key(asked), "runner": "PyTorch", "reason": "PyTorch is not installed"}
    assert mine["runner"] == "nids_jax"
    assert len(mine["rates"]) == 2
    assert min(*mine["rates"], mine["flop_per_row"], mine["peak"], mine["planned_bytes"], mine["compile_s"]) > 0
    assert (mine["sheet"], mine["joules_per_row"]) == (None, None)


def test_what_does_not_fit_is_not_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "device_memory", lambda device: 2**10)
    monkeypatch.setattr(point, "_started", lambda *_, **__: pytest.fail("it was run"))
    (line,) = measured(at("CNN-BiGRU inference"), sizes())
    assert line["reason"].startswith("does not fit: XLA plans 0.0 GiB")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_adversarial_training_is_timed(precision: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(point, "_RUN_S", 0.01)
    (line,) = measured(at("WCGAN-GP training", precision=precision), sizes(precision))
    assert "reason" not in line, line
    # A step: the critic's updates on fresh rows (a pass of the generator and the critic's with their gradients).
    assert line["steps"] >= 1
    assert line["flop_per_row"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("program", CASES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_program_is_timed(program: str, precision: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(point, "_RUN_S", 0.01)
    (line,) = measured(at(program, precision=precision), sizes(precision))
    assert "reason" not in line, line


def test_a_process_that_dies_is_a_line(monkeypatch: pytest.MonkeyPatch):
    asked = at("CNN-BiGRU inference", runners=("nids_jax", "PyTorch"))
    told = {**key(asked), "runner": "PyTorch", "reason": "none"}

    def started(errors: Any, *_: str) -> "subprocess.Popen[bytes]":
        program = f"import os, sys; print({json.dumps(told)!r}, flush=True); sys.stderr.write('no memory'); "
        return subprocess.Popen(
            [sys.executable, "-c", program + "sys.stderr.flush(); os._exit(7)"], stdout=subprocess.PIPE, stderr=errors
        )

    monkeypatch.setattr(accelerator, "_started", started)
    first, second = accelerator.timed(asked)
    assert first == told
    assert second == {**key(asked), "runner": "nids_jax", "reason": "its process ended with status 7: no memory"}


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        accelerator,
        "_started",
        lambda errors, *_: subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.PIPE, stderr=errors
        ),
    )
    (line,) = accelerator.timed(at("CNN-BiGRU inference"), limit_s=0.5)
    assert line["reason"] == "took more than 0 s"


def test_points_of_a_machine():
    wanted = Accelerator(batches=(64,))
    found = [(each.program, each.precision, each.devices) for each in accelerator.points(wanted, MACHINE)]
    assert ("CDDPM training", "tf32", "all") in found
    assert ("WCGAN-GP training", "tf32", "one") in found
    assert ("WCGAN-GP training", "tf32", "all") not in found
    assert len(set(found)) == len(found) == 7 * 3 + 5 * 3 - 2
    cpu = [*accelerator.points(wanted, {**MACHINE, "backend": "cpu", "devices": 1})]
    assert {(each.precision, each.devices) for each in cpu} == {("float32", "one"), ("bfloat16", "one")}
    with pytest.raises(InputError, match="no program of `programs` GAN"):
        Accelerator(programs=("GAN",))


def test_a_rerun_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    asked: list[Point] = []

    def timed(one: Point) -> Iterator[dict[str, Any]]:
        asked.append(one)
        common = {"compile_s": 1.0, "flop_per_row": 1e6, "peak": 4e9, "sheet": 8e9, "joules_per_row": 0.002}
        for runner, rate in zip(one.runners, (1000.0, 250.0, 500.0), strict=False):
            yield {**key(one), "runner": runner, "rates": [rate, rate, rate], **common}

    monkeypatch.setattr(accelerator, "timed", timed)
    monkeypatch.setattr(accelerator, "machine", lambda: dict(MACHINE))
    flags = ["--batches=64", "--programs=CDDPM training", "--precisions=float32", f"--output_dir={tmp_path}"]
    accelerator.main(flags)
    assert [(each.devices, len(each.runners)) for each in asked] == [("one", 3), ("all", 1)]
    accelerator.main(flags)
    assert len(asked) == 2  # nothing is left to do
    lines = (tmp_path / "points.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    (tmp_path / "points.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:20])  # a kill while they were written
    accelerator.main(flags)
    assert [each.devices for each in asked[2:]] == ["one", "all"]
    table = (tmp_path / "accelerator.md").read_text()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines() if row.startswith("| CDDPM")]
    assert [row[4:8] for row in rows] == [
        ["nids_jax", "1.0", "1,000 (1,000 to 1,000)", "–"],
        ["PyTorch", "1.0", "250 (250 to 250)", "4.00"],
        ["torch.compile", "1.0", "500 (500 to 500)", "2.00"],
        ["nids_jax", "1.0", "1,000 (1,000 to 1,000)", "–"],
    ]
    assert rows[0][8:] == ["0.001", "25.0%", "12.5%", "2"]
    monkeypatch.setattr(accelerator, "machine", lambda: {**MACHINE, "device": "NVIDIA L4"})
    assert frame.run(lambda: accelerator.main, flags, set) == 2
    assert "holds points of device NVIDIA H200, and here it is NVIDIA L4" in capsys.readouterr().err
