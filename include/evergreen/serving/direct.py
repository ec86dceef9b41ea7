"""Rows whose features are their own columns, predicted without what feature functions need.

The direct way only answers what it is sure of: every value plainly of its column's type, all expectations
proven, a partition and a key of its own for each row. Anything else it leaves to the general way, which alone
says what is wrong with a row. Features go to the model as they do at night.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from evergreen.contributions.explainable import heart_of
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import apply_model
from evergreen.scoring.published import VERSION, published_columns, published_types
from evergreen.serving.row_checks import RowChecks
from evergreen.serving.row_partitions import partitions_of
from evergreen.serving.typed_rows import Columns, TypedRows
from evergreen.spec import Spec

_FLOAT = pa.float64()


def _values(column: Any, kind: pa.DataType | None) -> list[Any]:
    """The values (n,) of a published column, which has this type in the lake."""
    if kind == _FLOAT:
        return [*np.asarray(column, np.float64).tolist()]
    return [*pa.Array.from_pandas(column).cast(kind).to_pylist()]


@dataclass(frozen=True)
class Direct:
    """The direct way of a version.

    `features` are the columns that its estimator was fit on, and `target` is the type of the target's column.
    """

    spec: Spec
    version: str
    estimator: Any = field(repr=False)
    features: tuple[str, ...]
    target: pa.DataType | None
    rows: TypedRows = field(repr=False)
    checks: RowChecks = field(repr=False)

    @cached_property
    def is_short(self) -> bool:
        """Whether few rows take less time than to hand them to another thread."""
        return hasattr(heart_of(self.estimator).estimator, "short_")

    def predictions(self, text: bytes, most_rows: int) -> list[dict[str, Any]] | None:
        """What a night would publish of each row of a request; None if they must go the general way."""
        arrays = self.rows.read(text, most_rows)
        if arrays is None:
            return None
        rows = pa.Table.from_arrays([*arrays.values()], schema=self.rows.types.schema)
        keys = {name: arrays[name].to_pylist() for name in self.spec.keys}
        if not self.checks.proven(rows) or not self._have_keys(rows, keys):
            return None
        said = apply_model(self.spec, self.estimator, self._features(arrays))
        found = published_columns(self.spec, said)
        kinds = published_types(self.spec, self.target, [*found])
        columns = {
            **keys,
            **{name: _values(column, kinds[name]) for name, column in found.items()},
            VERSION: [self.version] * len(rows),
        }
        return [*map(dict, map(zip, repeat(tuple(columns)), zip(*columns.values(), strict=True)))]

    def _have_keys(self, rows: pa.Table, keys: dict[str, list[Any]]) -> bool:
        """Whether each row has a partition, and a key of its own in it."""
        columns = [partitions_of(self.spec, rows), *keys.values()]
        if "" in columns[0] or any(None in column for column in columns):
            return False
        return len(rows) == 1 or len({*zip(*columns, strict=True)}) == len(rows)

    def _features(self, arrays: Columns) -> pd.DataFrame:
        own = [arrays[name] for name in self.features]
        if not all(array.type == _FLOAT for array in own):
            return to_frame(pa.Table.from_arrays(own, names=[*self.features]))
        # What `to_frame` gives, in a tenth of the time.
        matrix = np.array([array.to_numpy(zero_copy_only=False) for array in own])
        return pd.DataFrame(matrix.T, columns=self._names)

    @cached_property
    def _names(self) -> pd.Index:
        return pd.Index(self.features)
