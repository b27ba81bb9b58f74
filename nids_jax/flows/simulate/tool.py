"""A traffic tool: what it is, the labels of datasets that it answers to, and the ways in which its traffic looks."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nids_jax.flows.schema import normalise
from nids_jax.flows.simulate.parts import ANYWHERE
from nids_jax.flows.simulate.script import About, Traffic

# Networks differ.  Segments: Ethernet's 1460; 1452 behind PPPoE (RFC 2516: MTU 1492); 1400, 1380 and 1360 within VPNs
# and behind firewalls that clamp.  Losses: none on most paths, up to 2 % on a bad one.
SEGMENTS = (1460, 1460, 1460, 1460, 1460, 1452, 1440, 1400, 1380, 1360)
LOSSES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.003, 0.01, 0.02)
PATHS = About((0.0005, 0.002, 0.02, 0.06, 0.15), 0.6, low=0.0001, high=1.0)  # s: a building, a country, the world

Recipes = tuple[tuple[float, Traffic], ...]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program (or one of its modes) and the conversations that it gives."""

    name: str
    summary: str  # one line: what it does
    source: str  # code, manual, RFC
    labels: tuple[str, ...]  # of datasets, that it answers to; compared by schema.normalise
    recipes: Recipes  # (weight, recipe), …
    benign: bool = False

    @property
    def ports(self) -> tuple[int, ...]:
        """The servers' ports in all recipes, each once, rising."""
        return tuple(sorted({port for _, traffic in self.recipes for port in traffic.ports}))

    @property
    def protocols(self) -> tuple[int, ...]:
        """The IP protocol numbers of all recipes, each once, rising."""
        return tuple(sorted({traffic.protocol for _, traffic in self.recipes}))

    @property
    def number(self) -> int:
        """What its random numbers and its hosts follow from: the CRC-32 of its name."""
        return zlib.crc32(self.name.encode())


def make(
    name: str,
    summary: str,
    source: str,
    recipes: Sequence[tuple[float, Traffic]] | Traffic,
    labels: Sequence[str] = (),
    *,
    benign: bool = False,
) -> Tool:
    """A tool on networks of all kinds (`anywhere`); its own name is one of its labels."""
    given = ((1.0, recipes),) if isinstance(recipes, Traffic) else tuple(recipes)
    every = {normalise(label): label for label in (*labels, name)}
    return Tool(
        name=name,
        summary=summary,
        source=source,
        labels=tuple(every.values()),
        recipes=anywhere(given),
        benign=benign,
    )


def anywhere(recipes: Recipes) -> Recipes:
    """The same recipes on paths, with segments and with losses of every kind, where they do not say their own."""
    return tuple(
        (
            weight,
            replace(
                traffic,
                mss=traffic.mss or SEGMENTS,
                losses=traffic.losses or LOSSES,
                rtt=PATHS if traffic.rtt == ANYWHERE else traffic.rtt,
            ),
        )
        for weight, traffic in recipes
    )
