"""Flags that are refused before a command is imported, against those that its settings give it."""

import subprocess
import sys

import pytest

from nids_jax.__main__ import COMMANDS, flags_of
from nids_jax.cli.known_flags import KNOWN, hint, refuse_unknown
from nids_jax.errors import InputError


def test_each_command_has_the_flags_that_are_written_down() -> None:
    """Write down in `nids_jax/cli/known_flags.py` what this names."""
    missing = {name: flags_of(name).names - KNOWN.get(name, set()) for name in COMMANDS}
    surplus = {name: flags - flags_of(name).names for name, flags in KNOWN.items()}
    assert not {name: flags for name, flags in missing.items() if flags}
    assert not {name: flags for name, flags in surplus.items() if flags}
    assert [*KNOWN] == [*COMMANDS]  # whose order says which command a hint names


def test_whose_flag_it_is() -> None:
    assert hint("meter", "shots", KNOWN["meter"]) == ": it is about fewshot, not about meter; leave it out"
    assert hint("meter", "lable", KNOWN["meter"]) == "; did you mean --label?"
    assert hint("meter", "qqqqq", KNOWN["meter"]) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output=a.csv", "--nojoined", "--quiet", "x"],
        ["--label", "--nonsense"],  # a value, however odd
        ["--nonsense", "--help"],
        ["--", "--nonsense"],
        ["-nonsense"],
        [],
    ],
)
def test_what_may_be_right_is_left_to_the_command(arguments: list[str]) -> None:
    refuse_unknown("meter", arguments)


@pytest.mark.parametrize("arguments", [["--nonsense"], ["a", "--output=b", "--nonsense=1"], ["--nononsense", "--x"]])
def test_what_cannot_be_right_is_refused(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"unknown flag --(no)?nonsense"):
        refuse_unknown("meter", arguments)
    with pytest.raises(InputError, match=r"^unknown flag --y{40}…$"):
        refuse_unknown("meter", ["--" + "y" * 1000])


def test_an_unknown_flag_imports_no_jax() -> None:
    code = (
        "import sys; from nids_jax.__main__ import main;"
        "status = main(['fewshot', '--captures=x']); sys.exit(status if not {'jax', 'numpy'} & {*sys.modules} else 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: unknown flag --captures: it is about packet_augmentation, not about fewshot; leave it out\n"
    )
