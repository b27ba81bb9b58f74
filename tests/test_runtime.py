"""Where compiled functions are kept, and that none need be."""

import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from nids_jax.compiled import compiled
from nids_jax.runtime import enable_compilation_cache
from tests.full_disk import files_of_at_most


@pytest.mark.parametrize(
    ("named", "cache", "home", "expected"),
    [
        ("{}/named", "{}/cache", "{}", "{}/named"),
        ("", "{}/cache", "{}", "{}/cache/nids_jax"),
        ("", "", "{}", "{}/.cache/nids_jax"),
        ("", "", "", None),  # which is the root to Python
        ("", "", "/", None),
        ("/proc/none", "", "{}", None),
        ("", "{}/file", "{}", None),
    ],
)
def test_the_cache_is_in_a_folder_that_can_be_written_or_nowhere(
    named: str, cache: str, home: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    before = jax.config.values["jax_compilation_cache_dir"]
    for name, value in (("JAX_COMPILATION_CACHE_DIR", named), ("XDG_CACHE_HOME", cache), ("HOME", home)):
        monkeypatch.setenv(name, value.format(tmp_path))
    try:
        enable_compilation_cache()
        assert jax.config.values["jax_compilation_cache_dir"] == (expected and expected.format(tmp_path))
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert not Path("/.cache/nids_jax").exists()


def test_functions_compile_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))

    def twice(x: np.ndarray) -> np.ndarray:
        return x + x

    function = compiled(twice)
    with files_of_at_most(10), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(np.arange(3)).tolist() == [0, 2, 4]
    assert function(np.arange(3.0)).tolist() == [0, 2, 4]
    assert list(tmp_path.rglob("*.nbi"))
