"""The stopwatch, on runs whose seconds are made up; what the machine tells."""

import stat
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.speed import stopwatch
from benchmarks.speed.stopwatch import Stopwatch, Work
from nids_jax import machine


def test_ratios_are_of_turns_and_seconds_are_medians(monkeypatch: pytest.MonkeyPatch):
    watch = Stopwatch(repeats=3)
    product = 2 * stopwatch.SIDE**3 / 1e9  # s: a product of 1 GFLOP/s
    took = {"ours": iter([100.0, 1.0, 4.0, 2.0]), "theirs": iter([100.0, 3.0, 4.0, 8.0])}

    def ours() -> str:
        return "ours"

    def theirs() -> str:
        return "theirs"

    monkeypatch.setattr(stopwatch, "seconds", lambda run: product if run is watch.product else next(took[run()]))
    work = Work(amount=10, unit="rows", flop=5e8)
    mine, rival = watch.time("it", ours, work, {"the rival": (theirs, work)})
    assert (mine.steady_s, mine.rate, mine.times_ours) == (2.0, 5.0, None)
    assert rival.times_ours == 3.0  # the median of 3, 1 and 4, not 4 s over 2 s
    assert rival.steady_s == 6.0
    assert mine.of_product == pytest.approx(0.25)  # of 0.5, 0.125 and 0.25 GFLOP/s
    header, *_ = (table := stopwatch.table([mine, rival], "Title")).header
    assert header == "what"
    shown = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [row["times ours"] for row in shown] == ["–", "3.00"]
    assert [row["rate"] for row in shown] == ["5.00 rows/s", "1.67 rows/s"]
    assert shown[0]["of a product's"] == "25%"


def test_operations_are_those_of_the_products():
    a, b = jnp.ones((8, 16)), jnp.ones((16, 32))
    assert stopwatch.flop(jnp.matmul, a, b) == 2 * 8 * 16 * 32


def test_a_missing_rival_is_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "benchmarks.rivals.torch_gan", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert stopwatch.baseline("torch_gan", "PyTorch") is None
    assert "PyTorch is not installed" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match="no_such_baseline"):  # ours, not a missing package
        stopwatch.baseline("no_such_baseline", "PyTorch")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets the peak")
def test_the_peak_is_forgotten():
    block = np.ones(2**24)  # 128 MiB
    high = machine.peak_host_mib()
    del block
    machine.forget_peak()
    low = machine.peak_host_mib()
    assert high is not None
    assert low is not None
    assert high - low > 100


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_the_gpu_is_asked_while_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = "--query-gpu=power.draw" ] && echo "70.5" && echo "[N/A]"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with machine.gpu("power.draw") as watts:
        deadline = time.monotonic() + 30
        while not watts and time.monotonic() < deadline:
            time.sleep(0.05)
    assert watts[0] == [70.5]
