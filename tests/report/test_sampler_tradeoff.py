"""The table of samplers: means over splits, and paired differences to ancestral sampling."""

from nids_jax.report import figures, sampler_tradeoff


def test_the_table_compares_with_every_step():
    def run(sampler: str, calls: int, macro_f1: float, apart: float) -> dict:
        quality = {"wasserstein": 0.1, "two_sample_auc": 0.9}
        speed = {"rows_per_second": 1000 / calls, "told_apart": apart, "passed": apart < 0.53}
        return {"sampler": sampler, "calls": calls, "macro_f1": macro_f1, **speed, **quality}

    splits = [
        [run("ddim, 10 steps", 10, 0.5 + 0.01 * seed, 0.7), run("ddpm, 1000 steps", 1000, 0.6, 0.5)]
        for seed in range(3)
    ]
    shown = sampler_tradeoff.table(splits, "title")
    assert shown.rows[0][:2] == ("ddim, 10 steps", "10")
    assert shown.rows[0][2] == "100"
    assert shown.rows[0][4] == "0 of 3"
    assert shown.rows[0][-1].startswith("-0.0900 [-0.1148, -0.0652]")  # t of two degrees of freedom is 4.303
    assert shown.rows[1][4] == "3 of 3"
    assert shown.rows[1][-1] == "reference"
    points = sampler_tradeoff.points(splits)
    assert points == {"ddim": [(10, [0.7] * 3)], "ddpm": [(1000, [0.5] * 3)]}
    axes = figures.frontier({**points, "heun": [(9, [0.9])]}).axes[0]
    # 9 and 10 lie too close for both to be written.
    assert [label.get_text() for label in axes.get_xticklabels()] == ["9", "1,000"]
