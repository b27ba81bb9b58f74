"""The entry of `simulated`: flows of the tools that stand behind a dataset's classes (`nids_jax.pipeline.simulation`).

Nothing is fitted: the class's name says which tool is simulated, so rows need no example.
"""

from nids_jax.errors import InputError
from nids_jax.generators.base import Generator
from nids_jax.generators.spec import GeneratorSpec, Request


def _make(request: Request) -> Generator:
    raise InputError("simulated makes flows of tools from the names of classes, and not from scaled rows alone")


SPEC = GeneratorSpec(
    name="simulated",
    make=_make,
    summary="Flows of the simulated tools that stand behind the classes, weighted.",
    learns=False,
    needs="tools",
    compared_in=frozenset({"few_shot", "generator_comparison"}),
)
