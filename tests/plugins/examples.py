"""The modules that docs/how-to/plug-ins.md shows, to be imported as a user would."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from nids_jax import plugins
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.generators.registry import GENERATORS

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "plug-ins.md").read_text(encoding="utf-8")
SOURCES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.findall(r"^nids_jax .*", TEXT, re.MULTILINE)
ENTRY_POINTS = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)

GENERATOR, CLASSIFIER = "my_generator:Noise", "my_classifier:NearestMean"


def install() -> None:
    """Make the modules importable, in this process."""
    for name, source in SOURCES.items():
        module = ModuleType(name)
        exec(source, vars(module))
        sys.modules[name] = module


@contextmanager
def registries_kept() -> Iterator[None]:
    """What joins the registries within goes again."""
    registries: list[Any] = [GENERATORS, CLASSIFIERS, plugins._sources]
    before = [(each, dict(each)) for each in registries]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)
