"""The command line: one sentence and exit status 2 for bad input, and the whole demo."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nids_jax.__main__ import main
from nids_jax.flows.packets import UDP
from tests.flows.capture_writer import Sent, pcap

ROOT = Path(__file__).parents[2]


def run(experiment: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", f"experiments.{experiment}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def benchmark(name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def refused(status: int, said: str, capsys: pytest.CaptureFixture) -> None:
    """One sentence on standard error, with `said` in it, and exit status 2."""
    error = capsys.readouterr().err
    assert (status, error.strip().count("\n")) == (2, 0), error
    assert error.startswith("error: ")
    assert said in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shotz=5"], "unknown flag --shotz; did you mean --shots?"),
        (["--fractions=0.1"], "unknown flag --fractions: it is about imbalance, not about fewshot; leave it out"),
        (["--seeds=0"], "--seeds is 0"),
        (["--shots=five"], "--shots has 'five'"),
        (["--preset=gpu"], "unknown preset 'gpu'"),
        (["--generators=real,gan"], "--generators names 'gan'"),
        (["extra"], "unexpected argument 'extra'"),
        (["--dataset=cicids2018"], "unknown dataset 'cicids2018'"),
        (["--data=/nowhere.csv"], "/nowhere.csv does not exist"),
        (["--data_dir=/tmp"], "--data_dir needs files"),
        (["--sampler_steps=5000"], "the sampler takes 5000 steps; give from 2 to"),
        (["--shots="], "--shots is empty"),
        (["--guidance=inf"], "--guidance=inf: 'inf' is no number in digits"),
        (["--generated=1000000000000", "--preset=demo", "--generators=jitter"], "--generated is 1,000,000,000,000"),
        (["--preset=paper", "--guidance=2"], "set `label_dropout` above 0"),
        (["--generators=real,smote", "--sampler=ddim"], "--sampler is about cddpm, and --generators names none"),
        (["--benign=Worm"], "--benign is 'Worm', which is none of the classes"),
        (["--shard=2/2"], "--shard is 2/2; shards are numbered from 0 to 1"),
        (["--shard=2"], "--shard is '2'; write K/N"),
        (["--timesteps=500", "--generators=real"], "--timesteps is about cddpm"),
        (["--schedule=cosine", "--noscale_schedule"], "--scale_schedule is about a linear --schedule"),
        (["--rates=1e-3,5e-3", "--classifiers=knn"], "--rates is about neural detectors, and --classifiers names none"),
        (["--keep_duplicates=maybe"], "'maybe' is neither true nor false"),
    ],
)
def test_bad_flags_end_with_one_sentence(arguments: list[str], said: str, tmp_path: Path, capsys):
    refused(main(["fewshot", *arguments, f"--output_dir={tmp_path / 'out'}"]), said, capsys)


def test_a_missing_output_folder_is_asked_for(capsys):
    refused(main(["fewshot", "--seeds=1"]), "--output_dir is missing", capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--classifiers=cnn_bigru,svm"], "--classifiers names 'svm'"),
        (["--leave_out=PortScan", "--test_dataset=cicids2017"], "run them one after the other"),
        (["--test_dataset=cicids2018"], "unknown dataset 'cicids2018'"),
        (["--leave_out=Worm"], "--leave_out names 'Worm'; choose from"),
        (["--generators=real"], "unknown flag --generators: it is about fewshot"),
        (["--epochs=5", "--classifiers=knn"], "--epochs is about neural detectors, and --classifiers names none (knn)"),
        (["--early_stopping", "--classifiers=knn"], "--early_stopping is about neural detectors"),
    ],
)
def test_bad_flags_of_the_detectors_tables(arguments: list[str], said: str, tmp_path: Path, capsys):
    given = ["detector_comparison", "--max_per_class=20", *arguments, f"--output_dir={tmp_path / 'out'}"]
    refused(main(given), said, capsys)


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("sampler_tradeoff", "--sampler=ddim"),
        ("sampler_tradeoff", "--guidance=2"),
        ("sampler_tradeoff", "--classifiers=knn"),
        ("cost", "--seeds=3"),
        ("cost", "--classifiers=knn"),
        ("imbalance", "--shots=5"),
        ("imbalance", "--test_rows=5"),
        ("packet_augmentation", "--merge_dos"),
        ("packet_augmentation", "--auxiliary=benign"),
    ],
)
def test_flags_that_mean_nothing_to_a_command_are_refused(command: str, flag: str, tmp_path: Path, capsys):
    refused(main([command, flag, f"--output_dir={tmp_path / 'out'}"]), f"not about {command}; leave it out", capsys)
    assert not (tmp_path / "out").exists()


def test_captures_of_ones_own_are_varied(tmp_path: Path, capsys):
    """Two classes whose flows differ in how long they pause, a class in two files."""
    rng, named = np.random.default_rng(0), []
    for number, (name, pause) in enumerate([("slow", 50_000), ("fast", 500), ("fast", 700)]):
        sent = []
        for port in range(12):
            times = 1_000_000 * port + np.cumsum(rng.integers(pause, 2 * pause, 4))
            sent += [Sent(int(at), "10.0.0.1", "10.0.0.2", (port + 1, 80), UDP, 9, 0, 0, 0, 0, 0) for at in times]
        (tmp_path / f"{number}.pcap").write_bytes(pcap(sorted(sent, key=lambda each: each.time), 1))
        named.append(f"{name}:{tmp_path / f'{number}.pcap'}")
    flags = [f"--output_dir={tmp_path / 'out'}", "--preset=demo", "--seeds=2", "--classifiers=decision_tree"]
    flags += ["--generators=real,packets", "--generated=5"]
    done = run("packet_augmentation", *flags, f"--captures={','.join(named)}")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    assert [line["generator"] for line in lines] == 2 * ["real", "packets"]
    assert {line["metrics"]["accuracy"] for line in lines} == {1.0}
    assert {line["dataset"] for line in lines} == {"captures"}
    assert json.loads((tmp_path / "out" / "data.json").read_text())["counts"] == {"fast": 24, "slow": 12}
    assert [line["fidelity"]["consistent"] for line in lines if line["generator"] == "packets"] == [1.0, 1.0]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dataset"] == "captures"
    (tmp_path / "0.pcap").write_bytes((tmp_path / "1.pcap").read_bytes())  # other packets under the same names
    assert main(["packet_augmentation", *flags, f"--captures={','.join(named)}"]) == 2
    assert "holds runs on other rows" in capsys.readouterr().err


@pytest.mark.slow
def test_packet_augmentation_from_the_command_line(tmp_path: Path):
    flags = ["--preset=demo", "--conversations=30", "--seeds=2", "--classifiers=decision_tree", "--generated=5"]
    flags += ["--generators=real,jitter,packets_resent"]
    done = run("packet_augmentation", *flags, f"--output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [line["generator"] for line in lines] == 2 * ["real", "jitter", "packets_resent"]
    consistent = [line["fidelity"]["consistent"] for line in lines if line["generator"] == "packets_resent"]
    assert consistent == [1.0, 1.0]
    assert run("packet_augmentation", *flags, f"--output_dir={tmp_path}").returncode == 0
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--generators=real,pakets"], "--generators names 'pakets'; choose from"),
        (["--conversations=2"], "--conversations is 2"),
        (["--captures=bot.pcap"], "'bot.pcap', which names no class and file"),
        (["--captures="], "--captures is empty"),
        (["--captures=Bot:none.pcap,Benign:none.pcap"], "cannot read the capture none.pcap"),
        (["--captures=Bot:bot.pcap,Bot:more.pcap"], "--captures names one class, 'Bot'"),
        (["--captures=Bot:none.pcap", "--conversations=30"], "leave one out"),
    ],
)
def test_bad_flags_of_packet_augmentation(arguments: list[str], said: str, tmp_path: Path, capsys):
    refused(main(["packet_augmentation", *arguments, f"--output_dir={tmp_path / 'out'}"]), said, capsys)
    assert not (tmp_path / "out").exists()


def test_the_detection_tables_from_the_command_line(tmp_path: Path):
    flags = ["--max_per_class=30", "--shots=5,10", "--seeds=2", "--classifiers=knn,decision_tree"]
    done = run("detector_comparison", *flags, f"--output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 8
    assert "recall of each class" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert (tmp_path / "figures" / "accuracy.svg").exists()
    before = (tmp_path / "records.jsonl").read_bytes()
    assert run("detector_comparison", *flags, f"--output_dir={tmp_path}").returncode == 0
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_a_learning_curve_goes_on_with_its_largest_number_of_rows_alone(tmp_path: Path, capsys):
    flags = ["--max_per_class=30", "--seeds=1", "--generators=real", "--classifiers=knn", f"--output_dir={tmp_path}"]
    assert main(["learning_curve", *flags, "--shots=1,5", "--disjoint_tests"]) == 0
    assert main(["learning_curve", *flags, "--shots=1,2,5", "--disjoint_tests"]) == 0
    refused(
        main(["learning_curve", *flags, "--shots=1,10", "--disjoint_tests"]),
        "holds runs with `largest of shots` = 5, and now it is 10",
        capsys,
    )
    refused(main(["learning_curve", *flags, "--shots=1,5"]), "holds runs with --disjoint_tests = true", capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rates=fast"], "--rates has 'fast'"),
        (["--rates=0"], "learning rates are above 0"),
        (["--timesteps=5"], "cddpm_5"),
        (["--generators=real,gan"], "--generators names 'gan'"),
        (["--benign_rows=30", "--exclude=BENIGN", "--max_per_class=20"], "no class is benign"),
    ],
)
def test_bad_flags_of_the_generation_tables(arguments: list[str], said: str, tmp_path: Path, capsys):
    refused(main(["generator_comparison", *arguments, f"--output_dir={tmp_path / 'out'}"]), said, capsys)


def test_the_generation_tables_from_the_command_line(tmp_path: Path):
    flags = ["--max_per_class=40", "--seeds=2", "--generations=2", "--generated=10", "--classifiers=knn"]
    flags += ["--generators=real,copies,smote", "--benign_rows=20", f"--output_dir={tmp_path}"]
    done = run("generator_comparison", *flags)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 2 * (2 + 2 * 2)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "attack recall at FPR 1 %" in summary
    assert "synthetic rows beside real test rows" in summary
    before = (tmp_path / "records.jsonl").read_bytes()
    assert run("generator_comparison", *flags).returncode == 0
    assert (tmp_path / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sampling_strategy=Worm:500"], "--sampling_strategy names 'Worm'; choose from BENIGN, Bot"),
        (["--fractions=half"], "--fractions has 'half'"),
    ],
)
def test_bad_flags_of_balancing(arguments: list[str], said: str, tmp_path: Path, capsys):
    refused(main(["imbalance", "--max_per_class=30", *arguments, f"--output_dir={tmp_path / 'out'}"]), said, capsys)


def test_balancing_from_the_command_line(tmp_path: Path):
    flags = ["--max_per_class=30", "--seeds=2", "--classifiers=knn", "--generators=real,smote", "--fractions=0.5,1"]
    flags += ["--sampling_strategy=Heartbleed:50,Web Attack - XSS:60", f"--output_dir={tmp_path}"]
    done = run("imbalance", *flags)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 2 * 2
    assert "rows of each class" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "data.json").read_text())["raised_to"]["Web Attack - XSS"] == 60
    before = (tmp_path / "records.jsonl").read_bytes()
    assert run("imbalance", *flags).returncode == 0
    assert (tmp_path / "records.jsonl").read_bytes() == before


@pytest.mark.slow
def test_what_generators_cost(tmp_path: Path):
    done = run("cost", "--max_per_class=20", "--generators=copies,smote", f"--output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["generator"] for record in found] == ["copies", "smote"]
    for metrics in (record["metrics"] for record in found):
        for phase in ("fit", "sample"):
            assert 0 <= metrics[f"{phase}_cpu_utilisation"] < 1.5
        assert 50 < metrics["fit_peak_host_mib"] <= metrics["sample_peak_host_mib"]
    assert "| smote " in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_an_unknown_benchmark_is_refused():
    done = benchmark("throughput", "--what=gpu")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "error: --what names 'gpu'; choose from cddpm, detector, flows, gan, oversampling, reading, shap",
    )


def test_a_benchmark_keeps_its_figures(tmp_path: Path):
    done = benchmark("throughput", "--what=reading", "--repeats=2", f"--output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "throughput.json").read_text(encoding="utf-8"))
    assert kept["environment"]["command"].startswith("python -m benchmarks.throughput --what=reading")
    product, ours, pandas = kept["figures"]
    assert product["of_product"] > 0
    assert min(ours["steady_s"], ours["first_s"]) > 0
    assert (ours["work"]["amount"], ours["what"], pandas["times_ours"] > 0) == (22_500, "read a CSV", True)
    text = (tmp_path / "throughput.md").read_text(encoding="utf-8")
    assert text.strip() in done.stdout
    assert "| pandas.read_csv, nothing checked " in text


@pytest.mark.slow
def test_any_csv_runs_and_is_not_called_simulated(tmp_path: Path):
    generator = pd.Series(range(120))
    frame = pd.DataFrame(
        {"a": generator % 7, "b": generator**1.5, "kind": (generator % 3).map({0: "x", 1: "y", 2: "z"})}
    )
    frame["verdict"] = (generator % 2).map({0: "normal", 1: "attack"})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    flags = [f"--data={tmp_path / 'mine.csv'}", "--label_column=verdict", "--preset=demo", "--seeds=1"]
    flags += ["--generators=real,cddpm", "--classifiers=random_forest"]
    out = tmp_path / "out"
    done = run("fewshot", *flags, f"--output_dir={out}")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert {record["dataset"] for record in records} == {"mine.csv"}
    assert all(record["metrics"]["false_positive_rate"] is not None for record in records)
    assert "simulated dataset" not in (out / "report.html").read_text(encoding="utf-8")
    synthetic = pd.read_parquet(out / "runs" / "shots5-split0" / "synthetic.parquet")
    assert set(synthetic["kind"]) <= {"x", "y", "z"}
    assert (synthetic["a"] % 1 == 0).to_numpy().all()
    before = (out / "records.jsonl").read_bytes()
    assert run("fewshot", *flags, f"--output_dir={out}").returncode == 0
    assert (out / "records.jsonl").read_bytes() == before
    frame.iloc[:100].to_csv(tmp_path / "mine.csv", index=False)
    changed = run("fewshot", *flags, f"--output_dir={out}")
    assert changed.returncode == 2
    assert "runs on other rows" in changed.stderr


def test_quiet_leaves_warnings_and_errors(tmp_path, capsys):
    capture = f"--output={tmp_path / 'lab.pcap'}"
    assert main(["simulate", "--tools=names", "--conversations=2", capture, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["simulate", "--tools=names", "--conversations=2", capture]) == 0
    assert "packets:" in capsys.readouterr().out  # it is not remembered
    assert main(["simulate", "--tools=nothing", capture, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nothing" in err
