"""Checkpoints: descriptions there and back, what is refused of them, and a quiet Orbax."""

import copy
import json
import logging
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import pytest

from nids_jax.diffusion.samplers import DPMpp2M
from nids_jax.errors import InputError
from nids_jax.files import own_checksum
from nids_jax.generators.cddpm import CDDPM
from nids_jax.training.checkpoint import Checkpoint
from nids_jax.training.description import from_plain, plain
from tests.full_disk import files_of_at_most
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
    """Write the description with a checksum that fits."""
    description = {**description, "sha256": own_checksum(description)}
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
    assert found["format"] == 2
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
        ({"format": 3}, "format is 3, and this version of nids_jax reads formats 1 to 2; update nids_jax"),
        ({"format": 0}, "format is 0"),
        ({"steps": {}}, "step 4 in .* is damaged"),
        ({"steps": {"4": 7}}, "'steps' has"),
        ({"steps": {"4": {"arrays": "0"}}}, "step 4 in .* is damaged"),
        ({"steps": {"4": {"arrays": "0", "files": "0"}}}, "step 4 in .* is damaged"),
        ({"steps": []}, "'steps' is"),
        ({"steps": {"../4": {}}}, "'steps' has"),
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


def _of_format_1(folder: Path, **changes: Any) -> None:
    description = json.loads((folder / "description.json").read_text())
    for name in ("format", "steps", "sha256"):
        del description[name]
    del description["config"]["epochs"]
    (folder / "description.json").write_text(json.dumps(description | changes))


def test_a_description_of_an_earlier_format_is_read_with_a_warning(folder: Path):
    _of_format_1(folder)
    with pytest.warns(UserWarning, match="of an earlier version, without checksums"):
        loaded, about = CDDPM.load(folder)
    assert about == {"dataset": "none"}
    assert loaded.config.sampler == DPMpp2M(steps=12)


@pytest.mark.filterwarnings("ignore:.*of an earlier version")
def test_a_training_of_an_earlier_format_goes_on_with_checksums(folder: Path):
    before = json.loads((folder / "description.json").read_text())
    _of_format_1(folder, config=before["config"])
    checkpoint = Checkpoint(folder, {name: before[name] for name in {*before} - {"format", "steps", "sha256"}})
    model, _ = CDDPM.load(folder)
    state, losses = checkpoint.restore(model.state_, 4) or pytest.fail("nothing was kept")
    checkpoint.save(state._replace(step=state.step + 1), losses, 5)
    checkpoint.close()
    after = json.loads((folder / "description.json").read_text())
    assert [*after["steps"]] == ["5"]
    assert {*after["steps"]["5"]} == {"arrays", "files"}
    assert after["sha256"] == own_checksum(after)


def test_a_changed_bit_of_a_description_is_refused(folder: Path):
    path = folder / "description.json"
    text = path.read_text()
    place = text.index('"low": [') + len('"low": [\n  -0.')
    digit = next(at for at in range(place, len(text)) if text[at].isdigit())
    path.write_text(f"{text[:digit]}{(int(text[digit]) + 1) % 10}{text[digit + 1 :]}")
    with pytest.raises(InputError, match=r"description\.json: its checksum is not that of its content"):
        CDDPM.load(folder)


def test_a_run_that_was_killed_before_the_checksum_of_the_files_is_whole(folder: Path):
    description = json.loads((folder / "description.json").read_text())
    del description["steps"]["4"]["files"]
    _describe(folder, description)
    CDDPM.load(folder)


def test_every_changed_file_of_a_step_is_refused(trained: Path, tmp_path: Path):
    chance = random.Random(0)
    folder = shutil.copytree(trained, tmp_path / "copy")
    files = sorted(each for each in (folder / "steps").rglob("*") if each.is_file() and each.stat().st_size)
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        for damage in (bytes(changed), content[: len(content) // 2], None):
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            with pytest.raises(InputError, match=r"step 4 in .* is damaged"):
                CDDPM.load(folder)
            path.write_bytes(content)
    CDDPM.load(folder)


def test_damaged_arrays_are_refused(folder: Path):
    shutil.rmtree(folder / "steps" / "4" / "default")
    with pytest.raises(InputError, match=r"step 4 in .* is damaged"):
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


def test_two_trainings_do_not_share_a_folder_and_reading_removes_nothing(folder: Path):
    unfinished = folder / "steps" / "999.orbax-checkpoint-tmp-1"
    unfinished.mkdir()
    first = Checkpoint(folder.parent / "new", {})
    with pytest.raises(InputError, match="new is in use by process "):
        Checkpoint(folder.parent / "new", {})
    CDDPM.load(folder)
    assert unfinished.is_dir()
    first.close()
    Checkpoint(folder.parent / "new", {}).close()


# Orbax's threads may still report to an event loop that its failure has closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_fills_while_a_step_is_written_costs_that_step_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    settings, path = replace(TINY, steps=60), tmp_path / "new"  # kept after 50 and 60
    save = Checkpoint.save
    steps: list[int] = []

    def full(checkpoint: Checkpoint, state: Any, losses: Any, total: int) -> None:
        steps.append(int(state.step))
        with files_of_at_most(2_000 if len(steps) == 2 else 1 << 30):
            save(checkpoint, state, losses, total)

    monkeypatch.setattr(Checkpoint, "save", full)
    said = f"^cannot write {path}(/description.json)?: File too large; choose another `output_dir`$"
    with pytest.raises(InputError, match=said):
        CDDPM(settings, checkpoint_dir=path).fit(*rows(), KEY)
    assert capfd.readouterr().err == ""
    assert [each.name for each in (path / "steps").iterdir()] == [str(steps[0])]
    assert not list(path.glob(".*"))
    resumed = CDDPM(settings, checkpoint_dir=path).fit(*rows(), KEY)
    assert steps == [50, 60, 60]
    whole = CDDPM(settings).fit(*rows(), KEY)
    labels = rows()[1][:20]
    assert (resumed.sample(labels, KEY) == whole.sample(labels, KEY)).all()
