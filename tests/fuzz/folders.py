"""What is fuzzed of models on disk: an input is one file of a valid folder, changed; its first byte says which."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from nids_jax.errors import InputError
from nids_jax.files import own_checksum
from tests.fuzz.mutations import check_sentence


class FolderTarget:
    """A kind of folder; inputs with an odd first byte get checksums that fit, so that what lies behind is reached."""

    def __init__(
        self, make: Callable[[Path], None], load: Callable[[Path], None], forge: Callable[[Path, str], None]
    ) -> None:
        """`make` writes a valid folder, `load` reads one, `forge` makes its checksums fit a file that was changed."""
        self._make, self._load, self._forge = make, load, forge

    @cached_property
    def _valid(self) -> Path:
        self._kept = tempfile.TemporaryDirectory()
        folder = Path(self._kept.name) / "valid"
        self._make(folder)
        return folder

    @cached_property
    def _copy(self) -> Path:
        return Path(shutil.copytree(self._valid, self._valid.with_name("copy")))

    @cached_property
    def _files(self) -> list[Path]:
        return sorted(each.relative_to(self._valid) for each in self._valid.rglob("*") if each.is_file())

    def seeds(self) -> list[bytes]:
        """Every file, as it is and with checksums made anew."""
        contents = [(self._valid / name).read_bytes() for name in self._files]
        return [bytes([2 * i + j]) + content for i, content in enumerate(contents) for j in (0, 1)]

    def read(self, data: bytes, folder: Path) -> None:
        """Load the folder with that file."""
        which = data[0] if data else 0
        name = self._files[which // 2 % len(self._files)]
        (self._copy / name).write_bytes(data[1:])
        try:
            if which % 2:
                self._forge(self._copy, name.as_posix())
            self._load(self._copy)
        except InputError as error:
            check_sentence(error)
        finally:
            for each in self._files if which % 2 else [name]:
                shutil.copyfile(self._valid / each, self._copy / each)


def _write_bundle(folder: Path) -> None:
    from tests.bundle.models import model

    model().save(folder)


def _judge(folder: Path) -> None:
    from nids_jax.bundle.model import load_model
    from tests.bundle.models import rows

    loaded = load_model(folder)
    found = loaded.verdicts(np.resize(rows(seed=2).x, (5, len(loaded.features))))
    assert len(found.label) == 5


def _forge_bundle(folder: Path, name: str) -> None:
    from nids_jax.bundle import folder as bundle

    def change(found: dict) -> None:
        if name != bundle.MANIFEST:
            content = (folder / name).read_bytes()
            found["files"][name] = {"bytes": len(content), "sha256": bundle._sha256(content)}

    _forge(folder / bundle.MANIFEST, change)


def _write_checkpoint(folder: Path) -> None:
    import jax

    from nids_jax.generators.cddpm import CDDPM
    from tests.generators.test_cddpm import TINY, rows

    CDDPM(replace(TINY, steps=4), checkpoint_dir=folder, about={"dataset": "none"}).fit(*rows(), jax.random.key(1))


def _load_checkpoint(folder: Path) -> None:
    from nids_jax.generators.cddpm import CDDPM

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*of an earlier version")
        CDDPM.load(folder)


def _forge_checkpoint(folder: Path, name: str) -> None:
    if name == "description.json":  # damaged arrays under checksums that fit are Orbax's business
        _forge(folder / name, lambda found: None)


def _forge(path: Path, change: Callable[[dict], None]) -> None:
    """Let a JSON object's own checksum fit, where it is one."""
    try:
        found = json.loads(path.read_bytes())
        change(found)
        found["sha256"] = own_checksum(found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return
    path.write_text(json.dumps(found))


BUNDLE = FolderTarget(_write_bundle, _judge, _forge_bundle)
CHECKPOINT = FolderTarget(_write_checkpoint, _load_checkpoint, _forge_checkpoint)
