"""The frontier of samplers: a split's figures from a tiny model, and the table of several splits."""

from pathlib import Path

import numpy as np
import pytest
from absl import flags

from experiments import frontier
from nids_jax.diffusion.samplers import DPMpp2M, SDEDPMpp2M
from nids_jax.generators import economy
from tests.test_fewshot import TINY, table

__all__ = ["table"]  # a fixture


@pytest.mark.slow
def test_every_candidate_is_measured(table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(economy, "_CANDIDATES", (SDEDPMpp2M(steps=12), DPMpp2M(steps=5)))
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    found = frontier.measure(table, TINY, 5, 0, tmp_path)
    assert [run["sampler"] for run in found] == ["dpmpp_2m, 5 steps", "sde_dpmpp_2m, 12 steps", "ddpm, 100 steps"]
    assert [run["calls"] for run in found] == [5, 12, 100]
    assert (tmp_path / "cddpm" / "description.json").exists()
    for run in found:
        assert 0 <= run["macro_f1"] <= 1
        assert 0.3 < run["told_apart"] <= 1
        assert run["passed"] == (run["told_apart"] <= 0.5 + 1.645 * np.sqrt((2 * 30 + 1) / (12 * 30**2 * 5)))
        assert run["rows_per_second"] > 0


def test_the_table_compares_with_every_step():
    def run(sampler: str, calls: int, macro_f1: float, apart: float) -> dict:
        quality = {"wasserstein": 0.1, "two_sample_auc": 0.9}
        speed = {"rows_per_second": 1000 / calls, "told_apart": apart, "passed": apart < 0.53}
        return {"sampler": sampler, "calls": calls, "macro_f1": macro_f1, **speed, **quality}

    splits = [
        [run("ddim, 10 steps", 10, 0.5 + 0.01 * seed, 0.7), run("ddpm, 1000 steps", 1000, 0.6, 0.5)]
        for seed in range(3)
    ]
    shown = frontier._table(splits, "title")
    assert shown.rows[0][:2] == ("ddim, 10 steps", "10")
    assert shown.rows[0][2] == "100"
    assert shown.rows[0][4] == "0 of 3"
    assert shown.rows[0][-1].startswith("-0.0900 [-0.1148, -0.0652]")  # t of two degrees of freedom is 4.303
    assert shown.rows[1][4] == "3 of 3"
    assert shown.rows[1][-1] == "reference"
    points = frontier._points(splits)
    assert points == {"ddim": [(10, [0.7] * 3)], "ddpm": [(1000, [0.5] * 3)]}
