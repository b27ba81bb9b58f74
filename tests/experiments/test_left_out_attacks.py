"""The command line of the study of left-out attacks."""

from experiments import left_out_attacks
from nids_jax.cli.frame import run


def test_help_lists_its_flags(capsys):
    assert run(lambda: left_out_attacks.main, ["--help"], set) == 0
    assert "--max_per_class=1000" in capsys.readouterr().out
