"""Floating-point operations of a program's products, read off its jaxpr: the same whatever machine it is lowered for.

XLA's own count has the body of a loop once; here a scan counts for its length, and a loop whose bounds are traced for
as many turns as the caller says.  Multiplications and additions of matrix products and convolutions alone are counted,
as in data sheets.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr

from nids_jax.machine import inner_programs


def operations(function: Callable[..., Any], *arguments: Any, turns: int = 1) -> float:
    """Operations of a call, all devices together.

    Args:
      function: jitted or not; static arguments are bound to it.
      arguments: arrays or their shapes.
      turns: of each loop with traced bounds (of which those within one another multiply).
    """
    return _of(jax.make_jaxpr(function)(*arguments).jaxpr, turns)


def _of(jaxpr: Jaxpr, turns: int) -> float:
    return sum(_of_equation(each, turns) for each in jaxpr.eqns)


def _of_equation(equation: Any, turns: int) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        contracted = params["dimension_numbers"][0][0]
        shape = equation.invars[0].aval.shape
        return 2.0 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
        # Each output takes the kernel's places times the channels of its group; padding counts as data.
        return 2.0 * equation.outvars[0].aval.size * math.prod(kernel[axis] for axis in numbers[1:])
    if name == "cond":
        return max(_of(branch.jaxpr, turns) for branch in params["branches"])
    inner = sum(_of(jaxpr, turns) for jaxpr in inner_programs(equation))
    if name == "scan":
        return inner * params["length"]
    if name == "while":
        return inner * turns
    return inner * params["mesh"].size if name == "shard_map" else inner
