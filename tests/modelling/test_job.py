"""From a table to a model."""

from dataclasses import replace

import numpy as np
import pytest

from nids_jax.data.loading import load
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate.tools import TOOLS, tool_flows
from nids_jax.modelling import choice, fitting
from nids_jax.modelling.fitting import DETECTORS
from nids_jax.modelling.job import train
from nids_jax.modelling.settings import Train
from tests.bundle.models import rows


def flows(counts: dict[str, int], seed: int = 5) -> FlowTable:
    """Flows of tools, as if they were real, in the columns of CIC-IDS2017 without the port."""
    parts, labels = [], []
    for label, (tool, count) in enumerate(counts.items()):
        x, names = tool_flows(TOOLS[tool], count, seed)
        parts.append(x[:, [names.index(name) for name in CICIDS2017[1:]]])
        labels.append(np.full(len(x), label, np.int32))
    classes = ("BENIGN", *[*counts][1:])
    return FlowTable(x=np.concatenate(parts), y=np.concatenate(labels), features=CICIDS2017[1:], classes=classes)


def test_every_row_is_used_and_told():
    said = []
    model = train(flows({"benign": 60, "hulk": 25, "xss": 6}), detector="random_forest", folds=3, say=said.append)
    data = model.told["data"]
    assert data["classes"] == {
        "BENIGN": {"real": 60, "simulated": 0},
        "hulk": {"real": 25, "simulated": 0},
        "xss": {"real": 6, "simulated": 1600},
    }
    assert "  xss: 6 real and 1,600 simulated" in said
    assert "warning: fewer than 20 labelled rows of xss" in said
    assert model.told["evaluation"]["rows"] == 91
    assert model.parts[0].columns.size
    for text in ("| xss | 6 | 1,600 |", "random_forest", "unknown", "Licence of the rows: unknown"):
        assert text in model.card
    without = train(flows({"benign": 60, "hulk": 25, "xss": 6}), detector="random_forest", folds=3, simulate_below=0)
    assert without.told["data"]["classes"]["xss"]["simulated"] == 0


def test_the_same_seed_gives_the_same_model(tmp_path):
    for name in ("a", "b"):
        train(rows(), detector="forests", folds=2).save(tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_auto_tells_the_scores_of_each(monkeypatch):
    monkeypatch.setattr(fitting, "STEPS", (20, 20))
    monkeypatch.setattr(choice, "CANDIDATES", ("decision_tree", "cnn_bigru", "random_forest"))
    said = []
    model = train(rows(20), folds=2, say=said.append)
    for name in choice.CANDIDATES:
        assert any(line.startswith(f"  {name}: macro F1") for line in said)
    assert f"detector: {model.told['detector']}" in said
    assert model.told["detector"] in DETECTORS


def test_a_class_whose_rows_are_equal_is_trained_on_and_not_tested():
    table = rows()
    x = np.concatenate([table.x, np.repeat(table.x[-1:] * [9, 9, 9, 1, 1], 3, axis=0)])
    table = replace(table, x=x, y=np.append(table.y, [3] * 3).astype(np.int32), classes=(*table.classes, "Rare"))
    said = []
    model = train(table, detector="random_forest", folds=2, say=said.append)
    assert any("Rare: fewer than two different rows" in line for line in said)
    assert "Rare" not in model.told["evaluation"]["per_class_recall"]
    assert model.classes[model.probabilities(x[-1:]).argmax()] == "Rare"


def test_split_by_time():
    table = rows()
    times = np.random.default_rng(0).uniform(0, 100, len(table))
    times[np.flatnonzero(table.y == 2)[:35]] += 1000  # of the last class few rows are early
    times[np.flatnonzero(table.y == 0)[:5]] += 1000
    model = train(table, detector="random_forest", split="time", times=times, folds=2)
    later = times > np.sort(times)[83]  # of 120 rows 84 are earlier
    assert model.told["evaluation"]["rows"] == later.sum()
    # The model's own thresholds are set on the later benign rows.
    assert model.calibration.rows == (later & (table.y == 0)).sum()
    times[table.y == 2] = 5000
    said = []
    train(table, detector="random_forest", split="time", times=times, folds=2, say=said.append)
    assert any("no earlier row is of Worm" in line for line in said)
    assert "warning: no later row is benign: thresholds are set on the earlier ones" in said
    with pytest.raises(InputError, match="needs the time of each row"):
        train(table, detector="random_forest", split="time")


def test_benign_rows_alone_do_with_simulated_attacks():
    table = flows({"benign": 80})
    with pytest.raises(InputError, match="pass `attacks=simulated`"):
        train(table)
    model = train(
        table, attacks="simulated", tools=("hulk", "masscan"), detector="random_forest", simulated_rows=50, folds=2
    )
    assert model.classes == ("BENIGN", "hulk", "masscan")
    assert model.told["data"]["classes"]["masscan"] == {"real": 0, "simulated": 50}
    assert "every attack row is simulated" in model.card.lower()
    assert 1 <= len(model.parts) <= 3  # one for each level of alignment
    with pytest.raises(InputError, match="`tools` names 'hulkk'"):
        train(table, attacks="simulated", tools=("hulkk",))
    attacks = flows({"benign": 1, "hulk": 60}, seed=9)
    alerts = model.verdicts(model.rows(attacks)[1:], 0.05).alert
    assert alerts.mean() > 0.5


@pytest.mark.parametrize(
    ("table", "changes", "why"),
    [
        (replace(rows(), classes=("x", "y", "z"), benign=None), {}, "benign_class"),
        (rows().take(rows().y == 0), {}, "attacks=simulated"),
        (rows().take(rows().y != 0), {}, "has no row"),
        (rows(), {"detector": "svm"}, "`detector` is 'svm'"),
        (rows(), {"prevalence": 2.0}, "`prevalence`"),
        (rows(), {"max_false_positives": (0.0,)}, "`max_false_positives`"),
        (rows(), {"folds": 1}, "`folds` is 1"),
        (rows(), {"tools": ("hulk",)}, "`tools` is about simulated attacks"),
    ],
)
def test_what_cannot_be_trained_on(table, changes, why):
    with pytest.raises(InputError, match=why):
        train(table, **changes)


def test_without_names_all_tools_are_one_class():
    model = train(flows({"benign": 80}), attacks="simulated", detector="decision_tree", simulated_rows=2, folds=2)
    assert model.classes == ("BENIGN", "Attack")
    attacks = sum(not tool.benign for tool in TOOLS.values())
    assert model.told["data"]["classes"]["Attack"] == {"real": 0, "simulated": 2 * attacks}


def test_attack_rows_are_not_trained_on_when_attacks_are_simulated():
    table = flows({"benign": 80, "hulk": 9, "xss": 7})
    names = ("BENIGN", "Loud", "xss")
    settings = {"attacks": "simulated", "detector": "decision_tree", "simulated_rows": 5, "folds": 2}
    model = train(replace(table, classes=names), tool_of=("Loud=hulk",), **settings)
    assert model.classes == names
    assert model.told["data"]["rows"] == 80
    assert train(replace(table, classes=names), **settings).classes == ("BENIGN", "xss")


def test_real_rows_are_found(data_dir):
    table, _ = load("cicids2017_improved", data_dir=data_dir, max_per_class=150, progress=False)
    model = train(table, detector="random_forest", folds=3, meter="corrected")
    evaluation = model.told["evaluation"]
    assert evaluation["macro_f1"] > 0.85
    assert evaluation["roc_auc"] > 0.97
    assert model.threshold(0.01).supported
    assert not model.threshold(0.001).supported


def test_settings_have_what_their_flags_say():
    assert Train().detector == "auto"
    assert Train().folds == 5
