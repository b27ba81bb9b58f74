"""Units of work in this process or handed to an executor, and what is said where there is no cluster."""

import sys
from pathlib import Path

import pytest

from nids_jax.__main__ import main
from nids_jax.pipeline.runner import Runner


def test_units_are_carried_out_here_or_by_the_executor(tmp_path: Path):
    class Elsewhere:
        def run(self, runner, units, work, shared, title):
            return [title(unit) for unit in units]

    runner = Runner(output_dir=tmp_path)
    assert runner.each([1, 2], lambda own, unit, more: (own is runner, unit + more), 10) == [(True, 11), (True, 12)]
    runner.executor = Elsewhere()
    assert runner.each([1, 2], print, 10, title="unit {}".format) == ["unit 1", "unit 2"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("auto", "--cluster needs Ray: pip install 'nids-jax[ray]' here and on every machine of the cluster"),
        ("10.0.0.1", "--cluster is '10.0.0.1'; give auto, or ray://host:10001"),
    ],
)
def test_without_ray_there_is_one_sentence(
    address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["fewshot", f"--cluster={address}", f"--output_dir={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"
    assert not (tmp_path / "out").exists()
