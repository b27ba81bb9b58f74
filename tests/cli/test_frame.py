"""The frame around every command: sentences, exit codes, closed pipes, full disks, signals, strange names."""

import contextlib
import io
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.__main__ import COMMANDS, main
from nids_jax.cli import ending, frame, output
from nids_jax.cli.flags import Flags
from nids_jax.errors import InputError, TrainingError, shown
from nids_jax.settings import check_settings, number, setting
from tests.flows.capture_writer import Sent, pcap

FULL = Path("/dev/full")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Of every kind of setting."""

    shots: tuple[int, ...] = setting((5, 50), "Rows.")
    rates: tuple[float, ...] = setting((), "Rates.")
    names: tuple[str, ...] = setting(("a",), "Names.")
    seed: int = setting(3, "Seed.", least=1)
    most: int | None = setting(None, "Most.")
    kind: Literal["this", "that"] | None = setting(None, "Kind.")
    guidance: float | None = setting(None, "Weight.", least=0, most=100)
    fast: bool = setting(True, "Fast.")
    text: str | None = setting(None, "Text.")
    inside: int = 7  # no flag


def built(*arguments: str, **further: int) -> Wanted:
    flags = Flags([Wanted])
    flags.parse(arguments)
    return flags.build(Wanted, **further)


def test_flags_are_the_settings():
    assert built() == Wanted()
    given = built("--shots=7, 9", "--rates=1e-3,2", "--names=x,y", "--seed=4", "--kind=that", "--nofast", "--text=a,b")
    wanted = Wanted(shots=(7, 9), rates=(1e-3, 2.0), names=("x", "y"), seed=4, kind="that", fast=False, text="a,b")
    assert given == wanted
    assert built("--guidance=1.5", "--most=2", inside=8) == Wanted(guidance=1.5, most=2, inside=8)
    assert Flags([Wanted]).names == {
        *("shots", "rates", "names", "seed", "most", "kind", "guidance", "fast", "text"),
    }


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--shots=", "`shots` is empty; give positive whole numbers, such as 5,50, or leave it out"),
        ("--shots=0", "`shots` is 0; it must be at least 1"),
        ("--shots=5,100000001", "`shots` is 100,000,001; it must be at most 100,000,000"),
        ("--shots=5,,7", "`shots` has ''"),
        ("--shots=٣", "`shots` has"),
        (f"--shots={'9' * 5000}", "`shots` has '9999"),
        ("--rates=x", "`rates` has 'x'; give numbers, such as"),
        ("--rates=\uff11", "`rates` has '\uff11'"),
        ("--rates=nan", "`rates` has 'nan'"),
        ("--rates=1e999", "`rates` is inf; give a finite number"),
        (f"--rates={'9' * 5000}", "`rates` has '9999"),
        ("--names=x,,y", "`names` has ''; give one name or more"),
        ("--seed=0", "`seed` is 0; it must be at least 1"),
        ("--seed=100000001", "`seed` is 100,000,001; it must be at most 100,000,000"),
        ("--seed=\uff15", "is no whole number in digits"),
        ("--seed=1_0", "is no whole number in digits"),
        ("--seed=0x10", "is no whole number in digits"),
        (f"--seed={'9' * 5000}", "is no whole number in digits"),
        ("--guidance=1e30", "`guidance` is 1e+30; it must be at most 100"),
        ("--guidance=\uff11", "is no number in digits"),
        (f"--{'s' * 5000}=1", "unknown flag --ssss"),
        ("--kind=other", "kind"),
        ("--inside=3", "unknown flag --inside"),
        ("--sed=3", "unknown flag --sed; did you mean --seed?"),
        ("more", "unexpected argument 'more'"),
    ],
)
def test_values_that_do_not_fit(argument: str, said: str):
    with pytest.raises(InputError) as caught:
        built(argument)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(st.text(max_size=8) | st.from_regex(r"[+-]?[0-9.]{0,5}(e[+-]?[0-9]{1,3})?", fullmatch=True))
def test_numbers_in_ascii_digits_are_read_as_python_reads_them(text: str):
    for kind in (int, float):
        expected = None
        with contextlib.suppress(ValueError):
            expected = kind(text)
        if expected is None or not text.isascii() or "_" in text or not any(map(str.isdigit, text)):
            with pytest.raises(ValueError, match="in digits"):
                number(kind, text)
        else:
            assert number(kind, text) == expected


def test_settings_are_checked_without_a_command_line():
    check_settings(Wanted())
    with pytest.raises(InputError, match="`guidance` is nan; give a finite number"):
        check_settings(Wanted(guidance=math.nan))
    with pytest.raises(InputError, match=r"`rates` is inf"):
        check_settings(Wanted(rates=(0.1, math.inf)))


def test_help_names_every_flag_with_its_default():
    text = Flags([Wanted]).help("title", "About.")
    for part in ("title\n\nAbout.", "--shots=5,50\n      Rows.", "One of this, that.", "--nofast turns it off"):
        assert part in text


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("`shots` is 0, not `this`: pass `rows=10`"), 2, "--shots is 0, not `this`: pass --rows=10"),
        (TrainingError("the loss became nan"), 2, "the loss became nan"),
        (OSError("odd"), 2, "odd"),
        (OSError(), 2, "OSError()"),
        (FileNotFoundError(2, "No such file", "x"), 2, "No such file: x"),
        (MemoryError("8 GiB"), 2, "not enough memory (8 GiB); ask for fewer rows"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_every_failure_has_a_sentence_and_a_status(error: BaseException, status: int, said: str, capsys):
    def command(_):
        raise error

    assert frame.run(lambda: command, [], lambda: {"shots", "rows"}) == status
    found = capsys.readouterr().err
    assert said in found
    assert found.count("\n") == 1


def test_what_is_shown_cannot_steer_the_terminal(capsys):
    output.say("a\x1b[31mb\u202ec", "d\r")
    assert capsys.readouterr().out == "a\\x1b[31mb\\u202ec\nd\\r\n"
    output.warn("a name\nerror: forged\u2028" + "x" * 5000)
    assert capsys.readouterr().err == "a name\\nerror: forged\\u2028" + "x" * 100 + "…" + "x" * 20 + "\n"
    output.prepare()
    warnings.showwarning("odd\x1b", UserWarning, "file", 1)
    assert capsys.readouterr().err == "warning: odd\\x1b\n"


@given(st.text(max_size=30))
def test_shown_names_are_one_printable_line(name: str):
    found = shown(name)
    assert found.isprintable()
    assert "\n" not in found
    assert found == name or not name.isprintable()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    sent = [Sent(1_000_000 * i, "10.0.0.9", "10.0.0.1", (2000, 80), 17, 9, 0, 0, 0, 0, 0) for i in range(3)]
    path = tmp_path / "ä.pcap"
    path.write_bytes(pcap(sent, 1))
    return path


def meter(capture: Path, *flags: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "nids_jax", "meter", f"--captures={capture}", f"--output={capture.parent}/out.csv"]
    return subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, **options)


def test_a_closed_pipe_costs_nothing_but_the_lines(capture: Path):
    reading, writing = os.pipe()
    os.close(reading)
    going = meter(capture, stdout=writing)
    os.close(writing)
    assert going.communicate(timeout=60)[1] == b""
    assert going.returncode == 0
    assert (capture.parent / "out.csv").exists()


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_a_full_standard_output_is_said_and_the_work_goes_on(capture: Path):
    with FULL.open("w") as full:
        going = meter(capture, stdout=full)
        error = going.communicate(timeout=60)[1]
    assert going.returncode == 0
    assert error.decode().startswith("standard output cannot be written (No space left on device)")
    assert (capture.parent / "out.csv").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_another_encoding_shows_escapes(capture: Path, encoding: str):
    going = meter(
        capture, "--label=Bötnet – 1", stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    shown, error = going.communicate(timeout=60)
    assert (going.returncode, error) == (0, b"")
    assert (b"\\xe4" if encoding == "ascii" else "ä".encode(encoding)) + b".pcap: packets: 3" in shown
    assert ",Bötnet – 1\n" in (capture.parent / "out.csv").read_text(encoding="utf-8").replace('"', "")


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_is_shown_in_any_encoding(command: list[str], monkeypatch: pytest.MonkeyPatch):
    found = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", found)
    assert main([*command, "--help"]) == 0
    found.seek(0)
    assert found.read().startswith("usage: nids_jax" if not command else f"nids_jax {command[0]}: ")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_cost_nothing(capture: Path, closed: tuple[int, ...]):
    flags = [f"--captures={capture}", f"--output={capture.parent}/out.csv"]
    closing = " ".join(f"{descriptor}>&-" for descriptor in closed)
    # By a shell, as a function before the start would fork this process, which JAX may have given threads.
    command = ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-m", "nids_jax", "meter", *flags]
    going = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shown, error = going.communicate(timeout=60)
    assert (going.returncode, error) == (0, b"")
    assert bool(shown) == (1 not in closed)
    assert (capture.parent / "out.csv").read_bytes().startswith(b'"')


def test_events_for_a_standard_output_that_takes_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(BrokenPipeError):
        output.emit("{}\n")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_events_for_a_full_standard_output_are_refused():
    code = "from nids_jax.cli import frame, output; raise SystemExit(frame.run(lambda: output.emit, '{}', set))"
    with FULL.open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    said = "error: standard output cannot be written (No space left on device); name a file with `output`\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_with_130(sent: signal.Signals, tmp_path: Path):
    """At once, while it is still being imported, and in the middle."""
    for wait in (0.3, 6.0):
        flags = ["--preset=demo", "--seeds=50", f"--output_dir={tmp_path}", "--classifiers=random_forest"]
        command = [sys.executable, "-m", "nids_jax", "fewshot", "--generators=real", *flags]
        going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(wait)
        going.send_signal(sent)
        error = going.communicate(timeout=60)[1].decode()
        assert "Traceback" not in error
        assert (going.returncode, "interrupted" in error) == (130, True), (wait, error)


STUCK = """
import sys, time
from nids_jax.cli import ending, frame
ending.GRACE_S = {grace}
def wait(*_):
    state = "ready"
    while True:
        try:
            print(state, flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            state = "swallowed"
ending.own_process()
{stuck}
sys.exit(frame.run({load}, [], set))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("stuck", "load", "grace", "signals"),
    [
        ("wait()", "None", 60, 1),  # before the command has taken over
        ("", "wait", 60, 1),  # while it is imported
        ("", "lambda: wait", 0.2, 1),  # in code that lets no interruption through
        ("", "lambda: wait", 60, 2),  # twice
    ],
)
def test_what_does_not_end_by_itself_is_ended(sent: signal.Signals, stuck: str, load: str, grace: float, signals: int):
    code = STUCK.format(stuck=stuck, load=load, grace=grace)
    going = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert going.stdout is not None
    assert going.stdout.readline() == b"ready\n"
    for count in range(signals):
        going.send_signal(sent)
        if count + 1 < signals:
            assert going.stdout.readline() == b"swallowed\n"
    error = going.communicate(timeout=20)[1].decode()
    assert (going.returncode, error) == (130, f"{ending.SENTENCE}\n")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_meter_is_interrupted_at_any_moment(capture: Path, sent: signal.Signals):
    """From its first own line on; it may be done before the later ones."""
    start = "from nids_jax.__main__ import entry_point; from nids_jax.cli import ending; ending.own_process();"
    flags = ["meter", f"--captures={capture}", f"--output={capture.parent}/out.csv"]
    code = f"{start} print('ready', flush=True); entry_point()"
    for wait in (0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8):
        going = subprocess.Popen([sys.executable, "-c", code, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert going.stdout is not None
        assert going.stdout.readline() == b"ready\n"
        time.sleep(wait)
        going.send_signal(sent)
        error = going.communicate(timeout=20)[1].decode()
        if (capture.parent / "out.csv").exists() and going.returncode != 130:
            assert going.returncode in (0, -sent), (wait, error)  # the latter while Python itself ends
            assert error == ""
            break
        assert (going.returncode, error) == (130, f"{ending.SENTENCE}\n"), wait
        assert [*capture.parent.glob(".*")] == []
        if wait == 0:
            assert going.returncode == 130


def test_what_is_not_installed_is_named(capsys: pytest.CaptureFixture):
    def load() -> frame.Main:
        import nothing_of_this_name  # noqa: F401 # pyright: ignore[reportMissingImports]

        raise AssertionError

    assert frame.run(load, [], set) == frame.BAD_INPUT
    said = (
        "error: this needs nothing_of_this_name, which is not installed; install this package with all that it needs\n"
    )
    assert capsys.readouterr().err == said
