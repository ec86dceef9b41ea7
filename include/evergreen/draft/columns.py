"""What the decisions of a draft look at: the rows of a look, and what their columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.rows.texts import is_list, is_text
from evergreen.sources.look.found import Column, Look
from evergreen.sources.look.profile import profile

ID_WORDS = frozenset(
    {"guid", "id", "identifier", "ids", "index", "key", "no", "nr", "num", "number", "pk", "uuid"}
)
"""Last words of the names of columns that number rows or name things."""


@dataclass(frozen=True)
class Columns:
    """The rows of a look (n, columns), and what each column holds."""

    rows: pa.Table
    found: Mapping[str, Column]

    @classmethod
    def of(cls, look: Look) -> Columns:
        """Those of the rows that were looked at."""
        return cls(look.sample, {one.name: one for one in profile(look.sample)})

    @cached_property
    def count(self) -> int:
        """The number of rows."""
        return int(self.rows.num_rows)

    def values(self, name: str) -> pa.ChunkedArray:
        """A column's values."""
        return self.rows.column(name)

    def is_constant(self, name: str) -> bool:
        """Whether there is at most one value, missing ones aside."""
        return self.found[name].distinct < 2

    def is_unique(self, name: str) -> bool:
        """Whether it is present in all rows and different in each."""
        one = self.found[name]
        return not one.nulls and one.distinct == self.count

    def is_time(self, name: str) -> bool:
        """Whether it holds dates or times."""
        kind = self.values(name).type
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))

    def is_number(self, name: str) -> bool:
        """Whether it holds numbers; booleans are none."""
        kind = self.values(name).type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))

    def is_text(self, name: str) -> bool:
        """Whether it holds text."""
        return is_text(self.values(name).type)

    def is_list(self, name: str) -> bool:
        """Whether it holds lists."""
        return is_list(self.values(name).type)

    def is_whole(self, name: str) -> bool:
        """Whether it holds whole numbers alone, whatever their type."""
        if not self.is_number(name):
            return False
        values = self.values(name).drop_null()
        if pa.types.is_integer(values.type):
            return True
        return bool(pc.all(pc.equal(values, pc.floor(values))).as_py()) and bool(
            pc.all(pc.less(pc.abs(values), 2**53)).as_py()
        )

    def counts(self, name: str) -> list[tuple[object, int]]:
        """Each value with its number of rows, the most frequent first; missing ones are left out."""
        counted = pc.value_counts(self.values(name).drop_null()).to_pylist()
        return sorted(
            ((one["values"], one["counts"]) for one in counted), key=lambda one: (-one[1], str(one[0]))
        )
