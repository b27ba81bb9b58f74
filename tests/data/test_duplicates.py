"""Duplicates against pandas, and a forced collision of the hash."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nids_jax.data import duplicates
from nids_jax.data.duplicates import first_equal, repeats

few_values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 1e300, 5e-324])


@given(x=hnp.arrays(np.float64, st.tuples(st.integers(0, 30), st.integers(1, 3)), elements=few_values), data=st.data())
def test_repeats_are_those_of_pandas(x: np.ndarray, data: st.DataObject) -> None:
    y = data.draw(hnp.arrays(np.int32, len(x), elements=st.integers(0, 2)))
    frame = pd.DataFrame(x + 0.0)
    np.testing.assert_array_equal(repeats(x), frame.duplicated().to_numpy())
    np.testing.assert_array_equal(repeats(x, y), frame.assign(label=y).duplicated().to_numpy())


def test_first_equal_names_the_earliest_row() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    assert first_equal(x).tolist() == [0, 1, 0, 1, 0]


def test_equal_hashes_of_different_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_hash_rows", lambda x: np.zeros(len(x), np.uint64))
    x = np.array([[1.0], [2.0], [2.0], [1.0], [-0.0], [3.0], [0.0], [np.nan], [np.nan]])
    assert first_equal(x).tolist() == [0, 1, 1, 0, 4, 5, 4, 7, 8]


def test_many_rows_span_several_blocks() -> None:
    x = np.random.default_rng(0).integers(0, 50, (20_000, 2)).astype(float)
    np.testing.assert_array_equal(repeats(x), pd.DataFrame(x).duplicated().to_numpy())
