"""Two captures on the features and classes that both have."""

import numpy as np
import pytest

from nids_jax.data.loading import load
from nids_jax.data.shared import shared
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError


def _table(features: tuple[str, ...], classes: tuple[str, ...]) -> FlowTable:
    """Row i is of class i and holds 10·i + column."""
    x = 10.0 * np.arange(len(classes))[:, None] + np.arange(len(features))
    return FlowTable(x=x, y=np.arange(len(classes), dtype=np.int32), features=features, classes=classes)


def test_columns_and_classes_are_matched_by_name():
    source = _table(("a", "b", "c"), ("BENIGN", "Botnet", "Portscan", "Only here"))
    target = _table(("c", "x", "a"), ("PortScan", "Bot", "Benign", "Only there"))
    own, other, left_out = shared(source, target, ("cicids2017_improved", "cicids2017"))
    assert own.features == other.features == ("a", "c")
    assert own.classes == other.classes == ("BENIGN", "Botnet", "Portscan")
    np.testing.assert_array_equal(own.x, [[0, 2], [10, 12], [20, 22]])
    np.testing.assert_array_equal(other.x[np.argsort(other.y)], [[22, 20], [12, 10], [2, 0]])
    assert [line for line in left_out if "Only there" in line]
    assert [line for line in left_out if "features of cicids2017_improved alone, left out: b" in line]


def test_nothing_in_common_is_refused():
    with pytest.raises(InputError, match="share no feature"):
        shared(_table(("a",), ("x", "y")), _table(("b",), ("x", "y")), ("one", "two"))
    with pytest.raises(InputError, match="share 1 classes"):
        shared(_table(("a",), ("x", "y")), _table(("a",), ("x", "z")), ("one", "two"))


def test_both_releases_of_cicids2017_have_nearly_everything_in_common(data_dir):
    names = ("cicids2017_improved", "cicids2017")
    improved, original = (load(name, data_dir=data_dir, progress=False)[0] for name in names)
    own, other, _ = shared(improved, original, names)
    assert own.features == other.features
    assert len(own.features) > 70
    assert len(own.classes) == len(original.classes) == 15
    assert len(other) == len(original)
