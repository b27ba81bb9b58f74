"""The table of samplers: means over splits, and paired differences to ancestral sampling."""

from nids_jax.report import figures, sampler_tradeoff
from nids_jax.report.conditions import grouped


def _run(sampler: str, calls: int, seed: int, macro_f1: float, auc: float) -> dict:
    return {
        "experiment": "sampler_tradeoff",
        "dataset": "d",
        "generator": sampler,
        "classifier": "random_forest",
        "shots": 5,
        "split_seed": seed,
        "generation_seed": 0,
        "metrics": {
            "calls": calls,
            "macro_f1": macro_f1,
            "rows_per_second": 1000 / calls,
            "reference_c2st_auc": auc,
            "indistinguishable": int(auc < 0.53),
        },
        "fidelity": {"wasserstein": 0.1, "two_sample_auc": 0.9},
    }


RUNS = [_run("ddim, 10 steps", 10, seed, 0.5 + 0.01 * seed, 0.7) for seed in range(3)]
RUNS += [_run("ddpm, 1000 steps", 1000, seed, 0.6, 0.5) for seed in range(3)]


def test_the_table_compares_with_every_step():
    group, members = next(iter(grouped(RUNS).items()))
    (shown,) = sampler_tradeoff.tables(group, members)
    assert shown.rows[0][:2] == ("ddim, 10 steps", "10")
    assert shown.rows[0][2] == "100"
    assert shown.rows[0][4] == "0 of 3"
    assert shown.rows[0][5:7] == ("0.100 [0.100, 0.100]", "0.900 [0.900, 0.900]")
    assert shown.rows[0][-1].startswith("-0.0900 [-0.1148, -0.0652]")  # t of two degrees of freedom is 4.303
    assert shown.rows[1][4] == "3 of 3"
    assert shown.rows[1][-1] == "reference"
    (sentence,) = sampler_tradeoff.verdict(group, members)
    assert "ddpm, 1000 steps (1000 calls) is the sampler with fewest calls" in sentence
    points = sampler_tradeoff.points(members)
    assert points == {"ddim": [(10, [0.7] * 3)], "ddpm": [(1000, [0.5] * 3)]}
    axes = figures.sampler_tradeoff({**points, "heun": [(9, [0.9])]}).axes[0]
    # 9 and 10 lie too close for both to be written.
    assert [label.get_text() for label in axes.get_xticklabels()] == ["9", "1,000"]
