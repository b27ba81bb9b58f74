"""The examples of the page on estimators, run from top to bottom."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.estimators.test_conventions import compiling_quickly  # noqa: F401 (a fixture)

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "estimators.md"


@pytest.mark.filterwarnings("ignore:.*collapsed:RuntimeWarning")  # after few steps
@pytest.mark.usefixtures("compiling_quickly")
def test_the_examples_run():
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 6
    assert names["detector"].score(names["X"], names["y"]) > 0.8
    assert names["labels"].value_counts().to_dict() == dict.fromkeys(names["counts"], 60)
    assert set(names["shots"].tools_) == set(names["counts"])
    np.testing.assert_allclose(names["calibrated"].predict_proba(names["X"]).sum(axis=1), 1)
