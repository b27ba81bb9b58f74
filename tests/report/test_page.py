"""The report from a made-up output folder: whole, in part, damaged, and with odd names."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from nids_jax.__main__ import main
from nids_jax.errors import InputError
from nids_jax.report.page import build_report
from nids_jax.store import append
from tests.report.example import CLASSES, record, write_example

FIGURES = ["accuracy", "confusion1", "curves", "features", "projection", "shap_global", "shap_local"]
FILES = sorted(f"{name}.{end}" for name in FIGURES for end in ("csv", "svg"))


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The example with its report; tests must not change it."""
    folder = write_example(tmp_path_factory.mktemp("example"), seeds=2)
    build_report(folder)
    return folder


@pytest.fixture
def small(tmp_path):
    """A folder of two records of two classes and nothing else."""
    for generator in ("copies", "cddpm"):
        append(tmp_path, record(generator, "cnn_bigru") | {"classes": ["BENIGN", "Bot"], "confusion": [[9, 1], [2, 3]]})
    return tmp_path


class Page(HTMLParser):
    """The text, images and references of a page."""

    def __init__(self, path):
        super().__init__()
        self.text, self.sources, self.open, self.names = "", [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        self.names += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open and self.open[-1] not in ("style", "script") else ""


def test_the_page_holds_everything_and_needs_nothing_else(example):
    page = Page(example / "report.html")
    assert page.open == []
    assert sorted(path.name for path in (example / "figures").iterdir()) == FILES
    embedded = [
        source.partition(";base64,") for source in page.sources if source.startswith("data:") and source != "data:,"
    ]
    assert {kind for kind, *_ in embedded} == {"data:image/svg+xml", "data:text/csv"}
    content = {base64.b64decode(code) for *_, code in embedded}
    assert content == {path.read_bytes() for path in (example / "figures").iterdir()}
    assert not re.search(r"https?://|@import|url\(", (example / "report.html").read_text())
    anchors = [source[1:] for source in page.sources if source.startswith("#")]
    assert anchors
    assert all(page.names.count(name) == 1 for name in anchors)
    for text in (
        "against copies of the real rows",
        "preliminary",
        "different data",
        "alone separates Heartbleed",
        "27,478",
        "Near duplicates between training and test rows: 41",
        "python -m experiments.fewshot --dataset=cicids2017",
        "runs/shots5-split0",
        "Synthetic rows beside real ones",
        "cddpm: Scores, 1 is best",
    ):
        assert text in page.text
    assert page.text.index("Verdict") < page.text.index("Results") < page.text.index("How this was made")
    assert "Left out" not in page.text
    assert "simulated" not in page.text


def test_every_figure_is_xml_with_words_and_a_dark_mode(example):
    for path in (example / "figures").glob("*.svg"):
        root = ElementTree.fromstring(path.read_bytes())
        assert min(float(root.attrib[side].removesuffix("pt")) for side in ("width", "height")) > 150
        words = [each for each in root.iter("{http://www.w3.org/2000/svg}text") if "".join(each.itertext()).strip()]
        assert len(words) > 10
        assert b"prefers-color-scheme: dark" in path.read_bytes()


def test_the_data_of_a_figure_are_those_of_its_files(example):
    scores = pd.read_csv(example / "figures" / "accuracy.csv").set_index(["generator", "classifier", "metric"])
    records = [json.loads(line) for line in (example / "records.jsonl").read_text().splitlines()]
    splits: dict[int, list[float]] = {}
    for run in records:
        if (run["generator"], run["classifier"]) == ("cddpm", "cnn_bigru"):
            splits.setdefault(run["split_seed"], []).append(run["metrics"]["accuracy"])
    mean = np.mean([np.mean(values) for values in splits.values()])
    assert scores.loc[("cddpm", "cnn_bigru", "accuracy"), "mean"] == pytest.approx(mean, rel=1e-5)
    shap = json.loads((example / "runs" / "shots5-split0" / "shap.json").read_text())
    local = pd.read_csv(example / "figures" / "shap_local.csv")
    assert local["phi"].tolist() == pytest.approx([v for row in shap["local"] for v in row["phi"]], rel=1e-4, abs=1e-9)
    cells = pd.read_csv(example / "figures" / "confusion1.csv")
    assert cells["rows"].to_numpy().sum() > 0
    assert set(cells["true_class"]) == set(CLASSES)
    real = pd.read_parquet(example / "runs" / "shots5-split0" / "synthetic.parquet")
    drawn = pd.read_csv(example / "figures" / "features.csv")
    name = drawn["feature"].iloc[0]
    middle = drawn[(drawn["feature"] == name) & (drawn["rows"] == "synthetic") & (drawn["percent_at_or_below"] == 50)]
    assert middle["value"].item() == pytest.approx(np.percentile(real[name], 50, method="inverted_cdf"), rel=1e-4)


def test_the_page_begins_with_what_matters(example):
    text = Page(example / "report.html").text
    places = [text.index(title) for title in ("Verdict", "Key figures", "Results", "How this was made")]
    assert places == sorted(places)
    assert "attacks found at 1 % false positives" in text
    assert "Run it again" in text


def test_the_report_leaves_matplotlib_as_it_was(small):
    before = dict(mpl.rcParams)
    build_report(small)
    assert dict(mpl.rcParams) == before


def test_missing_parts_are_left_out_with_a_line_and_the_same_files_give_the_same_bytes(small):
    path = build_report(small)
    text = Page(path).text
    for line in ("no run in runs/ has curves.json", "no run in runs/ has shap.json", "there is no data.json"):
        assert line in text
    assert {p.stem for p in (small / "figures").iterdir()} == {"accuracy", "confusion1"}
    first = path.read_bytes()
    build_report(small)
    assert path.read_bytes() == first


def test_figures_of_an_earlier_report_do_not_stay_behind(small):
    (small / "figures").mkdir()
    for name in ("curves.png", "curves.csv", "confusion7.svg", "mine.png"):
        (small / "figures" / name).write_bytes(b"")
    build_report(small)
    wanted = ["accuracy.csv", "accuracy.svg", "confusion1.csv", "confusion1.svg", "mine.png"]
    assert sorted(p.name for p in (small / "figures").iterdir()) == wanted


def test_no_finished_run_is_a_report_too(tmp_path):
    (tmp_path / "config.json").write_text('{"dataset": "simulated", "shots": [5]}')
    text = Page(build_report(tmp_path)).text
    assert "no finished runs" in text
    assert "say nothing about real networks" in text


def test_a_folder_without_an_experiment_is_refused(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="pass the `output_dir` of an experiment"):
            build_report(path)
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_prints_the_page(small, capsys):
    assert main(["report", str(small)]) == 0
    assert capsys.readouterr().out == f"{small / 'report.html'}\n"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("curves.json", "[1, 2", "curves.json is not valid JSON"),
        ("curves.json", '{"cddpm": 3}', "must hold lists of losses"),
        ("curves.json", '{"cddpm": [null]}', "holds no losses"),
        ("shap.json", "{}", "does not hold explanations"),
        ("shap.json", '{"features": ["a"], "classes": ["b"], "global": {"mean_abs": [1, 2]}}', "per_class"),
        ("test.parquet", "PAR1", "test.parquet is no readable Parquet"),
    ],
)
def test_damaged_artefacts_are_left_out_with_the_reason(tmp_path, name, content, line):
    run = tmp_path / "runs" / "shots5-split0"
    run.mkdir(parents=True)
    (run / "synthetic.parquet").write_text("")
    (run / name).write_text(content)
    assert line in Page(build_report(tmp_path)).text
    assert list((tmp_path / "figures").glob("*")) == []


def test_damaged_records_are_refused(small):
    with (small / "records.jsonl").open("a") as file:
        file.write("oops\n{}\n")
    with pytest.raises(InputError, match="line 3"):
        build_report(small)


def test_the_first_run_is_the_one_with_the_fewest_shots(tmp_path):
    for run, loss in (("shots50-split0", 1.0), ("shots5-split10", 1.0), ("shots5-split2", 1.0)):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "curves.json").write_text(json.dumps({"cddpm": [loss]}))
    assert "runs/shots5-split2: thin lines" in Page(build_report(tmp_path)).text


def test_odd_names_and_values_neither_break_nor_enter_the_page(tmp_path):
    classes = ["<script>alert(1)</script>", "$x_1$ & $", "攻击", "a|b\nc", "", "n" * 300]
    for generator in ("real", "<b>own</b>"):
        append(
            tmp_path,
            record(generator="cddpm", classifier="cnn_bigru")
            | {"generator": generator, "classes": classes, "confusion": np.eye(6, dtype=int).tolist(), "shots": None},
        )
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    values = [0.0, -1e308, 1e308, np.inf, np.nan, 5e-324]
    frame = pd.DataFrame({"$f$": values, "<i>": 1.0, "void": np.nan, "text": "x", "Label": classes})
    for name in ("train", "held_out", "synthetic"):
        frame.to_parquet(run / f"{name}.parquet")
    curves = {"$a$": [1e300, 1e-320, None, 0.0, -3.0], "b/<i>": [1.0]}
    (run / "curves.json").write_text(json.dumps(curves))
    local = {
        "class": classes[0],
        "predicted": classes[2],
        "probability": 0.5,
        "base": 0.5,
        "values": [None],
        "phi": [0],
    }
    importance = {"mean_abs": [0], "per_class": [[0]] * 6}
    shap = {"features": ["$f$"], "classes": classes, "global": importance, "local": [local]}
    (run / "shap.json").write_text(json.dumps(shap))
    (tmp_path / "data.json").write_text(json.dumps({"dataset": "<u>", "leakage": [], "read": [1], "more": {"a": None}}))
    html = build_report(tmp_path).read_text(encoding="utf-8")
    assert re.findall("<li>(.*?)</li>", html.split("<h2>Left out")[1]) == ["Flags: there is no config.json."]
    for tag in ("<b>", "<i>", "<u>"):
        assert tag not in html
    assert html.count("<script") == 1  # the page's own
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == FILES


def test_confusion_matrices_of_different_class_lists_add_up_by_name(tmp_path):
    from nids_jax.report import results
    from nids_jax.report.conditions import Condition

    runs = [
        {"classes": ["a", "b"], "confusion": [[1, 2], [3, 4]]},
        {"classes": ["b", "c"], "confusion": [[10, 20], [30, 40]]},
        {"classes": ["b"]},
    ]
    found = results.summed(Condition("cddpm", "cnn_bigru"), runs)
    assert found is not None
    assert found.classes == ["a", "b", "c"]
    np.testing.assert_array_equal(found.counts, [[1, 2, 0], [3, 14, 20], [0, 30, 40]])
    with pytest.raises(InputError, match="does not fit"):
        results.summed(Condition("cddpm", "cnn_bigru"), [{"classes": ["a", "b"], "confusion": [[1, 2]]}])


@pytest.mark.slow
def test_hundreds_of_classes_still_make_a_page_of_sane_size(tmp_path):
    names = [f"class {k}" for k in range(300)]
    append(tmp_path, record("cddpm", "cnn_bigru") | {"classes": names, "confusion": np.eye(300, dtype=int).tolist()})
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    frame = pd.DataFrame({"f": np.arange(600.0), "g": np.arange(600.0) ** 2, "Label": names * 2})
    for name in ("held_out", "synthetic"):
        frame.to_parquet(run / f"{name}.parquet")
    local = [{"class": n, "predicted": n, "probability": 1, "base": 0, "values": [1, 2], "phi": [1, 0]} for n in names]
    importance = {"mean_abs": [1, 2], "per_class": [[1, 2]] * 300}
    shap = {"features": ["f", "g"], "classes": names, "global": importance, "local": local}
    (run / "shap.json").write_text(json.dumps(shap))
    assert build_report(tmp_path).stat().st_size < 5e6


@pytest.mark.slow
def test_a_copy_of_the_folder_rebuilds_the_same_page(example, tmp_path):
    shutil.copytree(example, tmp_path / "copy", ignore=shutil.ignore_patterns("figures", "report.html", "summary.*"))
    build_report(tmp_path / "copy")
    assert (tmp_path / "copy" / "report.html").read_bytes() == (example / "report.html").read_bytes()
    assert CLASSES[-1] in (example / "report.html").read_text()
