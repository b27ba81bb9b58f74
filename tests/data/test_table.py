"""FlowTable and its checks."""

import numpy as np
import pytest

from nids_jax.data.table import FlowTable, concatenate


def table(**changes: object) -> FlowTable:
    parts = {
        "x": np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 1.0]]),
        "y": np.array([0, 1, 1], np.int32),
        "features": ("size", "protocol"),
        "classes": ("a", "b"),
        "categories": {"protocol": ("tcp", "udp")},
    }
    return FlowTable(**{**parts, **changes})  # type: ignore[arg-type]


def test_select_keeps_the_categories_of_its_columns() -> None:
    assert table().select(("size",)).categories == {}
    chosen = table().select(("protocol", "size"))
    assert chosen.categories == {"protocol": ("tcp", "udp")}
    assert chosen.x.tolist() == [[0, 1], [1, 2], [1, 3]]
    with pytest.raises(ValueError, match="no column 'port'"):
        table().select(("port",))


def test_counts_keep_empty_classes() -> None:
    assert table().take(np.array([1, 2])).counts == {"a": 0, "b": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((2, 2))}, "3 labels"),
        ({"y": np.array([0, 1, 2], np.int32)}, r"span 0\.\.2"),
        ({"categories": {"flags": ("x",)}}, "not a feature"),
        ({"categories": {"protocol": ("tcp",)}}, "outside its 1 categories"),
        ({"categories": {"size": ("a", "b", "c")}}, "outside its 3 categories"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(**changes)


def test_concatenate() -> None:
    both = concatenate([table(), table().take(np.array([2]))])
    assert both.x[:, 0].tolist() == [1, 2, 3, 3]
    assert both.y.tolist() == [0, 1, 1, 1]
    with pytest.raises(ValueError, match="classes differ"):
        concatenate([table(), table(classes=("a", "c"))])
    with pytest.raises(ValueError, match="no table"):
        concatenate([])
