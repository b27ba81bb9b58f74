"""Every code block of the documents: Python is run, tutorials' commands are run, other commands' flags are read."""

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nids_jax.__main__ import COMMANDS, flags_of, main
from nids_jax.cli.flags import HelpRequested

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Pages whose Python needs what only its reader has, with the reason.
NOT_RUN = {
    "README.md": "tests/test_api.py runs it",
    "how-to/distributed.md": "it takes several hosts; tests/two_processes.py runs the same calls",
    "how-to/train.md": "it takes the reader's model; the tutorials run the same calls",
    "how-to/estimators.md": "tests/estimators/test_documents.py runs it",
    "how-to/plug-ins.md": "tests of the plug-ins run it",
}


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*each) for each in found]


def commands(text: str) -> list[list[str]]:
    """The calls of nids_jax and of the experiments in a block of commands, as (command, flags…)."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if not re.search(r"\bnids_jax |experiments\.", line):
            continue
        for part in re.split(r"\s[|&;]+\s", line.split(" #")[0]):
            words = shlex.split(part)
            while words and "=" in words[0]:  # variables
                words = words[1:]
            if words[:1] == ["nids_jax"]:
                found.append(words[1:])
            elif words[:2] == ["python", "-m"] and words[2].startswith("experiments."):
                found.append([words[2].removeprefix("experiments."), *words[3:]])
    return found


def name(page: Path) -> str:
    return str(page.relative_to(ROOT)).removeprefix("docs/")


def test_there_are_blocks_of_every_kind():
    kinds = {block.language for page in PAGES for block in blocks(page)}
    assert {"", "sh", "python", "toml"} <= kinds
    assert sum(len(commands(block.text)) for page in PAGES for block in blocks(page)) > 40


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_flags_of_every_command_exist(page):
    for block in blocks(page):
        if block.language not in ("", "sh"):
            continue
        for command, *arguments in commands(block.text):
            if command.startswith("--") or command == "COMMAND":
                continue
            command = command.replace("-", "_")
            if (ROOT / "experiments" / f"{command}.py").exists() and command not in COMMANDS:
                continue  # a study of its own, which is no command
            assert command in COMMANDS, block.text
            words = [each for each in arguments if "…" not in each and "..." not in each]
            flags = flags_of(command)
            try:
                flags.parse(words, positional=True)
            except HelpRequested:
                continue


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "tutorials").glob("*.md")), ids=name)
def test_tutorials_run_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "sh":
            for arguments in commands(block.text):
                assert main(arguments) == 0, capsys.readouterr().err
        elif block.language == "python":
            exec(block.text, names)


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if any(block.language == "python" for block in blocks(page)) and "tutorials" not in str(page)
    ],
    ids=name,
)
def test_python_runs(page, tmp_path, monkeypatch):
    if name(page) in NOT_RUN:
        pytest.skip(NOT_RUN[name(page)])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    tools = [block.text for block in blocks(page) if block.language == "toml"]
    (tmp_path / "my.toml").write_text("".join(tools[:1]), encoding="utf-8")
    for block in blocks(page):
        if block.language == "python":
            exec(block.text, names)
