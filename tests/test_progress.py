"""Bars on a terminal, plain lines elsewhere, nothing where nothing is wanted."""

import io

import pytest

from nids_jax import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that is put forward by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def run(clock, seconds: float, title: str | None = "CDDPM") -> None:
    with progress.follow(title, 2000, "step", done=500) as bar:
        for _ in range(10):
            clock[0] += seconds / 10
            bar.set_postfix_str("loss 1.5")
            bar.update(150)


def test_a_log_gets_a_line_every_ten_seconds(clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    run(clock, 30)
    lines = stream.getvalue().splitlines()
    # 150 steps in 3 s: 50 steps/s, after 12 s 600 more than the 500, and 900 left
    assert lines[0] == "CDDPM: 1,100 of 2,000 steps, 50 steps/s, 0:18 left; loss 1.5"
    assert len(lines) == 2
    assert "\r" not in stream.getvalue()


def test_short_work_is_not_spoken_of(clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    run(clock, 9)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar(clock, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    run(clock, 1)
    assert "\r" in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("why", ["no title", "TQDM_DISABLE", "quiet"])
def test_nothing_where_nothing_is_wanted(clock, monkeypatch, stream, why):
    shown = stream()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(progress, "_hushed", why == "quiet")
    if why == "TQDM_DISABLE":
        monkeypatch.setenv("TQDM_DISABLE", "1")
    run(clock, 60, None if why == "no title" else "CDDPM")
    assert shown.getvalue() == ""


def test_long_times_have_hours():
    assert progress._clock(3725.4) == "1:02:05"
    assert progress._clock(59.6) == "1:00"
