"""How fast this package trains, samples and judges on an accelerator, beside PyTorch on the same one.

    python -m benchmarks.accelerator --output_dir=out/gpu

Each point (a program, a batch, a precision, one device or all) is timed in a process of its own and kept in
points.jsonl as it is found: after a kill, the same command goes on with the others.  What fails is a line that says
why; delete it to try again.  accelerator.md is the table so far.  A CPU is timed as well: with --batches=64, say.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import asked
from benchmarks.gpu.ours import CASES, FLOAT32, ONE_DEVICE, PRECISIONS
from benchmarks.gpu.point import OURS, RUNNERS, Point, key
from nids_jax import store
from nids_jax.cli import frame, output
from nids_jax.cli.flags import Flags
from nids_jax.errors import InputError, check_names
from nids_jax.files import write_atomic, writing
from nids_jax.presets import PRESETS
from nids_jax.report.conditions import Table
from nids_jax.report.tables import markdown
from nids_jax.settings import setting

POINTS, ENVIRONMENT, TABLE = "points.jsonl", "environment.json", "accelerator.md"
_SAME = ("device", "devices", "jax", "jaxlib")  # of the environment, for points to share a table
_LIMIT_S = 1800.0  # of a point; what takes longer hangs

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """What to time:"""

    output_dir: str = setting("out/gpu", "Folder for the points and the table.")
    preset: str = setting("cpu", "Whose networks.", choices=tuple(PRESETS))
    programs: tuple[str, ...] = setting((), "Programs whose name begins so; default: all.")
    batches: tuple[int, ...] = setting((1024, 10_240, 102_400, 1_048_576), "Rows of a batch.", least=1)
    precisions: tuple[str, ...] = setting(tuple(PRECISIONS), "float32, tf32, bfloat16.")
    repeats: int = setting(5, "Steady runs of each, in turns.", least=1)

    def __post_init__(self) -> None:
        check_names("precisions", self.precisions, PRECISIONS)
        if self.programs and not any(name.startswith(self.programs) for name in CASES):
            raise InputError(f"no program of `programs` {', '.join(self.programs)}; there are {'; '.join(CASES)}")


def points(wanted: Accelerator, environment: Line) -> Iterator[Point]:
    """All that there is to time on such a machine, small batches first."""
    for batch in wanted.batches:
        for program in CASES:
            if wanted.programs and not program.startswith(wanted.programs):
                continue
            for precision in wanted.precisions:
                if (precision == "tf32" and environment["backend"] == "cpu") or (
                    precision == "bfloat16" and program in FLOAT32
                ):
                    continue
                yield Point(program, batch, precision, "one", wanted.preset, RUNNERS, wanted.repeats)
                if environment["devices"] > 1 and program not in ONE_DEVICE:
                    yield Point(program, batch, precision, "all", wanted.preset, (OURS,), wanted.repeats)


def timed(point: Point, limit_s: float = _LIMIT_S) -> Iterator[Line]:
    """The lines of a point, from a process of its own; also those of runners that it took down with it."""
    missing = [*point.runners]
    with tempfile.TemporaryFile() as errors:
        process = _started(errors, json.dumps(point._asdict()))
        killer = threading.Timer(limit_s, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            for text in process.stdout:
                line = json.loads(text)
                missing.remove(line["runner"])
                yield line
            status = process.wait()
            late = killer.finished.is_set()
        finally:
            killer.cancel()
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    ended = f"took more than {limit_s:.0f} s" if late else f"its process ended with status {status}"
    for runner in missing:
        last = f": {said[-1]}" if said and not late else ""
        yield {**key(point), "runner": runner, "reason": (ended + last)[:300]}


def _started(errors: Any, *arguments: str) -> subprocess.Popen[bytes]:
    # JAX leaves room for PyTorch in the same process, and devices are counted as nvidia-smi counts them.
    own = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    command = [sys.executable, "-m", "benchmarks.gpu.point", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**own, **os.environ})


def machine() -> Line:
    """The devices and versions that a point's process finds; this one leaves the devices alone."""
    with tempfile.TemporaryFile() as errors:
        process = _started(errors)
        found, _ = process.communicate()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise InputError(f"JAX does not start: {said[-1] if said else f'status {process.returncode}'}")
    return json.loads(found)


def main(arguments: Sequence[str]) -> None:
    """Time what is missing in the folder."""
    wanted = asked(Accelerator, "benchmarks.accelerator", __doc__, arguments)
    if wanted is None:
        return
    folder, environment = Path(wanted.output_dir), machine()
    environment["preset"] = wanted.preset
    _check_same(folder, environment)
    if environment["backend"] == "cpu":
        output.warn("note: JAX finds no accelerator here, so this CPU is timed")
    found = {_name(line): line for line in read(folder)}
    for point in points(wanted, environment):
        if all((*key(point).values(), runner) in found for runner in point.runners):
            continue
        output.warn(f"{point.program}, batch {point.batch:,}, {point.precision}, devices: {point.devices}")
        lines = [*timed(point)]
        _append(folder / POINTS, lines)
        found |= {_name(line): line for line in lines}
        write_atomic(folder / TABLE, markdown(table([*found.values()], environment)).encode())
    print(markdown(table([*found.values()], environment)))


def _name(line: Line) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("program", "batch", "precision", "devices", "runner"))


def read(folder: Path) -> list[Line]:
    """The lines that are there; a last one that a kill has torn is not."""
    path = folder / POINTS
    texts = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
    try:
        return [json.loads(text) for text in texts[:-1]]
    except ValueError as error:
        raise InputError(f"{path} holds a line that is no JSON ({error}); delete it") from None


def _append(path: Path, lines: Sequence[Line]) -> None:
    with writing(path, "output_dir"), open(path, "a+b") as file:
        file.seek(0)
        whole = file.read()
        file.truncate(whole.rfind(b"\n") + 1)
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _check_same(folder: Path, environment: Line) -> None:
    """Keep what the machine is, or refuse a folder with another's points."""
    path = folder / ENVIRONMENT
    if not path.exists():
        with writing(path, "output_dir"):
            folder.mkdir(parents=True, exist_ok=True)
        store.write_json(path, environment)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    for name in (*_SAME, "preset"):
        if before.get(name) != environment[name]:
            raise InputError(
                f"`output_dir` {folder} holds points of {name} {before.get(name)}, and here it is "
                f"{environment[name]}; name another folder"
            )


def table(lines: Sequence[Line], environment: Line) -> Table:
    """A line for each point and runner."""
    header = (
        *("program", "batch", "precision", "devices", "by", "compiling, s", "rows/s (least to most)"),
        *("times ours", "TFLOP/s", "of a product's", "of the data sheet's", "mJ a row"),
    )
    ours = {_name(line)[:4]: line for line in lines if line["runner"] == OURS and "rates" in line}
    rows = [_row(line, ours.get(_name(line)[:4])) for line in lines]
    note = (
        "Medians of steady runs in turns; compilation is apart.  Times ours: seconds a row over ours, the median of the"
        " turns.  TFLOP/s count products alone.  A product's: of large square matrices of the same precision, timed in"
        " the same turns on the same devices.  bfloat16: CDDPM by its setting, the other networks by rows in bfloat16,"
        " PyTorch by autocast.  Energy is what nvidia-smi says is drawn, idle draw included; –: not told.  PyTorch is"
        " timed on one device, in the same process as ours; a GAN trains on one."
    )
    devices = f"{environment['devices']} × {environment['device']}"
    return Table(f"Preset {environment['preset']}, {devices}, JAX {environment['jax']}", header, rows, note)


def _row(line: Line, ours: Line | None) -> tuple[str, ...]:
    named = (line["program"], f"{line['batch']:,}", line["precision"], line["devices"], line["runner"])
    if "reason" in line:
        return (*named, "–", line["reason"].replace("|", "/"), *["–"] * 5)
    rates, flop = line["rates"], line["flop_per_row"]
    median = statistics.median(rates)
    ratio = None
    if ours is not None and ours is not line and len(ours["rates"]) == len(rates):
        ratio = statistics.median(mine / its for mine, its in zip(ours["rates"], rates, strict=True))
    done = None if flop is None else median * flop

    def share(of: float | None) -> str:
        return "–" if done is None or of is None else f"{done / of:.1%}"

    return (
        *named,
        "–" if line["compile_s"] is None else f"{line['compile_s']:.1f}",
        f"{median:,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
        "–" if ratio is None else f"{ratio:.2f}",
        "–" if done is None else f"{done / 1e12:,.3g}",
        share(line["peak"]),
        share(line["sheet"]),
        "–" if line["joules_per_row"] is None else f"{1e3 * line['joules_per_row']:.3g}",
    )


if __name__ == "__main__":
    sys.exit(frame.run(lambda: main, sys.argv[1:], lambda: Flags([Accelerator]).names))
