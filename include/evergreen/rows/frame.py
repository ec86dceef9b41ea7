"""Arrow to pandas: rows of the lake as expectations, features and models get them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa


def to_frame(table: pa.Table) -> pd.DataFrame:
    """The table as a pandas DataFrame for validation, features and models.

    A decimal becomes float64 and a date datetime64, which pandas and scikit-learn can compute with; a list
    becomes a tuple, which can be compared and hashed. Arrow's own conversion gives Python objects for the
    first two and NumPy arrays for lists.
    """
    tuples: dict[str, list[tuple[Any, ...] | None]] = {}
    for index, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            table = table.set_column(index, column.name, table.column(index).cast(pa.float64()))
        elif pa.types.is_list(column.type):
            values = table.column(index).to_pylist()
            tuples[column.name] = [None if value is None else tuple(value) for value in values]
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    for name, values in tuples.items():
        frame[name] = pd.Series(values, index=frame.index, dtype=object)
    return frame
