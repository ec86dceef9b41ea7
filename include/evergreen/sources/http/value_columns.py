"""The values of `for_each` as columns of the rows that were read for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.rows.names import check_names
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import Combination
from evergreen.sources.text.column_types import TextTypes, declared_of
from evergreen.sources.text.records import prepare_records
from evergreen.sources.text.spool import Spool

Runs = Sequence[tuple[Combination, int]]
"""In the order of the rows: values, and how many rows were read for them."""


def with_values(source: HttpSource, spool: Spool, runs: Runs) -> Rows:
    """The rows of the spool; the names of `for_each` are further columns, unless a record has such a field.

    Their types are those that JSON values have, or the source's. Raises `SourceError` for a value that does
    not fit the type, and as `Spool.rows` does.
    """
    names = [name for name in source.for_each if spool.known and name not in spool.known]
    if not names:
        return spool.rows()
    columns = {name: _typed(name, source.types, runs, spool.zone) for name in names}
    spool.types = _without(spool.types, names)
    rows = spool.rows()
    schema = rows.schema
    for name, column in columns.items():
        schema = schema.append(pa.field(name, column.type))
    check_names(schema.names)
    return Rows(
        schema, _Widened(rows, schema, list(columns.values()), [number for _, number in runs]), rows.rejected
    )


def _typed(name: str, types: Mapping[str, str], runs: Runs, zone: Zone) -> pa.Array:
    """The value of each run, in the type of the column."""
    spool = Spool({name: types[name]} if name in types else {}, zone)
    records = [{name: chosen[name]} for chosen, _ in runs]
    try:
        spool.keep(prepare_records(spool.types, {}, records, lambda at: f"value '{records[at][name]}'", zone))
        rows = spool.rows()
        table = rows.table()
    finally:
        spool.close()
    if rows.rejected:
        first = rows.rejected[0]
        raise SourceError(f"for_each.{name}, {first.place}: {first.reason}: fix the values, or the type")
    return table.column(name).combine_chunks()


def _without(types: Mapping[str, str], names: Sequence[str]) -> Mapping[str, str]:
    declared = {name: kind for name, kind in declared_of(types).items() if name not in names}
    return TextTypes(declared, {name: kind for name, kind in types.items() if name not in names})


@dataclass(frozen=True)
class _Widened:
    """The batches with a column more for each of `columns`, which have a value for each run of rows."""

    rows: Rows
    schema: pa.Schema
    columns: Sequence[pa.Array]
    numbers: Sequence[int]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        ends, begin = np.cumsum(self.numbers), 0
        try:
            for batch in self.rows:
                places = np.arange(begin, begin + batch.num_rows)
                runs = pa.array(np.searchsorted(ends, places, side="right"))
                more = [column.take(runs) for column in self.columns]
                begin += batch.num_rows
                yield pa.RecordBatch.from_arrays([*batch.columns, *more], schema=self.schema)
        finally:
            self.rows.close()

    def close(self) -> None:
        self.rows.close()
