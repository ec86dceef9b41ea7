"""What the rows of a request must hold, and the rows in the types that their columns are published in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.errors import SpecError
from evergreen.serving.arrow_columns import arrow_column
from evergreen.serving.body import WRONG
from evergreen.serving.column_values import Misfits, column_values
from evergreen.serving.refused import RequestRefusedError
from evergreen.shown import shown
from evergreen.spec import Spec

Reasons = dict[int, str]
"""Why rows are not predicted, by their index in the request."""


@dataclass(frozen=True)
class Read:
    """The rows (m, d) of a request that can be read, their indices in it, and why the others cannot."""

    rows: pa.Table
    places: list[int]
    reasons: Reasons


@dataclass(frozen=True)
class RowTypes:
    """The columns of a request's rows: those that are published, without the targets of the description.

    A row may have its `targets`, and they are not looked at. `written` are the types that the description
    writes for columns.
    """

    schema: pa.Schema
    targets: tuple[str, ...]
    zone: Zone
    written: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Spec, published: pa.Schema) -> RowTypes:
        """Those of a pipeline; raises `SpecError` where its event time is published as something else."""
        schema = pa.schema([column for column in published if column.name not in spec.targets])
        time = spec.time_column
        if time is not None and not (time in schema.names and pa.types.is_timestamp(schema.field(time).type)):
            raise SpecError(
                f"{spec.name}: '{time}' is not published as a time, so no row has a partition: fix the source"
            )
        written: dict[str, str] = {}
        for source in spec.sources.values():
            written |= source.config.types
        return cls(schema, spec.targets, spec.calendar.zone, written)

    @property
    def exact(self) -> bool:
        """Whether a column holds decimals, for which no digit of a number may be lost."""
        return any(pa.types.is_decimal(kind) for kind in self.schema.types)

    def read(self, records: Sequence[Any] | pa.Table) -> Read:
        """The records of a request as rows, or the columns of a table.

        A record must have each column, and no other field: so a name that is written wrongly is no missing
        value. Raises `RequestRefusedError` (422) for a table that has other columns.
        """
        if isinstance(records, pa.Table):
            return self._read_table(records)
        reasons = {
            at: self._why_other(record)
            for at, record in enumerate(records)
            if not isinstance(record, dict) or (record.keys() != self._names and self._why_other(record))
        }
        places = [at for at in range(len(records)) if at not in reasons]
        return self._fitting(
            places,
            reasons,
            lambda column: column_values(
                list(map(itemgetter(column.name), (records[at] for at in places))),
                column.type,
                self.written.get(column.name),
                self.zone,
            ),
        )

    def _read_table(self, table: pa.Table) -> Read:
        names = table.column_names
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise RequestRefusedError(
                WRONG, f"the table has the field '{shown(twice[0])}' twice: send it once"
            )
        if why := self._why_unlike(names):
            raise RequestRefusedError(WRONG, f"the table {why}")
        return self._fitting(
            list(range(len(table))),
            {},
            lambda column: arrow_column(
                table.column(column.name).combine_chunks(),
                column.type,
                self.written.get(column.name),
                self.zone,
            ),
        )

    def _fitting(
        self, places: list[int], reasons: Reasons, values_of: Callable[[pa.Field], tuple[pa.Array, Misfits]]
    ) -> Read:
        """The rows at these places all of whose values fit their columns; `values_of` gives a column's."""
        arrays, misfits = [], Reasons()
        for column in self.schema:
            array, wrong = values_of(column)
            arrays.append(array)
            for at, why in wrong.items():
                misfits.setdefault(at, f"field '{shown(column.name)}': {why}")
        rows = pa.Table.from_arrays(arrays, schema=self.schema)
        if misfits:
            reasons |= {places[at]: why for at, why in misfits.items()}
            rows = rows.filter(pa.array([at not in misfits for at in range(len(places))], pa.bool_()))
            places = [place for at, place in enumerate(places) if at not in misfits]
        return Read(rows, places, reasons)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.schema.names)

    def _why_other(self, record: Any) -> str:
        if not isinstance(record, dict):
            return "is no JSON object: send the value of each column by its name"
        return self._why_unlike(record.keys())

    def _why_unlike(self, names: Collection[str]) -> str:
        """What is wrong with the fields of a record or table; empty if they are those of a row."""
        if unknown := sorted({*names} - self._names - {*self.targets}):
            return (
                f"has the field '{shown(unknown[0])}', which rows of this pipeline do not have: leave it out"
            )
        if missing := sorted(self._names - {*names}):
            return f"lacks '{shown(missing[0])}': send null where there is no value"
        return ""
