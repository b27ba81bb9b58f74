"""The rules of each dataset, on files made here."""

from pathlib import Path

import numpy as np
import pytest

from nids_jax.data.datasets import DATASETS, NAMES
from nids_jax.data.loading import load
from nids_jax.data.scaling import fit_scaler
from nids_jax.data.table import benign_class
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017


def folder(tmp_path: Path, name: str, labels: list[str], file: str = "a.csv") -> Path:
    path = tmp_path / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{index},{label}\n" for index, label in enumerate(labels))
    path.write_text("Flow Duration,Label\n" + rows, encoding="utf-8")
    return tmp_path


def classes(name: str | None, path: Path, **options: object) -> dict[str, int]:
    table, _ = load(name, data_dir=path, progress=False, **options)  # type: ignore[arg-type]
    return table.counts


def test_every_entry_is_sound() -> None:
    published = ("cicids2017", "cicids2017_improved", "cicddos2019", "cicids2018_sample", "gas_pipeline")
    assert set(NAMES) == {*published, "simulated"}
    for name, entry in DATASETS.items():
        assert entry.name == name
        assert len(set(entry.classes)) == len(entry.classes)
        assert {*entry.spellings.values(), *entry.merged.values(), *entry.dos_tools} <= set(entry.classes)
        assert benign_class(entry.classes) == entry.benign
    assert [len(DATASETS[name].classes) for name in published] == [15, 16, 14, 15, 8]
    assert benign_class(("x", "y")) is None


def test_class_names_in_any_spelling_and_in_canonical_order(tmp_path: Path) -> None:
    labels = [
        "Web Attack – XSS",
        "portscan",
        "Benign",
        "DoS Slowloris",
        "Botnet",
        "Web Attack ? Sql Injection",
        "Novel",
    ]
    assert list(classes("cicids2017", folder(tmp_path, "cicids2017", labels))) == [
        "BENIGN",
        "Bot",
        "DoS slowloris",
        "PortScan",
        "Web Attack - Sql Injection",
        "Web Attack - XSS",
        "Novel",  # not of this dataset: kept, and listed last
    ]


def test_the_dos_tools_merge_into_one_class(tmp_path: Path) -> None:
    path = folder(tmp_path, "cicids2017", [*DATASETS["cicids2017"].classes])
    merged = classes("cicids2017", path, merge_dos=True)
    assert len(merged) == 12
    assert merged["DoS"] == 4
    assert "DDoS" in merged
    with pytest.raises(InputError, match="merge_dos is for cicids2017"):
        load("gas_pipeline", data_dir=path, merge_dos=True)


@pytest.mark.parametrize(
    ("attempted", "expected"),
    [
        ("relabel", {"BENIGN": 4, "Botnet": 1}),
        ("drop", {"BENIGN": 1, "Botnet": 1}),
        ("keep", {"BENIGN": 1, "Botnet": 1, "Attempted": 1, "Botnet - Attempted": 1, "DoS Hulk - Attempted": 1}),
    ],
)
def test_attempted_attacks(tmp_path: Path, attempted: str, expected: dict[str, int]) -> None:
    labels = ["BENIGN", "Botnet", "Botnet - Attempted", "DoS Hulk – attempted", "Attempted"]
    path = folder(tmp_path, "cicids2017_improved", labels)
    assert classes("cicids2017_improved", path, attempted=attempted) == expected


def test_spellings_of_2019_merge_unless_asked_not_to(tmp_path: Path) -> None:
    path = folder(tmp_path, "cicddos2019", ["LDAP", "DrDoS_LDAP", "UDPLag", "UDP-lag", "UDP", "Syn", "WebDDoS"])
    assert classes("cicddos2019", path) == {"DrDoS_LDAP": 2, "DrDoS_UDP": 1, "Syn": 1, "UDP-lag": 2, "WebDDoS": 1}
    assert len(classes("cicddos2019", path, merge_spellings=False)) == 7


def test_caps(tmp_path: Path) -> None:
    path = folder(tmp_path, "cicids2017", ["BENIGN"] * 30_002 + ["Bot"])
    assert classes("cicids2017", path) == {"BENIGN": 30_000, "Bot": 1}
    assert classes("cicids2017", path, max_per_class=None)["BENIGN"] == 30_002
    assert classes("cicids2017", path, max_per_class=3) == {"BENIGN": 3, "Bot": 1}
    with pytest.raises(InputError, match="at least 1"):
        load("cicids2017", data_dir=path, max_per_class=0)


def test_the_cap_counts_merged_classes(tmp_path: Path) -> None:
    path = folder(tmp_path, "cicddos2019", ["LDAP"] * 3 + ["DrDoS_LDAP"] * 3)
    assert classes("cicddos2019", path, max_per_class=4) == {"DrDoS_LDAP": 4}


def test_exclude(tmp_path: Path) -> None:
    path = folder(tmp_path, "cicids2017_improved", ["BENIGN", "Infiltration - Portscan", "Botnet"])
    assert classes("cicids2017_improved", path, exclude=("infiltration-portscan",)) == {"BENIGN": 1, "Botnet": 1}
    assert len(classes("cicids2017_improved", path, exclude=("Heartbleed",))) == 3  # known, though absent here
    with pytest.raises(InputError, match="no class 'Worms' to exclude; the classes are: BENIGN"):
        load("cicids2017_improved", data_dir=path, exclude=("Worms",), progress=False)


def test_gas_classes_have_names_and_missing_values_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "gas.arff"
    path.write_text("@relation gas\n@attribute gain real\n@attribute result {'0','7'}\n@data\n1,0\n?,7\n3,0\n")
    table, report = load("gas_pipeline", data=path, progress=False)
    assert table.counts == {"Normal": 2, "Recon": 1}
    assert table.x[:, 0].tolist() == [1, 2, 3]
    assert report.imputed == {"gain": 1}
    table, report = load("gas_pipeline", data=path, on_invalid="drop", progress=False)
    assert table.counts == {"Normal": 2}
    assert report.classes["Recon"].invalid == 1


def test_gas_codes_are_categories(tmp_path: Path) -> None:
    path = tmp_path / "gas.csv"
    path.write_text("pump,control_mode,comm_write_fun,measurement,result\n1,2,10,0.5,0\n0,0,10,7,6\n1,1.5,10,7,0\n")
    table, _ = load("gas_pipeline", data=path, progress=False)
    assert table.categories == {"pump": ("0", "1"), "control_mode": ("0", "1.5", "2"), "comm_write_fun": ("10",)}
    assert table.x.tolist() == [[1, 2, 0, 0.5], [0, 0, 0, 7], [1, 1, 0, 7]]
    scaler = fit_scaler("zscore", table.take(np.array([0, 1])))  # 1.5 and the one value of comm_write_fun are kept
    assert scaler.columns[2:6] == ("control_mode=0", "control_mode=1.5", "control_mode=2", "comm_write_fun=10")
    np.testing.assert_allclose(scaler.inverse(scaler.transform(table.x)), table.x, atol=1e-6)


def test_where_the_files_of_a_dataset_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, "cicids2017", ["Bot"], "raw/a.csv")
    assert classes("cicids2017", path) == {"Bot": 1}
    folder(tmp_path, "cicids2017", ["DDoS"], "days/monday.csv")
    assert classes("cicids2017", path) == {"DDoS": 1}
    monkeypatch.setenv("NIDS_DATA_DIR", str(tmp_path))
    assert load("cicids2017", progress=False)[0].counts == {"DDoS": 1}
    assert load("cicids2017", data=tmp_path / "cicids2017" / "raw", progress=False)[0].counts == {"Bot": 1}


def test_files_of_no_dataset(tmp_path: Path) -> None:
    path = folder(tmp_path, "any", ["LDAP", "DrDoS_LDAP", "X - Attempted"])
    table, _ = load(None, data=[path / "any"], progress=False)
    assert table.classes == ("DrDoS_LDAP", "LDAP", "X - Attempted")
    with pytest.raises(InputError, match="nothing to read"):
        load(None, data_dir=path)


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIDS_DATA_DIR", raising=False)
    with pytest.raises(InputError, match=r"unknown dataset 'kdd'; choose from cicids2017, .*simulated"):
        load("kdd")
    with pytest.raises(InputError, match="pass `data_dir` or set NIDS_DATA_DIR"):
        load("cicids2017")
    with pytest.raises(InputError, match=r"there is no folder .*cicids2017: pass another `data_dir`"):
        load("cicids2017", data_dir=tmp_path)
    with pytest.raises(InputError, match="choose from relabel, drop, keep"):
        load("cicids2017", attempted="ignore")  # type: ignore[arg-type]


def test_the_simulated_dataset_needs_no_files() -> None:
    table, report = load("simulated", max_per_class=3, seed=1)
    assert table.features == CICIDS2017[1:]
    assert set(table.counts.values()) == {3}
    assert report.kept == report.read == len(table)
    again, _ = load("simulated", max_per_class=3, seed=1, keep_ports=True, exclude=("Bot",))
    assert again.features == CICIDS2017
    assert "Bot" not in again.classes
    for name in again.classes:  # a class's rows do not depend on the others
        one = again.x[again.y == again.classes.index(name), 1:]
        assert one.tolist() == table.x[table.y == table.classes.index(name)].tolist()
    with pytest.raises(InputError, match="no class 'Worms'"):
        load("simulated", exclude=("Worms",))
    with pytest.raises(InputError, match="every simulated class is excluded"):
        load("simulated", exclude=table.classes)
    with pytest.raises(InputError, match="reads no files"):
        load("simulated", data="a.csv")
