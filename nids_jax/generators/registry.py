"""Generators by name."""

from collections.abc import Callable
from typing import Any

from nids_jax.errors import InputError
from nids_jax.generators.base import Generator
from nids_jax.generators.cddpm import CDDPM
from nids_jax.generators.resampling import Copies

GENERATORS: dict[str, Callable[..., Generator]] = {"cddpm": CDDPM, "copies": Copies}


def make_generator(name: str, *args: Any, **options: Any) -> Generator:
    """The generator called `name`.

    Raises:
      InputError: unknown name.
    """
    if name not in GENERATORS:
        raise InputError(f"unknown generator {name!r}; choose from {sorted(GENERATORS)}")
    return GENERATORS[name](*args, **options)
