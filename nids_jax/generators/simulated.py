"""The entries of `simulated`: flows of the tools that stand behind a dataset's classes (`pipeline.simulation`).

Nothing is fitted: the class's name says which tool is simulated, so rows need no example.  `simulated_inverse` has the
rows of `inverse` beside them.
"""

from collections.abc import Callable

from nids_jax.errors import InputError
from nids_jax.generators.base import Generator
from nids_jax.generators.spec import GeneratorSpec, Request


def _refuse(name: str) -> Callable[[Request], Generator]:
    def make(request: Request) -> Generator:
        raise InputError(f"{name} makes flows of tools from the names of classes, and not from scaled rows alone")

    return make


SPECS = (
    GeneratorSpec(
        name="simulated",
        make=_refuse("simulated"),
        summary="Flows of the simulated tools that stand behind the classes, weighted.",
        learns=False,
        needs="tools",
        compared_in=frozenset({"few_shot", "generator_comparison"}),
    ),
    GeneratorSpec(
        name="simulated_inverse",
        make=_refuse("simulated_inverse"),
        summary="The rows of `simulated` and of `inverse`, weighted.",
        learns=False,
        needs="weighted tools",
        beside="inverse",
        compared_in=frozenset({"generator_comparison"}),
    ),
)
