"""`nids_jax tools`: the list of traffic tools, by label, with tools of one's own."""

import pytest

from nids_jax.__main__ import main
from nids_jax.flows.simulate.tools import TOOLS
from tests.flows.test_tools import EXAMPLES


def test_every_tool_is_a_line(capsys: pytest.CaptureFixture[str]):
    assert main(["tools"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "ports", "summary", "source", "labels"]
    assert [line.split()[0] for line in lines[1:]] == list(TOOLS)
    at = dict(zip(TOOLS, lines[1:], strict=True))
    assert "udp from 123 to 1-65535" in at["ntp_reflection"]
    assert "DrDoS_NTP" in at["ntp_reflection"]
    assert "tcp 80,8000,8080 " in at["hulk"]
    assert "(benign)" in at["web"]
    assert "protocol 47 " in at["mirai_greip"]
    assert " more " in at["benign"]


def test_a_label_has_its_tool(capsys: pytest.CaptureFixture[str]):
    assert main(["tools", "--label=DoS attacks-Hulk"]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.startswith("hulk ")


def test_own_tools_come_first(capsys: pytest.CaptureFixture[str], tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("\n".join(EXAMPLES), encoding="utf-8")
    assert main(["tools", f"--tools={path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("slow_upload ")
    assert len(lines) == 3 + len(TOOLS)
    assert main(["tools", f"--tools={path}", "--label=camera recon"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("camera_scan ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label=DrDoS_DNSS"], "--label is 'DrDoS_DNSS', which no tool answers; did you mean 'DrDoS_DNS'"),
        (["--label=zzzz"], "--label is 'zzzz', which no tool answers; leave it out to list the labels of all"),
        (["--tools=none.toml"], "--tools names none.toml, which cannot be read"),
        (["--lable=Bot"], "did you mean --label?"),
    ],
)
def test_mistakes(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["tools", *arguments]) == 2
    assert words in capsys.readouterr().err
