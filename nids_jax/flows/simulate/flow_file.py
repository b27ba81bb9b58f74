"""Flow records of tools, straight to a table on disk, in memory that does not grow with their number."""

from collections.abc import Mapping
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from nids_jax.errors import InputError
from nids_jax.flows.meter import Compat
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate.tool import Tool
from nids_jax.flows.simulate.tools import flow_pieces
from nids_jax.sheets import guarded

Form = Literal["csv", "parquet"]


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
    if form not in get_args(Form):
        raise InputError(f"`form` is {form!r}; choose from {', '.join(get_args(Form))}")
    fields = [pa.field(feature.name, pa.int64() if feature.integer else pa.float64()) for feature in FEATURES]
    names = pa.dictionary(pa.int32(), pa.string()) if form == "parquet" else pa.string()
    schema = pa.schema([*fields, pa.field("Label", names)])
    sink: Any = pa.PythonFile(file, mode="w")
    sheets: Any = pq.ParquetWriter(sink, schema) if form == "parquet" else pyarrow.csv.CSVWriter(sink, schema)
    rows = 0
    with sheets:
        for name, tool in tools.items():
            for x in flow_pieces(tool, count, seed, compat=compat):
                columns = [
                    pa.array(values.astype(np.int64) if feature.integer else np.ascontiguousarray(values))
                    for feature, values in zip(FEATURES, x.T, strict=True)
                ]
                cell = name if form == "parquet" else guarded(name)
                label = pa.array([cell]).take(pa.array(np.zeros(len(x), np.int32))).cast(names)
                sheets.write_table(pa.Table.from_arrays([*columns, label], schema=schema))
                rows += len(x)
    return rows
