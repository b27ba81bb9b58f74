"""Bundles that somebody has damaged or forged: a model or one sentence, never anything else."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nids_jax.bundle import folder
from nids_jax.bundle.model import load_model
from nids_jax.bundle.parts import Trees
from nids_jax.bundle.tensors import decode
from nids_jax.errors import InputError
from nids_jax.files import own_checksum
from tests.bundle.models import model, rows

EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["flip", "cut", "insert", "zero"]), st.binary(max_size=6)), max_size=3
)


@pytest.fixture(scope="module", params=["random_forest", "xgboost", "cnn_bigru"])
def bundle(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "model"
    model(request.param).save(path)
    return path


def changed(content: bytes, edits: list) -> bytes:
    for where, what, more in edits:
        place = int(where * max(len(content) - 1, 0))
        if what == "flip":
            more = bytes(a ^ (b or 1) for a, b in zip(content[place:], more, strict=False))
            content = content[:place] + more + content[place + len(more) :]
        elif what == "cut":
            content = content[:place] + content[place + len(more) + 1 :]
        elif what == "insert":
            content = content[:place] + more + content[place:]
        else:
            content = content[:place] + bytes(len(more)) + content[place + len(more) :]
    return content


def judged(path: Path) -> None:
    """What loads is a model that can judge rows."""
    try:
        loaded = load_model(path)
    except InputError:
        return
    found = loaded.verdicts(np.resize(rows(seed=2).x, (5, len(loaded.features))))
    assert len(found.label) == 5
    if all(isinstance(part, Trees) for part in loaded.parts):  # a network's take seconds
        loaded.explain(np.ones((1, len(loaded.features))))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, name=st.sampled_from([folder.MANIFEST, folder.WEIGHTS, folder.CARD, folder.PROGRAM]))
def test_changed_bytes(bundle, tmp_path, edits, name):
    path = tmp_path / "model"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(bundle, path)
    before = (path / name).read_bytes()
    after = changed(before, edits)
    (path / name).write_bytes(after)
    if name == folder.MANIFEST:
        with contextlib.suppress(ValueError):  # other blanks between the same values change nothing
            after, before = json.loads(after), json.loads(before)
    if after == before:
        load_model(path)
    else:
        with pytest.raises(InputError):
            load_model(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, head=st.booleans())
def test_changed_weights_under_checksums_that_fit(bundle, tmp_path, edits, head):
    path = tmp_path / "model"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(bundle, path)
    content = (path / folder.WEIGHTS).read_bytes()
    first = 8 + int.from_bytes(content[:8], "little") if head else len(content)
    content = changed(content[:first], edits) + content[first:]
    (path / folder.WEIGHTS).write_bytes(content)
    forged(path, lambda found: found["files"].update({folder.WEIGHTS: sizes(content)}))
    judged(path)


def sizes(content: bytes) -> dict:
    return {"bytes": len(content), "sha256": folder._sha256(content)}


def forged(path: Path, change) -> None:
    found = json.loads((path / folder.MANIFEST).read_text())
    change(found)
    found["sha256"] = own_checksum(found)
    (path / folder.MANIFEST).write_text(json.dumps(found))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.lists(st.integers(0, 30), min_size=1, max_size=5), value=JSON, drop=st.booleans())
def test_other_values_in_the_manifest_under_checksums_that_fit(bundle, tmp_path, where, value, drop):
    path = tmp_path / "model"
    if not path.exists():
        shutil.copytree(bundle, path)
    shutil.copy(bundle / folder.MANIFEST, path / folder.MANIFEST)

    def change(found: dict) -> None:
        at: object = found
        for step, number in enumerate(where):
            keys = [*at] if isinstance(at, dict) else [*range(len(at))] if isinstance(at, list) else []
            if not keys:
                return
            key = keys[number % len(keys)]
            if step == len(where) - 1:
                if drop:
                    del at[key]  # pyright: ignore
                else:
                    at[key] = value  # pyright: ignore
            else:
                at = at[key]  # pyright: ignore

    forged(path, change)
    judged(path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_arrays(content):
    with contextlib.suppress(InputError):
        decode(content)
