"""Flow records of tools, straight to a table on disk, in memory that does not grow with their number."""

from collections.abc import Mapping
from typing import BinaryIO

from nids_jax.flows.meter import Compat
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate.tool import Tool
from nids_jax.flows.simulate.tools import flow_pieces
from nids_jax.sheets import Form, Kind, Sheet


def write_flows(
    file: BinaryIO, tools: Mapping[str, Tool], count: int, seed: int, *, compat: Compat = "corrected", form: Form
) -> int:
    """Write `count` flow records of each tool, tool by tool, and a column `Label` with the name that it goes by here.

    The rows are those of `tool_flows`; columns of whole numbers are written as such.

    Returns:
      Rows written.

    Raises:
      InputError: what `tool_flows` refuses; another `form`.
    """
    columns: dict[str, Kind] = {each.name: "integer" if each.integer else "number" for each in FEATURES}
    columns["Label"] = "few texts"
    with Sheet(file, form, columns) as sheet:
        for name, tool in tools.items():
            for x in flow_pieces(tool, count, seed, compat=compat):
                sheet.write([*x.T, name])
    return sheet.rows
