"""The tables of docs/reproduction.md follow from the records beside them."""

import csv
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "reproduction.md").read_text(encoding="utf-8")
DETECTORS = (DOCS / "results" / "detectors.md").read_text(encoding="utf-8")
with (DOCS / "papers" / "records.csv").open(encoding="utf-8", newline="") as _file:
    RECORDS = list(csv.DictReader(_file))
FIGURES = ("accuracy", "macro_f1")
ROUNDING = 0.0006  # of three digits, and of the four digits of a record


def _rows(heading: str, first: str, place: int = 0, page: str = PAGE) -> list[list[str]]:
    """The cells of a table below a heading: of those whose header begins so the one in this place."""
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = section.split(f"| {first}")[1 + place].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _grouped(table: str, dataset: str, *keys: str, figure: str = "accuracy") -> dict[tuple[str, ...], list[float]]:
    """A table's figures of a dataset, by these columns of the records."""
    found = defaultdict(list)
    for record in RECORDS:
        if (record["table"], record["dataset"]) == (table, dataset):
            found[tuple(record[key] for key in keys)].append(float(record[figure]))
    return found


def _classifier(detector: str) -> str:
    """What a record calls a detector of the page."""
    return "knn" if detector == "k-NN" else detector.lower().replace("-", "_").replace(" ", "_")


def _numbers(cell: str) -> list[float]:
    return [float(text) for text in re.findall(r"\d\.\d+", cell)]


@pytest.mark.parametrize(
    ("dataset", "named"), [("cicids2017", "training set, CIC-IDS2017"), ("cicddos2019", "training set, CIC-DDoS2019")]
)
def test_table_v_is_the_mean_of_its_records(dataset: str, named: str):
    found = _grouped("Table V", dataset, "training_set", "split_seed")
    rows = _rows("Table V as printed", named)
    assert len(rows) == len({name for name, _ in found}) == 9
    for cells in rows:
        name, steps = cells[0].split("`")[1], re.search(r"T = (\d+)", cells[0])
        splits = [found[f"{name}_{steps[1]}" if steps else name, seed] for seed in ("0", "1", "2")]
        assert {len(split) for split in splits} == {2 if name.startswith("real") else 6}
        for cell, split in zip(cells[2:5], splits, strict=True):
            assert _numbers(cell) == pytest.approx([mean(split), min(split), max(split)], abs=ROUNDING)
        assert _numbers(cells[5]) == pytest.approx([mean(map(mean, splits))], abs=ROUNDING)


def test_ten_splits_are_the_means_of_their_records_and_of_their_differences():
    datasets = ("cicids2017", "cicddos2019")
    found = {name: _grouped("Table V, ten splits", name, "training_set", "split_seed") for name in datasets}
    rows = _rows("Table V as printed", "ten splits")
    assert len(rows) == 4
    for name, *cells in rows:
        for dataset, (score, *differences) in zip(datasets, (cells[:3], cells[3:]), strict=True):
            accuracy = found[dataset]
            own = [accuracy["cddpm_500" if "cddpm" in name else name.strip("`"), str(seed)] for seed in range(10)]
            assert [len(each) for each in own] == [1] * 10
            assert _numbers(score)[0] == pytest.approx(mean(each[0] for each in own), abs=ROUNDING)
            for control, cell in zip(("real", "copies"), differences, strict=True):
                gap = mean(each[0] - accuracy[control, str(seed)][0] for seed, each in enumerate(own))
                sign = -1 if cell.startswith("−") else 1
                assert [sign * _numbers(cell)[0]] == pytest.approx([gap], abs=ROUNDING) if _numbers(cell) else gap == 0


@pytest.mark.parametrize(
    ("dataset", "named"), [("cicids2017", "detector, CIC-IDS2017"), ("cicddos2019", "detector, CIC-DDoS2019")]
)
def test_table_iv_is_its_records(dataset: str, named: str):
    found = {
        place: figures
        for table in ("Table IV", "Table IV, 5000 rows")
        for place, figures in _grouped(table, dataset, "classifier", "shots").items()
    }
    rows = _rows("Table IV as printed", named)
    assert len(rows) == 6
    for detector, *cells in rows:
        classifier = _classifier(detector)
        for shots, cell in zip(("5", "50", "500", "5000"), cells, strict=True):
            if cell.startswith("–"):
                assert (classifier, shots) not in found
            else:
                assert _numbers(cell)[0] == pytest.approx(mean(found[classifier, shots]), abs=ROUNDING)


@pytest.mark.parametrize(
    ("dataset", "named"), [("cicids2017", "CIC-IDS2017, fair"), ("cicddos2019", "CIC-DDoS2019, fair")]
)
def test_the_fair_table_is_the_mean_of_its_records(dataset: str, named: str):
    accuracy = _grouped("Table V, fair", dataset, "training_set", "classifier")
    rows = _rows("Table V as printed", named)
    assert len(rows) == 5
    for name, network, *_, forest in rows:
        for classifier, cell in (("cnn_bigru", network), ("random_forest", forest)):
            each = accuracy[name.strip("`"), classifier]
            assert len(each) == 10
            assert _numbers(cell)[0] == pytest.approx(mean(each), abs=ROUNDING)


@pytest.mark.parametrize(("dataset", "place"), [("cicids2017_improved", 0), ("cicddos2019", 1)])
def test_the_detectors_page_is_the_means_of_its_records(dataset: str, place: int):
    found = {figure: _grouped("Detectors", dataset, "classifier", "shots", figure=figure) for figure in FIGURES}
    rows = _rows("Accuracy by rows of each class (Table IV of P1)", "detector | 5 rows", place, page=DETECTORS)
    assert len(rows) == 8
    for detector, *cells in rows:
        for shots, cell in zip(("5", "50", "500"), cells[:3], strict=True):
            accuracy, _, _, macro_f1 = _numbers(cell)
            for figure, shown in zip(FIGURES, (accuracy, macro_f1), strict=True):
                each = found[figure][_classifier(detector), shots]
                assert len(each) == 10
                assert shown == pytest.approx(mean(each), abs=ROUNDING)


@pytest.mark.parametrize(
    ("table", "dataset", "splits", "place"),
    [("P2, Table 4", "gas_pipeline", 10, 0), ("P2, Table 3", "cicids2017", 4, 1)],
)
def test_the_means_of_p2s_tables_are_those_of_their_records(table: str, dataset: str, splits: int, place: int):
    scores = _grouped(table, dataset, "training_set", "classifier", figure="macro_f1")
    sets = {"raw rows": "real", "SMOTE": "smote", "WGAN": "wgan", "VAE-WGAN-GP": "vae_wgan_gp"}
    rows = _rows("Tables 3 and 4 of P2 as printed", "training set", place)
    assert [cells[0] for cells in rows] == list(sets)
    for name, *cells in rows:
        for classifier, cell in zip(("xgboost", "random_forest", "decision_tree"), cells, strict=True):
            each = scores[sets[name], classifier]
            assert len(each) == splits
            assert _numbers(cell)[0] == pytest.approx(mean(each), abs=ROUNDING)
