"""Checkpoints: descriptions there and back, what is refused of them, and a quiet Orbax."""

import copy
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import pytest

from nids_jax.diffusion.samplers import DPMpp2M
from nids_jax.errors import InputError
from nids_jax.generators.cddpm import CDDPM
from nids_jax.training.checkpoint import from_plain, plain
from tests.generators.test_cddpm import TINY, rows

KEY = jax.random.key(1)


@dataclass(frozen=True, kw_only=True)
class Inner:
    sizes: tuple[int, ...]
    pair: tuple[int, str] = (1, "a")


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    kind: Literal["one", "two"]
    share: float
    whole: bool
    limit: int | None = None


TYPES = {"Inner": Inner, "Outer": Outer}
SETTINGS = Outer(inner=Inner(sizes=(1, 2)), kind="two", share=1, whole=True)


def test_settings_come_back_from_json():
    assert from_plain(json.loads(json.dumps(plain(SETTINGS))), TYPES, Outer) == SETTINGS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "Other"}, 'of the type "Other", which is none of Inner, Outer'),
        ({"type": ["Outer"]}, r'of the type \["Outer"\]'),
        ({"more": 1}, "a Outer has no field 'more'"),
        ({"share": None}, "has null for 'share'"),
        ({"whole": 1}, "has 1 for 'whole'"),
        ({"share": True}, "has true for 'share'"),
        ({"kind": "three"}, """has "three" for 'kind'"""),
        ({"limit": "none"}, """has "none" for 'limit'"""),
        ({"inner": {}}, "has {} for 'inner'"),
        ({"inner": {"type": "Inner", "sizes": [1, "2"], "pair": [1, "a"]}}, "for 'sizes'"),
        ({"inner": {"type": "Inner", "sizes": [1], "pair": [1]}}, "for 'pair'"),
        ({"inner": {"type": "Inner", "sizes": [1]}}, "a Inner needs the field 'pair'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], said: str):
    with pytest.raises(InputError, match=said):
        from_plain({**json.loads(json.dumps(plain(SETTINGS))), **changes}, TYPES)


def test_another_type_than_the_expected_is_refused():
    with pytest.raises(InputError, match="a Outer is stored as"):
        from_plain(plain(SETTINGS.inner), TYPES, Outer)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    CDDPM(replace(TINY, steps=4), checkpoint_dir=folder, about={"dataset": "none"}).fit(*rows(), KEY)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "copy")


def _describe(folder: Path, description: Any) -> None:
    (folder / "description.json").write_text(json.dumps(description))


def _mutations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The description without one entry, or with a value of another type, at any depth of what is read."""
    places = [(name,) for name in ("kind", "config", "classes", "low", "high", "about")]
    config = description["config"]
    places += [("config", name) for name in config]
    places += [("config", name, inner) for name, value in config.items() if isinstance(value, dict) for inner in value]
    for place in places:
        for value in (..., None, "text", -1, [], {}, {"type": 3}):
            changed = copy.deepcopy(description)
            parent = changed
            for name in place[:-1]:
                parent = parent[name]
            if value is ...:
                del parent[place[-1]]
            elif value == parent[place[-1]]:
                continue
            else:
                parent[place[-1]] = value
            yield f"{'.'.join(place)}: {value}", changed


def test_a_changed_description_is_refused_in_a_sentence(folder: Path):
    """… or is loaded, where the change is to another valid value that training or sampling could have had."""
    found = json.loads((folder / "description.json").read_text())
    assert found["format"] == 1
    harmless = {"config.epochs: Ellipsis", "about: {}", "about: {'type': 3}", "config.guidance: -1"}
    harmless |= {f"config.optimiser.{name}: -1" for name in ("learning_rate", "clip_norm", "ema_decay")}
    for name, description in _mutations(found):
        _describe(folder, description)
        if name in harmless:
            CDDPM.load(folder)
        else:
            with pytest.raises(InputError) as error:
                CDDPM.load(folder)
            assert "\n" not in str(error.value), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format is 2, and this version of nids_jax reads formats up to 1; update nids_jax"),
        ({"format": "1"}, "'format' is \"1\""),
        ({"classes": 4}, "does not hold the arrays"),
        ({"classes": 0}, "do not go together"),
        ({"low": [0.0]}, "do not go together"),
        ({"kind": "detector"}, "of kind 'detector', not 'cddpm'"),
    ],
)
def test_descriptions_that_cannot_be_used(folder: Path, changes: dict[str, Any], said: str):
    _describe(folder, {**json.loads((folder / "description.json").read_text()), **changes})
    with pytest.raises(InputError, match=said):
        CDDPM.load(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{", '"cddpm"', "\x00"])
def test_a_description_that_is_no_json_object(folder: Path, text: str):
    (folder / "description.json").write_text(text)
    with pytest.raises(InputError, match=r"description\.json (cannot be read as JSON|holds no JSON object)"):
        CDDPM.load(folder)


def test_a_description_without_a_format_is_read(folder: Path):
    description = json.loads((folder / "description.json").read_text())
    del description["format"], description["config"]["epochs"]
    _describe(folder, description)
    loaded, about = CDDPM.load(folder)
    assert about == {"dataset": "none"}
    assert loaded.config.sampler == DPMpp2M(steps=12)


def test_damaged_arrays_are_refused(folder: Path):
    shutil.rmtree(folder / "steps" / "4" / "default")
    with pytest.raises(InputError, match=r"step 4 in .* does not hold the arrays"):
        CDDPM.load(folder)


class Kept(logging.Handler):
    """The records of a logger."""

    def __init__(self):
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_the_log_of_other_programs_stays_as_it_is(folder: Path):
    logger = logging.getLogger("absl")
    before = list(logger.filters)
    handler, level = Kept(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        CDDPM.load(folder)
        assert not [record for record in handler.records if "orbax" in record.pathname]
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert logger.filters == before


def test_no_epochs_are_trained():
    with pytest.raises(InputError, match="`epochs` is 3, and training counts steps"):
        CDDPM(replace(TINY, epochs=3)).fit(*rows(), KEY)
