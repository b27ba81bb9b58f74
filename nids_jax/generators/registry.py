"""Generators by name, in the order in which reports show them."""

from collections.abc import Iterable, Sequence

from nids_jax import plugins
from nids_jax.errors import InputError
from nids_jax.generators import (
    calibrated,
    cddpm,
    editing,
    foreign,
    gan,
    inverse,
    packet_augmentation,
    resampling,
    retimed,
    simulated,
    transfer,
)
from nids_jax.generators.base import Generator
from nids_jax.generators.spec import GeneratorSpec, Request

GENERATORS: dict[str, GeneratorSpec] = {
    spec.name: spec
    for spec in (
        *resampling.SPECS,
        retimed.SPEC,
        inverse.SPEC,
        cddpm.SPEC,
        calibrated.SPEC,
        transfer.SPEC,
        editing.SPEC,
        *packet_augmentation.SPECS,
        *simulated.SPECS,
        *gan.SPECS,
    )
}
plugins.advertised(GENERATORS, foreign.GROUP, foreign.spec_of)


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names as the registry has them; a class named package.module:Class joins it (see `plugins.named`).

    Raises:
      InputError: a class that cannot be used.
    """
    return plugins.named(GENERATORS, names, "generators", foreign.spec_of)


def columns_obstacle(name: str, features: Sequence[str]) -> str | None:
    """Why a generator of rows in raw units cannot make rows with these columns; None where it can."""
    try:
        make_generator(name, Request(features=tuple(features)))
    except InputError as error:
        return str(error)
    return None


def make_generator(name: str, request: Request) -> Generator:
    """The generator called `name`, or package.module:Class, not fitted yet.

    Raises:
      InputError: unknown name, or a generator that needs what the request lacks.
    """
    (name,) = known([name])
    if name not in GENERATORS:
        raise InputError(f"unknown generator {name!r}; choose from {', '.join(GENERATORS)}")
    return GENERATORS[name].make(request)
