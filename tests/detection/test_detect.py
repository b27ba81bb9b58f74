"""`nids_jax detect`: the same verdicts from captures, tables and streams; EVE that other programs read."""

import gzip
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import numpy as np
import pandas as pd
import pytest

import nids_jax
from nids_jax.__main__ import main
from nids_jax.bundle.model import Model
from nids_jax.detection import output as outputs
from nids_jax.detection.tables import table_pieces
from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURES
from tests.detection.conftest import CLASSES

# Suricata's flow and alert events, as its documentation describes them, and this package's own object.
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_TEXT: dict[str, Any] = {"type": "string"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}[+-]\d{4}$"}
_PORT = {"type": "integer", "minimum": 0, "maximum": 65535}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_COUNTS = {f"{what}_{side}": _COUNT for what in ("pkts", "bytes") for side in ("toserver", "toclient")}
_FLOW = _object(
    {
        **_COUNTS,
        **dict.fromkeys(("start", "end"), _TIME),
        "age": _COUNT,
        "state": {"enum": ["new", "established", "closed"]},
        "reason": {"enum": ["timeout", "forced", "shutdown"]},
        "alerted": {"type": "boolean"},
    },
    [*_COUNTS, "start"],
)
_ALERT = _object(
    {
        "action": {"enum": ["allowed", "blocked"]},
        **dict.fromkeys(("gid", "signature_id", "rev", "severity"), _COUNT),
        **dict.fromkeys(("signature", "category"), _TEXT),
    },
    ["action", "gid", "signature_id", "rev", "severity", "signature", "category"],
)
_EVENT = _object(
    {
        "timestamp": _TIME,
        "flow_id": _COUNT,
        "event_type": {"enum": ["flow", "alert"]},
        **dict.fromkeys(("src_ip", "dest_ip", "proto", "community_id"), _TEXT),
        **dict.fromkeys(("src_port", "dest_port"), _PORT),
        **dict.fromkeys(("icmp_type", "icmp_code"), _COUNT),
        "flow": _FLOW,
        "alert": _ALERT,
        "nids_jax": {"type": "object"},
    },
    ["timestamp", "flow_id", "event_type", "src_ip", "dest_ip", "proto", "community_id", "flow", "nids_jax"],
)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def flows_of(path: Path) -> list[dict[str, Any]]:
    return [event for event in events(path) if event["event_type"] == "flow"]


def test_a_captures_flows_are_judged_as_the_model_judges_them(
    model: Model, saved: Path, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "eve.json"
    assert main(["detect", f"--model={saved}", str(capture), f"--output={out}"]) == 0
    frame = nids_jax.meter(capture)
    want = model.predict(frame)
    found = flows_of(out)
    assert len(found) == len(frame)
    key = ["src_ip", "src_port", "dest_ip", "dest_port"]
    named = {tuple(event[each] for each in key): event["nids_jax"]["class"] for event in found}
    ends = ["source_ip", "source_port", "destination_ip", "destination_port"]
    rows = zip(*(frame[each].tolist() for each in ends), want, strict=True)
    assert {row[:4]: row[4] for row in rows} == named
    # What the tools sent is found: the model was trained on other conversations of theirs.
    labels = pd.read_csv(capture.with_suffix(".labels.csv"))
    truth = {tuple(row[:4]): row[4] for row in labels[[*ends, "Label"]].itertuples(index=False)}
    known = {tool: name for name, tool in CLASSES.items()}
    right = [known[truth[flow]] == name for flow, name in named.items() if flow in truth]
    assert len(right) >= 100
    assert np.mean(right) > 0.9
    printed = capsys.readouterr().out
    assert "flows" in printed
    assert "sources of most alerts" in printed


def test_other_programs_read_the_events(saved: Path, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "eve.json"
    assert main(["detect", f"--model={saved}", str(capture), f"--output={out}", "--explain=2"]) == 0
    for event in events(out):
        jsonschema.validate(event, _EVENT)
        assert (event["event_type"] == "alert") == ("alert" in event)
        reasons = event["nids_jax"].get("reasons", [])
        assert all(set(each) == {"feature", "value", "weight", "error"} for each in reasons)
        assert len(reasons) == (2 if event["event_type"] == "alert" or event["flow"]["alerted"] else 0)
    query = f"select event_type, count(*), sum(flow.pkts_toserver) from read_json_auto('{out}') group by 1 order by 1"
    with duckdb.connect() as connection:
        counted = connection.execute(query).fetchall()
    found = events(out)
    assert {row[0]: row[1] for row in counted} == {
        kind: sum(event["event_type"] == kind for event in found) for kind in ("alert", "flow")
    }
    ids = {event["flow_id"]: event for event in found if event["event_type"] == "flow"}
    assert all(event["flow_id"] in ids for event in found)
    assert len(ids) == sum(event["event_type"] == "flow" for event in found)


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
def test_jq_reads_the_alerts(saved: Path, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "eve.json"
    assert main(["detect", f"--model={saved}", str(capture), f"--output={out}"]) == 0
    query = 'select(.event_type == "alert") | .alert.signature'
    done = subprocess.run(["jq", "-r", query, str(out)], capture_output=True, text=True, check=True)
    want = [event["alert"]["signature"] for event in events(out) if event["event_type"] == "alert"]
    assert done.stdout.splitlines() == want


def test_tables_by_name_in_any_order(saved: Path, capture: Path, tmp_path: Path) -> None:
    """Reversed columns, further ones, another spelling, and no label give the verdicts of the capture."""
    frame = nids_jax.meter(capture)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    turned = frame[[*frame.columns[::-1]]]
    turned.columns = [{"flow_duration": " Flow Duration", "source_ip": "Src IP"}.get(name, name) for name in turned]
    turned.assign(extra="x", Label="none").to_parquet(tmp_path / "turned.parquet", index=False)
    with gzip.open(tmp_path / "semicolon.csv.gz", "wt") as file:
        file.write(frame.to_csv(index=False, sep=";", decimal=","))
    verdicts = {}
    for name in ("plain.csv", "turned.parquet", "semicolon.csv.gz"):
        out = tmp_path / f"{name}.out.csv"
        assert main(["detect", f"--model={saved}", str(tmp_path / name), f"--output={out}"]) == 0
        verdicts[name] = pd.read_csv(out)
    first = verdicts.pop("plain.csv")
    assert first["row"].tolist() == [*range(1, len(frame) + 1)]
    assert first["source_ip"].tolist() == frame["source_ip"].tolist()
    for other in verdicts.values():
        pd.testing.assert_frame_equal(
            first[["class", "alert", "community_id"]], other[["class", "alert", "community_id"]]
        )
        np.testing.assert_allclose(first["score"], other["score"], atol=1e-9)
    eve = tmp_path / "eve.json"
    assert main(["detect", f"--model={saved}", str(tmp_path / "plain.csv"), f"--output={eve}"]) == 0
    assert [event["nids_jax"]["row"] for event in flows_of(eve)] == first["row"].tolist()


def test_a_table_with_names_for_numbers_and_without_a_moment(tmp_path: Path) -> None:
    """What a model takes for a category still names the flow; a row without a start is given none."""
    frame = pd.DataFrame(
        {
            "flow_duration": [1.5, 2.5],
            "protocol": [6, 17],
            "Src IP": "10.0.0.1",
            "Dst IP": "10.0.0.2",
            "Src Port": 1234,
            "Dst Port": 80,
            "Timestamp": ["2024-05-01T00:00:00Z", ""],
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    (piece,) = table_pieces(tmp_path / "a.csv", ["protocol", "flow_duration"], ["protocol"])
    assert piece.frame["protocol"].tolist() == ["6", "17"]
    assert piece.observed.protocol is not None
    assert piece.observed.protocol.tolist() == [6, 17]
    assert piece.observed.start is None
    assert piece.observed.community_ids is not None
    assert all(each.startswith("1:") for each in piece.observed.community_ids)
    frame.iloc[:1].to_csv(tmp_path / "b.csv", index=False)
    (piece,) = table_pieces(tmp_path / "b.csv", ["flow_duration"], [])
    assert piece.observed.start is not None
    assert piece.observed.start.tolist() == [int(datetime(2024, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000]


def test_a_table_of_features_alone(model: Model, saved: Path, capture: Path, tmp_path: Path) -> None:
    frame = nids_jax.meter(capture)[list(model.features)]
    frame.to_csv(tmp_path / "bare.csv", index=False)
    out = tmp_path / "out.parquet"
    assert main(["detect", f"--model={saved}", str(tmp_path / "bare.csv"), f"--output={out}"]) == 0
    assert pd.read_parquet(out)["class"].tolist() == model.predict(frame).tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model={saved}"], "no file is named"),
        (["lab.pcap"], "--model is missing"),
        (["--model=none", "{capture}"], "none"),
        (["--model={saved}", "none.pcap"], "cannot read the capture none.pcap"),
        (["--model={saved}", "none.csv"], "none.csv cannot be read"),
        (["--model={saved}", "{capture}", "-"], "- is standard input, which goes alone"),
        (["--model={saved}", "{capture}", "--output=x.txt"], "'x.txt'; name a file that ends in"),
        (["--model={saved}", "{capture}", "--output=-", "--format=csv"], "no format for standard output"),
        (["--model={saved}", "{capture}", "--max_false_positives=1.5"], "--max_false_positives is 1.5"),
        (["--model={saved}", "{capture}", "--explain=-1"], "--explain is -1"),
        (["--model={saved}", "few.csv"], "flow_duration"),
    ],
)
def test_bad_input_ends_with_one_sentence(
    saved: Path,
    capture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.csv").write_text("total_fwd_packets,b\n1,2\n")
    given = [each.format(saved=saved, capture=capture) for each in arguments]
    assert main(["detect", *given]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert said in error[0]


def test_another_meter_mode_is_warned_of(
    saved: Path, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", f"--model={saved}", str(capture), "--compat=cicflowmeter"]) == 0
    assert "trained on records of --compat=none, and these are of --compat=cicflowmeter" in capsys.readouterr().err
    assert main(["detect", f"--model={saved}", str(capture)]) == 0
    assert "warning" not in capsys.readouterr().err


def test_a_folder_of_everything(saved: Path, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.pcap1").write_bytes(capture.read_bytes())
    (folder / "b.pcap.gz").write_bytes(gzip.compress(capture.read_bytes()))
    (folder / "empty.pcap").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    nids_jax.meter(capture).to_csv(folder / "c.csv", index=False)
    out = tmp_path / "out.json"
    assert main(["detect", f"--model={saved}", str(folder), f"--output={out}"]) == 0
    assert len(flows_of(out)) == 3 * len(nids_jax.meter(capture))
    said = capsys.readouterr().err
    assert "notes.txt" in said
    assert "passed over" in said
    assert "empty.pcap" in said


# --- Live ------------------------------------------------------------------------------------------------------------


def detect(saved: Path, *arguments: str, **options: Any) -> subprocess.Popen:
    command = [sys.executable, "-m", "nids_jax", "detect", f"--model={saved}", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finish(going: subprocess.Popen) -> bytes:
    """What it says on standard error, once it has ended."""
    assert going.stderr is not None
    error = going.stderr.read()
    going.wait(timeout=120)
    for stream in (going.stdin, going.stdout, going.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    return error


def test_a_stream_gives_what_the_file_gives_and_as_flows_end(saved: Path, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "file.json"
    assert main(["detect", f"--model={saved}", str(capture), f"--output={out}"]) == 0
    content = capture.read_bytes()
    going = detect(saved, "-", "--output=-")
    assert going.stdin is not None
    assert going.stdout is not None
    going.stdin.write(content[: len(content) * 3 // 4])
    going.stdin.flush()
    early = going.stdout.readline()  # before the stream ends
    assert json.loads(early)["event_type"] in ("flow", "alert")
    going.stdin.write(content[len(content) * 3 // 4 :])
    going.stdin.close()
    rest = going.stdout.read()
    error = finish(going)
    lines = [early, *rest.splitlines()]
    assert sorted(json.dumps(json.loads(line)) for line in lines) == sorted(map(json.dumps, events(out)))
    assert b"standard input: packets" in error


def test_a_killed_live_run_leaves_whole_lines_and_the_next_one_adds_to_them(
    saved: Path, capture: Path, tmp_path: Path
) -> None:
    out = tmp_path / "live.json"
    going = detect(saved, "-", f"--output={out}")
    assert going.stdin is not None
    going.stdin.write(capture.read_bytes())
    going.stdin.flush()
    until = time.monotonic() + 60
    while (not out.exists() or not out.stat().st_size) and time.monotonic() < until:
        time.sleep(0.1)
    going.send_signal(signal.SIGKILL)
    finish(going)
    before = events(out)
    assert before
    again = detect(saved, "-", f"--output={out}")
    _, error = again.communicate(capture.read_bytes(), timeout=120)
    assert again.returncode == 0, error
    assert events(out)[: len(before)] == before
    assert len(events(out)) > len(before)


def test_two_processes_on_one_live_file_are_refused(tmp_path: Path) -> None:
    first = outputs.LiveFile(tmp_path / "live.json")
    with pytest.raises(InputError, match="being written by another process"):
        outputs.LiveFile(tmp_path / "live.json")
    first.close()
    outputs.LiveFile(tmp_path / "live.json").close()


def test_no_more_is_imported_than_is_needed(saved: Path, capture: Path, tmp_path: Path) -> None:
    """Libraries that take longer to import than a small capture to read come where they are used."""
    code = f"""
import sys
from nids_jax.__main__ import main
assert main(["meter", "--captures={capture}", "--output={tmp_path}/a.csv"]) == 0
assert main(["meter", "--captures={capture}", "--output={tmp_path}/a.parquet"]) == 0
assert "nids_jax.flows.meter" in sys.modules
assert main(["detect", "--model={saved}", "{capture}", "--output={tmp_path}/a.json"]) == 0
heavy = {{"jax", "flax", "optax", "shap", "sklearn", "xgboost", "pandas", "matplotlib", "absl.logging"}}
heavy |= {{"scipy.linalg", "scipy.special", "scipy.stats", "pyarrow.compute"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read = pd.read_csv(tmp_path / "a.csv")
    assert read["source_ip"].tolist() == pd.read_parquet(tmp_path / "a.parquet")["source_ip"].tolist()


def test_compiled_functions_of_others_still_multiply_matrices() -> None:
    import numba

    import nids_jax.compiled  # noqa: F401 (which starts numba without a BLAS)

    product = numba.njit(lambda a, b: a @ b)
    a = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(product(a, a.T), a @ a.T)


def test_whoever_reads_the_events_may_stop(saved: Path, capture: Path) -> None:
    going = detect(saved, str(capture), "--output=-")
    assert going.stdout is not None
    going.stdout.readline()
    going.stdout.close()
    finish(going)
    assert going.returncode == 0


def test_hostile_class_names_stay_text(model: Model, capture: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    evil = replace(model, classes=("Benign", '=HYPERLINK("x")\x1b[31m"\n', "PortScan"))
    evil.save(tmp_path / "evil")
    for name in ("out.csv", "out.json"):
        assert main(["detect", f"--model={tmp_path / 'evil'}", str(capture), f"--output={tmp_path / name}"]) == 0
    assert not any(cell.startswith("=") for cell in pd.read_csv(tmp_path / "out.csv")["class"].astype(str))
    assert {event["nids_jax"]["class"] for event in flows_of(tmp_path / "out.json")} <= set(evil.classes)
    assert len(FEATURES) == 84
