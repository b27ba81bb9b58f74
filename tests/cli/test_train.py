"""`nids_jax train` from files to a folder."""

import json

import numpy as np
import pandas as pd
import pytest

from nids_jax.__main__ import main
from nids_jax.bundle.model import load_model
from tests.bundle.models import FEATURES, rows


def frame(seed: int = 0) -> pd.DataFrame:
    table = rows(30, seed)
    found = pd.DataFrame(table.x, columns=[*FEATURES])
    found["Timestamp"] = (
        pd.date_range("2024-05-01", periods=len(table), freq="1min")
        .astype(str)
        .to_numpy()[np.random.default_rng(0).permutation(len(table))]
    )
    found["Label"] = [table.classes[k] for k in table.y]
    return found


def test_captures_to_a_model(tmp_path, capsys):
    for tool, name in (("hulk", "a.pcap"), ("nmap_syn", "b.pcapng"), ("benign", "calm.pcap")):
        assert main(["simulate", f"--tools={tool}", "--conversations=60", f"--output={tmp_path / name}"]) == 0
    data = f"--data=DoS Hulk:{tmp_path / 'a.pcap'},PortScan:{tmp_path / 'b.pcapng'}"
    calm, output = f"--benign={tmp_path / 'calm.pcap'}", f"--output={tmp_path / 'model'}"
    assert main(["train", data, calm, output, "--detector=decision_tree", "--folds=2"]) == 0
    model = load_model(tmp_path / "model")
    assert set(model.classes) == {"BENIGN", "DoS Hulk", "PortScan"}
    assert (model.benign, model.meter) == ("BENIGN", "none")
    assert main(["detect", f"--model={tmp_path / 'model'}", str(tmp_path / "a.pcap")]) == 0
    assert "DoS Hulk" in capsys.readouterr().out
    assert main(["train", f"--data={tmp_path / 'a.pcap'}", output]) == 2
    assert "of no class; write CLASS:" in capsys.readouterr().err


def test_files_to_a_model(tmp_path, capsys):
    frame().to_csv(tmp_path / "flows.csv", index=False)
    calm = frame(1).query("Label == 'BENIGN'").drop(columns=["Label", "Timestamp"])
    calm.iloc[0, 0] = np.inf
    calm.to_parquet(tmp_path / "calm.parquet")
    frame(2).drop(columns="Label").to_csv(tmp_path / "more.csv", index=False)
    arguments = [
        "train",
        f"--data={tmp_path / 'flows.csv'}",
        f"--benign={tmp_path / 'calm.parquet'}",
        f"--unlabelled={tmp_path / 'more.csv'}",
        "--detector=random_forest",
        "--folds=2",
        "--max_false_positives=0.05",
        f"--output={tmp_path / 'model'}",
    ]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    for text in (
        "BENIGN: 59 real",
        "benign rows: 29 of 30",
        "macro F1",
        "at 5 % false positives",
        "alerts a day",
        "rows without labels: 90, not trained on",
        "Worm",
    ):
        assert text in said, said
    model = load_model(tmp_path / "model")
    assert model.meter is None
    assert [each["rate"] for each in json.loads((tmp_path / "model" / "model.json").read_text())["thresholds"]] == [
        0.001,
        0.01,
        0.05,
    ]
    assert (model.predict(frame(3), 0.05) == frame(3)["Label"]).mean() > 0.9


@pytest.mark.parametrize("name", ["flows.csv", "flows.parquet"])
@pytest.mark.parametrize("split", ["folds", "time"])
def test_rows_without_a_label_are_as_those_of_unlabelled_files(name, split, tmp_path, capsys):
    whole = frame()
    some = np.random.default_rng(1).permutation(len(whole))[:30]
    labelled = whole.assign(Label=whole["Label"].where(~whole.index.isin(some), None))
    write = {"flows.csv": lambda t, path: t.to_csv(path, index=False), "flows.parquet": lambda t, p: t.to_parquet(p)}
    write[name](labelled, tmp_path / name)
    write[name](labelled.dropna(), tmp_path / f"other_{name}")
    write[name](whole.drop(columns="Label").iloc[some], tmp_path / f"rest_{name}")
    fixed = [f"--split={split}", "--detector=decision_tree", "--folds=2", f"--output={tmp_path / 'model'}"]
    assert main(["train", f"--data={tmp_path / name}", *fixed]) == 0
    joined = capsys.readouterr().out
    first = load_model(tmp_path / "model")
    files = [f"--data={tmp_path / f'other_{name}'}", f"--unlabelled={tmp_path / f'rest_{name}'}"]
    assert main(["train", *files, *fixed]) == 0
    apart = capsys.readouterr().out
    assert "30 rows have no label: they count as unlabelled" in joined
    assert "30 rows have" not in apart
    assert "rows without labels: 30, not trained on" in joined
    # All that is said of the rows that were trained on, and of the others, is the same.
    assert joined[joined.index("rows to train on: 60") :] == apart[apart.index("rows to train on: 60") :]
    second = load_model(tmp_path / "model")
    np.testing.assert_array_equal(first.predict_proba(whole), second.predict_proba(whole))
    assert first.told["data"]["fingerprint"] == second.told["data"]["fingerprint"]


def test_files_without_labels_are_read_like_others(tmp_path, capsys):
    frame().to_csv(tmp_path / "flows.csv", index=False, sep=";", decimal=",")
    numbers = frame(1).drop(columns=["Label", "Timestamp"])
    # Decimal commas, columns in another order, a line that is too short, a compressed file; and a capture.
    turned = numbers[numbers.columns[::-1]]
    turned.iloc[:30].to_csv(tmp_path / "calm.csv", index=False, sep=";", decimal=",")
    with (tmp_path / "calm.csv").open("a") as file:
        file.write("1;2\n")
    turned.to_csv(tmp_path / "more.csv.gz", index=False, sep=";", decimal=",")
    assert main(["simulate", "--tools=hulk", "--conversations=9", f"--output={tmp_path / 'a.pcap'}"]) == 0
    arguments = [
        f"--data={tmp_path / 'flows.csv'}",
        f"--benign={tmp_path / 'calm.csv'}",
        "--decimal=,",
        "--detector=decision_tree",
        "--folds=2",
        f"--output={tmp_path / 'model'}",
    ]
    assert main(["train", *arguments, f"--unlabelled={tmp_path / 'more.csv.gz'},{tmp_path / 'a.pcap'}"]) == 0
    said = capsys.readouterr().out
    for text in ("benign rows: 30 of 30", "1 further rows have more or fewer fields", "BENIGN: 60 real"):
        assert text in said, said
    assert "rows without labels: 99, not trained on" in said
    numbers.drop(columns="packet_length_mean").to_csv(tmp_path / "calm.csv", index=False)
    assert main(["train", *arguments]) == 2
    assert "calm.csv: the rows have no column packet_length_mean" in capsys.readouterr().err


def test_which_class_is_benign(tmp_path, capsys):
    frame().replace("BENIGN", "Calm").to_csv(tmp_path / "flows.csv", index=False)
    frame(1).replace("BENIGN", "calm").query("Label == 'calm'").to_csv(tmp_path / "calm.csv", index=False)
    fixed = [f"--data={tmp_path / 'flows.csv'}", "--detector=decision_tree", "--folds=2", f"--output={tmp_path / 'm'}"]
    assert main(["train", *fixed, "--benign_class=CALM"]) == 0
    assert load_model(tmp_path / "m").benign == "Calm"
    assert main(["train", *fixed, "--benign_class=CALM", f"--benign={tmp_path / 'calm.csv'}"]) == 0
    assert load_model(tmp_path / "m").classes == ("Calm", "Scan", "Worm")
    assert "Calm: 60 real" in capsys.readouterr().out
    assert main(["train", *fixed, "--benign_class=quiet"]) == 2
    assert "--benign_class is 'quiet', which is none of the classes: Calm, Scan, Worm" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["flows.csv", "flows.parquet"])
def test_split_by_time_from_files(name, tmp_path, capsys):
    whole = frame()
    if name.endswith("parquet"):
        whole.assign(Timestamp=pd.to_datetime(whole["Timestamp"])).to_parquet(tmp_path / name)
    else:
        whole.to_csv(tmp_path / name, index=False)
    arguments = [f"--data={tmp_path / name}", "--detector=random_forest", "--folds=2", f"--output={tmp_path / 'm'}"]
    assert main(["train", "--split=time", *arguments]) == 0
    assert "Trained on the earlier 70 %" in capsys.readouterr().out
    assert load_model(tmp_path / "m").told["evaluation"]["rows"] == 27
    assert "timestamp" not in load_model(tmp_path / "m").features
    whole.drop(columns="Timestamp").to_csv(tmp_path / "flows.csv", index=False)
    arguments[0] = f"--data={tmp_path / 'flows.csv'}"
    assert main(["train", "--split=time", *arguments]) == 2
    assert "cannot be ordered by time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "--output is missing"),
        (["--output=OUT"], "nothing to train on"),
        (["--output=HERE", "--data=x.csv"], "is no model"),
        (["--output=OUT", "--data=nowhere.csv"], "nowhere.csv does not exist"),
        (["--output=OUT", "--benign=HERE/attacks.csv"], "rows of 'Scan', which is not benign"),
        (["--output=OUT", "--data=HERE/attacks.csv", "--unlabelled=nowhere.csv"], "nowhere.csv does not exist"),
        (["--output=OUT", "--data=HERE/attacks.csv", "--detector=random"], "random"),
    ],
)
def test_bad_input_is_one_sentence(arguments, why, tmp_path, capsys):
    frame().to_csv(tmp_path / "attacks.csv", index=False)
    given = [each.replace("HERE", str(tmp_path)).replace("OUT", str(tmp_path / "model")) for each in arguments]
    assert main(["train", *given]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert "Traceback" not in error
    assert not (tmp_path / "model").exists()
