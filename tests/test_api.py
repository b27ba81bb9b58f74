"""The public functions, and the example that README shows."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nids_jax
from tests.flows.capture_writer import Sent, pcap

ROOT = Path(__file__).parents[1]


def test_the_example_of_the_first_page_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    assert example[1] in (ROOT / "docs" / "how-to" / "library.md").read_text(encoding="utf-8")
    names: dict = {}
    exec(example[1], names)
    assert names["flows"].shape == (15 * 50, len(names["table"].features))
    assert np.isfinite(names["flows"]).all()


def test_classifiers_and_explanations():
    split = nids_jax.split(nids_jax.simulate({"BENIGN": 60, "DDoS": 60}).select(("flow_duration", "flow_packets_s")))
    scaler = nids_jax.fit_scaler("signed_log", split.train)
    forest = nids_jax.make_classifier("random_forest", seed=1).fit(scaler.transform(split.train.x), split.train.y)
    x = scaler.transform(split.test.x[:3])
    found = nids_jax.explain(forest.predict_proba, scaler.transform(split.train.x), x, samples=8)
    total = found.values.sum(axis=1) + found.base
    np.testing.assert_allclose(total, forest.predict_proba(x), atol=1e-6)


def test_a_capture_becomes_a_data_frame(tmp_path: Path):
    sent = [Sent(1_000_000 * i, "10.0.0.9", "10.0.0.1", (2000, 80), 17, 9 * i, 0, 0, 0, 0, 0) for i in range(3)]
    (tmp_path / "a.pcap").write_bytes(pcap(sent, 1))
    frame = nids_jax.meter(tmp_path / "a.pcap")
    assert frame["total_fwd_packets"].tolist() == [3]
    assert frame["source_ip"].tolist() == ["10.0.0.9"]


def test_settings_are_checked():
    model = nids_jax.make_generator("cddpm", preset="paper", rows=75, guidance=1.0)
    assert model.config.steps == 4000  # pyright: ignore[reportAttributeAccessIssue]
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("cddpm", {"stepz": 3}, "cddpm has no setting 'stepz'; there are: .*steps"),
        ("smote", {"steps": 3}, "smote has no setting 'steps'; there are: none"),
        ("gan", {}, "unknown generator 'gan'; choose from copies"),
        ("packets", {}, "packet"),
    ]
    for name, settings, said in wrong:
        with pytest.raises(nids_jax.InputError, match=said):
            nids_jax.make_generator(name, **settings)
